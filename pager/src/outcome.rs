//! How a process ended.

use std::fmt;

use nix::sys::signal::Signal;
use serde::Serialize;

/// The end of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// It exited.
    Code {
        /// With this status.
        code: u8,
    },
    /// A signal killed it.
    Signal {
        /// Its number.
        signal: i32,
        /// Its name; real-time signals have none.
        name: &'static str,
    },
}

impl Outcome {
    /// An exit with `code`.
    pub fn code(code: u8) -> Outcome {
        Outcome::Code { code }
    }

    /// A death by `signal`.
    pub fn signal(signal: i32) -> Outcome {
        Outcome::Signal { signal, name: Signal::try_from(signal).map_or("real-time signal", Signal::as_str) }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Code { code } => write!(f, "exited with {code}"),
            Outcome::Signal { signal, name } => write!(f, "was killed by {name} ({signal})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_codes_and_signals() {
        assert_eq!(Outcome::code(3).to_string(), "exited with 3");
        assert_eq!(Outcome::signal(11).to_string(), "was killed by SIGSEGV (11)");
        assert_eq!(Outcome::signal(40).to_string(), "was killed by real-time signal (40)");
    }

    #[test]
    fn json_is_tagged_by_kind() {
        let json = |outcome| serde_json::to_string(&outcome).expect("serializable");
        assert_eq!(json(Outcome::code(0)), r#"{"kind":"code","code":0}"#);
        assert_eq!(json(Outcome::signal(9)), r#"{"kind":"signal","signal":9,"name":"SIGKILL"}"#);
    }
}
