//! `swapfs mount`, at the terminal or in the background.
//!
//! A daemon is this program started once more with [`CHILD`] set: it leaves the terminal when the mount
//! works, and then says `ready` on what was its standard output, after the last thing that can fail. Until
//! then its errors are ours.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::Context;
use sd_notify::NotifyState;
use swapfs::mounting::{Encryption, Found, GRACE, MountOptions, Mounted, Place, StorePlace, Unmounted};
use swapfs::process::{
    Background, EndSignals, close_inherited, lock_memory, mark_as_io_flusher, raise_open_files,
    share_one_heap,
};

use crate::arguments::{Ground, Memory, MountCommand};

const CHILD: &str = "_SWAPFS_DAEMON";
const READY: &str = "ready";

/// Mounts and serves, or has a daemon do so.
pub fn run(command: &MountCommand) -> anyhow::Result<()> {
    match command.ground {
        Ground::Back if !is_child() => start_daemon(command),
        _ => serve(command),
    }
}

/// Where this process is a daemon's: lets go of what its caller had open. Call before anything else.
///
/// # Errors
/// Without `/proc`.
pub fn stand_apart() -> io::Result<()> {
    if is_child() { close_inherited() } else { Ok(()) }
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn start_daemon(command: &MountCommand) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find the swapfs program itself")?;
    let mut child = Command::new(program)
        .args(&command.words)
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the daemon")?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    if line.trim() == READY {
        return Ok(());
    }
    // It has said why on our standard error.
    let status = child.wait()?;
    Err(DaemonEnded {
        code: status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0),
    }
    .into())
}

/// The daemon ended before its mount worked, and has said why.
#[derive(Debug, thiserror::Error)]
#[error("the daemon did not start")]
pub struct DaemonEnded {
    /// Its exit code, where it had one that is an error.
    pub code: Option<u8>,
}

fn serve(command: &MountCommand) -> anyhow::Result<()> {
    let signals = EndSignals::hold()?;
    raise_open_files();
    share_one_heap();
    settle_in_memory(command.memory)?;
    let background = background(command)?;
    let mounted = Mounted::new(&command.options)?;
    let place = mounted.place().clone();
    if mounted.found() == Found::DeadMount {
        eprintln!("swapfs: {}", recovery(&command.options, &place));
    }
    for doubt in mounted.doubts() {
        eprintln!("swapfs: {doubt}");
    }
    let ender = place.clone();
    std::thread::Builder::new()
        .name("swapfs-signals".into())
        .spawn(move || end_on_signal(&signals, &ender))?;
    if background.is_none() {
        eprintln!("{}", banner(&command.options, &mounted));
    }
    let served = place.clone();
    let ready = move || {
        if let Err(error) = announce(background) {
            eprintln!("swapfs: {error:#}");
            let _ = served.take_away();
            std::process::exit(1);
        }
    };
    mounted.serve(ready).with_context(|| format!("serving {} failed", place.path.display()))
}

/// What a daemon needs to leave its terminal; nothing in the foreground.
fn background(command: &MountCommand) -> anyhow::Result<Option<Background>> {
    let log = command.log.as_deref();
    match command.ground {
        Ground::Fore => Ok(None),
        Ground::Back => Background::open(log).map(Some).with_context(|| {
            format!("cannot write the log {}", log.unwrap_or("/dev/null".as_ref()).display())
        }),
    }
}

/// Does what it may, and fails where more was asked for.
fn settle_in_memory(memory: Memory) -> anyhow::Result<()> {
    match (lock_memory(), memory) {
        (Ok(()), _) => {}
        (Err(error), Memory::Locked) => return Err(error).context("--lock-memory"),
        (Err(error), Memory::LockedIfPossible) => tracing::info!("{error}"),
    }
    match (mark_as_io_flusher(), memory) {
        (Ok(()), _) => {}
        (Err(error), Memory::Locked) => {
            tracing::warn!("not marked as an I/O flusher, needs CAP_SYS_RESOURCE: {error}")
        }
        (Err(error), Memory::LockedIfPossible) => tracing::info!("not marked as an I/O flusher: {error}"),
    }
    Ok(())
}

/// Says that the mount serves.
fn announce(background: Option<Background>) -> anyhow::Result<()> {
    match background {
        None => {
            // Does nothing where no service manager waits for it.
            if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
                tracing::warn!("cannot tell the service manager that the mount serves: {error}");
            }
        }
        Some(background) => {
            let mut output = background.enter().context("cannot leave the terminal")?;
            writeln!(output, "{READY}").context("who started the daemon does not listen any more")?;
        }
    }
    Ok(())
}

/// What a user should know who mounts where a daemon was killed.
fn recovery(options: &MountOptions, place: &Place) -> String {
    let kept = match (&options.store.place, options.store.encryption) {
        (StorePlace::Directory(directory), Encryption::None) => {
            format!("swap files in {} are as last written", directory.display())
        }
        (StorePlace::Directory(_), Encryption::OwnKey) => {
            "encrypted swap files that it had are lost".to_owned()
        }
        (StorePlace::Memory | StorePlace::Compressed, _) => {
            "swap files that it had in memory are lost".to_owned()
        }
    };
    let path = place.path.display();
    format!(
        "a dead swapfs was mounted on {path} (its daemon was killed or crashed); cleared it and mounted anew; {kept}"
    )
}

fn banner(options: &MountOptions, mounted: &Mounted) -> String {
    let (path, way) = (mounted.place().path.display(), mounted.way());
    let (images, swap) = (options.images.len(), options.swap.len());
    format!(
        "swapfs: serving {path} ({images} image sources, {swap} swap files), requests come {way}; Ctrl-C or \
         `swapfs unmount {path}` ends it"
    )
}

/// Unmounts at the first signal, and ends the process, whoever still has the file system open or holds a copy
/// of the mount: with the process goes the connection, and its clients' files fail.
fn end_on_signal(signals: &EndSignals, place: &Place) {
    if signals.wait().is_err() {
        return;
    }
    match place.take_away() {
        // The serving threads see that the mount is gone and the process ends, unless another mount namespace
        // has a copy of it.
        Ok(Unmounted::Plainly) => {
            std::thread::sleep(GRACE);
            std::process::exit(0);
        }
        // Somebody detached it, and files that are still open keep it alive.
        Ok(Unmounted::GoneBefore) => std::process::exit(0),
        Ok(Unmounted::WhileBusy) => {
            eprintln!(
                "swapfs: {} was in use and is detached; files still open there fail",
                place.path.display()
            );
            std::process::exit(0);
        }
        Err(error) => {
            eprintln!(
                "swapfs: cannot unmount {}: {error}; run `swapfs unmount` as its owner",
                place.path.display()
            );
            std::process::exit(1);
        }
    }
}
