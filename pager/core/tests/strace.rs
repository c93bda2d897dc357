//! The call table against strace's view of real calls. Assumes Linux with strace, and ptrace allowed.
//!
//! strace prints what it read behind a pointer: a string, a structure in braces, an array in brackets. Where
//! it prints one of these, the row must have a pointer; where the row has one, strace must print one of
//! these, an address or NULL.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use pager_core::calls::{ROWS, Route, Row, Shape, row};

/// Programs that make many kinds of calls: a shell with pipes and redirections, and a Python script for
/// sockets, polling and signals.
const SHELL: &str = "cd \"$0\" && ls -la / > l && cp -p l m && mv m n && ln -s n o && ln n p && readlink o && stat -f . && sort l | head -2 && \
     dd if=l of=q bs=100 count=2 && touch -d @1 q && truncate -s 9000 q && chmod 600 q && mkdir d && rmdir d && find . -newer l && \
     nice timeout 5 sleep 0.01 && df . && date && id && uname -a && rm -f n o";
const PYTHON: &str = "
import array, fcntl, mmap, os, resource, select, signal, socket, struct, subprocess, sys, tempfile, termios, threading, time
os.chdir(sys.argv[1])
a, b = socket.socketpair(); a.sendmsg([b'one', b'two']); print(b.recvmsg(10, 64)); a.sendall(b'x'); print(b.recvfrom(4))
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', 0)); s.listen()
c = socket.create_connection(s.getsockname()); d, _ = s.accept(); d.getpeername(); c.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
r, w = os.pipe(); os.write(w, b'x'); select.select([r], [], [], 1); p = select.poll(); p.register(r, 1); p.poll(10)
e = select.epoll(); e.register(r, 1); e.poll(0.1); os.readv(r, [bytearray(3)])
t = threading.Thread(target=time.sleep, args=(0.01,)); t.start(); t.join()
f = os.open('f', os.O_RDWR | os.O_CREAT); os.pwrite(f, b'abc', 4096); os.pread(f, 3, 4096); os.writev(f, [b'1', b'2']); os.fsync(f)
os.posix_fallocate(f, 0, 9000); fcntl.lockf(f, fcntl.LOCK_EX); fcntl.ioctl(r, termios.FIONREAD, array.array('i', [0]))
m = mmap.mmap(f, 9000); m.flush(); m.close(); os.sendfile(w, f, 0, 10); os.copy_file_range(f, f, 1, 0, 4096)
os.setxattr('f', 'user.a', b'v'); os.getxattr('f', 'user.a'); os.listxattr('f'); os.utime('f', (1, 1)); os.statvfs('f'); os.times()
signal.setitimer(signal.ITIMER_REAL, 10); signal.setitimer(signal.ITIMER_REAL, 0); signal.pthread_sigmask(signal.SIG_BLOCK, [10])
os.kill(os.getpid(), 10); signal.sigtimedwait([10], 1); resource.getrusage(0); resource.getrlimit(7); os.sched_getaffinity(0)
subprocess.run(['true'], check=True); os.getgroups(); os.getresuid(); os.memfd_create('m'); os.getrandom(4); os.uname(); time.sleep(0.001)
with tempfile.TemporaryDirectory() as x: os.listdir(x)
";

/// A call as strace printed it.
struct Seen {
    name: String,
    arguments: Vec<String>,
}

#[test]
fn the_table_agrees_with_strace_about_real_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path in UTF-8");
    let mut calls = trace(&["sh", "-ec", SHELL, path], path);
    calls.extend(trace(&["python3", "-c", PYTHON, path], path));

    let by_name: BTreeMap<&str, &Row> = (0..ROWS as u64).filter_map(row).map(|row| (row.name, row)).collect();
    let kinds: BTreeSet<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert!(
        calls.len() > 2000 && kinds.len() > 80,
        "{} calls of {} kinds: {kinds:?}",
        calls.len(),
        kinds.len()
    );
    println!("{} calls of {} kinds", calls.len(), kinds.len());
    let wrong: BTreeSet<String> = calls
        .iter()
        .filter_map(|call| disagreement(by_name.get(call.name.as_str()).copied(), call))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What strace and `row` disagree about, one line.
fn disagreement(row: Option<&Row>, call: &Seen) -> Option<String> {
    let Some(row) = row else { return Some(format!("no row for {}", call.name)) };
    // Refused calls and areas' calls touch nothing by the table; strace gives clone's arguments in an order
    // of its own, and rt_sigreturn the frame on the stack; one pointer of futex's row stands for all.
    if matches!(row.route, Route::Refused(_) | Route::Managed(_))
        || matches!(row.name, "clone" | "rt_sigreturn" | "futex")
    {
        return None;
    }
    call.arguments.iter().enumerate().find_map(|(at, text)| {
        let pointer = row.pointers.iter().find(|pointer| usize::from(pointer.argument) == at);
        let agrees = match pointer.map(|pointer| pointer.shape) {
            None => !looks_followed(text),
            Some(shape) => looks_followed(text) || looks_like_address(text) || depends_on_arguments(shape),
        };
        (!agrees)
            .then(|| format!("{} argument {at}: strace prints {text}, the row says {pointer:?}", row.name))
    })
}

/// strace read memory to print this.
fn looks_followed(text: &str) -> bool {
    text.starts_with(['"', '{', '[', '~'])
}

fn looks_like_address(text: &str) -> bool {
    text == "NULL" || text.starts_with("0x")
}

/// Arguments that are pointers for some commands only.
fn depends_on_arguments(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Ioctl | Shape::Fcntl | Shape::Prctl | Shape::ArchPrctl | Shape::Keyctl | Shape::CloneTid
    )
}

/// The calls of a command and of all that it starts, those that ended with an error or were cut by the
/// process's end left out.
fn trace(command: &[&str], folder: &str) -> Vec<Seen> {
    let log = format!("{folder}/strace.log");
    let output = Command::new("strace")
        .args(["-f", "-s", "16", "-o", &log])
        .args(command)
        .output()
        .unwrap_or_else(|error| panic!("strace does not start ({error}): apt-get install strace"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = String::from_utf8_lossy(&std::fs::read(&log).expect("strace's log")).into_owned();
    let mut halves: BTreeMap<&str, &str> = BTreeMap::new();
    log.lines().filter_map(|line| parse(line, &mut halves)).collect()
}

/// One line of `strace -f -o`: `PID name(arguments) = result`, or half of it while another thread's call came
/// between.
fn parse<'a>(line: &'a str, halves: &mut BTreeMap<&'a str, &'a str>) -> Option<Seen> {
    let (pid, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
        halves.insert(pid, begun);
        return None;
    }
    let whole = match rest.strip_prefix("<... ") {
        Some(resumed) => format!("{}{}", halves.remove(pid)?, resumed.split_once(" resumed>")?.1),
        None => rest.to_owned(),
    };
    let (name, rest) = whole.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let done = !result.starts_with(['-', '?'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    done.then(|| Seen { name: name.to_owned(), arguments: split(arguments) })
}

/// Arguments, apart at the commas that stand in no string, structure or array.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        let part = parts.last_mut().expect("one at least");
        if letter != ' ' || !part.is_empty() {
            part.push(letter);
        }
    }
    parts
}
