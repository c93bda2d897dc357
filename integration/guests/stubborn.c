// Takes no notice of SIGTERM and SIGINT, and has a child and a daemon (forked twice, in a session of its own)
// that do not either. Says "ready" when all three are, and waits for what does not come. The argument is only
// a mark to know the processes by.
#include "guest.h"

int main(int count, char **arguments) {
    int said[2];
    (void)arguments;
    if (count < 2) return finish("stubborn", 0);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    CHECK(pipe(said) == 0);
    if (fork() == 0) {
        CHECK(write(said[1], "c", 1) == 1);
        for (;;) pause();
    }
    if (fork() == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        CHECK(write(said[1], "d", 1) == 1);
        for (;;) pause();
    }
    char byte;
    for (int i = 0; i < 2; i++) CHECK(read(said[0], &byte, 1) == 1);
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}
