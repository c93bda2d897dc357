// Children that are killed as soon as there are any, most before they have run.
#include "guest.h"

enum { CHILDREN = 300 };

int main(void) {
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (;;) pause();
        }
        CHECK(kill(child, SIGKILL) == 0 && outcome_of(child) == 1000 + SIGKILL);
    }
    return finish("cut_down", 0);
}
