// Becomes itself several times over, with a large argument and environment; what was not to be kept is
// closed.
#include "guest.h"

int main(int argc, char **argv) {
    int left = argc > 1 ? atoi(argv[1]) : 6;
    size_t length = argc > 2 ? strlen(argv[2]) : 0;
    if (argc > 2) {
        CHECK(getenv("GUEST_LARGE") && strlen(getenv("GUEST_LARGE")) == length);
        CHECK(fcntl(200, F_GETFD) == -1 && fcntl(201, F_GETFD) == 0);
        for (size_t i = 0; i < length; i++) CHECK(argv[2][i] == 'a' + (char)(i % 26));
    }
    if (left == 0) return finish("exec_self", mix(length, 201));
    char *large = malloc(100001), count[12];
    for (size_t i = 0; i < 100000; i++) large[i] = 'a' + (char)(i % 26);
    large[100000] = 0;
    CHECK(setenv("GUEST_LARGE", large, 1) == 0);
    CHECK(dup3(2, 200, O_CLOEXEC) == 200 && dup2(2, 201) == 201);
    snprintf(count, sizeof count, "%d", left - 1);
    char *arguments[] = {argv[0], count, large, NULL};
    execv("/proc/self/exe", arguments);
    return 97;
}
