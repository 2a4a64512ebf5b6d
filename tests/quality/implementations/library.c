/*
 * library.c: literal.c as a shared library with vnethash.h, and what can be wrong with one: PLANT in the environment.
 *     cc -shared -fPIC -I../../../targets/lib -o library.so library.c
 *
 * What is planted in a frame strikes for frames of 77 bytes; WRONG, for TCP over IPv6.
 */
#define main literal_main
#include "literal.c"
#undef main
#include <unistd.h>
#include "vnethash.h"

#define PLANTS(X) \
    X(NOTHING) X(CRASH) X(HANG) X(EXIT) X(WRONG) X(READS_BEHIND) X(READS_BEFORE) X(OVERFLOWS) X(ABI) X(SIZE) \
    X(NULL_INFO) X(NO_NAME) X(LONG_NAME) X(LATIN1) X(NO_PARTS) X(KEY_SIZE) X(STATUS) X(CONFIGURE_STATUS) X(UNCLAIMED) \
    X(WRITES_BEHIND) X(WRITES_BEFORE) X(REFUSES) X(SKIPS) X(FAILS) X(PRINTS) X(PARTLY)
#define NAMED(name) name,
#define QUOTED(name) #name,

static enum plant { PLANTS(NAMED) LAST } plant;

static void find_plant(void)
{
    static const char *const names[] = {PLANTS(QUOTED)};
    const char *wanted = getenv("PLANT") ? getenv("PLANT") : "NOTHING";

    for (plant = NOTHING; strcmp(names[plant], wanted) != 0; plant++)
        if (plant + 1 == LAST)
            abort();
}

static struct config current_config;
static char long_name[4096];

const struct vnethash_info *vnethash_info(void)
{
    static struct vnethash_info info = {
        .abi = VNETHASH_ABI, .size = sizeof info, .name = "literal-library", .version = "1", .language = "c",
        .observes = VNETHASH_REPORT | VNETHASH_VALUE | VNETHASH_QUEUE,
        .features = VNETHASH_RSS | VNETHASH_HASH_REPORT, .hash_types = 511,
        .max_key_size = 255, .max_indirection_table_length = 32768, .queues = 32768,
    };
    find_plant();
    memset(long_name, 'x', sizeof long_name);
    switch (plant) {
    case ABI: info.abi = 7; break;
    case SIZE: info.size += 4; break;
    case NULL_INFO: return NULL;
    case NO_NAME: info.name = ""; break;
    case LONG_NAME: info.name = long_name; break;
    case LATIN1: info.name = "K\xf6ln"; break;
    case NO_PARTS: info.observes = 0; break;
    case KEY_SIZE: info.max_key_size = 256; break;
    case UNCLAIMED: info.observes = VNETHASH_VALUE; break;
    default: break;
    }
    return &info;
}

int vnethash_configure(const struct vnethash_configuration *given, const char **message)
{
    struct config *c = &current_config;

    if (plant == CONFIGURE_STATUS)
        return 9;
    if (plant == REFUSES && given->indirection_table_length > 128) {
        *message = "no more than 128 entries";
        return VNETHASH_ERROR;
    }
    if (given->tunnel_types)
        return VNETHASH_SKIPPED;
    memset(c, 0, sizeof *c);
    c->rss = given->features & VNETHASH_RSS;
    c->hash_report = given->features & VNETHASH_HASH_REPORT;
    c->hash_types = given->hash_types;
    memcpy(c->key, given->key, sizeof c->key);
    c->entries = given->indirection_table_length;
    memcpy(c->table, given->indirection_table, c->entries * sizeof *c->table);
    c->unclassified = (uint16_t)given->unclassified_queue;
    return VNETHASH_OUTCOME;
}

static void strike(const uint8_t *frame, uint32_t length, struct vnethash_result *result)
{
    switch (plant) {
    case CRASH: *(volatile int *)8 = 1; break;
    case HANG: for (;;) pause();
    case EXIT: exit(0);
    case READS_BEHIND: result->value += ((volatile const uint8_t *)frame)[length]; break;
    case READS_BEFORE: result->value += ((volatile const uint8_t *)frame)[-1]; break;
    case OVERFLOWS: { volatile int most = 0x7fffffff; result->queue += most + (int)length > 0; break; }
    case STATUS: result->status = 9; break;
    case UNCLAIMED: result->shown = VNETHASH_QUEUE; break;
    case SKIPS: result->status = VNETHASH_SKIPPED; result->message = "not this one"; break;
    case FAILS: result->status = VNETHASH_ERROR; break;
    case PARTLY: result->shown = VNETHASH_REPORT; break;
    case PRINTS: puts("{\"seq\":1}"); fflush(stdout); break;
    default: break;
    }
}

void vnethash_run(const uint8_t *bytes, const uint64_t *offsets, const uint32_t *lengths, uint32_t count,
                  struct vnethash_result *results)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *frame = bytes + offsets[i];
        struct answer a = judge(&current_config, frame, lengths[i]);

        results[i].report = (uint16_t)a.report;
        results[i].value = a.value;
        results[i].queue = current_config.rss ? (int32_t)a.queue : -1;
        if (plant == WRONG && a.report == 5)
            results[i].value ^= 1;
        if (lengths[i] == 77)
            strike(frame, lengths[i], &results[i]);
    }
    if (plant == WRITES_BEHIND)
        results[count].value = 1;
    if (plant == WRITES_BEFORE)
        results[-1].value = 1;
}
