// Files that are cut, written and sealed under their mappings; memory that is a file: memfd, System V.
#ifndef MEMORY_CALLS_FILES_H
#define MEMORY_CALLS_FILES_H
#include "shown.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>

static void map_three_ways(int fd) {
    make_area(FILE_PRIVATE, 0, 8, fd);
    make_area(FILE_READ, 10, 8, fd);
    make_area(FILE_SHARED, 20, 8, fd);
}

static void show_three(void) {
    for (long first = 0; first < 30; first += 10) show_pages(AT(first), 8);
}

// What was resident, what was the program's own copy, and what was never touched: all of it is gone past the
// new end.
static void files_cut_under_their_mappings(void) {
    int fd = make_file(6, 200);
    map_three_ways(fd);
    show_three();
    POKE(AT(1), 77);
    POKE(AT(4), 77);
    POKE(AT(5), 78);
    SHOW(ftruncate(fd, 3 * PAGE + 100));
    show_three();
    POKE(AT(4), 79);
    POKE(AT(3), 80);
    int pipes[2];
    CHECK(pipe2(pipes, O_NONBLOCK) == 0);
    SHOW(write(pipes[1], AT(4), 10));
    SHOW(write(pipes[1], AT(14), 10));
    SHOW(write(pipes[1], AT(24), 10));
    SHOW(read(pipes[0], AT(4), 10));
    SHOW(ftruncate(fd, 6 * PAGE));
    show_three();
    POKE(AT(4), 81);
    SHOW(ftruncate(fd, 0));
    show_three();
}

static void files_cut_by_name(void) {
    int fd = open("named", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char bytes[4 * PAGE];
    memset(bytes, 66, sizeof bytes);
    CHECK(write(fd, bytes, sizeof bytes) == sizeof bytes);
    map_three_ways(fd);
    show_three();
    AT(2)[0] = 1;
    SHOW(truncate("named", 2 * PAGE));
    show_three();
    CHECK(open("named", O_WRONLY | O_TRUNC) >= 0);
    show_three();
    CHECK(unlink("named") == 0);
}

static void files_cut_by_another_descriptor_and_in_the_middle(void) {
    int fd = make_file(6, 0);
    map_three_ways(fd);
    show_three();
    AT(2)[0] = 1;
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PAGE, PAGE));
    show_pages(AT(10), 6);
    show_pages(AT(20), 6);
    int again = dup(fd);
    SHOW(ftruncate(again, PAGE));
    show_three();
}

static void what_grows_behind_a_file_is_seen(void) {
    int fd = make_file(2, 10);
    map_three_ways(fd);
    show_three();
    SHOW(ftruncate(fd, 5 * PAGE));
    show_three();
    char bytes[PAGE];
    memset(bytes, 55, PAGE);
    CHECK(pwrite(fd, bytes, PAGE, 6 * PAGE) == PAGE);
    show_three();
}

static void memory_files(void) {
    int fd = memfd_create("scene", MFD_ALLOW_SEALING);
    SHOW(ftruncate(fd, 4 * PAGE));
    map_three_ways(fd);
    POKE(AT(21), 5);
    show_three();
    POKE(AT(0), 6);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(munmap(AT(20), 8 * PAGE));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
    SHOW(ftruncate(fd, PAGE));
    SHOW(mmap(AT(20), PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
    SHOW(mmap(AT(20), PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, PAGE));
    SHOW(mmap(AT(22), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, PAGE));
    SHOW(mprotect(AT(22), PAGE, RW));
    POKE(AT(20), 9);
    show_pages(AT(20), 3);
    SHOW(write(fd, "x", 1));
}

static void shared_memory_segments(void) {
    int id = shmget(IPC_PRIVATE, 3 * PAGE - 10, IPC_CREAT | 0600);
    CHECK(id >= 0);
    struct shmid_ds state;
    SHOW(shmat(id, AT(0), 0));
    SHOW(shmat(id, AT(2), 0));
    SHOW(shmat(id, AT(8) + 10, 0));
    SHOW(shmat(id, AT(8) + 10, SHM_RND | SHM_RDONLY));
    POKE(AT(1), 5);
    POKE(AT(9), 6);
    show_pages(AT(8), 4);
    make(16, 4, RW);
    SHOW(shmat(id, AT(16), 0));
    SHOW(shmat(id, AT(16), SHM_REMAP));
    show_pages(AT(16), 5);
    SHOW(shmat(id, NULL, SHM_REMAP));
    SHOW(mprotect(AT(9), PAGE, RW));
    SHOW(mprotect(AT(1), PAGE, PROT_NONE));
    show_pages(AT(0), 3);
    SHOW(munmap(AT(1), PAGE));
    SHOW(shmctl(id, IPC_STAT, &state));
    printf("attached %lu\n", state.shm_nattch);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        POKE(AT(0), 44);
        SHOW(shmdt(AT(0)));
        show_pages(AT(0), 3);
        fflush(stdout);
        _exit(0);
    }
    SHOW(outcome_of(child));
    show_pages(AT(0), 3);
    SHOW(shmdt(AT(0)));
    SHOW(shmdt(AT(0)));
    SHOW(shmdt(AT(8)));
    SHOW(shmdt(AT(16)));
    show_pages(AT(0), 3);
    SHOW(shmctl(id, IPC_STAT, &state));
    printf("attached %lu\n", state.shm_nattch);
    SHOW(shmctl(id, IPC_RMID, NULL));
    SHOW(shmat(id, AT(0), 0));
}

// Shared mappings of files are paged whether they are read or written to: guards and what is cut stay as they
// are.
static void shared_mappings_that_become_writable(void) {
    int fd = make_file(6, 0);
    CHECK(mmap(AT(0), 6 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == AT(0));
    SHOW(madvise(AT(1), 2 * PAGE, MADV_GUARD_INSTALL));
    SHOW(madvise(AT(2), PAGE, MADV_GUARD_REMOVE));
    show_pages(AT(0), 6);
    SHOW(mprotect(AT(0), 4 * PAGE, RW));
    show_pages(AT(0), 6);
    POKE(AT(1), 7);
    POKE(AT(2), 7);
    POKE(AT(5), 7);
    SHOW(madvise(AT(0), 6 * PAGE, MADV_GUARD_REMOVE));
    show_pages(AT(0), 6);
    CHECK(mmap(AT(10), 6 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == AT(10));
    show_pages(AT(10), 6);
    SHOW(ftruncate(fd, 3 * PAGE));
    show_pages(AT(10), 6);
    SHOW(ftruncate(fd, 6 * PAGE));
    show_pages(AT(10), 6);
    SHOW(mremap(AT(10), 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(20)));
    show_pages(AT(20), 6);
    SHOW(mremap(AT(20), 6 * PAGE, 2 * PAGE, 0));
    show_pages(AT(20), 3);
}

// They are no data, whatever the program may do with them.
static void shared_mappings_are_no_data(void) {
    int fd = make_file(1, 0);
    CHECK(ftruncate(fd, 64 * MIB) == 0);
    CHECK(mmap(AT(0), 64 * MIB, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == AT(0));
    CHECK(setrlimit(RLIMIT_DATA, &(struct rlimit){32 * MIB, 32 * MIB}) == 0);
    SHOW(mprotect(AT(0), 64 * MIB, RW));
    POKE(AT(1), 7);
}

// They grow and shrink, move and double, and stay the file's; guards of the program's go along.
static void shared_mappings_are_resized_and_doubled(void) {
    int fd = make_file(12, 0);
    make_area(FILE_SHARED, 0, 4, fd);
    POKE(AT(1), 7);
    SHOW(madvise(AT(2), PAGE, MADV_GUARD_INSTALL));
    SHOW(mremap(AT(0), 4 * PAGE, 8 * PAGE, 0));
    show_pages(AT(0), 9);
    POKE(AT(6), 8);
    SHOW(mremap(AT(0), 8 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(20)));
    show_pages(AT(0), 2);
    show_pages(AT(20), 11);
    POKE(AT(29), 9);
    make(40, 3, RW);
    SHOW(mremap(AT(20), 0, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(40)));
    show_pages(AT(40), 4);
    POKE(AT(41), 10);
    SHOW(mremap(AT(20) + 3 * PAGE, 0, 2 * PAGE, 0));
    show_pages(AT(20), 11);
    SHOW(mremap(AT(20), 10 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, AT(60)));
    show_pages(AT(20), 10);
    show_pages(AT(60), 10);
    SHOW(mremap(AT(61), 6 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(80)));
    show_pages(AT(60), 10);
    show_pages(AT(80), 4);
    // A page of another protection in the middle: neither grows nor moves with more.
    SHOW(mprotect(AT(24), PAGE, PROT_READ));
    SHOW(mremap(AT(22), 6 * PAGE, 9 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(100)));
    SHOW(mremap(AT(28), 2 * PAGE, 3 * PAGE, 0));
    make(31, 1, RW);
    SHOW(mremap(AT(28), 3 * PAGE, 4 * PAGE, 0));
    show_pages(AT(20), 12);
    char bytes[12];
    for (long page = 0; page < 12; page++) CHECK(pread(fd, bytes + page, 1, page * (long)PAGE) == 1);
    for (long page = 0; page < 12; page++) printf("%d ", bytes[page]);
    printf("\n");
}

// Each store into a hole needs a page of a file system that has three; what is written over needs none.
static void a_store_into_a_hole_without_room_is_sigbus(void) {
    CHECK(mkdir("small", 0700) == 0);
    // As an ordinary user there is nothing to be seen.
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) goto out;
    if (mount("small", "small", "tmpfs", 0, "size=12k") != 0) goto out;
    int fd = open("small/file", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 8 * PAGE) == 0);
    make_area(FILE_SHARED, 0, 8, fd);
    for (long page = 7; page >= 0; page--) POKE(AT(page), (int)(page + 1));
    POKE(AT(7) + 1, 77);
    SHOW(madvise(AT(6), 2 * PAGE, MADV_POPULATE_WRITE));
    SHOW(madvise(AT(4), 2 * PAGE, MADV_POPULATE_WRITE));
    int zeros = open("/dev/zero", O_RDONLY);
    SHOW(read(zeros, AT(0), 10));
    SHOW(read(zeros, AT(6), 10));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7 * PAGE, PAGE));
    POKE(AT(1), 5);
    POKE(AT(2), 5);
    show_pages(AT(5), 3);
    struct stat state;
    CHECK(fstat(fd, &state) == 0);
    printf("%ld blocks\n", (long)state.st_blocks);
    CHECK(munmap(AT(0), 8 * PAGE) == 0 && close(fd) == 0);
    CHECK(umount2("small", MNT_DETACH) == 0);
out:
    CHECK(rmdir("small") == 0);
}

// A mapping that can only be written to, and one that can only be executed, end where the file ends.
static void stores_past_the_end_of_a_shared_file(void) {
    int fd = make_file(2, 100);
    CHECK(mmap(AT(0), 6 * PAGE, PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == AT(0));
    CHECK(mmap(AT(10), 6 * PAGE, PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) == AT(10));
    CHECK(mmap(AT(20), 6 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == AT(20));
    for (long page = 0; page < 5; page++) {
        POKE(AT(page) + 50, (int)page);
        PEEK(AT(page) + 51);
        PEEK(AT(10 + page) + 50);
        run_code("the page", AT(13 + page % 3));
        PEEK(AT(20 + page) + 50);
        run_code("no code", page % 2 ? AT(page) : AT(20 + page));
    }
    // Past the end within its last page there is memory, which is not the file's.
    POKE(AT(2) + 500, 5);
    PEEK(AT(22) + 500);
    SHOW(mlock(AT(20), 3 * PAGE));
    SHOW(mlock(AT(20), 4 * PAGE));
    SHOW(ftruncate(fd, 4 * PAGE));
    PEEK(AT(22) + 600);
    POKE(AT(3), 9);
    PEEK(AT(23));
    SHOW(madvise(AT(20), 5 * PAGE, MADV_POPULATE_READ));
    SHOW(madvise(AT(0), 5 * PAGE, MADV_POPULATE_WRITE));
    SHOW(madvise(AT(0), 5 * PAGE, MADV_POPULATE_READ));
}

// The first part of a call's buffer makes the file longer in which the second part lies.
static void a_write_whose_buffer_it_makes_readable(void) {
    int fd = make_file(2, 0);
    make(0, 2, RW);
    CHECK(mmap(AT(2), 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 4 * PAGE) == AT(2));
    PEEK(AT(2));
    SHOW(pwrite(fd, AT(2), PAGE, 8 * PAGE));
    SHOW(pwrite(fd, AT(1), 3 * PAGE, 5 * PAGE));
    show_pages(AT(0), 5);
    char byte;
    SHOW(pread(fd, &byte, 1, 5 * PAGE));
    printf("%d\n", byte);
}

static void synchronising(void) {
    int fd = make_file(4, 0);
    make_area(FILE_SHARED, 0, 4, fd);
    make(4, 1, RW);
    POKE(AT(1), 9);
    for (int flags = 0; flags < 9; flags++) {
        printf("flags %d: ", flags);
        SHOW(msync(AT(0), 5 * PAGE, flags));
    }
    SHOW(msync(AT(3), 4 * PAGE, MS_SYNC));
    char byte;
    SHOW(pread(fd, &byte, 1, PAGE));
    printf("%d\n", byte);
}
#endif
