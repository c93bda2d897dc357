// A crowd that grows until there is no room for more: how many children there can be, with which errno the
// next is refused, and whether there is room again once they are gone. Argument: how many are tried.
#include "guest.h"

enum { MOST = 1000 };

static int grow(pid_t *children, int tried, int *refusal) {
    for (int count = 0; count < tried; count++) {
        pid_t child = fork();
        if (child < 0) {
            *refusal = errno;
            return count;
        }
        if (child == 0) {
            for (;;) pause();
        }
        children[count] = child;
    }
    *refusal = 0;
    return tried;
}

int main(int argc, char **argv) {
    static pid_t children[MOST];
    int tried = argc > 1 ? atoi(argv[1]) : 0, refusal;
    CHECK(tried > 0 && tried <= MOST);
    for (int round = 0; round < 3; round++) {
        int count = grow(children, tried, &refusal);
        printf("%d %d\n", count, refusal);
        for (int i = 0; i < count; i++) CHECK(kill(children[i], SIGKILL) == 0);
        for (int i = 0; i < count; i++) CHECK(outcome_of(children[i]) == 1000 + SIGKILL);
    }
    return finish("crowd", 0);
}
