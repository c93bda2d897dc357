// Memory that is reached in other ways than by instructions under the program's plain rights: by way of the
// kernel, and with protection keys.
#ifndef DIFFERENTIAL_REACH_H
#define DIFFERENTIAL_REACH_H
#include "probe.h"
#include <sys/uio.h>

#define MOST_REACHED 48UL
static char reached[MOST_REACHED * PAGE];

// Reads or stores by process_vm_readv and writev, or by /proc/PID/mem; tells how far it came.
static void reach(pid_t whom, struct span span) {
    bool by_file = one_in(2), stores = one_in(2);
    uint64_t within = below(PAGE), length = span.count * PAGE - within;
    char *at = page_at(span.start) + within;
    tell(" %s%s", by_file ? "file" : "call", stores ? " stores" : "");
    if (stores) fill_words((volatile uint64_t *)reached, length & ~7UL, mark_of(span.start)), length &= ~7UL;
    long moved;
    if (by_file) {
        char path[32];
        snprintf(path, sizeof path, "/proc/%d/mem", (int)whom);
        int mem = open(path, O_RDWR);
        CHECK(mem >= 0);
        moved = stores ? pwrite(mem, reached, length, (off_t)at) : pread(mem, reached, length, (off_t)at);
        tell_result(moved);
        close(mem);
    } else {
        struct iovec local = {reached, length}, remote = {at, length};
        moved = stores ? process_vm_writev(whom, &local, 1, &remote, 1, 0) : process_vm_readv(whom, &local, 1, &remote, 1, 0);
        tell_result(moved);
    }
    if (moved > 0 && !stores) tell(" #%08x", (unsigned)mix_bytes(5, reached, (size_t)moved));
}

static void reach_memory(void) {
    struct span span = random_span();
    tell("reach %lu+%lu", span.start, span.count);
    if (one_in(2)) {
        reach(getpid(), span);
        tell_pages(span);
        return;
    }
    int go[2];
    CHECK(pipe(go) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        if (read(go[0], &byte, 1) != 1) _exit(94);
        _exit((int)(pages_hash(page_at(span.start), span.count) & 63));
    }
    // At once, before the child has done anything.
    reach(child, span);
    CHECK(write(go[1], "x", 1) == 1);
    tell(" found %d", outcome_of(child));
    close(go[0]), close(go[1]);
    tell_pages(span);
}

// A key for fresh memory, whose rights the thread gives up and takes back, and what instructions and calls
// then may do.
static void use_keys(void) {
    struct span span = random_span();
    int prot = one_in(3) ? PROT_READ : PROT_READ | PROT_WRITE;
    tell("keys %lu+%lu %d", span.start, span.count, prot);
    void *at = mmap(page_at(span.start), span.count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(at == page_at(span.start));
    set_units(span, step + 1);
    if (one_in(2)) fill_page(at, mark_of(span.start));
    int key = pkey_alloc(0, 0);
    if (key < 0) {
        tell_result(key);
        return;
    }
    tell_result(pkey_mprotect(at, span.count * PAGE, prot, key));
    for (uint64_t rounds = 1 + below(3); rounds > 0; rounds--) {
        unsigned rights = (unsigned)below(4);
        uint64_t page = span.start + below(span.count);
        volatile uint64_t word = 0;
        CHECK(pkey_set(key, rights) == 0);
        tell(" %u", rights);
        if (!ATTEMPT(word = *(volatile uint64_t *)page_at(page))) tell_caught();
        CHECK(pkey_set(key, rights) == 0); // a handler's leap leaves the register as handlers have it
        if (!write_word(page_at(page) + 8, mark_of(page))) tell_caught();
        CHECK(pkey_set(key, rights) == 0);
        tell_result(pread(files[CONSTANT_FILE], page_at(page), 64, 0));
        tell_result(pwrite(pipe_ends[1], page_at(page), 0, 0) < 0 ? -1 : 0);
        tell(" %x", (unsigned)word);
    }
    CHECK(pkey_set(key, 0) == 0);
    tell_pages(span);
    CHECK(pkey_mprotect(at, span.count * PAGE, PROT_READ | PROT_WRITE, 0) == 0 && pkey_free(key) == 0);
}
#endif
