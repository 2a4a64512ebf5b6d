/* What a socket filter sees of a frame, one program a view: for tests that the interpreter shows the same. */
#include <linux/bpf.h>

#define SEC(NAME) __attribute__((section(NAME), used))

static long (*load_bytes)(const void *skb, __u32 offset, void *to, __u32 len) = (void *)BPF_FUNC_skb_load_bytes;
static long (*load_relative)(const void *skb, __u32 offset, void *to, __u32 len, __u32 start) =
    (void *)BPF_FUNC_skb_load_bytes_relative;
unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");
unsigned long long load_word(void *skb, unsigned long long offset) asm("llvm.bpf.load.word");

#define RELATIVE(NAME, OFFSET, SIZE, START)                                                                            \
    SEC("socket") int NAME(struct __sk_buff *skb)                                                                      \
    {                                                                                                                  \
        __u32 bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};                                                                     \
        long error = load_relative(skb, OFFSET, bytes, SIZE, START);                                                   \
        return error ? bytes[0] | 0x10000 : bytes[0] & 0xff;                                                           \
    }
#define FIELD(NAME)                                                                                                    \
    SEC("socket") int field_##NAME(struct __sk_buff *skb)                                                              \
    {                                                                                                                  \
        return skb->NAME;                                                                                              \
    }

RELATIVE(network_first, 0, 4, 1)
RELATIVE(network_20, 0, 20, 1)
RELATIVE(network_40, 0, 32, 1)
RELATIVE(network_far, 0x10000, 4, 1)
RELATIVE(mac_first, 0, 4, 0)
RELATIVE(mac_30, 30, 8, 0)
RELATIVE(start_2, 0, 4, 2)

SEC("socket") int data_first(struct __sk_buff *skb)
{
    __u32 bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    return load_bytes(skb, 0, bytes, 32) ? bytes[0] | 0x10000 : bytes[0] & 0xff;
}

SEC("socket") int data_negative(struct __sk_buff *skb)
{
    __u32 bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    return load_bytes(skb, -14, bytes, 4) ? bytes[0] | 0x10000 : bytes[0] & 0xff;
}

SEC("socket") int absolute_byte(struct __sk_buff *skb) { return load_byte(skb, 19); }
SEC("socket") int absolute_half(struct __sk_buff *skb) { return load_half(skb, 6); }
SEC("socket") int absolute_word(struct __sk_buff *skb) { return load_word(skb, 3); }
SEC("socket") int absolute_network(struct __sk_buff *skb) { return load_word(skb, -0x100000 + 8); }
SEC("socket") int absolute_mac(struct __sk_buff *skb) { return load_half(skb, -0x200000 + 12); }
SEC("socket") int indirect(struct __sk_buff *skb) { return load_byte(skb, load_byte(skb, 0) & 63) + 1; }

FIELD(len)
FIELD(pkt_type)
FIELD(mark)
FIELD(queue_mapping)
FIELD(protocol)
FIELD(vlan_present)
FIELD(vlan_tci)
FIELD(vlan_proto)
FIELD(priority)
FIELD(ingress_ifindex)
FIELD(ifindex)
FIELD(tc_index)
FIELD(hash)
FIELD(napi_id)
FIELD(gso_segs)
FIELD(gso_size)

SEC("socket") int field_cb(struct __sk_buff *skb)
{
    __u32 before = skb->cb[1];
    skb->cb[1] = skb->len;
    return before << 16 | skb->cb[1];
}

SEC("socket") int field_narrow(struct __sk_buff *skb) { return *((volatile __u8 *)&skb->protocol + 1); }

char _license[] SEC("license") = "MIT";
