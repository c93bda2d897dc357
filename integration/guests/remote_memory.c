// Memory read and written by way of the kernel: process_vm_readv and writev, /proc/PID/mem; one's own, a
// child's right after fork, and pages that were never touched, that may not be read or written, or that are a
// file's. Each sees what was there, and what was written stays.
#include "guest.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

#define PAGES 420UL
static uint64_t sum = 1;
static void *volatile nothing = (void *)8, *volatile *nowhere = &nothing;

static void note(const char *what, long result) {
    sum = mix(sum, (uint64_t)result);
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static long vm_read(pid_t pid, void *into, void *from, size_t length) {
    struct iovec local = {into, length}, remote = {from, length};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static long vm_write(pid_t pid, void *from, void *to, size_t length) {
    struct iovec local = {from, length}, remote = {to, length};
    return process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

static int memory_of(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

// The child is read page by page as soon as there is one, and in one go; then it looks at its memory itself.
static void new_child(char *at, int whole) {
    int go[2];
    CHECK(pipe(go) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        CHECK(read(go[0], &byte, 1) == 1);
        unsigned long wrong = 0, stored = 0;
        for (unsigned long page = 0; page < PAGES; page++) {
            wrong += *(uint64_t *)(at + page * PAGE) != page + 7;
            stored += *(uint64_t *)(at + page * PAGE + 64) == page * 3 + 1;
        }
        _exit(wrong != 0 ? 1 : stored == PAGES / 3 ? 6 : 2);
    }
    unsigned long right = 0;
    if (whole) {
        char *copy = fresh(PAGES * PAGE);
        note("the whole of it", vm_read(child, copy, at, PAGES * PAGE));
        for (unsigned long page = 0; page < PAGES; page++) right += *(uint64_t *)(copy + page * PAGE) == page + 7;
        munmap(copy, PAGES * PAGE);
    } else {
        for (unsigned long page = 0; page < PAGES; page++) {
            uint64_t value = 0;
            right += vm_read(child, &value, at + page * PAGE, 8) == 8 && value == page + 7;
        }
    }
    note("pages of a new child as they were", (long)right);
    long written = 0;
    for (unsigned long page = 0; page < PAGES; page += 3) {
        uint64_t value = page * 3 + 1;
        written += vm_write(child, &value, at + page * PAGE + 64, 8);
    }
    note("bytes stored", written);
    CHECK(write(go[1], "x", 1) == 1);
    note("what the child found", outcome_of(child));
    CHECK(close(go[0]) == 0 && close(go[1]) == 0);
}

// Its child and its parent read each other at the same time.
static void each_other(char *at) {
    int done[2];
    CHECK(pipe(done) == 0);
    fflush(stdout);
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    pid_t other = child ? child : parent;
    unsigned long right = 0;
    for (unsigned long page = 0; page < PAGES; page += 5) {
        uint64_t value = 0;
        right += vm_read(other, &value, at + page * PAGE, 8) == 8 && value == page + 7;
    }
    if (child == 0) {
        char byte;
        CHECK(close(done[1]) == 0 && read(done[0], &byte, 1) == 0); // until the parent has read as well
        _exit(right == PAGES / 5 ? 5 : 3);
    }
    note("pages of each other", (long)right);
    CHECK(close(done[0]) == 0 && close(done[1]) == 0);
    note("what the other found", outcome_of(child));
}

// A child that has written to its memory and stands still: stopped, or traced.
static void standing_still(char *at, int traced) {
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (unsigned long page = 0; page < PAGES; page += 2) *(uint64_t *)(at + page * PAGE + 128) = page * 5 + 1;
        if (traced) CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        _exit(4);
    }
    int status;
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    int mem = memory_of(child);
    unsigned long by_call = 0, by_file = 0, by_word = 0;
    for (unsigned long page = 0; page < PAGES; page += 20) {
        uint64_t call = 0, file = 0, word;
        by_call += vm_read(child, &call, at + page * PAGE + 128, 8) == 8 && call == page * 5 + 1;
        by_file += pread(mem, &file, 8, (off_t)(at + page * PAGE + 128)) == 8 && file == page * 5 + 1;
        word = traced ? (uint64_t)ptrace(PTRACE_PEEKDATA, child, at + page * PAGE + 128, 0) : page * 5 + 1;
        by_word += word == page * 5 + 1;
    }
    CHECK(close(mem) == 0);
    note("of a stopped child by call", (long)by_call);
    note("of a stopped child by file", (long)by_file);
    note("of a stopped child by word", (long)by_word);
    CHECK(traced ? ptrace(PTRACE_CONT, child, 0, 0) == 0 : kill(child, SIGCONT) == 0);
    note("its end", outcome_of(child));
}

static void by_file(pid_t pid, char *at, char *denied, char *only_read, char *text) {
    static char buffer[3 * PAGE];
    int mem = memory_of(pid);
    note("written page", pread(mem, buffer, 8, (off_t)(at + 5 * PAGE)));
    sum = mix_bytes(sum, buffer, 8);
    note("never touched", pread(mem, buffer, sizeof buffer, (off_t)(only_read + PAGE)));
    note("denied", pread(mem, buffer, sizeof buffer, (off_t)denied));
    sum = mix_bytes(sum, buffer, sizeof buffer);
    note("store to denied", pwrite(mem, "denied", 6, (off_t)denied + 10));
    note("store to what is only read", pwrite(mem, "stored", 6, (off_t)(only_read + 3 * PAGE)));
    note("store to a file's page", pwrite(mem, "filed", 5, (off_t)(text + PAGE + 100)));
    struct iovec parts[2] = {{buffer, 100}, {buffer + PAGE, 2 * PAGE}};
    note("by a vector", preadv(mem, parts, 2, (off_t)(at + 9 * PAGE - 50)));
    sum = mix_bytes(sum, buffer, 100);
    CHECK(lseek(mem, (off_t)(at + 20 * PAGE), SEEK_SET) == (off_t)(at + 20 * PAGE));
    note("at the position", read(mem, buffer, 2 * PAGE));
    note("which moves", (long)(lseek(mem, 0, SEEK_CUR) - (off_t)(at + 20 * PAGE)));
    note("up to a hole", pread(mem, buffer, sizeof buffer, (off_t)(at + (PAGES - 1) * PAGE)));
    note("in a hole", pread(mem, buffer, 8, (off_t)(at + PAGES * PAGE)));
    note("into nothing", pread(mem, *nowhere, 8, (off_t)at));
    note("call in a hole", vm_read(pid, buffer, at + PAGES * PAGE, 8));
    note("call on denied", vm_read(pid, buffer, denied, 8));
    note("call that stores to what is only read", vm_write(pid, buffer, only_read, 8));
    note("call over the end", vm_read(pid, buffer, at + (PAGES - 1) * PAGE, sizeof buffer));
    CHECK(close(mem) == 0);
}

static void drown(void) {
    volatile char *flood = fresh(8 * MIB);
    for (size_t i = 0; i < 8 * MIB; i += PAGE) flood[i] = 1;
    munmap((void *)flood, 8 * MIB);
}

static void look(const char *denied_at, char *denied, const char *only_read, const char *text) {
    CHECK(mprotect(denied, PAGE, PROT_READ) == 0);
    printf("%s [%s] [%s] [%.5s] %.3s\n", denied_at, denied + 10, only_read + 3 * PAGE, text + PAGE + 100, text + PAGE);
}

int main(void) {
    char *area = mmap(NULL, (PAGES + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED && munmap(area + PAGES * PAGE, PAGE) == 0);
    for (unsigned long page = 0; page < PAGES; page++) *(uint64_t *)(area + page * PAGE) = page + 7;
    new_child(area, 0);
    new_child(area, 1);
    each_other(area);
    standing_still(area, 0);
    standing_still(area, 1);
    char name[] = "remote-XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0);
    for (int page = 0; page < 4; page++) CHECK(pwrite(file, "file", 4, page * (off_t)PAGE) == 4);
    CHECK(ftruncate(file, 4 * PAGE) == 0);
    for (int other = 0; other < 2; other++) {
        char *denied = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *only_read = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *text = mmap(NULL, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
        CHECK(denied != MAP_FAILED && only_read != MAP_FAILED && text != MAP_FAILED);
        sum = mix(sum, (uint64_t)text[PAGE]);
        int go[2], ready[2];
        char byte;
        CHECK(pipe(go) == 0 && pipe(ready) == 0);
        fflush(stdout);
        pid_t child = other ? fork() : getpid();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(read(go[0], &byte, 1) == 1);
            drown();
            look("child", denied, only_read, text);
            return fflush(stdout) == 0 ? 0 : 98;
        }
        by_file(child, area, denied, only_read, text);
        if (other) {
            CHECK(write(go[1], "x", 1) == 1);
            note("its end", outcome_of(child));
        }
        drown();
        look("own", denied, only_read, text);
        char kept[8] = "";
        CHECK(pread(file, kept, 5, PAGE + 100) == 5);
        note("the file has it not", memcmp(kept, "filed", 5) != 0);
    }
    return finish("remote_memory", sum);
}
