// System calls that read or write the program's memory, with buffers that are partly not there or not
// writable.
#ifndef DIFFERENTIAL_TRANSFER_H
#define DIFFERENTIAL_TRANSFER_H
#include "probe.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define TRANSFER_PAGES 14UL // less than a pipe holds

static char plain[FILE_PAGES * PAGE + PAGE];

struct buffer {
    char *at;
    size_t length;
    struct span pages;
};

static struct buffer random_buffer(void) {
    struct span span = random_span();
    if (span.count > TRANSFER_PAGES) span.count = TRANSFER_PAGES;
    size_t within = one_in(2) ? below(PAGE) : 0;
    size_t length = one_in(2) ? span.count * PAGE - within : 1 + below(span.count * PAGE - within);
    return (struct buffer){page_at(span.start) + within, length, span};
}

static void tell_buffer(const char *name, struct buffer buffer) {
    tell("%s %lu+%lu(%lu,%zu)", name, buffer.pages.start, buffer.pages.count, (uint64_t)(buffer.at - ARENA) % PAGE, buffer.length);
}

static void fill_plain(size_t length) {
    for (size_t i = 0; i < length; i += 8) memcpy(plain + i, &(uint64_t){mark_of(i)}, 8);
}

static int changeable_file(void) { return one_in(2) ? 0 : classes & CHANGES ? (int)below(FILES) : 2; }

static void tell_file(int which) {
    ssize_t got = pread(files[which], plain, FILE_PAGES * PAGE, 0);
    tell(" file %zd #%08x", got, got > 0 ? (unsigned)mix_bytes(5, plain, (size_t)got) : 0);
}

static void write_file(void) {
    struct buffer buffer = random_buffer();
    int which = changeable_file();
    off_t at = (off_t)below((FILE_PAGES - TRANSFER_PAGES) * PAGE);
    tell_buffer(which == 0 ? "pwrite file" : "pwrite memfd", buffer);
    tell_result(pwrite(files[which], buffer.at, buffer.length, at));
    tell_file(which);
}

static void read_file(void) {
    struct buffer buffer = random_buffer();
    int which = (int)below(FILES);
    off_t at = (off_t)below(FILE_PAGES * PAGE);
    tell_buffer("pread", buffer);
    tell(" of %d at %ld", which, (long)at);
    tell_result(pread(files[which], buffer.at, buffer.length, at));
    tell_pages(buffer.pages);
}

static void seek_and_transfer(void) {
    struct buffer buffer = random_buffer();
    int which = changeable_file();
    off_t at = (off_t)below((FILE_PAGES - TRANSFER_PAGES) * PAGE);
    CHECK(lseek(files[which], at, SEEK_SET) == at);
    tell_buffer("read/write", buffer);
    tell_result(one_in(2) ? write(files[which], buffer.at, buffer.length) : read(files[which], buffer.at, buffer.length));
    tell(" at %ld", (long)lseek(files[which], 0, SEEK_CUR));
    tell_pages(buffer.pages);
}

static void write_pipe(void) {
    struct buffer buffer = random_buffer();
    tell_buffer("write pipe", buffer);
    tell_result(write(pipe_ends[1], buffer.at, buffer.length));
    ssize_t got = read(pipe_ends[0], plain, sizeof plain);
    tell(" drained %zd #%08x", got, got > 0 ? (unsigned)mix_bytes(5, plain, (size_t)got) : 0);
}

static void read_pipe(void) {
    struct buffer buffer = random_buffer();
    fill_plain(buffer.length);
    CHECK(write(pipe_ends[1], plain, buffer.length) == (ssize_t)buffer.length);
    tell_buffer("read pipe", buffer);
    tell_result(read(pipe_ends[0], buffer.at, buffer.length));
    ssize_t rest = read(pipe_ends[0], plain, sizeof plain);
    tell(" left %zd", rest);
    tell_pages(buffer.pages);
}

static void vectors(void) {
    struct buffer buffers[4];
    struct iovec pieces[4];
    int count = 1 + (int)below(4), which = changeable_file();
    tell("vectors");
    for (int i = 0; i < count; i++) {
        buffers[i] = random_buffer();
        if (buffers[i].length > 3 * PAGE) buffers[i].length = 3 * PAGE;
        pieces[i] = (struct iovec){buffers[i].at, one_in(10) ? 0 : buffers[i].length};
        tell_buffer("", buffers[i]);
    }
    off_t at = (off_t)below((FILE_PAGES - TRANSFER_PAGES) * PAGE);
    switch (below(4)) {
    case 0: tell_result(pwritev(files[which], pieces, count, at)); break;
    case 1: tell_result(preadv(files[which], pieces, count, at)); break;
    case 2: tell_result(writev(pipe_ends[1], pieces, count)); break;
    default: fill_plain(9 * PAGE);
             CHECK(write(pipe_ends[1], plain, 9 * PAGE) == 9 * PAGE);
             tell_result(readv(pipe_ends[0], pieces, count));
    }
    ssize_t rest = read(pipe_ends[0], plain, sizeof plain);
    tell(" left %zd", rest);
    for (int i = 0; i < count; i++) tell_pages(buffers[i].pages);
    tell_file(which);
}

static void copy_by_kernel(void) {
    struct buffer from = random_buffer(), to = random_buffer();
    struct iovec source = {from.at, from.length}, target = {to.at, to.length};
    tell_buffer("process_vm", from);
    tell_buffer(" ->", to);
    bool reads = one_in(2);
    long result = reads ? process_vm_readv(getpid(), &target, 1, &source, 1, 0) : process_vm_writev(getpid(), &source, 1, &target, 1, 0);
    tell_result(result);
    tell_pages(to.pages);
}

static void through_socket(void) {
    struct buffer from = random_buffer(), to = random_buffer();
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0);
    tell_buffer("datagram", from);
    tell_buffer(" ->", to);
    struct iovec out = {from.at, from.length}, in = {to.at, to.length};
    struct msghdr sent = {.msg_iov = &out, .msg_iovlen = 1}, received = {.msg_iov = &in, .msg_iovlen = 1};
    tell_result(sendmsg(ends[0], &sent, 0));
    tell_result(recvmsg(ends[1], &received, 0));
    tell(" flags %x", (unsigned)received.msg_flags);
    close(ends[0]), close(ends[1]);
    tell_pages(to.pages);
}

// Calls whose small structures lie at any address of the arena, across borders of pages too.
static void small_structures(void) {
    uint64_t page = 1 + below(arena_pages - 1);
    char *at = page_at(page) - 8 * below(20);
    unsigned which = (unsigned)below(10);
    tell("structure %u at %lu-%lu", which, page, (uint64_t)(page_at(page) - at));
    switch (which) {
    case 0: tell_result(uname((struct utsname *)at)); break;
    case 1: tell_result(syscall(SYS_getcwd, at, 200)); break;
    case 2: tell_result(syscall(SYS_pipe2, at, 12345678)); break;
    case 3: tell_result(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, at, 8)); break;
    case 4: tell_result(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, at)); break;
    case 5: tell_result(syscall(SYS_poll, at, 3, 0)); break;
    case 6: tell_result(syscall(SYS_select, 100, at, NULL, NULL, &(struct timeval){0, 0})); break;
    case 7: tell_result(syscall(SYS_futex, at, 1 /* wake */, 1, NULL, NULL, 0)); break;
    case 8: tell_result(syscall(SYS_futex, at, 0 /* wait */, 0xfeedf00d, NULL, NULL, 0)); break;
    default: tell_result(syscall(SYS_openat, AT_FDCWD, at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) >= 0 ? (errno = 1000, -1) : -1);
    }
    tell_pages((struct span){page - 1, 2});
}

static void truncate_file(void) {
    int which = changeable_file();
    off_t length = (off_t)(one_in(2) ? below(FILE_PAGES) * PAGE : below(FILE_PAGES * PAGE));
    tell("truncate %d to %ld", which, (long)length);
    tell_result(ftruncate(files[which], length));
    tell_file(which);
}
#endif
