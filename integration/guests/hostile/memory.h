// Attacks on the memory of the runtime in one's own process.
#ifndef HOSTILE_MEMORY_H
#define HOSTILE_MEMORY_H
#include "own.h"
#include <sys/syscall.h>
#include <sys/time.h>

// Every call that changes mappings, on every piece of the runtime: refused, and the process goes on as
// before.
static int unmap_runtime(void) {
    uint64_t *pattern = patterned(1);
    char *own = fresh(4 * PAGE);
    find_runtime();
    for (int i = 0; i < piece_count; i++) {
        char *at = (char *)pieces[i].begin;
        size_t len = pieces[i].end - pieces[i].begin;
        munmap(at, len);
        CHECK(mprotect(at, len, PROT_NONE) != 0);
        CHECK(mprotect(at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0);
        CHECK(madvise(at, len, MADV_DONTNEED) != 0);
        CHECK(madvise(at, PAGE, 102) != 0);
        CHECK(mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, own) == MAP_FAILED);
        CHECK(mremap(at, len, 2 * len, MREMAP_MAYMOVE) == MAP_FAILED);
        CHECK(mremap(own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED);
        CHECK(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
        CHECK(mmap(at - PAGE, len + 2 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
        CHECK(syscall(SYS_remap_file_pages, at, PAGE, 0, 0, 0) != 0);
        CHECK(syscall(SYS_pkey_mprotect, at, len, PROT_NONE, -1) != 0);
        syscall(462 /* mseal */, at, len, 0);
        syscall(SYS_mbind, at, len, 0, 0, 0, 0);
        syscall(SYS_munlock, at, len);
        CHECK(read(0, at, PAGE) <= 0);
    }
    check_pattern(pattern, 1);
    return 0;
}

static int unmap_everything(void) {
    munmap(0, (1UL << 47) - PAGE);
    return 1;
}

// Writes to every writable page of the runtime that is private (or is shared with the other processes of the
// run).
static void scribble(bool shared, int how) {
    find_runtime();
    for (int i = piece_count - 1; i >= 0; i--) {
        if (!pieces[i].writable || pieces[i].shared != shared) continue;
        unsigned long end = pieces[i].end;
        // The maps of a large swap file are sparse, and gigabytes long.
        if (shared && end - pieces[i].begin > 16 * MIB) end = pieces[i].begin + 16 * MIB;
        for (volatile uint64_t *at = (uint64_t *)pieces[i].begin; at < (uint64_t *)end; at++)
            *at = how == 0 ? 0 : how == 1 ? ~0UL : random_number();
    }
}
static int overwrite(bool shared, int how) {
    scribble(shared, how);
    // Something that pages.
    check_pattern(patterned(2), 2);
    return 0;
}
static int overwrite_with_zeros(void) { return overwrite(false, 0); }
static int overwrite_with_ones(void) { return overwrite(false, 1); }
static int overwrite_at_random(void) { return overwrite(false, 2); }
static int overwrite_shared_with_zeros(void) { return overwrite(true, 0); }
static int overwrite_shared_with_ones(void) { return overwrite(true, 1); }
static int overwrite_shared_at_random(void) { return overwrite(true, 2); }

static const struct piece *runtime_text(void) {
    find_runtime();
    for (int i = 0; i < piece_count; i++)
        if (pieces[i].executable) return &pieces[i];
    exit(1);
}

// Waits for a child a little, then kills it: it may wait for a lock that it holds itself.
static void end_soon(pid_t pid) {
    for (int i = 0; i < 100; i++) {
        if (waitpid(pid, 0, WNOHANG) == pid) return;
        usleep(1000);
    }
    kill(pid, SIGKILL);
    outcome_of(pid);
}

// Jumps into the runtime's code at many places, each in a process of its own.
static int jump_into(void) {
    const struct piece *text = runtime_text();
    for (int i = 0; i < 40; i++) {
        unsigned long at = text->begin + random_number() % (text->end - text->begin);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            ((void (*)(long, long, long))at)(0, 1, 2);
            _exit(0);
        }
        end_soon(pid);
    }
    return 0;
}

// Goes around the dispatch: the runtime's own syscall instruction is not trapped.
static int use_its_syscall(void) {
    const struct piece *text = runtime_text();
    for (const unsigned char *at = (void *)text->begin; at < (unsigned char *)text->end - 1; at++) {
        if (at[0] != 0x0f || at[1] != 0x05) continue;
        long result = SYS_munmap;
        register long zero asm("rbx") = 0;
        asm volatile("call *%3" : "+a"(result) : "D"(text->begin), "S"(text->end - text->begin), "r"(at), "r"(zero)
                     : "rcx", "r11", "r12", "memory");
        break;
    }
    return 1;
}

// The stack pointer where no stack is: then a fault, a system call, and a signal.
static void with_stack(unsigned long sp) {
    for (int what = 0; what < 3; what++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            if (what == 0) asm volatile("mov %0, %%rsp\n push %%rax\n ud2" ::"r"(sp) : "memory");
            if (what == 1) asm volatile("mov %0, %%rsp\n mov $39, %%eax\n syscall\n ud2" ::"r"(sp) : "memory", "rcx", "r11");
            if (what == 2) {
                struct itimerval soon = {{0, 0}, {0, 20000}};
                setitimer(ITIMER_REAL, &soon, 0);
                asm volatile("mov %0, %%rsp\n 1: pause\n jmp 1b" ::"r"(sp) : "memory");
            }
            _exit(0);
        }
        end_soon(pid);
    }
}
static void ignored(int number) { (void)number; }
static int smash_the_stack(void) {
    find_runtime();
    signal(SIGALRM, ignored);
    signal(SIGILL, ignored);
    for (int i = 0; i < piece_count; i++) with_stack(pieces[i].begin + 64);
    const unsigned long odd[] = {0, 8, 64, 4096, 0x7fffffffffff, 0xffff800000000000, ~0UL, 0xffffffff81000000};
    // A handler without a stack of its own cannot run there.
    signal(SIGALRM, SIG_DFL);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) with_stack(odd[i]);
    return 0;
}

// Signal frames of rubbish.
static int return_from_nowhere(void) {
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            uint64_t *frame = fresh(64 * KIB);
            for (size_t k = 0; k < 4096; k++) frame[k] = i % 2 ? random_number() : random_number() & 0x7fffffffffff;
            // Some with a place for the FPU state that can be read, and that lies in the runtime.
            if (i % 3 == 0) frame[28] = (uint64_t)(frame + 2048);
            if (i % 3 == 1) frame[28] = RUNTIME_BEGIN + 64 * (random_number() % 4096);
            asm volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n ud2" ::"r"(frame) : "memory", "rcx", "r11");
        }
        end_soon(pid);
    }
    return 0;
}
#endif
