/*
 * vnethash.h: what a shared library exports to be checked by vnethash as `lib:PATH.so`.  Version 1.  Any licence.
 *
 * Three functions, called from one thread, in this order:
 *
 *     vnethash_info        once: who you are, and what you can show and be told
 *     vnethash_configure   whenever the driver sends a new configuration
 *     vnethash_run         for each batch of frames under the last configuration that was taken
 *
 * They run in a process of their own. A crash, an exit or a hang costs the frame that caused it and nothing else: the
 * process is started again, given the configuration again, and the other frames of the batch are asked again. So do not
 * catch what you would not catch elsewhere, and let the answer to a frame depend on nothing but the configuration and
 * that frame. What you print to stdout or stderr is kept; the last of it is shown when the process dies.
 *
 * Built with -fsanitize=address, the library is called with the bytes around every frame poisoned: reading one byte
 * too far is an error of that frame.
 *
 * All numbers are in the byte order of the machine. Sizes are in bytes.
 */
#ifndef VNETHASH_H
#define VNETHASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* begin: what is between these two lines is also read by vnethash itself, so that both sides have one definition */

enum { VNETHASH_ABI = 1 };                  /* goes up when anything below changes its meaning or its place */

enum {                                      /* features: what the driver negotiates */
    VNETHASH_RSS = 1,
    VNETHASH_HASH_REPORT = 2,
    VNETHASH_HASH_TUNNEL = 4,
    VNETHASH_RSS_CONTEXT = 8
};

enum {                                      /* parts of the outcome of a frame */
    VNETHASH_REPORT = 1,
    VNETHASH_VALUE = 2,
    VNETHASH_QUEUE = 4
};

enum {                                      /* what became of a frame */
    VNETHASH_OUTCOME = 0,                   /* it was processed: report, value and queue say how */
    VNETHASH_SKIPPED = 1,                   /* this library cannot put it to the implementation; nothing is concluded */
    VNETHASH_ERROR = 2                      /* the implementation failed on it; that is judged */
};

struct vnethash_info {
    uint32_t abi;                           /* VNETHASH_ABI */
    uint32_t size;                          /* sizeof(struct vnethash_info) */
    const char *name;                       /* of the implementation; UTF-8, ends with a NUL, not empty */
    const char *version;                    /* the same, or NULL; so are the next two */
    const char *language;
    const char *homepage;
    uint32_t observes;                      /* the parts of the outcome that you can show, at least one */
    uint32_t features;                      /* those that you can be told */
    uint32_t hash_types;                    /* as in supported_hash_types: bit 0 IPv4 to bit 8 UDP_EX */
    uint32_t tunnel_types;                  /* as in supported_tunnel_types; 0 without HASH_TUNNEL */
    uint32_t max_key_size;                  /* 0 to 255 */
    uint32_t max_indirection_table_length;  /* entries, 1 to 65536 */
    uint32_t queues;                        /* receive queues that you can name, 1 to 65536 */
};

struct vnethash_configuration {
    uint32_t size;                          /* sizeof(struct vnethash_configuration) */
    uint32_t features;
    uint32_t hash_types;
    uint32_t tunnel_types;
    const uint8_t *key;                     /* key_size bytes, and zeros behind them up to 256 */
    const uint16_t *indirection_table;      /* receive queues, counted from 0; not NULL */
    uint32_t key_size;
    uint32_t indirection_table_length;      /* entries: indirection_table_mask + 1 */
    uint32_t unclassified_queue;
    uint32_t max_tx_vq;
};

struct vnethash_result {
    uint8_t status;                         /* VNETHASH_OUTCOME, VNETHASH_SKIPPED or VNETHASH_ERROR */
    uint8_t shown;                          /* parts shown for this frame; 0: all that info.observes says */
    uint16_t report;                        /* hash_report: 0 none to 9 */
    uint32_t value;                         /* hash_value */
    int32_t queue;                          /* receive queue, counted from 0; -1 where no steering was configured */
    uint32_t reserved;                      /* leave it 0 */
    const char *message;                    /* why it was skipped or failed; NULL, or UTF-8 that lasts until the next call */
};

/* Returns what stays the same as long as the library is loaded. */
const struct vnethash_info *vnethash_info(void);

/* Takes a configuration; copy what you keep, it is gone after the call. Returns VNETHASH_OUTCOME (0), or
 * VNETHASH_SKIPPED or VNETHASH_ERROR, and then the configuration before it stays in force; *message, which is NULL
 * before the call, may be set to why. */
int vnethash_configure(const struct vnethash_configuration *configuration, const char **message);

/* Processes `count` frames. Frame i is the `lengths[i]` bytes at `bytes + offsets[i]`, an Ethernet frame without its
 * check sequence; its address is a multiple of 16. Bytes around the frames are not yours to read. Fill in results[i]
 * for each; all of them are zero before the call. */
void vnethash_run(const uint8_t *bytes, const uint64_t *offsets, const uint32_t *lengths, uint32_t count,
                  struct vnethash_result *results);

/* end */

#ifdef __cplusplus
}
#endif

#endif
