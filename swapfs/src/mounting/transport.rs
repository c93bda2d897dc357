//! How the kernel's requests come: by `/dev/fuse` alone, which fuser reads, or over io_uring as well.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::fuse::uring::Rings;
use crate::fuse::{Adapter, OverUring};

/// The kernel's switch. What was mounted while it was on goes on when it is switched off.
const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";

/// How the kernel's requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Over io_uring where that can be had, which was measured to be the faster way
    /// (docs/decisions/transports.md); else by `/dev/fuse`.
    #[default]
    Auto,
    /// By `/dev/fuse`, read by fuser's threads.
    Fuser,
    /// Over io_uring, in queues by processor.
    Uring,
}

/// Why requests cannot come over io_uring.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// It is switched off.
    #[error(
        "FUSE over io_uring is switched off; as root: `echo Y > {SWITCH}`, or for good `echo options fuse enable_uring=1 > \
         /etc/modprobe.d/fuse-uring.conf`; or mount with `--transport fuser`"
    )]
    SwitchedOff,
    /// The kernel does not know it.
    #[error(
        "this kernel has no FUSE over io_uring, which takes Linux 6.14 or later with CONFIG_FUSE_IO_URING; mount with `--transport fuser`"
    )]
    TooOld,
    /// The rings cannot be had.
    #[error(
        "rings for FUSE over io_uring cannot be had (sysctl kernel.io_uring_disabled is to be 0, and a container's seccomp profile must allow \
         io_uring_setup); mount with `--transport fuser`"
    )]
    Rings(#[source] io::Error),
}

/// Whether the kernel would send requests over io_uring.
///
/// # Errors
/// [`TransportError::SwitchedOff`] and [`TransportError::TooOld`], which say what to do.
pub fn offered() -> Result<(), TransportError> {
    match std::fs::read_to_string(SWITCH) {
        Ok(text) if text.trim() == "Y" => Ok(()),
        Ok(_) => Err(TransportError::SwitchedOff),
        Err(_) => Err(TransportError::TooOld),
    }
}

/// The adapter for a mount with this transport, and rings where requests are to come over them.
///
/// # Errors
/// Where nothing but rings will do and they cannot be had.
pub(super) fn prepare(
    transport: Transport,
    adapter: Adapter,
    threads: usize,
) -> Result<(Adapter, Option<Rings>), TransportError> {
    let wish = match transport {
        Transport::Fuser => return Ok((adapter, None)),
        Transport::Auto => OverUring::IfOffered,
        Transport::Uring => OverUring::Required,
    };
    match offered().and_then(|()| Rings::prepare(&adapter, threads).map_err(TransportError::Rings)) {
        Ok(rings) => Ok((adapter.over_uring(wish), Some(rings))),
        Err(error) if transport == Transport::Uring => Err(error),
        Err(error) => {
            tracing::info!("requests come by /dev/fuse: {error}");
            Ok((adapter, None))
        }
    }
}

/// Has the rings serve the connection of a session that the kernel has said yes to; gives them back if they
/// do.
///
/// # Errors
/// Where nothing but rings will do and the kernel does not take them.
pub(super) fn start(
    transport: Transport,
    rings: Option<Rings>,
    granted: bool,
    session: &impl AsFd,
) -> Result<Option<Rings>, TransportError> {
    let Some(rings) = rings else { return Ok(None) };
    if !granted {
        tracing::warn!(
            "the kernel offers no FUSE over io_uring on this connection; requests come by /dev/fuse"
        );
        return Ok(None);
    }
    let duplicate = || -> io::Result<OwnedFd> { Ok(rustix::io::fcntl_dupfd_cloexec(session, 0)?) };
    match rings.start(duplicate) {
        Ok(()) => Ok(Some(rings)),
        Err(error) if transport == Transport::Uring => Err(TransportError::Rings(error)),
        Err(error) => {
            tracing::warn!(
                "the kernel did not take the rings ({error}); requests come by /dev/fuse, to one thread"
            );
            Ok(None)
        }
    }
}
