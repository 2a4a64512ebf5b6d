/*
 * shim.c: DPDK's software packet type and Toeplitz hash behind vnethash.h.
 *
 * DPDK's are two functions: rte_net_get_ptype says what a packet is and how long its headers are, rte_softrss hashes a
 * tuple. What stands between them is ours, and as short as an application has it: the tuple is read at the lengths that
 * DPDK gave, and the hash type follows from its packet type. Where DPDK's answer leaves no tuple to be read, the frame is
 * skipped and not answered by a rule of our own. docs/dpdk.md has the whole of it.
 */
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_net.h>
#include <rte_thash.h>
#include <rte_version.h>

#include "vnethash.h"

#define EXPORTED __attribute__((visibility("default")))

enum { KEY_SIZE = 40 };                     /* rte_softrss reads one word more than the 9 of the longest tuple */

enum {                                      /* bits of hash_types, and values of hash_report */
    TYPE_IPV4 = 1, TYPE_TCPV4 = 2, TYPE_UDPV4 = 4, TYPE_IPV6 = 8, TYPE_TCPV6 = 16, TYPE_UDPV6 = 32,
    TYPES = 63
};

static struct {
    uint32_t key[KEY_SIZE / 4];
    uint32_t hash_types;
} config;

/* What DPDK says of a frame in one segment: its packet type, and the lengths of layers 2 and 3. Those are zeroed before,
 * because DPDK fills in only what it finds. */
EXPORTED uint32_t vnethash_dpdk_ptype(const uint8_t *frame, uint16_t length, uint32_t lengths[2])
{
    struct rte_net_hdr_lens lens;
    struct rte_mbuf segment;
    uint32_t ptype;

    memset(&segment, 0, sizeof segment);
    memset(&lens, 0, sizeof lens);
    segment.buf_addr = (void *)(uintptr_t)frame;
    segment.buf_len = length;
    segment.data_len = length;
    segment.pkt_len = length;
    segment.nb_segs = 1;
    rte_mbuf_refcnt_set(&segment, 1);
    ptype = rte_net_get_ptype(&segment, &lens, RTE_PTYPE_ALL_MASK);
    lengths[0] = lens.l2_len;
    lengths[1] = lens.l3_len;
    return ptype;
}

/* The hash of `count` words in the byte order of the machine under a key with a word more than that. */
EXPORTED uint32_t vnethash_dpdk_softrss(uint32_t *words, uint32_t count, const uint32_t *key)
{
    return rte_softrss(words, count, (const uint8_t *)key);
}

EXPORTED const struct vnethash_info *vnethash_info(void)
{
    static char version[64];
    static const struct vnethash_info info = {
        .abi = VNETHASH_ABI, .size = sizeof info, .name = "DPDK rte_net_get_ptype and rte_softrss",
        .version = version, .language = "C", .homepage = "https://www.dpdk.org",
        .observes = VNETHASH_REPORT | VNETHASH_VALUE, .features = VNETHASH_RSS | VNETHASH_HASH_REPORT,
        .hash_types = TYPES, .max_key_size = KEY_SIZE, .max_indirection_table_length = 65536, .queues = 65536,
    };

    snprintf(version, sizeof version, "%d.%02d.%d%s", RTE_VER_YEAR, RTE_VER_MONTH, RTE_VER_MINOR, RTE_VER_SUFFIX);
    return &info;
}

EXPORTED int vnethash_configure(const struct vnethash_configuration *given, const char **message)
{
    if (given->key_size != KEY_SIZE) {
        *message = "rte_softrss takes a key of 40 bytes";
        return VNETHASH_SKIPPED;
    }
    if (given->tunnel_types) {
        *message = "the hash of DPDK knows no inner headers";
        return VNETHASH_SKIPPED;
    }
    memcpy(config.key, given->key, KEY_SIZE);
    config.hash_types = given->hash_types;
    return VNETHASH_OUTCOME;
}

/* Reads both ports; 0 if the segment does not hold them. */
static int read_ports(const uint8_t *frame, uint32_t length, uint32_t at, uint16_t *source, uint16_t *destination)
{
    rte_be16_t ports[2];

    if (length < at + sizeof ports)
        return 0;
    memcpy(ports, frame + at, sizeof ports);
    *source = rte_be_to_cpu_16(ports[0]);
    *destination = rte_be_to_cpu_16(ports[1]);
    return 1;
}

static void process(const uint8_t *frame, uint32_t length, struct vnethash_result *result)
{
    union rte_thash_tuple tuple;
    uint32_t ptype, type, words, ports, lengths[2];
    int ipv4, ipv6;

    if (length > UINT16_MAX) {
        result->status = VNETHASH_SKIPPED;
        result->message = "a segment of DPDK holds at most 65535 bytes";
        return;
    }
    ptype = vnethash_dpdk_ptype(frame, (uint16_t)length, lengths);
    ipv4 = RTE_ETH_IS_IPV4_HDR(ptype) != 0;
    ipv6 = RTE_ETH_IS_IPV6_HDR(ptype) != 0;
    if (!ipv4 && !ipv6)
        return;
    ports = 0;
    if ((ptype & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP)
        ports = ipv4 ? TYPE_TCPV4 : TYPE_TCPV6;
    else if ((ptype & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_UDP)
        ports = ipv4 ? TYPE_UDPV4 : TYPE_UDPV6;
    type = config.hash_types & ports ? ports : config.hash_types & (ipv4 ? TYPE_IPV4 : TYPE_IPV6);
    if (!type)
        return;

    memset(&tuple, 0, sizeof tuple);
    if (ipv4) {
        struct rte_ipv4_hdr header;

        memcpy(&header, frame + lengths[0], sizeof header);
        tuple.v4.src_addr = rte_be_to_cpu_32(header.src_addr);
        tuple.v4.dst_addr = rte_be_to_cpu_32(header.dst_addr);
        words = RTE_THASH_V4_L3_LEN;
    } else {
        struct rte_ipv6_hdr header;

        memcpy(&header, frame + lengths[0], sizeof header);
        rte_thash_load_v6_addrs(&header, &tuple);
        words = RTE_THASH_V6_L3_LEN;
    }
    if (type == ports) {
        uint32_t at = lengths[0] + lengths[1];

        if (!(ipv4 ? read_ports(frame, length, at, &tuple.v4.sport, &tuple.v4.dport)
                   : read_ports(frame, length, at, &tuple.v6.sport, &tuple.v6.dport))) {
            result->status = VNETHASH_SKIPPED;
            result->message = "DPDK calls it UDP, but its ports are not in the frame";
            return;
        }
        words = ipv4 ? RTE_THASH_V4_L4_LEN : RTE_THASH_V6_L4_LEN;
    }
    result->report = (uint16_t)(rte_bsf32(type) + 1);
    result->value = vnethash_dpdk_softrss((uint32_t *)&tuple, words, config.key);
}

EXPORTED void vnethash_run(const uint8_t *bytes, const uint64_t *offsets, const uint32_t *lengths, uint32_t count,
                           struct vnethash_result *results)
{
    for (uint32_t i = 0; i < count; i++)
        process(bytes + offsets[i], lengths[i], &results[i]);
}
