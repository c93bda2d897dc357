// What exec refuses, and with which errno, before anything is lost; by what name the new program knows
// itself; and files that are busy: executed while open for writing, opened for writing while they run.
#include "guest.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

extern char **environ;

static void copy(const char *from, const char *to, mode_t mode) {
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, mode);
    CHECK(in >= 0 && out >= 0);
    for (ssize_t got; (got = read(in, buffer, sizeof buffer)) > 0;) CHECK(write(out, buffer, got) == got);
    CHECK(close(in) == 0 && close(out) == 0 && chmod(to, mode) == 0);
}

static void script(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(path, 0755) == 0);
}

// The child's end, with the errno where exec came back.
static int executed(int dir, const char *path, int flags) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"told", "word", NULL};
        syscall(SYS_execveat, dir, path, argv, environ, flags);
        _exit(100 + errno);
    }
    CHECK(pid > 0);
    return outcome_of(pid);
}

static void say(const char *what, int dir, const char *path, int flags) {
    int end = executed(dir, path, flags);
    if (end > 100 && end < 300) printf("%s: %s\n", what, strerror(end - 100));
    else printf("%s: ended with %d\n", what, end);
}

// The file that runs, cut in two: what is told is the same wherever the files are.
static void tell(void) {
    char comm[32] = "", link[4096] = "";
    CHECK(prctl(PR_GET_NAME, comm) == 0 && readlink("/proc/self/exe", link, sizeof link - 1) > 0);
    const char *name = (const char *)getauxval(AT_EXECFN), *last = strrchr(name, '/');
    printf("  I am %s, in %s, found as %s, link %s\n", comm, strncmp(name, "/dev/fd/", 8) ? "a folder" : "/dev/fd", last ? "/..." : name,
           strrchr(link, '/'));
    fflush(stdout);
}

// A program of ours with another interpreter.
static void with_interpreter(const char *from, const char *to, const char *name) {
    copy(from, to, 0755);
    int file = open(to, O_RDWR);
    Elf64_Ehdr header;
    CHECK(file >= 0 && pread(file, &header, sizeof header, 0) == sizeof header);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr entry;
        CHECK(pread(file, &entry, sizeof entry, header.e_phoff + i * sizeof entry) == sizeof entry);
        if (entry.p_type == PT_INTERP && strlen(name) < entry.p_filesz) {
            char path[256] = {0};
            strcpy(path, name);
            CHECK(pwrite(file, path, entry.p_filesz, entry.p_offset) == (ssize_t)entry.p_filesz);
        }
    }
    CHECK(close(file) == 0);
}

static void refusals(int here, int program) {
    say("plain", AT_FDCWD, "prog", 0);
    say("by folder", here, "prog", 0);
    say("by descriptor", program, "", AT_EMPTY_PATH);
    say("no descriptor", -1, "", AT_EMPTY_PATH);
    say("no descriptor, a name", 999, "prog", 0);
    say("no name", program, "", 0);
    say("a file as folder", program, "prog", 0);
    say("flags -1", AT_FDCWD, "prog", -1);
    say("flag 1", AT_FDCWD, "prog", 1);
    say("a link", AT_FDCWD, "link", 0);
    say("a link not to follow", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW);
    say("a link by folder, not to follow", here, "link", AT_SYMLINK_NOFOLLOW);
    say("a loop", AT_FDCWD, "loop", 0);
    say("a folder", AT_FDCWD, ".", 0);
    say("a pipe", AT_FDCWD, "pipe", 0);
    say("a folder by descriptor", here, "", AT_EMPTY_PATH);
    say("not executable", AT_FDCWD, "plain", 0);
    say("not there", AT_FDCWD, "nothing", 0);
    say("no interpreter", AT_FDCWD, "lost", 0);
    say("an interpreter that is a folder", AT_FDCWD, "odd", 0);
    say("an interpreter that is none", AT_FDCWD, "text", 0);
    say("no script interpreter", AT_FDCWD, "stray", 0);
    say("broken", AT_FDCWD, "broken", 0);
    say("scripts without end", AT_FDCWD, "again", 0);
}

static void scripts(int here) {
    say("script", AT_FDCWD, "script", 0);
    say("script by folder", here, "script", 0);
    int open_on = open("script", O_RDONLY), closing = open("script", O_RDONLY | O_CLOEXEC);
    say("script by descriptor", open_on, "", AT_EMPTY_PATH);
    say("script by a descriptor that closes", closing, "", AT_EMPTY_PATH);
    int folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    say("script by a folder that closes", folder, "script", 0);
    close(open_on), close(closing), close(folder);
}

static void busy(void) {
    int writer = open("prog", O_WRONLY);
    CHECK(writer >= 0);
    say("open for writing", AT_FDCWD, "prog", 0);
    say("an interpreter open for writing", AT_FDCWD, "own", 0);
    CHECK(close(writer) == 0);
    pid_t pid = fork();
    if (pid == 0) execl("prog", "told", "wait", (char *)NULL), _exit(1);
    // It runs once it has its own name.
    char comm[64], path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    for (int i = 0; i < 1000; i++) {
        FILE *file = fopen(path, "r");
        CHECK(file && fgets(comm, sizeof comm, file) && fclose(file) == 0);
        if (strcmp(comm, "waits\n") == 0) break;
        usleep(10000);
    }
    CHECK(open("prog", O_WRONLY) < 0 && errno == ETXTBSY);
    CHECK(open("prog", O_RDWR | O_TRUNC) < 0 && errno == ETXTBSY);
    CHECK(truncate("prog", 0) < 0 && errno == ETXTBSY);
    CHECK(kill(pid, SIGKILL) == 0 && outcome_of(pid) == 1009);
    CHECK((writer = open("prog", O_WRONLY)) >= 0 && close(writer) == 0);
    CHECK(open("/proc/self/exe", O_WRONLY) < 0 && errno == ETXTBSY);
    CHECK(open("/proc/self/exe", O_RDWR) < 0 && errno == ETXTBSY);
}

// Who may not read a program may run it.
static void unreadable(void) {
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
        CHECK(open("sealed", O_RDONLY) < 0 && errno == EACCES);
        execl("sealed", "told", "quiet", (char *)NULL);
        _exit(1);
    }
    CHECK(outcome_of(pid) == 8 && unlink("sealed") == 0);
}

int main(int count, char **argv) {
    if (strcmp(argv[0], "told") == 0 || strstr(argv[0], "/interpreter")) {
        if (count > 1 && strcmp(argv[1], "wait") == 0) return prctl(PR_SET_NAME, "waits"), pause();
        if (count > 1 && strcmp(argv[1], "quiet") == 0) return 8;
        return tell(), 7;
    }
    char folder[] = "/tmp/exec-rules-XXXXXX", text[200];
    CHECK(mkdtemp(folder) && chmod(folder, 0755) == 0);
    char own[4096];
    CHECK(realpath("/proc/self/exe", own) && chdir(folder) == 0);
    copy(own, "prog", 0755), copy(own, "interpreter", 0755), copy(own, "plain", 0644), copy(own, "sealed", 0111);
    CHECK(symlink("prog", "link") == 0 && symlink("loop", "loop") == 0 && mkfifo("pipe", 0777) == 0);
    with_interpreter(own, "lost", "/no/such/linker"), with_interpreter(own, "odd", "/etc"), with_interpreter(own, "text", "./stray");
    with_interpreter(own, "own", "./prog");
    script("stray", "#!/no/such/interpreter\n"), script("broken", "\177ELF"), script("again", "#!./again\n");
    snprintf(text, sizeof text, "#!%s/interpreter -x\n", folder);
    script("script", text);
    int here = open(".", O_RDONLY | O_DIRECTORY), program = open("prog", O_PATH);
    refusals(here, program);
    scripts(here);
    busy();
    unreadable();
    // The link follows the file.
    CHECK(rename("interpreter", "renamed") == 0);
    say("no longer there", AT_FDCWD, "script", 0);
    for (const char *const *name = (const char *const[]){"prog", "renamed", "plain", "link", "loop", "pipe", "lost", "odd", "text", "own", "stray",
                                                         "broken", "again", "script", NULL};
         *name; name++)
        CHECK(unlink(*name) == 0);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0);
    return finish("exec_rules", 1);
}
