//! Places to start `pager run` in: without privileges, in namespaces and containers, under filters that
//! forbid calls. What comes of it, and what is said, stands in `pager/docs/CONTAINERS.md`: a row for each
//! place, and one for each deed of a user in a container.
//!
//! Whoever uses this is root.

use std::path::Path;
use std::time::Duration;

use crate::run::{End, Outcome, Run};

/// The documentation, as it was when this was built: a machine of `cargo kernels` has no sources.
const DOCUMENT: &str = include_str!("../../pager/docs/CONTAINERS.md");
const LIMIT: Duration = Duration::from_secs(240);
/// Somebody without privileges.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/// As a container's runtime starts its first process.
const NO_PRIVILEGES: [&str; 3] = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
/// Numbers of system calls, for the filters.
const USERFAULTFD: &str = "323";
const PRCTL: &str = "157";
const EXECVEAT: &str = "322";
const MEMFD_CREATE: &str = "319";
const CLONE3: &str = "435";
/// mount, umount2, unshare, setns, bpf, perf_event_open, add_key, request_key, keyctl, init_module,
/// kexec_load, reboot, pivot_root, chroot, ptrace.
const PRIVILEGED: &str = "165,166,272,308,321,298,248,249,250,175,246,169,155,161,101";
/// What Docker's profile adds: process_vm_readv, process_vm_writev, kcmp, pidfd_getfd, process_madvise and
/// the three of io_uring.
const OTHERS_MEMORY: &str = "310,311,312,438,440,425,426,427";
const EPERM: &str = "1";
const ENOSYS: &str = "38";
/// A container as it is usual: file system read-only but for a temporary one, few devices, its own processes,
/// nobody's rights.
const CONTAINER: &str = "mount --make-rprivate / && mount -t tmpfs none /mnt && chmod 1777 /mnt && mount -t tmpfs none /dev && \
    mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/zero c 1 5 && mknod -m 666 /dev/urandom c 1 9 && \
    mount -o remount,bind,ro / && export TMPDIR=/mnt HOME=/mnt && cd /mnt && exec \"$@\"";

/// A place to start `pager run` in.
#[derive(Debug, Clone)]
pub struct Place {
    /// As in the table.
    pub name: &'static str,
    /// What starts it there.
    by: Vec<String>,
}

/// Something that a user in a container does with the pager.
#[derive(Debug, Clone, Copy)]
pub struct Deed {
    /// As in the table.
    pub name: &'static str,
    /// For a shell that has the pager in `$pager`. It ends with 0 where it worked.
    script: &'static str,
}

/// What somebody does.
pub const DEEDS: [Deed; 11] = [
    Deed { name: "`pager doctor`", script: "$pager doctor | grep 'works here'" },
    Deed {
        name: "`pager run`, with pipes and children",
        script: "test $($pager run --stats none -- sh -c 'seq 1 500 | sort -n | tail -n 1') = 500",
    },
    Deed {
        name: "`--resident 1M`, into a temporary swap file",
        script: "test $($pager run --resident 1M -- sh -c 'seq 1 9999 | sort -n | tail -n 1') = 9999",
    },
    Deed {
        name: "`--swap FILE`",
        script: "truncate -s 64M s && test $($pager run --resident 1M --swap s -- sh -c 'seq 1 9999 | sort -n | tail -n 1') = 9999",
    },
    Deed {
        name: "`--engine thread`",
        script: "test $($pager run --resident 1M --engine thread -- sh -c 'seq 1 500 | sort -n | tail -n 1') = 500",
    },
    Deed {
        name: "`--engine sigsegv`",
        script: "test $($pager run --resident 1M --engine sigsegv -- sh -c 'seq 1 500 | sort -n | tail -n 1') = 500",
    },
    Deed {
        name: "`--record` and `pager mrc`",
        script: "$pager run --stats none --resident 512K --record t -- sort /etc/passwd > o && $pager mrc t > m && grep -q opt m",
    },
    Deed {
        name: "`pager limit`",
        script: "$pager run --stats none --resident 8M -- sh -c 'until test -e over; do sleep 0.1; done' & \
                 until $pager limit $! 1M; do sleep 0.1; done; touch over; wait $!",
    },
    Deed {
        name: "a program that a signal ends",
        script: "$pager run --stats none -- sh -c 'kill -9 $$'; test $? = 137",
    },
    Deed {
        name: "a program with a setuid bit, which runs natively and gains nothing",
        script: "$pager run --stats none -- umount /mnt 2> said; test $? != 0 && grep -q native said",
    },
    Deed { name: "`kill -9` of the pager, after which nothing is left", script: KILLED },
];
const KILLED: &str = "$pager run --stats none -- sh -c 'touch up; sleep 987 & sleep 987' & until test -e up; do sleep 0.1; done; \
     kill -9 $!; for round in $(seq 300); do cat /proc/[0-9]*/comm 2>/dev/null | grep -qx sleep || exit 0; sleep 0.1; done; exit 1";

fn words(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}

/// In a mount namespace with an empty file system at `point`.
fn emptied(name: &'static str, point: &str) -> Place {
    let script = format!("mount -t tmpfs none {point} && exec \"$@\"");
    Place { name, by: words(&[&NOBODY, &["unshare", "-r", "-m", "sh", "-c", &script, "sh"]]) }
}

/// In a container whose filter answers EPERM at `calls`.
fn container(name: &'static str, filter: &str, calls: &str) -> Place {
    let outside =
        ["unshare", "-m", "-p", "-f", "--mount-proc", "-i", "-u", "-n", "sh", "-c", CONTAINER, "sh"];
    Place { name, by: words(&[&outside, &NOBODY, &NO_PRIVILEGES, &[filter, EPERM, calls]]) }
}

/// All of them. `filter` is the guest `forbidding`, linked statically.
#[must_use]
pub fn all(filter: &Path) -> Vec<Place> {
    let filter = filter.to_string_lossy();
    // As nobody, under a filter that does `action` at the system calls `calls`.
    let forbidden =
        |name, action: &str, calls: &str| Place { name, by: words(&[&NOBODY, &[&filter, action, calls]]) };
    let by_root = words(&[&[&filter, EPERM, USERFAULTFD]]);
    let usual = format!("{PRIVILEGED},{OTHERS_MEMORY}");
    let strict = format!("{usual},{USERFAULTFD}");
    vec![
        Place { name: "a user who is not root", by: words(&[&NOBODY]) },
        Place {
            name: "no capabilities, no new privileges",
            by: words(&[&NOBODY, &["setpriv"], &NO_PRIVILEGES]),
        },
        Place { name: "a user namespace of its own", by: words(&[&NOBODY, &["unshare", "-r"]]) },
        emptied("no /proc", "/proc"),
        emptied("an empty /dev", "/dev"),
        Place { name: "no directory for temporary files", by: words(&[&NOBODY, &["env", "TMPDIR=/proc"]]) },
        forbidden("userfaultfd answers EPERM", EPERM, USERFAULTFD),
        forbidden("userfaultfd answers ENOSYS", ENOSYS, USERFAULTFD),
        forbidden("userfaultfd kills", "kill", USERFAULTFD),
        Place { name: "userfaultfd answers EPERM, the device may be opened", by: by_root },
        forbidden("prctl answers EPERM", EPERM, PRCTL),
        forbidden("execveat answers EPERM", EPERM, EXECVEAT),
        forbidden("clone3 answers EPERM", EPERM, CLONE3),
        forbidden("clone3 answers ENOSYS", ENOSYS, CLONE3),
        forbidden("memfd_create answers EPERM", EPERM, MEMFD_CREATE),
        forbidden("mount, unshare, setns, ptrace, bpf, keyctl and others answer EPERM", EPERM, PRIVILEGED),
        forbidden(
            "process_madvise, process_vm_readv, pidfd_getfd and others answer EPERM",
            EPERM,
            OTHERS_MEMORY,
        ),
        container("a container with Docker's usual profile", &filter, &strict),
        container("a container whose profile allows userfaultfd besides", &filter, &usual),
    ]
}

/// The cells of the document's rows, in the order of the tables.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| "));
    rows.map(|row| row.trim_end_matches('|').split('|').map(str::trim).collect())
}

/// The row of `name`, without it.
fn row(name: &str) -> Result<[&'static str; 2], String> {
    let row = rows().find(|cells| cells.first() == Some(&name)).ok_or_else(|| format!("{name} is no row"))?;
    <[&str; 2]>::try_from(&row[1..]).map_err(|_| format!("the row of {name} has not three cells"))
}

/// How many rows the document's tables have, without their heads.
#[must_use]
pub fn row_count() -> usize {
    rows().filter(|cells| cells.first() != Some(&"where") && cells.first() != Some(&"what")).count()
}

impl Place {
    /// Starts `program` with `arguments` there, and waits for its end.
    #[must_use]
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Outcome {
        // Where everybody may write: the folder for temporary files of whoever runs the tests may be theirs alone.
        let run = Run::new(&self.by[0]).args(&self.by[1..]).arg(program).args(arguments);
        run.env("TMPDIR", "/tmp").limit(LIMIT).outcome()
    }

    /// Compares what comes of a run there with the table.
    ///
    /// # Errors
    ///
    /// How they differ.
    pub fn check(&self, pager: &Path) -> Result<(), String> {
        let [comes_of_it, said] = row(self.name)?;
        let arguments =
            ["run", "--resident", "1M", "--stats", "none", "--", "/bin/sh", "-c", "echo hi | cat"];
        let run = self.run(pager, &arguments);
        let is_as_told = match comes_of_it {
            "works" => (run.end, run.stdout.as_slice()) == (End::Code(0), &b"hi\n"[..]),
            "does not run" => run.end == End::Code(1) && run.complaint().contains(said),
            _ => false,
        };
        let told =
            || format!("{}: {comes_of_it}? {:?}, {:?}: {}", self.name, run.end, run.stdout, run.complaint());
        is_as_told.then_some(()).ok_or_else(told)
    }
}

impl Deed {
    /// Compares what comes of it in the container of `places` that may page with the table. `lacks_guards`
    /// where the kernel has no guard markers (before Linux 6.13).
    ///
    /// # Errors
    ///
    /// How they differ.
    pub fn check(&self, places: &[Place], pager: &Path, lacks_guards: bool) -> Result<(), String> {
        let [comes_of_it, before] = row(self.name)?;
        let place = places.last().ok_or("there is no place")?;
        let script = format!("pager={}; {}", pager.display(), self.script);
        // A shell between: where the pager is the first process itself, `place` shows that.
        let run = place.run(Path::new("/bin/sh"), &["-c", &script]);
        let said = run.complaint();
        let refusal = if lacks_guards { before.strip_prefix("refused: ") } else { None };
        let is_as_told = match refusal {
            Some(words) => run.end != End::Code(0) && said.contains(words),
            None => comes_of_it == "works" && run.end == End::Code(0),
        };
        is_as_told.then_some(()).ok_or_else(|| format!("{}: {:?}: {said}", self.name, run.end))
    }
}
