// Executes a command under a seccomp filter, as a container's profile has one: forbidding ACTION
// NUMBER[,NUMBER...] COMMAND [ARGUMENT...] ACTION is what becomes of a call with one of the numbers: an errno
// as a number, or `kill`.
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define MOST 64

int main(int count, char **arguments) {
    if (count < 4) return finish("forbidding", 0);
    struct sock_filter code[2 * MOST + 2];
    unsigned short length = 0;
    int is_kill = strcmp(arguments[1], "kill") == 0;
    unsigned action = is_kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (unsigned)atoi(arguments[1]);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (char *number = strtok(arguments[2], ","); number && length < 2 * MOST; number = strtok(NULL, ",")) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(number), 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    execvp(arguments[3], arguments + 3);
    perror(arguments[3]);
    return 127;
}
