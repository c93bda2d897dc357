// Attacks on the pager from inside a paged program: `hostile alone NAME`, or `hostile witness NAME`, where
// another process of the same run pages all the while and checks that its memory stays its own. Without
// arguments it names its attacks.
//
// An attack that the runtime withstands ends with 0. Others end the process that attacks: how is printed by
// `witness`.
#include "hostile/control.h"
#include "hostile/limits.h"
#include "hostile/memory.h"

static int nothing(void) { return 0; }

#define ATTACK(name) {#name, name}
static const struct attack {
    const char *name;
    int (*run)(void);
} attacks[] = {
    ATTACK(nothing),
    ATTACK(unmap_runtime),
    ATTACK(unmap_everything),
    ATTACK(overwrite_with_zeros),
    ATTACK(overwrite_with_ones),
    ATTACK(overwrite_at_random),
    ATTACK(overwrite_shared_with_zeros),
    ATTACK(overwrite_shared_with_ones),
    ATTACK(overwrite_shared_at_random),
    ATTACK(jump_into),
    ATTACK(use_its_syscall),
    ATTACK(smash_the_stack),
    ATTACK(return_from_nowhere),
    ATTACK(exhaust_areas),
    ATTACK(fork_bomb),
    ATTACK(limit_file_size),
    ATTACK(limit_data),
    ATTACK(limit_address_space),
    ATTACK(limit_the_rest),
    ATTACK(close_descriptors),
    ATTACK(mark_descriptors),
    ATTACK(write_to_descriptors),
    ATTACK(cut_descriptors),
    ATTACK(disable_dispatch),
    ATTACK(forbid_everything),
    ATTACK(call_as_32_bit),
    ATTACK(trace_itself),
    ATTACK(odd_processor_state),
};

static int find_and_run(const char *name) {
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
        if (strcmp(attacks[i].name, name) == 0) return attacks[i].run();
    fprintf(stderr, "no attack is called %s\n", name);
    return 98;
}

// The attack in a child, while this process goes through its memory again and again.
static int witness(const char *name) {
    uint64_t *pattern = patterned(100);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) exit(find_and_run(name));
    int status = 0;
    pid_t ended;
    do {
        check_pattern(pattern, 100);
        ended = waitpid(pid, &status, WNOHANG);
        // A child that asked to be traced stops for each signal; its tracer lets the signal through.
        bool stopped = ended == pid && WIFSTOPPED(status);
        if (stopped) CHECK(ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status)) == 0);
        if (stopped) ended = 0;
    } while (ended == 0);
    CHECK(ended == pid);
    for (size_t i = 0; i < PATTERN_BYTES / 8; i++) pattern[i] = mix(101, i);
    check_pattern(pattern, 101);
    if (WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));
    else printf("code %d\n", WEXITSTATUS(status));
    return 0;
}

int main(int count, char **arguments) {
    if (count != 3) {
        for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) puts(attacks[i].name);
        return 2;
    }
    if (strcmp(arguments[1], "witness") == 0) return witness(arguments[2]);
    return find_and_run(arguments[2]);
}
