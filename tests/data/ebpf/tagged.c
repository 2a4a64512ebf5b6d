/*
 * A steering program that walks VLAN tags itself, with defects of which an untagged frame shows nothing:
 *   DEFECT 1  the IP header is looked for behind the Ethernet header, whatever tags there are
 *   DEFECT 2  a priority tag (VLAN 0) makes the frame one that is not hashed
 *   DEFECT 3  the tag control information is taken for the EtherType
 *   DEFECT 4  a frame of more than 4096 bytes is not hashed
 */
#define READ_INPUT read_behind_tags
#include "steering.h"

#ifndef DEFECT
#define DEFECT 0
#endif
#define TYPE_UDPV4 4

struct bpf_map_def {
    __u32 type, key_size, value_size, max_entries, map_flags;
};

struct bpf_map_def SEC("maps") test_configurations = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct configuration), 1, 0};
struct bpf_map_def SEC("maps") test_toeplitz_key = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct key), 1, 0};
struct bpf_map_def SEC("maps") test_indirection_table = {BPF_MAP_TYPE_ARRAY, 4, 2, 128, 0};

static __attribute__((noinline)) int read_behind_tags(struct __sk_buff *skb, struct input *input, __u32 hash_types)
{
    __u16 tag[2] = {}, ethertype = 0, fragment = 0;
    __u8 first = 0, protocol = 0;
    __u32 at = 12, type;
    int i;

    if (load_relative(skb, at, &ethertype, 2, 0))
        return 0;
    for (i = 0; i < 16; i++) {
        if (ethertype != BSWAP16(0x8100) && ethertype != BSWAP16(0x88a8))
            break;
        if (load_relative(skb, at + 2, tag, 4, 0))
            return 0;
        if (DEFECT == 2 && !(tag[0] & BSWAP16(0x0fff)))
            return 0;
        ethertype = tag[DEFECT != 3];
        at += 4;
    }
    at = DEFECT == 1 ? 14 : at + 2;
    if (ethertype != BSWAP16(0x0800) || (DEFECT == 4 && skb->len > 4096))
        return 0;
    if (load_relative(skb, at + 12, input->bytes, 8, 0) || load_relative(skb, at, &first, 1, 0) ||
        load_relative(skb, at + 9, &protocol, 1, 0) || load_relative(skb, at + 6, &fragment, 2, 0))
        return 0;
    type = protocol == 6 ? TYPE_TCPV4 : protocol == 17 ? TYPE_UDPV4 : 0;
    if ((hash_types & type) && !(fragment & BSWAP16(0x3fff))) {
        if (load_relative(skb, at + (first & 15) * 4, input->bytes + 8, 4, 0))
            return 0;
        return 12;
    }
    return hash_types & TYPE_IPV4 ? 8 : 0;
}

SEC("tun_rss_steering") int steering(struct __sk_buff *skb)
{
    return steer(skb, &test_configurations, &test_toeplitz_key, &test_indirection_table);
}
