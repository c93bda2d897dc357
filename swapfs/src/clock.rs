//! The one clock of a mount. Everything that decides takes the time as an argument; this is where it comes
//! from.

use std::time::{Duration, Instant};

use crate::throttle::Nanos;

/// Monotonic time since the mount began.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Clock { began: Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> Nanos {
        self.began.elapsed().into()
    }

    /// How long until `at`; zero if it is past.
    pub fn until(&self, at: Nanos) -> Duration {
        Duration::from_nanos(at.before(self.now()).0)
    }
}
