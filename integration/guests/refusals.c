// What a paged program is refused, and with which errno: those that make programs fall back. Natively most of
// it works.
#include "guest.h"
#include <linux/aio_abi.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int refused(long result) { return result == -1 ? errno : 0; }

int main(void) {
    char buffer[256] = {0};
    aio_context_t context = 0;
    int one = 1, socket_fd = socket(AF_INET, SOCK_DGRAM, 0), ends[2];
    struct iovec part = {buffer, sizeof buffer};
    CHECK(pipe(ends) == 0);
    printf("io_uring_setup %d\n", refused(syscall(425, 8, buffer)));
    printf("io_setup %d\n", refused(syscall(SYS_io_setup, 8, &context)));
    printf("clone3 %d\n", refused(syscall(435, buffer, 64)));
    printf("rseq %d\n", refused(syscall(334, buffer, 32, 0, 0)));
    printf("userfaultfd %d\n", refused(syscall(SYS_userfaultfd, 1)));
    printf("seccomp listener %d\n", refused(syscall(SYS_seccomp, 1, 8, buffer)));
    printf("prctl dispatch %d\n", refused(prctl(59, 0, 0, 0, 0)));
    printf("ptrace traceme %d\n", refused(ptrace(PTRACE_TRACEME, 0, 0, 0)));
    printf("vmsplice %d\n", refused(syscall(SYS_vmsplice, ends[1], &part, 1, 0)));
    printf("zerocopy %d\n", refused(setsockopt(socket_fd, SOL_SOCKET, 60, &one, sizeof one)));
    return 0;
}
