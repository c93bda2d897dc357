// Touching memory that may not be there: every access is caught by the program's own handler, and what the
// handler saw is told.
#ifndef DIFFERENTIAL_PROBE_H
#define DIFFERENTIAL_PROBE_H
#include "world.h"
#include <setjmp.h>
#include <ucontext.h>

struct caught {
    int number, code;
    long offset; // from the origin
    long access; // bits 1 (write) and 4 (instruction) of the processor's error code
};

static __thread sigjmp_buf landing;
static __thread volatile int is_expected;
// What addresses are told relative to.
static __thread char *origin = ARENA;
static __thread struct caught caught;

static void on_fault(int number, siginfo_t *info, void *context) {
    if (!is_expected) {
        static const char words[] = "a fault that no probe made\n";
        _exit(write(2, words, sizeof words - 1) > 0 ? 96 : 95);
    }
    long error = (long)((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    caught = (struct caught){number, info->si_code, (char *)info->si_addr - origin, error & 0x12};
    siglongjmp(landing, 1);
}

static void catch_faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

// Runs `access`; whether it went through. What was caught is in `caught` if it did not.
#define ATTEMPT(access)                                                       \
    ({                                                                        \
        is_expected = 1;                                                      \
        bool through = sigsetjmp(landing, 0) == 0 ? ({ access; true; }) : false; \
        is_expected = 0;                                                      \
        through;                                                              \
    })

static void tell_caught(void) {
    tell(" !%d/%d@%lx,%lx", caught.number, caught.code, (unsigned long)caught.offset, (unsigned long)caught.access);
}

static uint64_t mix_caught(uint64_t hash) {
    hash = mix(hash, (uint64_t)caught.number * 1000 + (uint64_t)caught.code);
    return mix(mix(hash, (uint64_t)caught.offset), (uint64_t)caught.access);
}

static uint64_t words_hash(const volatile uint64_t *at, size_t bytes) {
    uint64_t hash = 1;
    for (size_t i = 0; i < bytes / 8; i++) hash = mix(hash, at[i]);
    return hash;
}

// The contents of a page, or what reading it led to.
static uint64_t page_hash(const char *at) {
    volatile uint64_t hash = 0;
    if (!ATTEMPT(hash = words_hash((const volatile uint64_t *)at, PAGE))) return mix_caught(7);
    return hash;
}

static uint64_t pages_hash(const char *at, uint64_t count) {
    uint64_t hash = 3;
    for (uint64_t i = 0; i < count; i++) hash = mix(hash, page_hash(at + i * PAGE));
    return hash;
}

// The same for pages outside the arena, whose address is nobody's business.
static uint64_t elsewhere_hash(char *at, uint64_t count) {
    origin = at;
    uint64_t hash = pages_hash(at, count);
    origin = ARENA;
    return hash;
}

static void tell_pages(struct span span) {
    tell(" #%08x", (unsigned)pages_hash(page_at(span.start), span.count));
}

// A value that says where and when it was written.
static uint64_t mark_of(uint64_t page) { return mix(mix(seed, step), page); }

static bool write_word(char *at, uint64_t value) { return ATTEMPT(*(volatile uint64_t *)at = value); }

static void fill_words(volatile uint64_t *at, size_t bytes, uint64_t value) {
    for (size_t i = 0; i < bytes / 8; i++) at[i] = value + i;
}

static bool fill_page(char *at, uint64_t value) {
    const uint64_t kept = value;
    return ATTEMPT(fill_words((volatile uint64_t *)at, PAGE, kept));
}
#endif
