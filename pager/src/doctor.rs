//! What this kernel offers, and what is used where it does not.

use std::fs;
use std::io;

use pager_core::shared::Engine;
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::sandbox;
use crate::sys::probe;
use crate::userfault::{NoUserfault, Userfault};

const FEATURE_WP: u64 = 1 << 0;
const FEATURE_SIGBUS: u64 = 1 << 7;
const FEATURE_POISON: u64 = 1 << 14;
const FEATURE_WP_ASYNC: u64 = 1 << 15;
const FEATURE_MOVE: u64 = 1 << 16;
const GUARD_ANONYMOUS: &str = "guard_anonymous";
/// The kernels that `cargo kernels` has tried, as `integration/docs/kernels.md` records: nothing is known of
/// older ones.
const TRIED: &str = "6.1 to 7.3";

/// Whether `pager run` can do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It cannot.
    Required,
    /// Something else is used instead.
    Optional,
    /// Not used yet; shown because later engines will.
    Informative,
}

/// What a probe found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It works.
    Yes,
    /// It does not, for this reason.
    No(String),
}

/// One feature of the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Feature {
    /// Stable word.
    pub name: &'static str,
    /// What it is for, and since when.
    pub purpose: &'static str,
    /// Whether we can do without.
    pub need: Need,
    /// What the probe found.
    #[serde(serialize_with = "found", rename = "present")]
    pub found: Found,
    /// What is used where it is missing, or what to do.
    pub instead: &'static str,
}

/// A limit of the system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Limit {
    /// Name as in sysctl.
    pub name: &'static str,
    /// Value; null where it cannot be read.
    pub value: Option<String>,
    /// What it means for us.
    pub meaning: &'static str,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnosis {
    /// Release of the kernel.
    pub kernel: String,
    /// The oldest and the newest release that the tests were run on.
    pub tried_kernels: &'static str,
    /// Whether `pager run` can work.
    pub can_run: bool,
    /// The features.
    pub features: Vec<Feature>,
    /// The limits.
    pub limits: Vec<Limit>,
}

/// A feature that is needed is missing.
#[derive(Debug, Error)]
#[error("there is no {name} for us here ({reason}): {instead}; `pager doctor` shows the rest")]
pub struct MissingFeature {
    name: &'static str,
    reason: String,
    instead: &'static str,
}

impl Feature {
    fn new(
        name: &'static str,
        need: Need,
        purpose: &'static str,
        instead: &'static str,
        probed: io::Result<()>,
    ) -> Feature {
        let found = match probed {
            Ok(()) => Found::Yes,
            Err(error) => Found::No(error.to_string()),
        };
        Feature { name, purpose, need, found, instead }
    }
}

impl Diagnosis {
    /// Probes everything.
    pub fn new() -> Diagnosis {
        let features = features();
        Diagnosis {
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            tried_kernels: TRIED,
            can_run: can_run(&features),
            features,
            limits: limits(),
        }
    }

    /// The table for people.
    pub fn to_text(&self) -> String {
        let mut text = format!("Linux {} (tried: {})\n\n", self.kernel, self.tried_kernels);
        for feature in &self.features {
            text += &feature_row(feature);
        }
        text.push('\n');
        for limit in &self.limits {
            text += &format!(
                "  {:<30}{:<12}{}\n",
                limit.name,
                limit.value.as_deref().unwrap_or("?"),
                limit.meaning
            );
        }
        text += match self.can_run {
            true => "\n`pager run` works here.\n",
            false => "\n`pager run` does not work here: see what is missing above.\n",
        };
        text
    }

    /// The same as JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are strings.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all keys are strings") + "\n"
    }
}

impl Default for Diagnosis {
    fn default() -> Self {
        Diagnosis::new()
    }
}

/// Probes what `pager run` with this engine cannot do without.
///
/// # Errors
///
/// The first feature that is missing.
pub fn require(engine: Engine) -> Result<(), MissingFeature> {
    features().into_iter().find_map(|feature| lacks(feature, engine)).map_or(Ok(()), Err)
}

fn lacks(feature: Feature, engine: Engine) -> Option<MissingFeature> {
    let Feature { name, need, found: Found::No(reason), instead, .. } = feature else { return None };
    match (need, name, engine) {
        (Need::Required, ..) => Some(MissingFeature { name, reason, instead }),
        (_, GUARD_ANONYMOUS, Engine::Sigsegv) => Some(MissingFeature {
            name,
            reason,
            instead: "--engine sigsegv needs Linux 6.13; leave the engine out",
        }),
        _ => None,
    }
}

/// Whether image pages can be mapped through; else they have to be read one by one.
pub fn maps_images_through() -> bool {
    probe::guard_file().is_ok()
}

fn can_run(features: &[Feature]) -> bool {
    !features.iter().any(|feature| feature.need == Need::Required && feature.found != Found::Yes)
}

fn features() -> Vec<Feature> {
    let mut features = userfaultfd_features(&Userfault::find());
    features.extend(other_features());
    features
}

/// What can be done about a userfaultfd that is refused. Linux itself refuses nobody one for user mode: a
/// sandbox does.
const UNFORBID: &str = "a seccomp filter of this container or service forbids it: have its profile allow the system call userfaultfd \
    (docker and podman: --security-opt seccomp=PROFILE.json; systemd: SystemCallFilter=userfaultfd), or let it have the device \
    (--device /dev/userfaultfd, readable and writable for this user)";
const UNFORBID_EXECVEAT: &str = "a seccomp filter of this container or service forbids it: have its profile allow the system call execveat";
const UNFORBID_PRCTL: &str = "an old kernel, or a seccomp filter of this container or service: have its profile allow the system call prctl with \
    PR_SET_SYSCALL_USER_DISPATCH (59)";
const UNFORBID_THREADS: &str = "a seccomp filter of this container or service forbids it: have its profile allow the system call clone3, or answer ENOSYS \
    instead of EPERM (a newer version of the container's runtime does)";
/// Where there is a limit on threads.
pub const NO_THREADS: &str =
    "raise `ulimit -u`, or the limit on processes of this control group or container (pids.max)";
/// The same where no filter is seen.
const NO_USERFAULTFD: &str = "a kernel with CONFIG_USERFAULTFD whose security module does not forbid it is needed, or a /dev/userfaultfd that this user \
    may read and write";

fn userfaultfd_features(found: &Result<Userfault, NoUserfault>) -> Vec<Feature> {
    let opened = found.as_ref().map(drop).map_err(|no| io::Error::other(no.to_string()));
    let by_device = match found {
        Ok(Userfault { device: Some(_), .. }) => Ok(()),
        Ok(_) => Err(io::Error::other("the system call works")),
        Err(no) => Err(io::Error::other(no.device.to_string())),
    };
    let has = |feature| match found {
        Ok(found) if found.features & feature != 0 => Ok(()),
        Ok(_) => Err(io::Error::other("not among the kernel's features")),
        Err(_) => Err(io::Error::other("no userfaultfd")),
    };
    vec![
        Feature::new(
            "userfaultfd",
            Need::Required,
            "private pages are missing until touched (5.11, user mode only)",
            if sandbox::is_filtered() { UNFORBID } else { NO_USERFAULTFD },
            opened,
        ),
        Feature::new(
            "userfaultfd_device",
            Need::Optional,
            "userfaultfds come from /dev/userfaultfd where the call is refused (6.1)",
            "the system call",
            by_device,
        ),
        Feature::new(
            "userfaultfd_sigbus",
            Need::Required,
            "the thread that touches a page brings it in (4.14)",
            "a newer kernel is needed",
            has(FEATURE_SIGBUS),
        ),
        Feature::new(
            "userfaultfd_wp",
            Need::Required,
            "first writes to clean pages are seen (5.7)",
            "a newer kernel is needed",
            has(FEATURE_WP),
        ),
        Feature::new(
            "userfaultfd_poison",
            Need::Optional,
            "--engine thread tells the program of a page that cannot be read (6.6)",
            "that engine ends the program over such a page; the others tell it",
            has(FEATURE_POISON),
        ),
        Feature::new(
            "userfaultfd_wp_async",
            Need::Informative,
            "the kernel notes first writes by itself (6.7)",
            "first writes fault",
            has(FEATURE_WP_ASYNC),
        ),
        Feature::new(
            "userfaultfd_move",
            Need::Informative,
            "pages are taken out without a copy (6.8)",
            "pages are protected, written and dropped",
            has(FEATURE_MOVE),
        ),
    ]
}

/// The C library makes threads by clone3, and goes back to clone where that is ENOSYS, not where it is EPERM:
/// a program of one thread runs in such a container, and `pager run` has more. In a child: with its first
/// thread the C library takes a signal that the program may have inherited as ignored.
fn threads() -> Feature {
    let probed = sandbox::probe_apart(probe::thread);
    let is_limit = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    let instead = if probed.as_ref().is_err_and(is_limit) { NO_THREADS } else { UNFORBID_THREADS };
    Feature::new(
        "threads",
        Need::Required,
        "`pager run` samples and records beside the program",
        instead,
        probed,
    )
}

fn other_features() -> Vec<Feature> {
    vec![
        threads(),
        Feature::new(
            "syscall_user_dispatch",
            Need::Required,
            "system calls are trapped in the program itself (5.11)",
            if sandbox::is_filtered() { UNFORBID_PRCTL } else { "a newer kernel is needed" },
            sandbox::probe(probe::syscall_user_dispatch),
        ),
        Feature::new(
            "execveat",
            Need::Required,
            "the runtime is started without a file of its own (3.19)",
            if sandbox::is_filtered() { UNFORBID_EXECVEAT } else { "a newer kernel is needed" },
            sandbox::probe(probe::execveat),
        ),
        Feature::new(
            "guard_file",
            Need::Optional,
            "image pages are mapped through, shared with others (6.15)",
            "image pages are read, --fault-around at a time; shared mappings of files are the kernel's, outside the cap",
            sandbox::probe(probe::guard_file),
        ),
        Feature::new(
            GUARD_ANONYMOUS,
            Need::Informative,
            "every fault could come as SIGSEGV (6.13)",
            "private pages fault as SIGBUS; --engine sigsegv is refused",
            sandbox::probe(probe::guard_anonymous),
        ),
        Feature::new(
            "process_madvise",
            Need::Optional,
            "a batch of victims is dropped in one call (6.14)",
            "one call for each run of pages",
            sandbox::probe(probe::process_madvise),
        ),
        Feature::new(
            "pagemap_scan",
            Need::Informative,
            "dirty and touched pages are found in bulk (6.7)",
            "the runtime's own page table is used",
            sandbox::probe(probe::pagemap_scan),
        ),
    ]
}

fn limits() -> Vec<Limit> {
    let limit = |name, path, meaning| Limit { name, value: read(path), meaning };
    vec![
        limit("vm.max_map_count", "/proc/sys/vm/max_map_count", "most mappings of a process"),
        limit(
            "vm.overcommit_memory",
            "/proc/sys/vm/overcommit_memory",
            "2 makes large reservations fail, natively too",
        ),
        limit(
            "vm.unprivileged_userfaultfd",
            "/proc/sys/vm/unprivileged_userfaultfd",
            "0 is enough: only user mode is asked for",
        ),
        limit(
            "vm.memfd_noexec",
            "/proc/sys/vm/memfd_noexec",
            "2 forbids the runtime; it is started from a memory file",
        ),
        limit("fs.file-max", "/proc/sys/fs/file-max", "most open files of the system"),
    ]
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn feature_row(feature: &Feature) -> String {
    match &feature.found {
        Found::Yes => format!("  {:<30}{:<12}{}\n", feature.name, "yes", feature.purpose),
        Found::No(reason) => {
            let state = if feature.need == Need::Required { "MISSING" } else { "no" };
            format!(
                "  {:<30}{state:<12}{}; instead: {} [{reason}]\n",
                feature.name, feature.purpose, feature.instead
            )
        }
    }
}

fn found<S: Serializer>(found: &Found, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*found == Found::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(need: Need, probed: io::Result<()>) -> Feature {
        Feature::new("name", need, "purpose", "something else", probed)
    }

    #[test]
    fn only_what_is_required_keeps_us_from_running() {
        let missing = || Err(io::Error::other("gone"));
        assert!(can_run(&[feature(Need::Required, Ok(())), feature(Need::Optional, missing())]));
        assert!(!can_run(&[feature(Need::Required, missing())]));
    }

    #[test]
    fn without_userfaultfd_none_of_its_features_is_there() {
        let error = io::Error::from_raw_os_error;
        let none = NoUserfault { call: error(libc::EPERM), device: error(libc::ENOENT) };
        let features = userfaultfd_features(&Err(none));
        assert!(features.iter().all(|feature| feature.found != Found::Yes));
        assert!(
            matches!(&features[0].found, Found::No(reason) if reason.contains("/dev/userfaultfd: No such file"))
        );
    }

    #[test]
    fn a_missing_feature_says_what_is_used_instead() {
        let row = feature_row(&feature(Need::Optional, Err(io::Error::other("gone"))));
        assert!(row.contains("instead: something else [gone]"), "{row}");
    }

    #[test]
    fn an_engine_needs_what_it_is_made_of() {
        let guards = || {
            Feature::new(
                GUARD_ANONYMOUS,
                Need::Informative,
                "purpose",
                "instead",
                Err(io::Error::other("gone")),
            )
        };
        assert!(lacks(guards(), Engine::Auto).is_none());
        let refusal = lacks(guards(), Engine::Sigsegv).expect("this engine is made of guards").to_string();
        assert!(refusal.contains("guard_anonymous") && refusal.contains("--engine sigsegv"), "{refusal}");
        assert!(lacks(feature(Need::Required, Err(io::Error::other("gone"))), Engine::Auto).is_some());
    }

    #[test]
    fn text_and_json_name_every_feature() {
        let diagnosis = Diagnosis::new();
        let (text, json) = (diagnosis.to_text(), diagnosis.to_json());
        for feature in &diagnosis.features {
            assert!(text.contains(feature.name) && json.contains(feature.name));
        }
    }
}
