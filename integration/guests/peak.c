// Runs a program and writes the largest peak of resident memory, in KiB, of it and of all it waited for into
// a file: peak FILE PROGRAM [ARGUMENT]...
#include "guest.h"
#include <sys/resource.h>

int main(int count, char **arguments) {
    if (count < 3) return finish("peak", 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execvp(arguments[2], arguments + 2);
        _exit(127);
    }
    int code = outcome_of(child);
    struct rusage usage;
    CHECK(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    FILE *file = fopen(arguments[1], "w");
    CHECK(file && fprintf(file, "%ld\n", usage.ru_maxrss) > 0 && fclose(file) == 0);
    return code < 1000 ? code : 128 + code - 1000;
}
