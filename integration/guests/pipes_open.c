// popen in both directions, and system.
#include "guest.h"
int main(void) {
    FILE *from = popen("seq 1 20000 | sort -rn | head -3", "r");
    CHECK(from);
    char line[100];
    while (fgets(line, sizeof line, from)) fputs(line, stdout);
    CHECK(pclose(from) == 0);
    fflush(stdout);
    FILE *to = popen("tr a-z A-Z", "w");
    CHECK(to && fputs("through tr\n", to) >= 0 && pclose(to) == 0);
    CHECK(system("true") == 0 && WEXITSTATUS(system("exit 5")) == 5);
    return finish("pipes_open", 0);
}
