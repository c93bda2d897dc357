//! From a checked command line to a running first process.

use std::env;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use pager_core::shared::ENVIRONMENT_KEY;
use thiserror::Error;

use crate::cli::RunArgs;
use crate::control::{ControlError, ControlFile};
use crate::descriptors::HighFd;
use crate::hatch::Hatch;
use crate::lifeline::Lifeline;
use crate::plan::Plan;
use crate::program::{Program, ProgramError, Search};
use crate::report::Subject;
use crate::runtime_image::{self, RuntimeImageError};
use crate::supervise::share_stop;
use crate::swap::{self, SwapError, SwapFile};
use crate::sys::spawn::{Image, spawn};
use crate::userfault::Userfault;

/// Exit status of a failure inside the pager.
pub const INTERNAL: u8 = 125;

/// All that a run needs, open and laid out; nothing runs yet.
pub struct Launch {
    control: Arc<ControlFile>,
    runtime: HighFd,
    /// What processes map in the runtime's place, see the runtime's `load::itself`.
    _runtime_copy: HighFd,
    program_fd: HighFd,
    /// Kept open for the program to inherit.
    _userfault: Option<HighFd>,
    /// Kept open, and so locked, for the run.
    swap: Vec<SwapFile>,
    program: Program,
    command: Vec<OsString>,
}

/// The first process and what is shared with it.
pub struct Running {
    /// Its process id.
    pub pid: Pid,
    /// The control block.
    pub control: Arc<ControlFile>,
    /// What it is, for the report.
    pub subject: Subject,
}

/// Why nothing runs.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// A swap file.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeImageError),
    /// The control block.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// No descriptor is free.
    #[error("no file descriptors are left; raise `ulimit -n`")]
    Descriptors(#[source] io::Error),
    /// An argument or environment entry with a NUL byte, which the kernel cannot have given us.
    #[error("an argument or environment entry has a NUL byte inside")]
    Nul,
    /// Arguments and environment are over the kernel's limit.
    #[error(
        "arguments and environment are too long together; the program's own limit is {}",
        "`getconf ARG_MAX`"
    )]
    ArgumentsTooLong,
    /// The kernel refused.
    #[error("the program cannot be started")]
    Spawn(#[source] io::Error),
}

impl LaunchError {
    /// The exit status that says this.
    pub fn exit_code(&self) -> u8 {
        match self {
            LaunchError::Swap(error) if error.is_usage() => 2,
            LaunchError::Program(error) => error.exit_code(),
            LaunchError::ArgumentsTooLong => 126,
            LaunchError::Spawn(_) | LaunchError::Nul => INTERNAL,
            _ => 1,
        }
    }
}

impl Launch {
    /// Opens everything that `args`, checked as `plan`, names. The processes will hold on to `lifeline` and
    /// use `hatch`.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be had.
    pub fn prepare(
        args: &RunArgs,
        plan: &Plan,
        lifeline: &Lifeline,
        hatch: &Hatch,
    ) -> Result<Launch, LaunchError> {
        let program = Search::from_env(plan.root.clone()).open(&args.command[0])?;
        let swap = swap_files(args)?;
        let runtime = HighFd::new(runtime_image::open()?).map_err(LaunchError::Descriptors)?;
        let runtime_copy = HighFd::new(runtime_image::copy()?).map_err(LaunchError::Descriptors)?;
        let program_fd = HighFd::new(&program.file).map_err(LaunchError::Descriptors)?;
        let control = Arc::new(ControlFile::new(plan, &swap, runtime.number())?);
        // What has become of it is said before.
        let device = Userfault::find().ok().and_then(|found| found.device);
        let userfault = device.map(HighFd::new).transpose().map_err(LaunchError::Descriptors)?;
        control.name(lifeline, hatch, userfault.as_ref());
        control.settings.runtime_copy_fd.store(runtime_copy.number().into(), Relaxed);
        Ok(Launch {
            control,
            runtime,
            _runtime_copy: runtime_copy,
            program_fd,
            _userfault: userfault,
            swap,
            program,
            command: args.command.clone(),
        })
    }

    /// The control block.
    pub fn control(&self) -> Arc<ControlFile> {
        self.control.clone()
    }

    /// Starts the program with signal mask `mask`. To be called while this process has one thread.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn start(self, mask: SigSet) -> Result<Running, LaunchError> {
        let arguments = strings(self.command.iter().cloned())?;
        let environment = strings(environment(self.passport()))?;
        let executable = self.runtime.as_fd();
        let image = Image { executable, arguments: &arguments, environment: &environment, mask };
        let pid = spawn(&image, share_stop).map_err(|error| match error.raw_os_error() {
            Some(libc::E2BIG) => LaunchError::ArgumentsTooLong,
            _ => LaunchError::Spawn(error),
        })?;
        Ok(Running { pid, subject: self.subject(pid), control: self.control })
    }

    /// The environment entry by which the first process finds its run.
    fn passport(&self) -> OsString {
        let path = self.program.path.as_os_str();
        let (control, program) = (self.control.number(), self.program_fd.number());
        let length = path.len();
        let head = format!("{ENVIRONMENT_KEY}={control}:{program}:-1:-1:-1:0:-1:0:0:-1:{length}:");
        let mut entry = OsString::from(head);
        entry.push(path);
        entry.push(path);
        entry
    }

    fn subject(&self, pid: Pid) -> Subject {
        Subject {
            program: self.program.path.clone(),
            arguments: self.command[1..].to_vec(),
            pid: pid.as_raw().unsigned_abs(),
            swap: self.swap.iter().map(|file| (file.path.clone(), file.kind)).collect(),
        }
    }
}

fn swap_files(args: &RunArgs) -> Result<Vec<SwapFile>, SwapError> {
    match args.swap.is_empty() {
        true => {
            let size = args.swap_size.unwrap_or_else(swap::default_size);
            SwapFile::temporary(&env::temp_dir(), size).map(|file| vec![file])
        }
        false => swap::open_named(&args.swap),
    }
}

/// This process's environment in its order, without the entry of a run that we may be inside of, and with
/// ours at the end.
fn environment(passport: OsString) -> impl Iterator<Item = OsString> {
    let entry = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        name
    };
    env::vars_os()
        .filter(|(name, _)| name.as_bytes() != ENVIRONMENT_KEY.as_bytes())
        .map(entry)
        .chain([passport])
}

fn strings(words: impl Iterator<Item = OsString>) -> Result<Vec<CString>, LaunchError> {
    words.map(|word| CString::new(word.into_vec()).map_err(|_| LaunchError::Nul)).collect()
}
