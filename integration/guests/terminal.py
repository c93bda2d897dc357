"""Types at a program in a terminal of its own and prints what comes back; the same for every run of the same program.

Usage: terminal.py SCENARIO SHELL... where SHELL is an interactive bash with the prompt `ready> `, paged or not.
"""
import fcntl, os, pty, re, select, struct, sys, termios, time

LIMIT = 60
PROMPT = b"ready> "


def main():
    scenario, command = sys.argv[1], sys.argv[2:]
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(PS1=PROMPT.decode(), TERM="dumb", PS2="", HISTFILE="")
        os.execvp(command[0], command)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    terminal = Terminal(master)
    terminal.await_prompt()
    globals()[scenario](terminal)
    terminal.drain_to_the_end()
    _, status = os.waitpid(pid, 0)
    print(terminal.told(), end="")
    print("ended with", os.waitstatus_to_exitcode(status))


def jobs(terminal, command="sleep 1000"):
    """Stop, list, go on, interrupt; then the size of the window, before and after it changes."""
    idle = terminal.group()
    terminal.type(command + "\n")
    terminal.await_group(lambda group: group != idle)
    terminal.await_waiting(idle)
    terminal.key(b"\x1a")
    terminal.type("jobs\n")
    terminal.await_prompt()
    terminal.type("fg\n")
    terminal.await_group(lambda group: group != idle)
    terminal.await_waiting(idle)
    terminal.key(b"\x03")
    for line in ["echo $?", "stty size", "tty <&0 | cut -c1-8", "test -t 0 -a -t 1 && echo both"]:
        terminal.type(line + "\n")
        terminal.await_prompt()
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 99, 0, 0))
    terminal.type("stty size; kill -l 2; jobs; sh -c 'exit 3'; echo $?\n")
    terminal.await_prompt()
    terminal.type("exit 7\n")


def wrapped(terminal):
    """The same with the command that WRAPPED names: a job that is itself `pager run`."""
    jobs(terminal, os.environ["WRAPPED"])


class Terminal:
    def __init__(self, master):
        self.master, self.seen, self.read_to, self.open = master, b"", 0, True

    def group(self):
        return os.tcgetpgrp(self.master)

    def type(self, text):
        os.write(self.master, text.encode())

    def key(self, key):
        """A key that signals: until the signal is acted upon and the shell prompts again, it is pressed again."""
        deadline = time.monotonic() + LIMIT
        while True:
            os.write(self.master, key)
            if self.prompted(10):
                return
            assert time.monotonic() < deadline, self.seen

    def await_group(self, holds):
        deadline = time.monotonic() + LIMIT
        while not holds(self.group()):
            self.drain(0.01)
            assert time.monotonic() < deadline, self.seen

    def await_waiting(self, shell):
        """Until the shell waits for its job: one that is stopped before that is not bash's current job, and `fg` finds
        none."""
        WAIT4 = "61"
        deadline = time.monotonic() + LIMIT
        while not open(f"/proc/{shell}/syscall").read().startswith(WAIT4 + " "):
            self.drain(0.01)
            assert time.monotonic() < deadline, self.seen

    def await_prompt(self):
        assert self.prompted(LIMIT), self.seen

    def prompted(self, limit):
        deadline = time.monotonic() + limit
        while PROMPT not in self.seen[self.read_to :]:
            if time.monotonic() > deadline:
                return False
            self.drain(0.05)
        self.read_to = self.seen.index(PROMPT, self.read_to) + len(PROMPT)
        return True

    def drain(self, limit):
        if select.select([self.master], [], [], limit)[0]:
            try:
                self.seen += os.read(self.master, 4096)
            except OSError:
                # The last program that had the terminal open is gone.
                self.open = False

    def drain_to_the_end(self):
        deadline, before = time.monotonic() + LIMIT, -1
        while time.monotonic() < deadline and (before != len(self.seen) or self.open):
            before = len(self.seen)
            self.drain(0.05)

    def told(self):
        """Without the rest of a line that a key's echo leaves, and without the prompt's own repetition."""
        text = self.seen.decode(errors="replace").replace("\r", "")
        wrapped = os.environ.get("WRAPPED")
        text = text.replace(wrapped, "sleep 1000") if wrapped else text
        return re.sub(r"(\^[ZC])+", r"\1", text)


main()
