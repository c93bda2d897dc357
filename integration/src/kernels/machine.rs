//! A machine that QEMU emulates, and what it tells: a line of JSON for each comparison, on its second serial
//! port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::package::Kernel;
use super::{Processor, initramfs, module};
use crate::scratch::Scratch;

/// Debian's `qemu-system-x86`.
pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";
/// The longest time without a new line: longer than the longest comparison is given inside.
const SILENCE: Duration = Duration::from_secs(1200);
const PAUSE: Duration = Duration::from_millis(100);
/// How much of the console is shown when something went wrong.
const LAST_LINES: usize = 12;

/// A running machine; it ends with this value.
struct Machine {
    qemu: Child,
    console: PathBuf,
    lines: PathBuf,
    /// How many bytes of `lines` were taken.
    taken: usize,
    _scratch: Scratch,
}

/// What is run in a machine, and for how long.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The folder of the program `kernels`, the pager and the guests, as the host has it.
    pub programs: &'a Path,
    /// The cases to compare; all where there are none.
    pub cases: &'a [String],
    /// The longest time.
    pub limit: Duration,
}

/// Boots `kernel`, does `job` in it, and hands each value that it tells to `told`.
///
/// # Errors
///
/// When the machine does not start, falls silent, takes too long, or ends before it has told everything.
pub fn run(kernel: &Kernel, processor: Processor, job: &Job<'_>, mut told: impl FnMut(&Value)) -> Result<()> {
    let mut machine = Machine::start(kernel, processor, job)?;
    let (started, mut heard) = (Instant::now(), Instant::now());
    loop {
        let ended = machine.qemu.try_wait().context("QEMU cannot be waited for")?.is_some();
        for value in machine.take()? {
            heard = Instant::now();
            if value["end"] == true {
                return Ok(());
            }
            told(&value);
        }
        if ended {
            bail!("the machine ended before it had told everything:\n{}", machine.last_words());
        }
        if heard.elapsed() > SILENCE {
            bail!("the machine told nothing for {} s:\n{}", SILENCE.as_secs(), machine.last_words());
        }
        if started.elapsed() > job.limit {
            bail!("the machine took longer than {} s:\n{}", job.limit.as_secs(), machine.last_words());
        }
        std::thread::sleep(PAUSE);
    }
}

impl Machine {
    fn start(kernel: &Kernel, processor: Processor, job: &Job<'_>) -> Result<Machine> {
        let scratch = Scratch::new("machine");
        let archive = scratch.join("initramfs");
        initramfs::write(&archive, &module::needed(&kernel.modules)?, job.programs, job.cases)?;
        let (console, lines) = (scratch.join("console"), scratch.join("lines"));
        let mut command = Command::new(QEMU);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        command.args(["-accel", "tcg,thread=multi", "-m", "2G", "-smp", "2", "-cpu", processor.option()]);
        command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(&archive);
        // On a busy host the emulated timer is too late for the kernel's check of it, which ends in a panic.
        command.args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"]);
        for port in [&console, &lines] {
            command.arg("-serial").arg(format!("file:{}", port.display()));
        }
        command.args(["-fsdev", "local,id=host,path=/,security_model=none,multidevs=remap,readonly=on"]);
        command.args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let qemu = command.spawn().with_context(|| format!("cannot start {QEMU}"))?;
        Ok(Machine { qemu, console, lines, taken: 0, _scratch: scratch })
    }

    /// The values on the lines that are whole and new.
    fn take(&mut self) -> Result<Vec<Value>> {
        let bytes = fs::read(&self.lines).unwrap_or_default();
        let fresh = &bytes[self.taken.min(bytes.len())..];
        let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.taken += whole;
        let text = String::from_utf8_lossy(&fresh[..whole]);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line:?}"))).collect()
    }

    fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _gone = self.qemu.kill();
        let _reaped = self.qemu.wait();
    }
}
