//! Words to standard output and error, which may be closed, broken or set to non-blocking by the program that
//! shares them.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// How long a full pipe or terminal is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// Writes a line of ours, marked so. That it cannot be written is nothing that could be said anywhere.
pub fn line(text: impl std::fmt::Display) {
    let _ = text_to(&mut io::stderr().lock(), &format!("pager: {text}\n"));
}

/// Writes `text` to standard error, in one piece where possible, so that it does not mix with what the
/// program says.
///
/// # Errors
///
/// What the kernel said.
pub fn to_stderr(text: &str) -> io::Result<()> {
    text_to(&mut io::stderr().lock(), text)
}

/// Writes `text` to standard output. A reader that has seen enough is no error.
pub fn to_stdout(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = text_to(&mut stdout, text).and_then(|()| stdout.flush());
}

fn text_to(stream: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    let mut progress = Instant::now();
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                rest = &rest[written..];
                progress = Instant::now();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && progress.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at each second call, and would block at the others.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        calls: u32,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls % 2 == 1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let part = &bytes[..bytes.len().min(3)];
            self.taken.extend_from_slice(part);
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_that_would_block_is_waited_for() {
        let mut slow = Slow::default();
        text_to(&mut slow, "all of it").expect("written");
        assert_eq!(slow.taken, b"all of it");
    }

    #[test]
    fn a_stream_that_takes_nothing_is_an_error() {
        assert!(text_to(&mut [0_u8; 2].as_mut_slice(), "long").is_err());
    }
}
