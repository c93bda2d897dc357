// Instructions that touch memory: reads, writes, whole pages, code.
#ifndef DIFFERENTIAL_ACCESS_H
#define DIFFERENTIAL_ACCESS_H
#include "probe.h"
#include <alloca.h>

static void write_words(void) {
    struct span span = random_span();
    uint64_t within = below(PAGE / 8) * 8;
    tell("poke %lu+%lu", span.start, span.count);
    for (uint64_t page = span.start; page < span.start + span.count; page++) {
        if (!write_word(page_at(page) + within, mark_of(page))) tell_caught();
    }
    tell_pages(span);
}

static void fill_pages(void) {
    struct span span = random_span();
    tell("fill %lu+%lu", span.start, span.count);
    for (uint64_t page = span.start; page < span.start + span.count; page++) {
        if (!fill_page(page_at(page), mark_of(page))) tell_caught();
    }
    tell_pages(span);
}

static void read_words(void) {
    struct span span = random_span();
    tell("peek %lu+%lu", span.start, span.count);
    for (uint64_t page = span.start; page < span.start + span.count; page++) {
        volatile uint64_t word = 0;
        char *at = page_at(page) + below(PAGE / 8) * 8;
        if (ATTEMPT(word = *(volatile uint64_t *)at)) tell(" %x", (unsigned)word);
        else tell_caught();
    }
}

// One instruction that reads and writes, across the border of two pages.
static void add_across(void) {
    uint64_t page = below(arena_pages - 1);
    char *at = page_at(page + 1) - 1 - below(7);
    tell("add-across %lu", page);
    if (!ATTEMPT(*(volatile uint64_t *)at += 0x0101010101010101)) tell_caught();
    tell_pages((struct span){page, 2});
}

// memmove uses the widest instructions that there are, rep movs for long ones.
static void copy_within(void) {
    struct span from = random_span(), to = random_span();
    size_t length = (from.count < to.count ? from.count : to.count) * PAGE - below(PAGE);
    tell("memmove %lu+%lu -> %lu", from.start, from.count, to.start);
    // How far a copy got when it faulted is the processor's affair, and the same in both runs only without
    // overlap.
    if (from.start < to.start + to.count && to.start < from.start + from.count) return;
    if (!ATTEMPT(memmove(page_at(to.start), page_at(from.start), length))) tell(" !%d/%d", caught.number, caught.code);
    else tell_pages(to);
}

static void execute(void) {
    uint64_t page = below(arena_pages);
    tell("execute %lu", page);
    if (!ATTEMPT(*(volatile char *)page_at(page) = (char)0xc3)) tell_caught();
    volatile unsigned char first = 0;
    if (ATTEMPT(first = *(volatile unsigned char *)page_at(page)) && first != 0xc3) return;
    if (!ATTEMPT(((void (*)(void))page_at(page))())) tell_caught();
    else tell(" ran");
}

// A stack that grows by hundreds of pages and is read back on the way up.
static uint64_t deep(unsigned levels) {
    volatile uint64_t *frame = alloca(8 * PAGE);
    for (size_t i = 0; i < PAGE; i += 64) frame[i] = levels + i;
    uint64_t below_this = levels == 0 ? 0 : deep(levels - 1);
    uint64_t hash = below_this;
    for (size_t i = 0; i < PAGE; i += 64) hash = mix(hash, frame[i]);
    return hash;
}

static void use_stack(void) {
    unsigned levels = (unsigned)below(one_in(10) ? 100 : 20);
    tell("stack %u", levels);
    tell(" #%08x", (unsigned)deep(levels));
}
#endif
