/*
 * literal.c: a virtio-net receive hash in C, to the plain words of the specification.
 *
 * Speaks adapter protocol version 1 (JSON lines) on stdin/stdout; libc only.
 *     cc -O2 -o literal literal.c && ./literal
 *
 * Written from virtio 1.4 section 5.1.6.4.3 and the RFCs, not from vnethash's model: it is there to test the tester.
 * What it does where the text leaves room:
 *   link      any number of 802.1Q / 802.1ad tags is skipped; EtherType and version nibble must agree
 *   IPv4      IHL < 5, or beyond the packet: no hash. The packet ends at Total Length or with the frame, whichever is
 *             first. A first fragment with a complete TCP/UDP header has such a header; a later one has not.
 *   IPv6      Payload Length likewise, 0 = to the end of the frame. Extension headers: 0 43 44 50 51 60 135 139 140
 *             253 254; ESP ends the chain; a header that does not fit ends it too, and leaves the addresses to hash.
 *             A later fragment ends at its Fragment header; first and atomic fragments are read on.
 *   addresses first Home Address option (type 0xC9, length 16) in any Destination Options header; first Routing
 *             header of type 2 and Hdr Ext Len 2, whatever its Segments Left.
 *   L4        TCP = 20 bytes there, UDP = 8 bytes there; lengths and checksums inside are not looked at.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { KEY_MAX = 255, KEY_USED = 40, TABLE_MAX = 65536 };

struct config {
    bool rss, hash_report;
    uint32_t hash_types;
    uint8_t key[KEY_USED];          /* what is missing of a short key is zero */
    uint32_t entries;
    uint16_t table[TABLE_MAX];
    uint16_t unclassified;
};

/* ------------------------------------------------------------------ the packet */

enum { TCP = 6, UDP = 17 };

struct packet {
    int version;                    /* 4, 6, or 0: not an IP packet that can be read */
    bool extended;                  /* IPv6 with an extension header */
    int transport;                  /* TCP, UDP or 0: whose whole header is there */
    const uint8_t *source, *destination, *ports;
    const uint8_t *home, *route;    /* Home Address option, type 2 Routing header; NULL if absent */
};

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

static void dissect_transport(struct packet *pk, int protocol, const uint8_t *p, size_t left)
{
    if ((protocol == TCP && left >= 20) || (protocol == UDP && left >= 8)) {
        pk->transport = protocol;
        pk->ports = p;
    }
}

static void dissect_ipv4(struct packet *pk, const uint8_t *p, size_t left)
{
    size_t header, total;

    if (left < 20 || p[0] >> 4 != 4)
        return;
    header = (size_t)(p[0] & 15) * 4;
    total = be16(p + 2);
    if (total < left)
        left = total;
    if (header < 20 || header > left)
        return;
    pk->version = 4;
    pk->source = p + 12;
    pk->destination = p + 16;
    if ((be16(p + 6) & 0x1fff) == 0)
        dissect_transport(pk, p[9], p + header, left - header);
}

static void dissect_options(struct packet *pk, const uint8_t *p, const uint8_t *end)
{
    while (p < end && !pk->home) {
        if (*p++ == 0)                              /* Pad1 */
            continue;
        if (p == end || end - p - 1 < *p)
            return;                                 /* runs past its header: the rest is not readable */
        if (p[-1] == 0xc9 && *p == 16)
            pk->home = p + 1;
        p += 1 + *p;
    }
}

static void dissect_ipv6(struct packet *pk, const uint8_t *p, size_t left)
{
    size_t payload, at = 40;
    int next;

    if (left < 40 || p[0] >> 4 != 6)
        return;
    pk->version = 6;
    pk->source = p + 8;
    pk->destination = p + 24;
    payload = be16(p + 4);
    if (payload && payload < left - 40)
        left = payload + 40;
    next = p[6];
    for (;;) {
        size_t size;

        switch (next) {
        case 0: case 43: case 60: case 135: case 139: case 140: case 253: case 254:
            pk->extended = true;
            if (left - at < 2)
                return;
            size = ((size_t)p[at + 1] + 1) * 8;
            break;
        case 51:                                    /* Authentication Header counts in 32-bit words, minus 2 */
            pk->extended = true;
            if (left - at < 2)
                return;
            size = ((size_t)p[at + 1] + 2) * 4;
            break;
        case 44:
            pk->extended = true;
            size = 8;
            break;
        case 50:                                    /* ESP: what follows is not for us to read */
            pk->extended = true;
            return;
        default:
            dissect_transport(pk, next, p + at, left - at);
            return;
        }
        if (left - at < size)
            return;
        if (next == 44 && be16(p + at + 2) >> 3)
            return;                                 /* a later fragment: the rest is payload */
        if (next == 60)
            dissect_options(pk, p + at + 2, p + at + size);
        if (next == 43 && p[at + 2] == 2 && p[at + 1] == 2 && !pk->route)
            pk->route = p + at + 8;
        next = p[at];
        at += size;
    }
}

static struct packet dissect(const uint8_t *frame, size_t length)
{
    struct packet pk = {0};
    size_t at = 12;
    unsigned type;

    do {
        if (length < at + 2)
            return pk;
        type = be16(frame + at);
        at += type == 0x8100 || type == 0x88a8 ? 4 : 2;
    } while (type == 0x8100 || type == 0x88a8);
    if (type == 0x0800)
        dissect_ipv4(&pk, frame + at, length - at);
    else if (type == 0x86dd)
        dissect_ipv6(&pk, frame + at, length - at);
    return pk;
}

/* ------------------------------------------------------------------ the hash */

struct answer { unsigned report; uint32_t value; unsigned queue; };

struct input { uint8_t bytes[36]; size_t length; };

static void append(struct input *in, const uint8_t *p, size_t n)
{
    memcpy(in->bytes + in->length, p, n);
    in->length += n;
}

static uint32_t toeplitz(const uint8_t key[KEY_USED], const struct input *in)
{
    uint32_t hash = 0;
    uint32_t window = (uint32_t)be16(key) << 16 | be16(key + 2);

    for (size_t i = 0; i < in->length; i++)
        for (int bit = 7; bit >= 0; bit--) {
            if (in->bytes[i] >> bit & 1)
                hash ^= window;
            window = window << 1 | (key[i + 4] >> bit & 1);
        }
    return hash;
}

/* The rules in the order of the text; hash type and report value are tied: type = 1 << (report - 1). */
static const struct rule {
    int version;
    bool extended;                  /* only for packets with an extension header */
    int transport;                  /* only for packets with this header; 0: any */
    unsigned report;
} rules[] = {
    {4, false, TCP, 2}, {4, false, UDP, 3}, {4, false, 0, 1},
    {6, true,  TCP, 8}, {6, true,  UDP, 9}, {6, true,  0, 7},
    {6, false, TCP, 5}, {6, false, UDP, 6}, {6, false, 0, 4},
};

static const struct rule *choose(const struct packet *pk, uint32_t types)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *r = &rules[i];
        if (r->version == pk->version && types >> (r->report - 1) & 1 && (!r->extended || pk->extended)
            && (!r->transport || r->transport == pk->transport))
            return r;
    }
    return NULL;
}

static struct answer judge(const struct config *c, const uint8_t *frame, size_t length)
{
    struct packet pk = dissect(frame, length);
    struct answer a = {0, 0, c->unclassified};
    const struct rule *rule = choose(&pk, c->hash_types);
    struct input in = {{0}, 0};

    if (!rule || (!c->rss && !c->hash_report))      /* no rule, or nothing negotiated asks for a hash */
        return a;
    append(&in, rule->extended && pk.home ? pk.home : pk.source, pk.version == 4 ? 4 : 16);
    append(&in, rule->extended && pk.route ? pk.route : pk.destination, pk.version == 4 ? 4 : 16);
    if (rule->transport)
        append(&in, pk.ports, 4);
    a.report = rule->report;
    a.value = toeplitz(c->key, &in);
    a.queue = c->table[a.value & (c->entries - 1)];
    return a;
}

/* ------------------------------------------------------------------ as much JSON as the protocol needs */

static const char *blank(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* Each returns the place behind what it read, or NULL; all take NULL and pass it on. */
static const char *text_end(const char *p)
{
    if (!p || *p++ != '"')
        return NULL;
    while (*p != '"') {
        if (*p == '\\')
            p++;
        if (*p++ == '\0')
            return NULL;
    }
    return p + 1;
}

static const char *value_end(const char *p, int depth)
{
    char close;

    if (!p || depth > 32)
        return NULL;
    p = blank(p);
    if (*p == '"')
        return text_end(p);
    if (*p != '{' && *p != '[') {
        size_t n = strspn(p, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        return n ? p + n : NULL;
    }
    close = *p == '{' ? '}' : ']';
    p = blank(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            p = text_end(blank(p));
            if (!p || *(p = blank(p)) != ':')
                return NULL;
            p++;
        }
        p = value_end(p, depth + 1);
        if (!p)
            return NULL;
        p = blank(p);
        if (*p == close)
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

/* The value of a member of a well-formed object, or NULL. */
static const char *member(const char *object, const char *name)
{
    const char *p = object ? blank(object) : "";
    size_t n = strlen(name);

    if (*p != '{')
        return NULL;
    for (p = blank(p + 1); *p == '"'; p = blank(p + 1)) {
        const char *key = p + 1, *value;

        p = text_end(p);
        value = blank(blank(p) + 1);
        if ((size_t)(p - key) == n + 1 && memcmp(key, name, n) == 0)
            return value;
        p = blank(value_end(value, 0));
        if (*p != ',')
            break;
    }
    return NULL;
}

/* The first value of a list (NULL if it is empty or no list), and the next one after a value. */
static const char *first(const char *list)
{
    if (!list || *list != '[')
        return NULL;
    list = blank(list + 1);
    return *list == ']' ? NULL : list;
}

static const char *following(const char *value)
{
    value = blank(value_end(value, 0));
    return *value == ',' ? blank(value + 1) : NULL;
}

static bool is_text(const char *value, const char *word)
{
    size_t n = strlen(word);
    return value && *value == '"' && strncmp(value + 1, word, n) == 0 && value[n + 1] == '"';
}

static bool number(const char *value, uint32_t top, uint32_t *out)
{
    uint64_t sum = 0;
    const char *p = value;

    if (!p || *p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        sum = sum * 10 + (uint64_t)(*p - '0');
        if (sum > top)
            return false;
    }
    *out = (uint32_t)sum;
    return p == value_end(value, 0);
}

/* Decodes a string of hex digits into `out` (room for half the string's length); false if it is anything else. */
static bool hex(const char *value, uint8_t *out, size_t *length)
{
    *length = 0;
    if (!value || *value != '"')
        return false;
    for (value++; *value != '"'; value += 2) {
        unsigned byte = 0;

        for (int i = 0; i < 2; i++) {
            char c = value[i];
            int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
            if (digit < 0)
                return false;
            byte = byte * 16 + (unsigned)digit;
        }
        out[(*length)++] = (uint8_t)byte;
    }
    return true;
}

/* ------------------------------------------------------------------ the protocol */

/* Fills `c` from the request; returns NULL, or what is wrong with it. */
static const char *configure(struct config *c, const char *object, uint8_t *scratch)
{
    const char *list = member(object, "indirection_table"), *p;
    size_t length;
    uint32_t n;

    memset(c, 0, sizeof *c);
    if (!object || *object != '{')
        return "config is missing";
    for (p = first(member(object, "features")); p; p = following(p)) {
        c->rss |= is_text(p, "RSS");
        c->hash_report |= is_text(p, "HASH_REPORT");
    }
    if (!number(member(object, "hash_types"), UINT32_MAX, &c->hash_types))
        return "hash_types must be a number of 32 bits";
    if (!hex(member(object, "key"), scratch, &length) || length > KEY_MAX)
        return "key must be up to 255 bytes in hex";
    memcpy(c->key, scratch, length < KEY_USED ? length : KEY_USED);
    if (!number(member(object, "unclassified_queue"), UINT16_MAX, &n))
        return "unclassified_queue must be a number of 16 bits";
    c->unclassified = (uint16_t)n;
    for (p = first(list); p; p = following(p)) {
        if (c->entries == TABLE_MAX || !number(p, UINT16_MAX, &n))
            return "indirection_table must be up to 65536 numbers of 16 bits";
        c->table[c->entries++] = (uint16_t)n;
    }
    if (!c->entries)
        return "indirection_table must be a list and not be empty";
    if (number(member(object, "tunnel_types"), UINT32_MAX, &n) && n)
        return "tunnels are not supported";
    return NULL;
}

static void run(const struct config *c, const char *packets, uint8_t *scratch)
{
    const char *comma = "";

    printf("\"results\":[");
    for (const char *p = first(packets); p; p = following(p), comma = ",") {
        size_t length;

        if (!hex(p, scratch, &length)) {
            printf("%s{\"error\":\"packet must be bytes in hex\"}", comma);
            continue;
        }
        struct answer a = judge(c, scratch, length);
        printf("%s{\"report\":%u,\"value\":%u", comma, a.report, (unsigned)a.value);
        if (c->rss)
            printf(",\"queue\":%u", a.queue);
        putchar('}');
    }
    putchar(']');
}

static const char start_answer[] =
    "{\"version\":1,\"implementation\":{\"name\":\"literal-c\",\"version\":\"1\",\"language\":\"c\",\"homepage\":\"\"},"
    "\"capabilities\":{\"observes\":[\"queue\",\"report\",\"value\"],\"features\":[\"RSS\",\"HASH_REPORT\"],"
    "\"hash_types\":511,\"tunnel_types\":0,\"max_key_size\":255,\"max_indirection_table_length\":32768,"
    "\"queues\":32768}}";

int main(void)
{
    static struct config current, wanted;
    static bool configured;
    char *line = NULL;
    size_t room = 0;
    ssize_t got;

    while ((got = getline(&line, &room, stdin)) > 0) {
        const char *request = blank(line), *end = value_end(request, 0), *error = NULL;
        const char *command, *packets;
        uint8_t *scratch;
        uint32_t sequence;

        if (strlen(line) != (size_t)got || *request != '{' || !end || *blank(end)) {
            puts("{\"error\":\"a request is one JSON object a line\"}");
            fflush(stdout);
            continue;
        }
        command = member(request, "cmd");
        packets = member(request, "packets");
        scratch = malloc((size_t)got / 2 + 1);
        if (!scratch)
            return 1;
        if (is_text(command, "start")) {
            puts(start_answer);
        } else if (is_text(command, "stop")) {
            puts("{}");
            fflush(stdout);
            free(scratch);
            break;
        } else {
            putchar('{');
            if (number(member(request, "seq"), UINT32_MAX, &sequence))
                printf("\"seq\":%u,", (unsigned)sequence);
            if (is_text(command, "configure")) {
                error = configure(&wanted, member(request, "config"), scratch);
                if (!error) {
                    current = wanted;
                    configured = true;
                }
                printf(error ? "\"ok\":false," : "\"ok\":true");
            } else if (is_text(command, "run")) {
                if (!configured)
                    error = "run before configure";
                else if (!packets || *packets != '[')
                    error = "packets must be a list";
                else
                    run(&current, packets, scratch);
            } else {
                error = "unknown cmd";
            }
            if (error)
                printf("\"error\":\"%s\"", error);
            puts("}");
        }
        free(scratch);
        fflush(stdout);
    }
    free(line);
    return 0;
}
