// Where the runtime lies in this process. /proc/self/maps does not show it; the kernel's own list does,
// reached by a descriptor of the folder.
#ifndef HOSTILE_OWN_H
#define HOSTILE_OWN_H
#include "../guest.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>

#define RUNTIME_BEGIN 0x550000000000UL
#define RUNTIME_END 0x554000000000UL
#define MOST_PIECES 256

struct piece {
    unsigned long begin, end;
    bool writable, executable, shared;
};

static struct piece pieces[MOST_PIECES];
static int piece_count;

static void find_runtime(void) {
    int folder = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FILE *maps = fdopen(openat(folder, "maps", O_RDONLY | O_CLOEXEC), "r");
    char line[512], rights[8];
    struct piece piece;
    piece_count = 0;
    while (maps && piece_count < MOST_PIECES && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &piece.begin, &piece.end, rights) != 3) continue;
        if (piece.begin < RUNTIME_BEGIN || piece.end > RUNTIME_END) continue;
        piece.writable = rights[1] == 'w';
        piece.executable = rights[2] == 'x';
        piece.shared = rights[3] == 's';
        pieces[piece_count++] = piece;
    }
    if (maps) fclose(maps);
    close(folder);
    CHECK(piece_count > 0);
}

static uint64_t seed_state = 88172645463325252ULL;

static uint64_t random_number(void) {
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    return seed_state ^= seed_state << 17;
}

// Memory with a pattern, larger than the caps of the tests: most of it is in the swap file at any moment.
#define PATTERN_BYTES (6 * MIB)
static uint64_t *patterned(uint64_t seed) {
    uint64_t *words = fresh(PATTERN_BYTES);
    for (size_t i = 0; i < PATTERN_BYTES / 8; i++) words[i] = mix(seed, i);
    return words;
}
static void check_pattern(const uint64_t *words, uint64_t seed) {
    for (size_t i = 0; i < PATTERN_BYTES / 8; i++) CHECK(words[i] == mix(seed, i));
}
#endif
