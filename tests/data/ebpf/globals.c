/* Global data of all three kinds, subprograms in the same section and in .text, one calling the other. */
#include <linux/bpf.h>

#define SEC(NAME) __attribute__((section(NAME), used))
#define NOINLINE __attribute__((noinline))

static const volatile __u32 constants[4] = {3, 5, 7, 11};
static volatile __u32 counter = 100;
static volatile __u64 zeroed;
int visible = 1000;

static NOINLINE int deepest(int n)
{
    return n + constants[n & 3] + visible;
}

static NOINLINE int deeper(int n)
{
    return deepest(n + 1) * 2 + deepest(n);
}

SEC("socket") int first(struct __sk_buff *skb)
{
    counter += 1;
    zeroed += 2;
    return deeper(skb->len & 3) + counter + zeroed;
}

SEC("socket") int second(struct __sk_buff *skb)
{
    __sync_fetch_and_add(&zeroed, 5);
    return deepest(skb->len & 3) + zeroed;
}

char _license[] SEC("license") = "MIT";
