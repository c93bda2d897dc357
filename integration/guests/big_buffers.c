// Large transfers between memory that nobody has touched: read, write, readv, writev, pread, sendmsg,
// recvmsg, splice-free copies.
#include "guest.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { LENGTH = 3 * 1024 * 1024 + 123 };

static void paint(unsigned char *at) {
    for (size_t i = 0; i < LENGTH; i++) at[i] = (unsigned char)(i * 2654435761u >> 13);
}
static uint64_t through_file(void) {
    unsigned char *source = fresh(LENGTH), *target = fresh(LENGTH);
    paint(source);
    int fd = memfd_create("big", 0);
    CHECK(fd >= 0);
    for (size_t done = 0; done < LENGTH;) {
        ssize_t wrote = write(fd, source + done, LENGTH - done);
        CHECK(wrote > 0);
        done += (size_t)wrote;
    }
    for (size_t done = 0; done < LENGTH;) {
        ssize_t got = pread(fd, target + done, LENGTH - done, (off_t)done);
        CHECK(got > 0);
        done += (size_t)got;
    }
    CHECK(memcmp(source, target, LENGTH) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    unsigned char *pieces = fresh(LENGTH);
    struct iovec vector[3] = {{pieces, 10}, {pieces + 10, 2000000}, {pieces + 2000010, LENGTH - 2000010}};
    ssize_t got = readv(fd, vector, 3);
    CHECK(got > 2000010);
    CHECK(memcmp(source, pieces, (size_t)got) == 0);
    // A fresh page written out reads as zeros.
    CHECK(pwrite(fd, fresh(LENGTH), LENGTH, 0) > 0 && pread(fd, target, 4096, 0) == 4096 && target[77] == 0);
    close(fd);
    return mix_bytes(0, source, LENGTH);
}

// A read of a device that never runs dry is never short, however busy the machine.
static void from_zeros(void) {
    unsigned char *target = fresh(LENGTH);
    int fd = open("/dev/zero", O_RDONLY);
    CHECK(fd >= 0);
    for (int i = 0; i < 12; i++) {
        struct iovec vector[2] = {{target, LENGTH / 2}, {target + LENGTH / 2, LENGTH - LENGTH / 2}};
        target[LENGTH - 1] = 1;
        CHECK((i % 2 ? readv(fd, vector, 2) : read(fd, target, LENGTH)) == LENGTH && target[LENGTH - 1] == 0);
    }
    close(fd);
}

struct stream { int fd; const unsigned char *bytes; };
static void *pour(void *argument) {
    struct stream *stream = argument;
    for (size_t done = 0; done < LENGTH;) {
        size_t half = (LENGTH - done + 1) / 2;
        struct iovec vector[2] = {{(void *)(stream->bytes + done), half}, {(void *)(stream->bytes + done + half), LENGTH - done - half}};
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
        ssize_t sent = done % 2 ? sendmsg(stream->fd, &message, 0) : writev(stream->fd, vector, 2);
        CHECK(sent > 0);
        done += (size_t)sent;
    }
    return NULL;
}
static void through_socket(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    unsigned char *source = fresh(LENGTH), *target = fresh(LENGTH);
    paint(source);
    struct stream stream = {ends[0], source};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, pour, &stream) == 0);
    for (size_t done = 0; done < LENGTH;) {
        struct iovec vector[2] = {{target + done, (LENGTH - done) / 3}, {target + done + (LENGTH - done) / 3, LENGTH - done - (LENGTH - done) / 3}};
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
        ssize_t got = recvmsg(ends[1], &message, 0);
        CHECK(got > 0);
        done += (size_t)got;
    }
    CHECK(pthread_join(thread, NULL) == 0 && memcmp(source, target, LENGTH) == 0);
}
static void descriptor_passing(void) {
    int ends[2], pipes[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && pipe(pipes) == 0);
    char *control = fresh(PAGE), *text = fresh(PAGE);
    strcpy(text, "take");
    struct iovec vector = {text, 4};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &pipes[1], sizeof(int));
    CHECK(sendmsg(ends[0], &message, 0) == 4);
    struct iovec into = {fresh(PAGE), 100};
    struct msghdr got = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = fresh(PAGE), .msg_controllen = 100};
    CHECK(recvmsg(ends[1], &got, 0) == 4 && memcmp(into.iov_base, "take", 4) == 0);
    int passed;
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&got)), sizeof passed);
    char byte = 0;
    CHECK(write(passed, "p", 1) == 1 && read(pipes[0], &byte, 1) == 1 && byte == 'p');
}

int main(void) {
    uint64_t sum = through_file();
    from_zeros();
    through_socket();
    descriptor_passing();
    return finish("big_buffers", sum);
}
