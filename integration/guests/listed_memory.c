// /proc/self/maps, smaps and numa_maps: lines, names and offsets of what the program has mapped itself, and
// of itself; nothing else is there.
#include "guest.h"

static char data_word[3 * PAGE] = "data"; // in the file
static char bss_word[40 * PAGE];

struct line {
    unsigned long start, end, offset;
    char rights[8], name[300];
};

static int next(FILE *list, struct line *line) {
    char text[600];
    for (;;) {
        if (!fgets(text, sizeof text, list)) return 0;
        line->name[0] = 0;
        if (sscanf(text, "%lx-%lx %7s %lx %*s %*s %299[^\n]", &line->start, &line->end, line->rights, &line->offset, line->name) >= 4) return 1;
    }
}

// The lines that hold any of the bytes, without their addresses: how many pages before and behind, rights,
// offset, name.
static void show(const char *file, const char *what, const void *at, size_t length) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", file);
    FILE *list = fopen(path, "r");
    CHECK(list);
    struct line line;
    unsigned long start = (unsigned long)at, end = start + length, last = 0;
    while (next(list, &line)) {
        CHECK(line.start >= last && line.end > line.start);
        last = line.end;
        if (line.start >= end || line.end <= start) continue;
        char *name = strrchr(line.name, '/');
        printf("%s, %s: %ld pages %s %lx %.20s\n", file, what, (long)(line.end - line.start) / 4096, line.rights, line.offset, name ? name : line.name);
    }
    fclose(list);
}

static void *mapped(size_t pages, int prot, int flags, int fd, size_t offset) {
    // With a hole on both sides, so that no line is joined to a neighbour's.
    char *room = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(room != MAP_FAILED);
    void *at = mmap(room + PAGE, pages * PAGE, prot, flags | MAP_FIXED, fd, (off_t)offset);
    CHECK(at == room + PAGE && munmap(room, PAGE) == 0 && munmap(room + (pages + 1) * PAGE, PAGE) == 0);
    return at;
}

int main(void) {
    char folder[] = "listed-XXXXXX", name[64];
    CHECK(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/listed-file-0", folder);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 20 * PAGE) == 0);
    CHECK(write(fd, "words", 5) == 5);
    char *private = mapped(6, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE), *read_only = mapped(5, PROT_READ, MAP_PRIVATE, fd, PAGE);
    char *shared = mapped(4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 3 * PAGE), *anonymous = mapped(7, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *none = mapped(3, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; round < 2; round++) {
        show("maps", "private", private, 6 * PAGE);
        show("maps", "only read", read_only, 5 * PAGE);
        show("maps", "shared", shared, 4 * PAGE);
        show("maps", "anonymous", anonymous, 7 * PAGE);
        show("maps", "no rights", none, 3 * PAGE);
        show("maps", "code", (void *)main, 1);
        show("maps", "data", data_word, 1);
        show("maps", "text", "a constant", 1);
        if (round == 0) {
            CHECK(mprotect(private + PAGE, PAGE, PROT_READ) == 0 && mprotect(read_only + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
            CHECK(munmap(anonymous + 2 * PAGE, PAGE) == 0);
            private[0] = 1, read_only[2 * PAGE] = 1, anonymous[0] = 1, bss_word[0] = 1, data_word[0] = 2;
            memset(private + 3 * PAGE, 1, PAGE);
        }
    }
    show("smaps", "private", private, 6 * PAGE);
    show("smaps", "no rights", none, 3 * PAGE);
    // Each list once as a whole: in order, nothing where the pager keeps its own, readable by pieces as well.
    for (int i = 0; i < 2; i++) {
        FILE *list = fopen(i ? "/proc/thread-self/smaps" : "/proc/self/task/../maps", "r");
        CHECK(list);
        struct line line;
        int stacks = 0, heaps = 0, hidden = 0;
        while (next(list, &line)) {
            stacks += strcmp(line.name, "[stack]") == 0;
            heaps += strcmp(line.name, "[heap]") == 0;
            hidden += line.start >= 0x550000000000 && line.start < 0x554000000000;
        }
        fclose(list);
        printf("stacks %d, heaps %d, hidden %d\n", stacks, heaps > 0, i ? hidden : 0);
    }
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), flags = fcntl(maps, F_GETFL), closes = fcntl(maps, F_GETFD);
    char first[40], again[40];
    CHECK(maps >= 0 && pread(maps, first, 40, 0) == 40 && read(maps, again, 20) == 20 && read(maps, again + 20, 20) == 20);
    printf("pieces %d, flags %x %x, writing %d\n", memcmp(first, again, 40), flags & O_ACCMODE, closes, (int)write(maps, "x", 1));
    int directory = open("/proc/self/maps", O_RDONLY | O_DIRECTORY);
    printf("directory %d %s\n", directory, strerror(errno));
    CHECK(unlink(name) == 0 && rmdir(folder) == 0);
    return 0;
}
