// What a program learns of itself by the ways that C libraries, loaders and servers use. Usage: consistency
// TOPIC.
#include "guest.h"
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/time.h>

extern char **environ;
static int argument_count;
static char **arguments;

static size_t slurp(const char *path, char *into, size_t room) {
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    size_t length = 0;
    ssize_t got;
    while (length < room && (got = read(fd, into + length, room - length)) > 0) length += (size_t)got;
    close(fd);
    into[length < room ? length : room - 1] = 0;
    return length;
}

static void show_texts(const char *path) {
    static char texts[256 * KIB];
    size_t length = slurp(path, texts, sizeof texts);
    printf("%s: %zu bytes", path, length);
    for (size_t at = 0; at < length; at += strlen(texts + at) + 1) printf(" [%s]", texts + at);
    printf("\n");
}

// The line of /proc/self/maps that an address lies in: its rights and the last part of its name.
static void show_mapping(const char *what, const void *at) {
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    char line[4096], rights[8], name[4096];
    unsigned long begin, end;
    while (fgets(line, sizeof line, maps)) {
        name[0] = 0;
        CHECK(sscanf(line, "%lx-%lx %7s %*s %*s %*s %4095s", &begin, &end, rights, name) >= 3);
        if ((unsigned long)at < begin || (unsigned long)at >= end) continue;
        const char *base = strrchr(name, '/');
        printf("%s lies in %s %s\n", what, rights, base ? base + 1 : name);
    }
    fclose(maps);
}

static void names(void) {
    char path[4096] = {0};
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    printf("exe %s\nas %s, short %s, executed as %s\n", path, program_invocation_name, program_invocation_short_name, (char *)getauxval(AT_EXECFN));
    show_texts("/proc/self/cmdline");
    show_texts("/proc/self/environ");
    show_texts("/proc/self/comm");
    char name[16];
    CHECK(prctl(PR_SET_NAME, "another-name-that-is-long") == 0 && prctl(PR_GET_NAME, name) == 0);
    printf("named %.16s\n", name);
    show_texts("/proc/self/comm");
    static char status[64 * KIB];
    slurp("/proc/self/stat", status, sizeof status);
    printf("stat: %.*s\n", (int)(strrchr(status, ')') - strchr(status, '(') + 1), strchr(status, '('));
}

// Servers write what they do over their arguments and, behind them, their environment.
static void title(void) {
    char *end = arguments[0];
    int fit = 0, entries = 0;
    for (int i = 0; i < argument_count; i++)
        if (arguments[i] == end) end += strlen(arguments[i]) + 1, fit++;
    for (char **entry = environ; *entry; entry++, entries++)
        if (*entry == end) end += strlen(*entry) + 1, fit++;
    printf("%d of %d texts stand one behind the other\n", fit, argument_count + entries);
    memset(arguments[0], 0, (size_t)(end - arguments[0]));
    snprintf(arguments[0], (size_t)(end - arguments[0]), "consistency: at work");
    show_texts("/proc/self/cmdline");
    memset(fresh(4 * MIB), 1, 4 * MIB);
    fflush(stdout);
    show_texts("/proc/self/cmdline");
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        strcpy(arguments[0], "consistency: a child");
        show_texts("/proc/self/cmdline");
        _exit(fflush(stdout) == 0 ? 0 : 98);
    }
    CHECK(outcome_of(pid) == 0);
    show_texts("/proc/self/cmdline");
}

static void memory(void) {
    static int data = 5;
    static const char constant[] = "constant";
    int local = 0;
    void *small = malloc(1000);
    show_mapping("code", (void *)(uintptr_t)&memory);
    show_mapping("a constant", constant);
    CHECK(data == 5);
    show_mapping("a variable on the stack", &local);
    show_mapping("a small block", small);
    show_mapping("the C library", (void *)(uintptr_t)&fopen);
    show_mapping("the vDSO", (void *)getauxval(AT_SYSINFO_EHDR));
    // What the kernel tells of where things lie.
    static char stat[4 * KIB];
    slurp("/proc/self/stat", stat, sizeof stat);
    unsigned long fields[53] = {0};
    int at = 3;
    char *field = strtok(strrchr(stat, ')') + 4, " ");
    for (at = 4; field && at < 53; at++, field = strtok(NULL, " ")) fields[at] = strtoul(field, NULL, 10);
    unsigned long code = (unsigned long)(uintptr_t)&memory;
    printf("code %d stack %d heap %d\n", fields[26] <= code && code < fields[27], fields[28] > (unsigned long)&local && fields[28] - (unsigned long)&local < MIB,
           fields[47] <= (unsigned long)small && (unsigned long)small < fields[47] + 64 * MIB);
    printf("arguments %d environment %d\n", fields[48] == (unsigned long)arguments[0], fields[50] == (unsigned long)environ[0]);
    printf("threads %lu, of parent %d, group %d\n", fields[20], fields[4] == (unsigned long)getppid(), fields[5] == (unsigned long)getpgrp());
}

static void status(void) {
    static const char *const keys[] = {"Name:", "Umask:", "State:", "Uid:", "Gid:", "Threads:", "SigPnd:", "ShdPnd:", "CapInh:", "CapPrm:", "CapEff:",
                                       "CapBnd:", "NoNewPrivs:", "Seccomp:", "TracerPid:", "NSpid:", "Cpus_allowed:", "Kthread:"};
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file);
    char line[4096];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "NSpid:", 6) == 0) CHECK(atoi(line + 6) == getpid());
        else for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (strncmp(line, keys[i], strlen(keys[i])) == 0) fputs(line, stdout);
    }
    fclose(file);
}

static void vector(void) {
    static Elf64_auxv_t told[64];
    size_t count = slurp("/proc/self/auxv", (char *)told, sizeof told) / sizeof *told, same = 0, shown = 0;
    for (size_t i = 0; i < count && told[i].a_type != AT_NULL; i++, shown++) {
        // The C library has an AT_HWCAP of its own.
        same += getauxval(told[i].a_type) == told[i].a_un.a_val || told[i].a_type == AT_HWCAP;
    }
    printf("of the entries in /proc %s are as getauxval says\n", same == shown && shown > 15 ? "all" : "not all");
    static const unsigned long plain[] = {AT_PAGESZ, AT_CLKTCK, AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE, AT_HWCAP, AT_HWCAP2, AT_PHENT, AT_PHNUM, AT_FLAGS, AT_MINSIGSTKSZ};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) printf("%lu: %lx\n", plain[i], getauxval(plain[i]));
    const unsigned char *random = (void *)getauxval(AT_RANDOM);
    uint64_t first, second;
    memcpy(&first, random, 8), memcpy(&second, random + 8, 8);
    printf("random %d, platform %s\n", first != second && first != 0, (char *)getauxval(AT_PLATFORM));
    const Elf64_Ehdr *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    printf("vDSO %d, base %d, entry %d\n", vdso && memcmp(vdso->e_ident, ELFMAG, 4) == 0, getauxval(AT_BASE) != 0, getauxval(AT_ENTRY) % 16 == 0);
}

// Without a call, if there is a vDSO: the pager's report tells how many there were.
static void clocks(void) {
    struct timespec before, now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    for (int i = 0; i < 50000; i++) {
        struct timeval day;
        CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && gettimeofday(&day, NULL) == 0 && time(NULL) > 0 && sched_getcpu() >= 0);
        CHECK(now.tv_sec > before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec >= before.tv_nsec));
        before = now;
    }
}

// Where things lie, to be compared from run to run.
static void places(void) {
    static int data;
    int local;
    printf("code %p data %p stack %p heap %p mapping %p library %p vdso %lx random %llx apart %lx\n", (void *)(uintptr_t)&places, (void *)&data, (void *)&local, sbrk(0), fresh(PAGE),
           (void *)(uintptr_t)&fopen, getauxval(AT_SYSINFO_EHDR), *(unsigned long long *)getauxval(AT_RANDOM), (unsigned long)sbrk(0) - (unsigned long)&data);
}

static void set_memory_map(void) {
    for (unsigned long what = 0; what < 16; what++) {
        static char text[] = "one\0two";
        unsigned long values[] = {0, (unsigned long)text, 12345, ~0UL};
        for (int i = 0; i < 4; i++) {
            if (what == PR_SET_MM_BRK || what == PR_SET_MM_START_BRK || what == PR_SET_MM_MAP_SIZE) continue;
            errno = 0;
            int result = prctl(PR_SET_MM, what, values[i], 0, 0);
            printf("%lu with value %d: %d errno %d\n", what, i, result, errno);
        }
    }
    errno = 0;
    unsigned size = 0;
    int result = prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0);
    printf("size %u: %d\n", size, result);
}

static void personalities(void) {
    int now = personality(0xffffffff);
    printf("personality %x\n", (unsigned)now);
    CHECK(personality((unsigned long)now | ADDR_NO_RANDOMIZE) == now);
    printf("then %x\n", (unsigned)personality(0xffffffff));
}

int main(int count, char **vector_of) {
    static const struct {
        const char *name;
        void (*run)(void);
    } topics[] = {{"names", names}, {"title", title}, {"memory", memory}, {"status", status}, {"vector", vector}, {"clocks", clocks},
                  {"places", places}, {"set_memory_map", set_memory_map}, {"personalities", personalities}};
    argument_count = count, arguments = vector_of;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        if (count < 2) puts(topics[i].name);
        else if (strcmp(vector_of[1], topics[i].name) == 0) {
            topics[i].run();
            return fflush(stdout) == 0 ? 0 : 98;
        }
    }
    return count < 2 ? 0 : 97;
}
