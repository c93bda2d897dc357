// What every operation works on: the arena, the files, the random numbers of one step, and the line that
// tells what happened.
//
// Each step draws its numbers from the seed and its own number alone, so that a subset of the steps can be
// replayed.
#ifndef DIFFERENTIAL_WORLD_H
#define DIFFERENTIAL_WORLD_H
#include "../guest.h"
#include <stdarg.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>

// Where no kernel places a mapping by itself: what lies here was put here by this program.
#define ARENA ((char *)0x3d0000000000)
#define FILE_PAGES 64UL
#define FILES 3
// The file that is mapped privately; its contents change only in the class `changes`.
#define CONSTANT_FILE 1

// Kinds of operation that are known to differ, or that Linux itself does not promise; each is off unless
// asked for. CHANGES: files change under private mappings. REMAPS: mremap of ranges that may be several of
// the kernel's areas.
enum class { CHANGES = 1, REMAPS = 2 };

static uint64_t arena_pages = 128;
static unsigned classes;
static uint64_t seed, step, random_state;
static int files[FILES], read_only_file, pipe_ends[2];
static char *heap_start;
static char line[4096];
static size_t line_length;

static uint64_t random_bits(void) {
    uint64_t z = (random_state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t bound) { return random_bits() % bound; }
static bool one_in(uint64_t n) { return below(n) == 0; }

struct span {
    uint64_t start, count; // in pages of the arena
};

// Pages with the same unit were made by one call and have been treated alike ever since, so that they are one
// area of the kernel's; 0 is a hole.
#define MOST_PAGES 4096
static uint64_t units[MOST_PAGES];

static void set_units(struct span span, uint64_t unit) {
    for (uint64_t page = span.start; page < span.start + span.count; page++) units[page] = unit;
}

static void split_units(struct span span) {
    for (uint64_t page = span.start; page < span.start + span.count; page++) {
        if (units[page]) units[page] = units[page] * 31 + step + 1;
    }
}

static bool is_one_unit(struct span span) {
    for (uint64_t page = span.start; page < span.start + span.count; page++) {
        if (!units[page] || units[page] != units[span.start]) return false;
    }
    return true;
}

static char *page_at(uint64_t page) { return ARENA + page * PAGE; }

// Short as a rule, seldom long, always inside the arena.
static struct span random_span(void) {
    uint64_t longest = one_in(8) ? 48 : 6, start = below(arena_pages), count = 1 + below(longest);
    return (struct span){start, count < arena_pages - start ? count : arena_pages - start};
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    line_length += (size_t)vsnprintf(line + line_length, sizeof line - line_length, format, arguments);
    va_end(arguments);
    if (line_length > sizeof line - 2) line_length = sizeof line - 2;
}

static void end_line(void) {
    line[line_length++] = '\n';
    for (size_t done = 0; done < line_length;) {
        ssize_t wrote = write(1, line + done, line_length - done);
        if (wrote < 0) _exit(97);
        done += (size_t)wrote;
    }
    line_length = 0;
}

// A call's result: the errno's number where it failed.
static void tell_result(long result) {
    if (result < 0) tell(" = -%d", errno);
    else tell(" = %ld", result);
}

// The same where the result is an address: told relative to the arena, or only as "elsewhere".
static void tell_address(void *result) {
    if (result == MAP_FAILED) tell(" = -%d", errno);
    else if ((char *)result >= ARENA && (char *)result < page_at(arena_pages)) tell(" = +%ld", ((char *)result - ARENA) / (long)PAGE);
    else tell(" = elsewhere");
}
#endif
