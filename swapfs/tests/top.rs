//! `swapfs top` on a terminal: the screen comes, shows what is read, obeys keys, and gives the terminal back.

mod fixture;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use fixture::*;

/// What leaves the second screen and shows the cursor again.
const GIVES_BACK: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

/// A terminal of 100 x 30 with `swapfs top` in it, by util-linux's `script`.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(mount: &Mount) -> Terminal {
        let line = format!(
            "stty rows 30 cols 100; exec {} top --interval 0.2 {}",
            env!("CARGO_BIN_EXE_swapfs"),
            mount.point().display()
        );
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "xterm-256color");
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let filled = shown.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(bytes @ 1..) = output.read(&mut buffer) {
                filled.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..bytes]));
            }
        });
        Terminal { child, keys, shown }
    }

    fn shows(&self, text: &str) -> bool {
        self.shown.lock().unwrap().contains(text)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }
}

#[test]
fn top_shows_what_is_read_obeys_keys_and_gives_the_terminal_back() {
    let pages = |mount: &Mount| fs::write(mount.source().join("read-by-me"), vec![1; 64 * 4096]).unwrap();
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = File::open(mount.at("images/source/read-by-me")).unwrap();
        file.read_exact_at(&mut [0; 4096], 0).unwrap();
        let mut terminal = Terminal::start(mount);
        wait_until(|| {
            terminal.shows("read-by-me") && terminal.shows("every read counted") && terminal.shows("heat")
        });
        assert!(!terminal.shows("process "), "files first");
        terminal.press("p");
        wait_until(|| terminal.shows("process") && terminal.shows(&format!("({})", std::process::id())));
        terminal.press("q");
        wait_until(|| GIVES_BACK.iter().all(|text| terminal.shows(text)));
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    });
}
