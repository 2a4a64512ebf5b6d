/*
 * plain.c: what `make bench` holds the compiled twin against: the hash in plain C, with the usual table of bytes.
 *
 * One pass over the frame, no allocation, no table but that of the key; no intrinsics. It takes the plain words of the
 * specification (the literal dialect), all nine hash types, and no tunnels. The bench compares its answers with the
 * model's before it measures anything; `tests/bench` never ships it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TCP = 6, UDP = 17 };
enum { IPV4 = 1, TCPV4, UDPV4, IPV6, TCPV6, UDPV6, IPV6_EX, TCPV6_EX, UDPV6_EX };

typedef uint32_t table[256];

struct config {
    uint32_t types;
    uint32_t entries;               /* a power of two, at least 1 */
    const int32_t *queues;
    int32_t unclassified;
    const table *key;               /* for each of 36 places the hash of each byte there */
};

struct answer { uint16_t report; uint32_t value; int32_t queue; };

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

/* Four sums, so that no exclusive or waits for the one before. `n` is a multiple of 4 and known when this is inlined. */
static inline uint32_t hash(const table *key, const uint8_t *p, int n)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;

    for (int i = 0; i < n; i += 4) {
        a ^= key[i][p[i]];
        b ^= key[i + 1][p[i + 1]];
        c ^= key[i + 2][p[i + 2]];
        d ^= key[i + 3][p[i + 3]];
    }
    return a ^ b ^ c ^ d;
}

static bool on(const struct config *c, int report) { return c->types >> (report - 1) & 1; }

static struct answer hashed(const struct config *c, int report, uint32_t value)
{
    return (struct answer){(uint16_t)report, value, c->queues[value & (c->entries - 1)]};
}

static struct answer unhashed(const struct config *c)
{
    return (struct answer){0, 0, c->unclassified};
}

/* TCP or UDP if the whole header is there, else 0. */
static inline int transport(int protocol, ptrdiff_t left)
{
    if ((protocol == TCP && left >= 20) || (protocol == UDP && left >= 8))
        return protocol;
    return 0;
}

static struct answer ipv4(const struct config *c, const uint8_t *p, ptrdiff_t left)
{
    ptrdiff_t header, total;
    int kind = 0, report;

    if (left < 20 || p[0] >> 4 != 4)
        return unhashed(c);
    header = (p[0] & 15) * 4;
    total = be16(p + 2);
    if (header < 20 || header > left || total < header)
        return unhashed(c);
    if (total < left)
        left = total;
    if ((be16(p + 6) & 0x1fff) == 0)
        kind = transport(p[9], left - header);
    if (kind == TCP && on(c, TCPV4))
        report = TCPV4;
    else if (kind == UDP && on(c, UDPV4))
        report = UDPV4;
    else if (on(c, IPV4))
        return hashed(c, IPV4, hash(c->key, p + 12, 8));
    else
        return unhashed(c);
    return hashed(c, report, hash(c->key, p + 12, 8) ^ hash(c->key + 8, p + header, 4));
}

/* The first Home Address option of an options header, or NULL. */
static const uint8_t *home_address(const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        if (*p == 0) {
            p++;
            continue;
        }
        if (end - p < 2 || end - p < 2 + p[1])
            return NULL;
        if (p[0] == 0xc9 && p[1] == 16)
            return p + 2;
        p += 2 + p[1];
    }
    return NULL;
}

static struct answer ipv6(const struct config *c, const uint8_t *p, ptrdiff_t left)
{
    const uint8_t *source = p + 8, *destination = p + 24, *home = NULL, *route = NULL;
    ptrdiff_t at = 40, size;
    bool extended = false, walking = true;
    int next, kind = 0, report;
    uint32_t value;

    if (left < 40 || p[0] >> 4 != 6)
        return unhashed(c);
    size = be16(p + 4);
    if (size && size < left - 40)
        left = size + 40;
    next = p[6];
    while (walking) {
        switch (next) {
        case 0: case 43: case 44: case 51: case 60: case 135: case 139: case 140: case 253: case 254:
            extended = true;
            if (left - at < 2 || (next == 43 && left - at < 4)) {
                walking = false;
                break;
            }
            size = next == 44 ? 8 : next == 51 ? (p[at + 1] + 2) * 4 : (p[at + 1] + 1) * 8;
            if (left - at < size) {
                walking = false;
                break;
            }
            if (next == 44 && be16(p + at + 2) & 0xfff8) {
                walking = false;
                break;
            }
            if (next == 60 && !home)
                home = home_address(p + at + 2, p + at + size);
            else if (next == 43 && !route && p[at + 2] == 2 && p[at + 1] == 2)
                route = p + at + 8;
            next = p[at];
            at += size;
            break;
        case 50:
            extended = true;
            walking = false;
            break;
        default:
            kind = transport(next, left - at);
            walking = false;
        }
    }
    if (extended && ((kind == TCP && on(c, TCPV6_EX)) || (kind == UDP && on(c, UDPV6_EX)) || on(c, IPV6_EX))) {
        report = kind == TCP && on(c, TCPV6_EX) ? TCPV6_EX : kind == UDP && on(c, UDPV6_EX) ? UDPV6_EX : IPV6_EX;
        if (home)
            source = home;
        if (route)
            destination = route;
    } else if (kind == TCP && on(c, TCPV6)) {
        report = TCPV6;
    } else if (kind == UDP && on(c, UDPV6)) {
        report = UDPV6;
    } else if (on(c, IPV6)) {
        report = IPV6;
    } else {
        return unhashed(c);
    }
    value = hash(c->key, source, 16) ^ hash(c->key + 16, destination, 16);
    if (report != IPV6 && report != IPV6_EX)
        value ^= hash(c->key + 32, p + at, 4);
    return hashed(c, report, value);
}

static struct answer judge(const struct config *c, const uint8_t *frame, ptrdiff_t length)
{
    ptrdiff_t at = 12;
    unsigned type;

    do {
        if (length < at + 2)
            return unhashed(c);
        type = be16(frame + at);
        at += type == 0x8100 || type == 0x88a8 ? 4 : 2;
    } while (type == 0x8100 || type == 0x88a8);
    if (type == 0x0800)
        return ipv4(c, frame + at, length - at);
    if (type == 0x86dd)
        return ipv6(c, frame + at, length - at);
    return unhashed(c);
}

/* Frame i is data[starts[i]] to data[ends[i] - 1]. */
void plain_batch(const struct config *c, const uint8_t *data, const int64_t *starts, const int64_t *ends, int64_t count,
                 uint16_t *report, uint32_t *value, int32_t *queue)
{
    for (int64_t i = 0; i < count; i++) {
        struct answer a = judge(c, data + starts[i], ends[i] - starts[i]);

        report[i] = a.report;
        value[i] = a.value;
        queue[i] = a.queue;
    }
}

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The same over a little-endian pcap file that is well-formed; returns the number of frames. */
int64_t plain_pcap(const struct config *c, const uint8_t *file, int64_t size, uint16_t *report, uint32_t *value,
                   int32_t *queue)
{
    int64_t at = 24, i = 0;

    while (at + 16 <= size) {
        int64_t length = le32(file + at + 8);
        struct answer a = judge(c, file + at + 16, length);

        report[i] = a.report;
        value[i] = a.value;
        queue[i++] = a.queue;
        at += 16 + length;
    }
    return i;
}
