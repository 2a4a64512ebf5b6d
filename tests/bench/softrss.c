/* softrss.c: DPDK's rte_softrss over hash inputs of 12 or 36 bytes, given as words of the host, as it takes them. */
#include <rte_thash.h>

void softrss_batch(const uint32_t *words, const int64_t *starts, const int64_t *ends, int64_t count,
                   const uint8_t *key, uint32_t *value)
{
    for (int64_t i = 0; i < count; i++)
        value[i] = rte_softrss((uint32_t *)(uintptr_t)(words + starts[i]), (uint32_t)(ends[i] - starts[i]), key);
}
