// Random operations from a seed, one line for each step: what it did, what came back, what the memory holds.
//
// Usage: differential SEED STEPS [PAGES [KINDS [MASK]]]: an arena of PAGES pages; KINDS is the sum of what to
// do, as below; MASK is a file with one character for each step, '0' for those to leave out. What is known to
// differ is done if DIFFERENTIAL_CLASSES says so, as in world.h.
#include "differential/access.h"
#include "differential/confined.h"
#include "differential/memory.h"
#include "differential/process.h"
#include "differential/reach.h"
#include "differential/transfer.h"
#include <malloc.h>

// What a sequence is made of, as `Kind` in integration/src/differential/setting.rs; operations of no kind
// belong to all.
enum kind {
    MEMORY = 1, REMAP = 2, PROTECT = 4, ADVISE = 8, THREADS_TOO = 16, SIGNALS = 32, FORK = 64, FILES_TOO = 128, LIMITS = 256, TRANSFER = 512,
    NAMESPACES = 1024, FILTERS = 2048, EXEC = 4096, KEYS = 8192, REACH = 16384, EVERY = 32767,
};

struct operation {
    void (*run)(void);
    unsigned weight, kinds;
};

static const struct operation operations[] = {
    {map_anonymous, 16, 0},          {write_words, 16, 0},         {fill_pages, 10, 0},        {read_words, 6, 0},
    {add_across, 5, 0},              {copy_within, 6, 0},          {unmap, 5, MEMORY | REMAP}, {move_break, 3, MEMORY},
    {synchronise, 2, MEMORY | FILES_TOO}, {query_residence, 2, MEMORY}, {use_stack, 1, MEMORY}, {execute, 3, PROTECT},
    {protect, 12, PROTECT | THREADS_TOO}, {remap, 10, REMAP},      {advise, 12, ADVISE | FORK}, {free_and_fill, 2, ADVISE},
    {map_file, 10, FILES_TOO | FORK}, {write_file, 5, FILES_TOO},  {read_file, 6, FILES_TOO},  {truncate_file, 2, FILES_TOO},
    {seek_and_transfer, 4, TRANSFER}, {write_pipe, 5, TRANSFER},   {read_pipe, 5, TRANSFER},   {vectors, 6, TRANSFER},
    {copy_by_kernel, 3, TRANSFER},   {through_socket, 3, TRANSFER}, {small_structures, 6, TRANSFER},
    {use_threads, 2, THREADS_TOO},   {use_child, 3, FORK},         {use_signals, 3, SIGNALS},
    {use_namespace, 1, NAMESPACES}, {use_filters, 2, FILTERS},     {use_exec, 1, EXEC},        {use_keys, 3, KEYS},
    {reach_memory, 4, REACH},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static unsigned kinds = EVERY;

// How often an operation is chosen: what is special to the asked kind comes three times as often.
static unsigned weight_of(const struct operation *operation) {
    if (operation->kinds == 0 || kinds == EVERY) return operation->weight;
    return operation->kinds & kinds ? 3 * operation->weight : 0;
}

static void run_step(void) {
    unsigned total = 0, chosen = 0;
    for (size_t i = 0; i < OPERATIONS; i++) total += weight_of(&operations[i]);
    uint64_t ticket = below(total);
    for (unsigned weight; ticket >= (weight = weight_of(&operations[chosen])); chosen++) ticket -= weight;
    tell("%lu ", step);
    operations[chosen].run();
    if (step % 64 == 63) {
        tell(" whole");
        tell_pages((struct span){0, arena_pages});
    }
    end_line();
}

static int temporary_file(uint64_t pages, size_t more) {
    char name[] = "differential-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    read_only_file = open(name, O_RDONLY);
    CHECK(read_only_file >= 0 && unlink(name) == 0);
    for (uint64_t page = 0; page < pages; page++) {
        fill_words((volatile uint64_t *)plain, PAGE, mix(seed, page));
        CHECK(pwrite(fd, plain, PAGE, (off_t)(page * PAGE)) == (ssize_t)PAGE);
    }
    CHECK(pwrite(fd, plain, more, (off_t)(pages * PAGE)) == (ssize_t)more);
    return fd;
}

static void set_up(void) {
    // The C library takes its memory once, so that the heap's end is this program's to move.
    CHECK(mallopt(M_TOP_PAD, 4 << 20) && mallopt(M_TRIM_THRESHOLD, 1 << 30) && mallopt(M_ARENA_MAX, 1));
    void *volatile first = malloc(100); // volatile: gcc would leave the pair out
    free(first);
    heap_start = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & ~(PAGE - 1));
    CHECK(syscall(SYS_brk, heap_start) == (long)heap_start);
    files[1] = temporary_file(40, 123);
    files[0] = temporary_file(20, 77);
    files[2] = memfd_create("differential", 0);
    CHECK(files[2] >= 0 && ftruncate(files[2], 30 * PAGE) == 0);
    CHECK(pipe2(pipe_ends, O_NONBLOCK) == 0);
    static char alternate[128 * KIB];
    CHECK(sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL) == 0);
    catch_faults();
    listen_to_signals();
}

static bool *steps_of(const char *mask, uint64_t steps) {
    bool *chosen = fresh(steps + 1);
    memset(chosen, 1, steps);
    FILE *file = mask ? fopen(mask, "r") : NULL;
    CHECK(!mask || file);
    for (uint64_t i = 0; file && i < steps; i++) chosen[i] = getc(file) != '0';
    if (file) fclose(file);
    return chosen;
}

int main(int count, char **arguments) {
    if (count > 2 && strcmp(arguments[1], "after-exec") == 0) return after_exec(atoi(arguments[2]));
    seed = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
    uint64_t steps = count > 2 ? strtoull(arguments[2], NULL, 0) : 300;
    if (count > 3) arena_pages = strtoull(arguments[3], NULL, 0);
    if (count > 4) kinds = (unsigned)strtoul(arguments[4], NULL, 0);
    if (getenv("DIFFERENTIAL_CLASSES")) classes = (unsigned)strtoul(getenv("DIFFERENTIAL_CLASSES"), NULL, 0);
    CHECK(arena_pages <= MOST_PAGES);
    bool *chosen = steps_of(count > 5 ? arguments[5] : NULL, steps);
    set_up();
    for (step = 0; step < steps; step++) {
        random_state = mix(mix(seed, 11), step);
        if (chosen[step]) run_step();
    }
    return 0;
}
