/* The test program with legacy map definitions, as up to libbpf 0.x. */
#include "steering.h"

struct bpf_map_def {
    __u32 type, key_size, value_size, max_entries, map_flags;
};

struct bpf_map_def SEC("maps") test_configurations = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct configuration), 1, 0};
struct bpf_map_def SEC("maps") test_toeplitz_key = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct key), 1, 0};
struct bpf_map_def SEC("maps") test_indirection_table = {BPF_MAP_TYPE_ARRAY, 4, 2, 128, 0};

SEC("tun_rss_steering") int steering(struct __sk_buff *skb)
{
    return steer(skb, &test_configurations, &test_toeplitz_key, &test_indirection_table);
}
