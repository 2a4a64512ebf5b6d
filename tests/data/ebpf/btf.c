/* The test program with BTF map definitions; compile with -g. */
#include "steering.h"

#define uint(name, value) int (*name)[value]
#define type(name, value) typeof(value) *name

struct {
    uint(type, BPF_MAP_TYPE_ARRAY);
    type(key, __u32);
    type(value, struct configuration);
    uint(max_entries, 1);
} test_configurations SEC(".maps");

struct {
    uint(type, BPF_MAP_TYPE_ARRAY);
    uint(key_size, 4);
    uint(value_size, sizeof(struct key));
    uint(max_entries, 1);
    uint(map_flags, BPF_F_MMAPABLE);
} test_toeplitz_key SEC(".maps");

struct {
    uint(type, BPF_MAP_TYPE_ARRAY);
    type(key, __u32);
    type(value, __u16);
    uint(max_entries, 256);
} test_indirection_table SEC(".maps");

SEC("socket") int steering(struct __sk_buff *skb)
{
    return steer(skb, &test_configurations, &test_toeplitz_key, &test_indirection_table);
}
