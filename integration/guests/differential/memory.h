// mmap and its kin on ranges of the arena.
#ifndef DIFFERENTIAL_MEMORY_H
#define DIFFERENTIAL_MEMORY_H
#include "probe.h"

static int random_protection(void) {
    static const int choices[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
                                  PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_WRITE};
    return choices[below(sizeof choices / sizeof *choices)];
}

static void map_somehow(struct span span, int protection, int flags, int fd, off_t offset) {
    if (one_in(8)) flags |= MAP_POPULATE;
    if (one_in(8)) flags |= MAP_NORESERVE;
    int placing = one_in(8) ? MAP_FIXED_NOREPLACE : MAP_FIXED;
    if (one_in(16)) placing = 0;
    char *wanted = page_at(span.start) + (one_in(64) ? 100 : 0);
    size_t length = span.count * PAGE - (one_in(8) ? below(PAGE) : 0);
    if (one_in(64)) length = 0;
    tell("mmap %lu+%lu prot %d flags %x/%x off %ld", span.start, span.count, protection, flags, placing, (long)offset);
    char *at = mmap(wanted, length, protection, flags | placing, fd, offset);
    tell_address(at);
    bool is_inside = at >= ARENA && at < page_at(arena_pages);
    if (at != MAP_FAILED && is_inside) set_units((struct span){(uint64_t)(at - ARENA) / PAGE, span.count}, step + 1);
    if (at != MAP_FAILED && !is_inside) {
        tell(" #%08x", (unsigned)elsewhere_hash(at, 1));
        CHECK(munmap(at, length) == 0);
    }
    tell_pages(span);
}

static void map_anonymous(void) {
    struct span span = random_span();
    map_somehow(span, random_protection(), MAP_ANONYMOUS | (one_in(5) ? MAP_SHARED : MAP_PRIVATE), -1, 0);
}

static void map_file(void) {
    struct span span = random_span();
    int which = (int)below(FILES), protection = random_protection();
    bool private_too = which == CONSTANT_FILE || classes & CHANGES;
    int flags = which == CONSTANT_FILE ? MAP_PRIVATE : private_too && one_in(2) ? MAP_PRIVATE : MAP_SHARED;
    off_t offset = (off_t)(below(FILE_PAGES) * PAGE + (one_in(40) ? 512 : 0));
    int fd = one_in(40) ? -1 : flags == MAP_SHARED && which == 0 && one_in(10) ? read_only_file : files[which];
    map_somehow(span, protection, flags, fd, offset);
}

static void unmap(void) {
    struct span span = random_span();
    size_t cut = one_in(4) ? below(PAGE) : 0, shift = one_in(40) ? 8 : 0;
    tell("munmap %lu+%lu-%zu", span.start, span.count, cut);
    int result = munmap(page_at(span.start) + shift, one_in(40) ? 0 : span.count * PAGE - cut);
    if (result == 0) set_units(span, 0);
    tell_result(result);
    tell_pages(span);
}

static void protect(void) {
    struct span span = random_span();
    int protection = random_protection();
    tell("mprotect %lu+%lu %d", span.start, span.count, protection);
    split_units(span);
    tell_result(mprotect(page_at(span.start) + (one_in(40) ? 16 : 0), one_in(40) ? 0 : span.count * PAGE, protection));
    tell_pages(span);
}

// A mapping that went out of the arena is looked at and brought back, or dropped.
static void bring_back(char *at, uint64_t count, uint64_t home) {
    tell(" #%08x", (unsigned)elsewhere_hash(at, count));
    if (one_in(3) || home + count > arena_pages) {
        CHECK(munmap(at, count * PAGE) == 0);
        return;
    }
    set_units((struct span){home, count}, step + 1);
    tell_address(mremap(at, count * PAGE, count * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page_at(home)));
}

// Notes what mremap left where its source was.
static void settle_move(struct span from, uint64_t count, int flags, char *at) {
    struct span after = {from.start, count};
    if (at == page_at(from.start)) {
        if (count < from.count) set_units((struct span){from.start + count, from.count - count}, 0);
        else if (count > from.count) set_units(after, step + 1);
    } else {
        set_units(from, flags & MREMAP_DONTUNMAP ? step + 2 : 0);
    }
}

static void remap(void) {
    struct span from = random_span();
    uint64_t count = one_in(3) ? from.count : 1 + below(12), to = below(arena_pages);
    int flags = 0;
    if (!one_in(4)) flags |= MREMAP_MAYMOVE;
    if (one_in(3)) flags |= MREMAP_FIXED;
    if (one_in(5)) flags |= MREMAP_DONTUNMAP;
    if (to + count > arena_pages) to = arena_pages - count;
    if (!is_one_unit(from) && !(classes & REMAPS)) {
        flags &= MREMAP_MAYMOVE;
        if (count > from.count) count = from.count;
    }
    uint64_t old = one_in(32) && is_one_unit(from) ? 0 : from.count;
    char *source = page_at(from.start) + (one_in(64) ? 24 : 0);
    size_t length = one_in(64) ? 0 : count * PAGE;
    tell("mremap %lu+%lu(%lu) -> %lu+%lu flags %x", from.start, from.count, old, to, count, (unsigned)flags);
    char *at = mremap(source, old * PAGE, length, flags, page_at(to));
    tell_address(at);
    // A move that failed may have unmapped its target.
    if (flags & MREMAP_FIXED) set_units((struct span){to, count}, at == MAP_FAILED ? 0 : step + 1);
    if (at != MAP_FAILED) settle_move(from, count, flags, at);
    if (at != MAP_FAILED && (at < ARENA || at >= page_at(arena_pages))) bring_back(at, count, to);
    tell_pages(from);
    tell_pages((struct span){to, count});
}

static void advise(void) {
    static const int choices[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_WILLNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
                                  MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, MADV_NORMAL,
                                  MADV_SEQUENTIAL, MADV_RANDOM, MADV_DONTDUMP, MADV_DODUMP, MADV_NOHUGEPAGE, MADV_REMOVE, 77};
    struct span span = random_span();
    int advice = choices[below(sizeof choices / sizeof *choices)];
    tell("madvise %lu+%lu %d", span.start, span.count, advice);
    split_units(span);
    tell_result(madvise(page_at(span.start) + (one_in(40) ? 1 : 0), one_in(40) ? 0 : span.count * PAGE, advice));
    tell_pages(span);
}

// Pages that were freed may keep their contents until they are wanted; written over whole they are the
// program's own again.
static void free_and_fill(void) {
    struct span span = random_span();
    tell("madvise-free %lu+%lu", span.start, span.count);
    tell_result(madvise(page_at(span.start), span.count * PAGE, MADV_FREE));
    for (uint64_t page = span.start; page < span.start + span.count; page++) {
        if (fill_page(page_at(page), mark_of(page))) continue;
        // What cannot be written is dropped for good.
        CHECK(munmap(page_at(page), PAGE) == 0);
        units[page] = 0;
    }
    tell_pages(span);
}

static void synchronise(void) {
    static const int choices[] = {MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE, MS_ASYNC | MS_SYNC, 0, 64};
    struct span span = random_span();
    int flags = choices[below(6)];
    tell("msync %lu+%lu %d", span.start, span.count, flags);
    tell_result(msync(page_at(span.start) + (one_in(40) ? 1 : 0), span.count * PAGE, flags));
}

// Which pages are resident is nobody's promise; whether the range is mapped is.
static void query_residence(void) {
    struct span span = random_span();
    unsigned char flags[64];
    tell("mincore %lu+%lu", span.start, span.count);
    tell_result(mincore(page_at(span.start) + (one_in(40) ? 1 : 0), span.count * PAGE, flags));
}

// The heap's end goes up and down; what comes back is zero.
static void move_break(void) {
    static uint64_t now;
    uint64_t wanted = below(40 * PAGE), old = now;
    char *end = heap_start + wanted;
    tell("brk %lu -> %lu", old, wanted);
    now = (uint64_t)((char *)syscall(SYS_brk, end) - heap_start);
    tell(" = %lu", now);
    tell(" #%08x", (unsigned)elsewhere_hash(heap_start, now / PAGE));
    for (uint64_t at = old & ~(PAGE - 1); at + PAGE <= now; at += PAGE) write_word(heap_start + at + 8, mark_of(at));
    tell(" #%08x", (unsigned)elsewhere_hash(heap_start, now / PAGE));
}
#endif
