// A shared mapping of a file that is only read: it sees every write, forks, grows, can be made writable just
// when the file was opened so.
#include "guest.h"
#include <setjmp.h>

#define PAGES 2048UL

static sigjmp_buf back;
static volatile int seen_code;

static void caught(int number, siginfo_t *info, void *context) {
    (void)context;
    seen_code = number * 100 + info->si_code;
    siglongjmp(back, 1);
}

// What reading a byte comes to: the byte, or 1000 and the signal with its code.
static int peek(const volatile unsigned char *at) {
    if (sigsetjmp(back, 1)) return 1000 + seen_code;
    return *at;
}

static int poke(volatile unsigned char *at) {
    if (sigsetjmp(back, 1)) return 1000 + seen_code;
    *at = 77;
    return 77;
}

static uint64_t sum_of(const unsigned char *at, size_t pages) {
    uint64_t sum = 0;
    for (size_t i = 0; i < pages; i++) sum = mix(sum, at[i * PAGE + i % PAGE]);
    return sum;
}

// Whether the kernel shows the mapping as shared.
static int is_shown_shared(const void *at) {
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    char line[512], rights[8];
    unsigned long start, end;
    int shown = -1;
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && start <= (unsigned long)at && (unsigned long)at < end)
            shown = rights[3] == 's';
    fclose(maps);
    return shown;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGBUS, &action, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
    char path[] = "/tmp/shared_readonly.XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unsigned char page[PAGE];
    for (size_t i = 0; i < PAGES; i++) {
        memset(page, (int)(i * 7 + 1), PAGE);
        CHECK(pwrite(fd, page, PAGE, (off_t)(i * PAGE)) == PAGE);
    }
    int reader = open(path, O_RDONLY);
    CHECK(reader >= 0);
    unsigned char *map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, reader, 0);
    CHECK(map != MAP_FAILED);
    uint64_t sum = mix(sum_of(map, PAGES), (uint64_t)is_shown_shared(map));

    // Writes to the file are seen, by pages that were read and by pages that were not.
    for (size_t i = 0; i < PAGES; i += 3) CHECK(pwrite(fd, "x", 1, (off_t)(i * PAGE + i % PAGE)) == 1);
    sum = mix(sum, sum_of(map, PAGES));
    for (size_t i = 0; i < PAGES; i += 3) CHECK(map[i * PAGE + i % PAGE] == 'x');

    // Only read: by the processor, by mprotect, by a call.
    CHECK(poke(map) > 1000 && mprotect(map, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
    int zero = open("/dev/zero", O_RDONLY);
    CHECK(read(zero, map, 1) == -1 && errno == EFAULT);
    CHECK(pwrite(fd, map + 8 * PAGE, 3 * PAGE, 0) == 3 * PAGE && memcmp(map, map + 8 * PAGE, 2 * PAGE) == 0);
    CHECK(msync(map, PAGES * PAGE, MS_SYNC) == 0 && madvise(map, 64 * PAGE, MADV_DONTNEED) == 0);
    CHECK(mprotect(map, 4 * PAGE, PROT_NONE) == 0 && peek(map) > 1000 && mprotect(map, 4 * PAGE, PROT_READ) == 0);
    unsigned char there[4];
    CHECK(peek(map) < 1000 && mincore(map, 4 * PAGE, there) == 0 && (there[0] & 1));
    sum = mix(sum, sum_of(map, PAGES));

    // A child has the mapping and sees what is written afterwards.
    int ways[2];
    CHECK(pipe(ways) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char go;
        CHECK(read(ways[0], &go, 1) == 1);
        _exit(map[5 * PAGE] == 'c' && map[1700 * PAGE] == 'd' && is_shown_shared(map) == 1 ? 7 : 8);
    }
    CHECK(pwrite(fd, "c", 1, 5 * PAGE) == 1 && pwrite(fd, "d", 1, 1700 * PAGE) == 1 && write(ways[1], "g", 1) == 1);
    CHECK(outcome_of(pid) == 7);

    // Opened for writing, it can be made writable, in part.
    unsigned char *other = mmap(NULL, 64 * PAGE, PROT_READ, MAP_SHARED, fd, 16 * PAGE);
    CHECK(other != MAP_FAILED);
    sum = mix(sum, sum_of(other, 64));
    CHECK(mprotect(other + 8 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE) == 0);
    memcpy(other + 9 * PAGE, "written", 7);
    CHECK(memcmp(map + 25 * PAGE, "written", 7) == 0 && pread(fd, page, 7, 25 * PAGE) == 7 && memcmp(page, "written", 7) == 0);
    CHECK(poke(other) > 1000 && other[40 * PAGE] == map[56 * PAGE]);

    // A hole is punched through it into the file, though it may not be written to.
    CHECK(madvise(map + 300 * PAGE, 4 * PAGE, MADV_REMOVE) == -1 && errno == EACCES && map[300 * PAGE] != 0);
    unsigned char *punch = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 300 * PAGE);
    CHECK(punch != MAP_FAILED && punch[5 * PAGE] != 0 && madvise(punch + 4 * PAGE, 2 * PAGE, MADV_REMOVE) == 0);
    CHECK(punch[5 * PAGE] == 0 && map[305 * PAGE] == 0 && punch[3 * PAGE] != 0 && map[306 * PAGE] != 0);

    // It grows and moves, and stays shared.
    unsigned char *grown = mremap(other, 8 * PAGE, 128 * PAGE, MREMAP_MAYMOVE);
    CHECK(grown != MAP_FAILED);
    CHECK(pwrite(fd, "grown", 5, 100 * PAGE) == 5 && memcmp(grown + 84 * PAGE, "grown", 5) == 0);

    // Past a new end there is nothing, where it was read before either; what grows back is zeros.
    unsigned char *private = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, reader, 0);
    CHECK(private != MAP_FAILED && peek(map + 600 * PAGE) < 1000 && peek(private + 600 * PAGE) < 1000);
    CHECK(ftruncate(fd, 512 * PAGE) == 0);
    sum = mix(sum, (uint64_t)peek(map + 600 * PAGE));
    sum = mix(sum, (uint64_t)peek(private + 900 * PAGE));
    sum = mix(sum, (uint64_t)peek(map + 511 * PAGE));
    CHECK(ftruncate(fd, PAGES * PAGE) == 0 && peek(map + 600 * PAGE) == 0);

    CHECK(munmap(map, PAGES * PAGE) == 0 && unlink(path) == 0);
    return finish("shared_readonly", sum);
}
