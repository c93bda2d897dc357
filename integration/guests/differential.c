// Random operations from a seed, one line for each step: what it did, what came back, what the memory holds.
//
// Usage: differential SEED STEPS [PAGES [CLASSES [MASK]]]: an arena of PAGES pages; CLASSES as in world.h; MASK is a file with one character for
// each step, '0' for those to leave out.
#include "differential/access.h"
#include "differential/memory.h"
#include "differential/process.h"
#include "differential/transfer.h"
#include <malloc.h>

struct operation {
    void (*run)(void);
    unsigned weight;
};

static const struct operation operations[] = {
    {map_anonymous, 16}, {map_file, 10},        {unmap, 5},         {protect, 12},        {remap, 10},
    {advise, 12},        {free_and_fill, 2},    {synchronise, 2},   {query_residence, 2}, {move_break, 3},
    {write_words, 16},   {fill_pages, 10},      {read_words, 6},    {add_across, 5},      {copy_within, 6},
    {execute, 3},        {use_stack, 1},        {write_file, 5},    {read_file, 6},       {seek_and_transfer, 4},
    {write_pipe, 5},     {read_pipe, 5},        {vectors, 6},       {copy_by_kernel, 3},  {through_socket, 3},
    {small_structures, 6}, {truncate_file, 2},  {use_threads, 2},   {use_child, 3},       {use_signals, 3},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static void run_step(void) {
    unsigned total = 0, chosen = 0;
    for (size_t i = 0; i < OPERATIONS; i++) total += operations[i].weight;
    uint64_t ticket = below(total);
    while (ticket >= operations[chosen].weight) ticket -= operations[chosen++].weight;
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
    seed = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
    uint64_t steps = count > 2 ? strtoull(arguments[2], NULL, 0) : 300;
    if (count > 3) arena_pages = strtoull(arguments[3], NULL, 0);
    if (count > 4) classes = (unsigned)strtoul(arguments[4], NULL, 0);
    CHECK(arena_pages <= MOST_PAGES);
    bool *chosen = steps_of(count > 5 ? arguments[5] : NULL, steps);
    set_up();
    for (step = 0; step < steps; step++) {
        random_state = mix(mix(seed, 11), step);
        if (chosen[step]) run_step();
    }
    return 0;
}
