// An older kernel: runs PROGRAM with one system call missing (ENOSYS), or one prctl option unknown (EINVAL).
// argv: call NUMBER PROGRAM ARGS... or prctl OPTION PROGRAM ARGS...
#include "guest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void filter(uint32_t call, uint32_t option, int any_option, uint32_t error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | (any_option ? BPF_JGE : BPF_JEQ) | BPF_K, any_option ? 0 : option, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int main(int argc, char **argv) {
    if (argc < 4) return 0;
    uint32_t number = (uint32_t)strtoul(argv[2], NULL, 10);
    if (strcmp(argv[1], "prctl") == 0) filter(SYS_prctl, number, 0, EINVAL);
    else filter(number, 0, 1, ENOSYS);
    execv(argv[3], argv + 3);
    return 97;
}
