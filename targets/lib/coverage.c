/*
 * What a library built with -fsanitize-coverage=... calls: counters of edges, kept here and read by vnethash.
 *
 * It is compiled when such a library is opened, and loaded before it. clang's inline-8bit-counters, inline-bool-flag and
 * trace-pc-guard count edges; gcc's trace-pc counts blocks by the place of the call. What else these options call does
 * nothing here.
 */
#include <stdint.h>
#include <string.h>

enum { RANGES = 4096, GUARDS = 1 << 20, PLACES = 1 << 14 };

typedef void run_function(const uint8_t *, const uint64_t *, const uint32_t *, uint32_t, void *);

static struct { uint8_t *start, *stop; } ranges[RANGES];
static uint32_t range_count, guard_count, traced;
static uint8_t guarded[GUARDS + 1], places[PLACES];

/* Each counter is in the place of its library, once, whatever the number of constructors that name it. */
void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop)
{
    for (uint32_t i = 0; i < range_count; i++)
        if (ranges[i].start == start)
            return;
    if (start < stop && range_count < RANGES) {
        ranges[range_count].start = start;
        ranges[range_count++].stop = stop;
    }
}

void __sanitizer_cov_bool_flag_init(uint8_t *start, uint8_t *stop)
{
    __sanitizer_cov_8bit_counters_init(start, stop);
}

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
    for (uint32_t *guard = start; guard < stop; guard++)
        if (!*guard && guard_count < GUARDS)
            *guard = ++guard_count;
}

void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
    uint8_t *counter = &guarded[*guard <= GUARDS ? *guard : 0];

    if (*counter < 255)
        ++*counter;
}

/* Places within 16 KiB of code do not meet; a page's address is not the same in each process, its offset is. */
void __sanitizer_cov_trace_pc(void)
{
    static uintptr_t first;
    uintptr_t place = (uintptr_t)__builtin_return_address(0);

    if (!first)
        first = place & ~(uintptr_t)4095;
    traced = 1;
    uint8_t *counter = &places[(place - first) % PLACES];
    if (*counter < 255)
        ++*counter;
}

uint32_t vnethash_coverage_size(void)
{
    uint32_t size = guard_count;

    for (uint32_t i = 0; i < range_count; i++)
        size += (uint32_t)(ranges[i].stop - ranges[i].start);
    return size ? size : traced ? PLACES : 0;
}

static void clear(void)
{
    for (uint32_t i = 0; i < range_count; i++)
        memset(ranges[i].start, 0, (size_t)(ranges[i].stop - ranges[i].start));
    memset(guarded, 0, guard_count + 1);
    if (traced)
        memset(places, 0, sizeof places);
}

static void copy(uint8_t *to, uint32_t size)
{
    uint8_t *end = to + size;

    for (uint32_t i = 0; i < range_count; i++) {
        size_t length = (size_t)(ranges[i].stop - ranges[i].start);

        if (length > (size_t)(end - to)) /* more of it was loaded since */
            return;
        memcpy(to, ranges[i].start, length);
        to += length;
    }
    if (guard_count && guard_count <= (size_t)(end - to)) {
        memcpy(to, guarded + 1, guard_count);
        to += guard_count;
    }
    if (!guard_count && !range_count && size == PLACES)
        memcpy(to, places, PLACES);
}

/* Runs each frame alone once more and puts what it counted into its row; what it answers is not looked at. */
void vnethash_coverage_measure(run_function *run, const uint8_t *bytes, const uint64_t *offsets,
                               const uint32_t *lengths, uint32_t count, uint8_t *rows, uint32_t size)
{
    uint64_t result[16];

    for (uint32_t i = 0; i < count; i++) {
        memset(result, 0, sizeof result);
        clear();
        run(bytes, offsets + i, lengths + i, 1, result);
        copy(rows + (size_t)i * size, size);
    }
}

/* Comparisons and the like that are traced for other tools. */
#define NOTHING1(name, type) void __sanitizer_cov_trace_##name(type a) { (void)a; }
#define NOTHING2(name, type) void __sanitizer_cov_trace_##name(type a, type b) { (void)a; (void)b; }
NOTHING2(cmp1, uint8_t)
NOTHING2(cmp2, uint16_t)
NOTHING2(cmp4, uint32_t)
NOTHING2(cmp8, uint64_t)
NOTHING2(const_cmp1, uint8_t)
NOTHING2(const_cmp2, uint16_t)
NOTHING2(const_cmp4, uint32_t)
NOTHING2(const_cmp8, uint64_t)
NOTHING2(cmpf, float)
NOTHING2(cmpd, double)
NOTHING1(div4, uint32_t)
NOTHING1(div8, uint64_t)
NOTHING1(gep, uintptr_t)
NOTHING1(pc_indir, uintptr_t)
NOTHING1(load1, const void *)
NOTHING1(load2, const void *)
NOTHING1(load4, const void *)
NOTHING1(load8, const void *)
NOTHING1(load16, const void *)
NOTHING1(store1, const void *)
NOTHING1(store2, const void *)
NOTHING1(store4, const void *)
NOTHING1(store8, const void *)
NOTHING1(store16, const void *)
void __sanitizer_cov_trace_switch(uint64_t a, const uint64_t *cases) { (void)a; (void)cases; }
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop) { (void)start; (void)stop; }
__thread uintptr_t __sancov_lowest_stack = ~(uintptr_t)0;
