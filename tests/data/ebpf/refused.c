/* Uses what a map look-up gave without asking whether it gave anything: the verifier refuses it. */
#include "steering.h"

struct bpf_map_def {
    __u32 type, key_size, value_size, max_entries, map_flags;
};

struct bpf_map_def SEC("maps") test_configurations = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct configuration), 1, 0};
struct bpf_map_def SEC("maps") test_toeplitz_key = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct key), 1, 0};
struct bpf_map_def SEC("maps") test_indirection_table = {BPF_MAP_TYPE_ARRAY, 4, 2, 128, 0};

SEC("tun_rss_steering") int careless(struct __sk_buff *skb)
{
    __u32 zero = 0, far = 1000;
    struct configuration *configuration = map_lookup(&test_configurations, &zero);
    __u16 *queue = map_lookup(&test_indirection_table, &far);
    struct key *key = map_lookup(&test_toeplitz_key, &zero);

    return configuration && key ? *queue + key->rest[0] : 0;
}
