//! Where a disk's arm stands.

use super::request::Request;

/// The part of a disk's way to a file that was not the last one: the mean of two random places, a third.
const OTHER_FILE: f64 = 1.0 / 3.0;

/// Where the last request of a rule ended, and the furthest that any has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arm {
    file: u64,
    offset: u64,
    furthest: u64,
}

impl Arm {
    /// Moves to the end of a request; says how far its beginning was, as a part of the whole way.
    pub(super) fn travel(&mut self, request: &Request) -> f64 {
        let end = request.offset.saturating_add(request.bytes);
        self.furthest = self.furthest.max(end);
        let distance = match self.file == request.file.0 {
            true => request.offset.abs_diff(self.offset) as f64 / self.furthest.max(1) as f64,
            false => OTHER_FILE,
        };
        (self.file, self.offset) = (request.file.0, end);
        distance
    }
}
