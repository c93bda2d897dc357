// Two processes with two threads each write to one file through shared mappings, while its pages come and go:
// each sees at once what the others store, by load, by read() and by futex; a page is the same page to all of
// them, whoever has lost it meanwhile.
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define PAGES 512UL
#define ROUNDS 3000UL
#define TURNS 400U

struct cell {
    atomic_ulong count;
    atomic_uint turn;
    char words[64];
};

static struct cell *map_of(const char *path, int *fd) {
    *fd = open(path, O_RDWR);
    CHECK(*fd >= 0);
    void *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static struct cell *cell_at(struct cell *map, uint64_t page) { return (struct cell *)((char *)map + page % PAGES * PAGE); }

struct work {
    struct cell *map;
    uint64_t seed;
};

// Counts on pages here and there; no count may be lost.
static void *count_everywhere(void *argument) {
    struct work *work = argument;
    uint64_t at = work->seed;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        at = mix(at, i);
        atomic_fetch_add(&cell_at(work->map, at)->count, 1);
    }
    return NULL;
}

static void count_in_two_threads(struct cell *map, uint64_t seed) {
    struct work one = {map, seed}, other = {map, seed + 1};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, count_everywhere, &one) == 0);
    count_everywhere(&other);
    CHECK(pthread_join(thread, NULL) == 0);
}

// Sleeps in the kernel on a word of the file until the other process has changed it.
static void wait_for(atomic_uint *word, unsigned wanted) {
    for (;;) {
        unsigned seen = atomic_load(word);
        if (seen == wanted) return;
        CHECK(syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0) == 0 || errno == EAGAIN || errno == EINTR);
    }
}

static void give(atomic_uint *word, unsigned value) {
    atomic_store(word, value);
    CHECK(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
}

// In each turn a word of another page goes from 0 to 1 and to 2, and the message beside it is answered.
static void take_turns(struct cell *map, int fd, int is_child) {
    char text[64];
    for (unsigned turn = 0; turn < TURNS; turn++) {
        uint64_t page = turn * 37UL;
        struct cell *cell = cell_at(map, page);
        off_t words = (off_t)(cell->words - (char *)map);
        if (is_child) {
            wait_for(&cell->turn, 2 * (turn / PAGES) + 1);
            snprintf(text, sizeof text, "question %u", turn);
            CHECK(strcmp(cell->words, text) == 0);
            snprintf(text, sizeof text, "answer %u", turn);
            CHECK(turn % 2 ? pwrite(fd, text, sizeof text, words) == sizeof text : strcpy(cell->words, text) != NULL);
            give(&cell->turn, 2 * (turn / PAGES) + 2);
        } else {
            snprintf(text, sizeof text, "question %u", turn);
            CHECK(turn % 3 ? strcpy(cell->words, text) != NULL : pwrite(fd, text, sizeof text, words) == sizeof text);
            give(&cell->turn, 2 * (turn / PAGES) + 1);
            wait_for(&cell->turn, 2 * (turn / PAGES) + 2);
            char answer[64];
            snprintf(answer, sizeof answer, "answer %u", turn);
            CHECK(pread(fd, text, sizeof text, words) == sizeof text && strcmp(text, answer) == 0 && strcmp(cell->words, answer) == 0);
        }
    }
}

int main(void) {
    char path[] = "/tmp/shared_writers.XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0 && close(fd) == 0);
    struct cell *map = map_of(path, &fd);
    memset(fresh(MIB), 1, MIB);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        // One mapping is inherited, the other its own: they are the same memory.
        int own_fd;
        struct cell *own = map_of(path, &own_fd);
        count_in_two_threads(own, 1000);
        take_turns(map, own_fd, 1);
        CHECK(munmap(map, PAGES * PAGE) == 0);
        count_in_two_threads(own, 1000);
        _exit(7);
    }
    count_in_two_threads(map, 2000);
    take_turns(map, fd, 0);
    CHECK(outcome_of(pid) == 7 && msync(map, PAGES * PAGE, MS_SYNC) == 0);
    uint64_t sum = 0, all = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        unsigned long count, seen = atomic_load(&cell_at(map, page)->count);
        CHECK(pread(fd, &count, sizeof count, (off_t)(page * PAGE)) == sizeof count && count == seen);
        all += count;
        sum = mix(sum, count);
    }
    CHECK(all == 6 * ROUNDS && unlink(path) == 0);
    return finish("shared_writers", sum);
}
