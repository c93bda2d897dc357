//! Running the pager on other kernels: Debian's, each in a machine that QEMU emulates, on this machine's own
//! root.
//!
//! [`package`] fetches and unpacks a kernel without installing it, [`initramfs`] packs what mounts the host's
//! root read-only over 9p, [`machine`] runs it and reads what comes back line by line, [`case`] lists what is
//! compared, [`inside`] compares it there, [`table`] shows what came out.

pub mod case;
pub mod initramfs;
pub mod inside;
pub mod machine;
pub mod module;
pub mod package;
pub mod table;

use std::fmt;

/// The processor that a machine has. QEMU 7.2 takes an `iretq` of user mode for the kernel's where SMAP is
/// on: none has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// With protection keys, as every current server.
    Keys,
    /// Without.
    NoKeys,
}

impl Processor {
    /// As QEMU's `-cpu` takes it.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Processor::Keys => "max,-smap",
            Processor::NoKeys => "max,-smap,-pku",
        }
    }
}

/// A kernel to try, and on which processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The start of its release, as `6.1`, or `newest`.
    pub kernel: String,
    /// The processor.
    pub processor: Processor,
}

impl Plan {
    /// What is tried when nothing is asked for: Debian's releases from the last before the pager's oldest to
    /// the newest there is.
    #[must_use]
    pub fn all() -> Vec<Plan> {
        let keys = ["5.10", "6.1", "6.12", "newest"].map(|kernel| (kernel, Processor::Keys));
        let plan = |(kernel, processor): (&str, Processor)| Plan { kernel: kernel.to_owned(), processor };
        keys.into_iter().chain([("6.1", Processor::NoKeys)]).map(plan).collect()
    }

    /// From a command line: `6.1` or, without protection keys, `6.1-pku`.
    #[must_use]
    pub fn parse(text: &str) -> Plan {
        match text.strip_suffix("-pku") {
            Some(kernel) => Plan { kernel: kernel.to_owned(), processor: Processor::NoKeys },
            None => Plan { kernel: text.to_owned(), processor: Processor::Keys },
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.processor {
            Processor::Keys => write!(f, "{}", self.kernel),
            Processor::NoKeys => write!(f, "{}-pku", self.kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_named_as_it_is_asked_for() {
        for plan in Plan::all() {
            assert_eq!(Plan::parse(&plan.to_string()), plan);
        }
    }
}
