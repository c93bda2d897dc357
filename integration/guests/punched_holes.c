// Files that change below their private mappings: a page that was written to stays the program's own where a
// hole is punched or a range is zeroed, and goes where the file is cut; pages that were only read follow the
// file.
#include "guest.h"

#define PAGES 24

static int make(void) {
    char name[] = "punched-holes-XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0);
    char page[PAGE];
    for (int i = 0; i < PAGES; i++) {
        memset(page, 'a' + i, sizeof page);
        CHECK(write(file, page, sizeof page) == sizeof page);
    }
    return file;
}

int main(void) {
    uint64_t sum = 0;
    static const struct {
        int mode;
        off_t start, length;
    } PUNCHES[] = {
        {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 18 * PAGE},
        {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7 * PAGE + 100, 13 * PAGE},
        {FALLOC_FL_ZERO_RANGE, 3 * PAGE + 9, 19 * PAGE},
        {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 20 * PAGE, 50},
    };
    for (unsigned punch = 0; punch < sizeof PUNCHES / sizeof *PUNCHES; punch++) {
        int file = make();
        char *written = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        char *only_read = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        CHECK(written != MAP_FAILED && only_read != MAP_FAILED);
        for (int page = 0; page < PAGES; page++) sum = mix(sum, only_read[page * PAGE]);
        for (int page = 0; page < PAGES; page++) written[page * PAGE + 5] = '!';
        // Out of memory, where there is a cap.
        char *other = fresh(MIB);
        memset(other, 1, MIB);
        CHECK(munmap(other, MIB) == 0);
        if (fallocate(file, PUNCHES[punch].mode, PUNCHES[punch].start, PUNCHES[punch].length) != 0) CHECK(errno == EOPNOTSUPP);
        sum = mix_bytes(sum, written, PAGES * PAGE);
        printf("written to: %016llx\n", (unsigned long long)sum);
        sum = mix_bytes(sum, only_read, PAGES * PAGE);
        printf("only read: %016llx\n", (unsigned long long)sum);
        CHECK(ftruncate(file, 10 * PAGE + 200) == 0 && ftruncate(file, PAGES * PAGE) == 0);
        sum = mix_bytes(mix_bytes(sum, written, PAGES * PAGE), only_read, PAGES * PAGE);
        printf("cut: %016llx\n", (unsigned long long)sum);
        CHECK(munmap(written, PAGES * PAGE) == 0 && munmap(only_read, PAGES * PAGE) == 0 && close(file) == 0);
    }
    return finish("punched_holes", sum);
}
