/*
 * A steering program of vnethash's own, for tests: the Toeplitz hash of the IPv4 addresses (and, with TCPv4, of the
 * ports), behind the map interface that vnethash.targets.ebpf.program documents. The includer defines the maps.
 */
#include <linux/bpf.h>

#define SEC(NAME) __attribute__((section(NAME), used))

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*load_relative)(const void *skb, __u32 offset, void *to, __u32 len, __u32 start) =
    (void *)BPF_FUNC_skb_load_bytes_relative;

struct configuration {
    __u8 redirect;
    __u8 populate_hash;
    __u32 hash_types;
    __u16 entries;
    __u16 unclassified_queue;
} __attribute__((packed));

struct key {
    __u32 first;
    __u8 rest[36];
};

#define BSWAP16(x) ((__u16)((x) << 8 | (x) >> 8))
#define TYPE_IPV4 1
#define TYPE_TCPV4 2

struct input {
    __u8 bytes[12];
    __u32 length;
};

#ifndef READ_INPUT
#define READ_INPUT read_input
static __attribute__((noinline)) int read_input(struct __sk_buff *skb, struct input *input, __u32 hash_types)
{
    __u16 ethertype = 0, fragment = 0;
    __u8 version_ihl = 0, protocol = 0;

    if (load_relative(skb, 12, &ethertype, 2, 0) || ethertype != BSWAP16(0x0800))
        return 0;
    if (load_relative(skb, 12, input->bytes, 8, 1) || load_relative(skb, 0, &version_ihl, 1, 1) ||
        load_relative(skb, 9, &protocol, 1, 1) || load_relative(skb, 6, &fragment, 2, 1))
        return 0;
    if ((hash_types & TYPE_TCPV4) && protocol == 6 && !(fragment & BSWAP16(0x3fff))) {
        if (load_relative(skb, (version_ihl & 15) * 4, input->bytes + 8, 4, 1))
            return 0;
        return 12;
    }
    return hash_types & TYPE_IPV4 ? 8 : 0;
}
#else
static __attribute__((noinline)) int READ_INPUT(struct __sk_buff *skb, struct input *input, __u32 hash_types);
#endif

static __attribute__((always_inline)) int steer(struct __sk_buff *skb, void *configurations, void *keys, void *table)
{
    __u32 zero = 0, hash = 0, window, index;
    struct input input = {};
    struct configuration *configuration = map_lookup(configurations, &zero);
    struct key *key = map_lookup(keys, &zero);
    __u16 *queue;
    int i, bit, length;

    if (!configuration || !key || !configuration->redirect)
        return 0;
    length = READ_INPUT(skb, &input, configuration->hash_types);
    if (!length)
        return configuration->unclassified_queue;
    window = key->first;
    for (i = 0; i < 12; i++) {
        for (bit = 7; bit >= 0; bit--) {
            if (input.bytes[i] >> bit & 1)
                hash ^= window;
            window = window << 1 | (key->rest[i] >> bit & 1);
        }
    }
    index = configuration->entries ? hash % configuration->entries : 0;
    queue = map_lookup(table, &index);
    return queue ? *queue : configuration->unclassified_queue;
}

char _license[] SEC("license") = "MIT";
