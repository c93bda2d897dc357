//! What is compared on each kernel: twenty programs of the distribution, the guests for memory, signals and
//! processes, and the tables of `pager/docs/CONTAINERS.md`.

use std::path::Path;

use crate::differential::Setting;
use crate::places::{self, DEEDS};
use crate::tools;

/// A program to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What it is called in the table.
    pub name: &'static str,
    /// What is run.
    pub command: Command,
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A line for a shell, which needs a program of the distribution.
    Shell {
        /// The program in `PATH`; the comparison is left out where there is none.
        needs: &'static str,
        /// The line.
        line: &'static str,
        /// The smaller of the caps that it is run with.
        cap: &'static str,
    },
    /// A guest with an argument.
    Guest(&'static str, Option<&'static str>),
    /// A place of the table of containers, by its place in the list.
    Place(usize),
    /// What a user in a container does, by its place in the list.
    Deed(usize),
}

impl Command {
    /// How the pager is set for it, one after the other.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        match self {
            Command::Shell { cap, .. } => vec![Setting::new("auto", None), Setting::new("auto", Some(cap))],
            Command::Guest(..) => vec![
                Setting::new("auto", None),
                Setting::new("auto", Some("512K")),
                Setting::new("sigsegv", Some("1M")),
                Setting::new("uffd", Some("1M")),
                Setting::new("thread", Some("1M")),
            ],
            Command::Place(_) | Command::Deed(_) => vec![Setting::new("auto", None)],
        }
    }

    /// Whether there is what it needs.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        match self {
            Command::Shell { needs, .. } => tools::in_path(needs).is_some(),
            Command::Guest(..) | Command::Place(_) | Command::Deed(_) => true,
        }
    }
}

const fn shell(name: &'static str, cap: &'static str, line: &'static str) -> Case {
    Case { name, command: Command::Shell { needs: name, line, cap } }
}

const fn guest(name: &'static str) -> Case {
    Case { name, command: Command::Guest(name, None) }
}

const fn scene(name: &'static str) -> Case {
    Case { name, command: Command::Guest("memory_calls", Some(name)) }
}

/// The programs.
pub const PROGRAMS: [Case; 20] = [
    shell("ls", "2M", "ls -lR /usr/share/doc/bash /etc/apt"),
    shell("sort", "2M", "seq 1 9999 | sort -R --random-source=/bin/bash | sort -n | cksum"),
    shell("sha256sum", "2M", "seq 1 30000 > n; sha256sum n; md5sum n; cksum n; b2sum n"),
    shell("find", "2M", "find /usr/share/doc -maxdepth 1 -name 'b*' | sort"),
    shell("tar", "2M", "tar -cf - --sort=name --mtime=@0 -C /etc apt | tee a.tar | cksum; tar -tf a.tar"),
    shell("gzip", "2M", "seq 1 30000 | gzip -n -9 | tee n.gz | cksum; gzip -dc n.gz | cksum"),
    shell("xz", "6M", "seq 1 9999 | xz -2 | xz -dc | cksum"),
    shell("grep", "2M", "seq 1 30000 | grep -E '(1|7)+3$' | cksum; grep -c root /etc/passwd"),
    shell("sed", "2M", "seq 1 9999 | sed -e 's/\\(.\\)\\(.\\)/\\2\\1/;3d' | cksum"),
    shell(
        "awk",
        "2M",
        "seq 1 9999 | awk '{ sum[$1 % 97] += $1 } END { for (i = 0; i < 97; i++) print i, sum[i] }'",
    ),
    shell("diff", "2M", "seq 1 3000 > a; seq 1 3 3000 > b; diff a b | cksum"),
    shell("dd", "2M", "dd if=/dev/zero bs=64k count=16 2>/dev/null | cksum"),
    shell(
        "bash",
        "2M",
        "bash -c 'for i in {1..300}; do x[i]=$((i * i)); done; echo ${x[@]} | cksum; trap \"echo bye\" EXIT'",
    ),
    shell(
        "dash",
        "2M",
        "for i in 1 2 3 4 5 6 7 8; do (echo $i; test $i -gt 4) || printf '%s ' $(expr $i + 1); done",
    ),
    shell(
        "perl",
        "2M",
        "perl -e 'my %h; $h{$_ % 511} .= $_ for 1..9999; print join(\",\", map { length $h{$_} } sort keys %h)'",
    ),
    shell(
        "python3",
        "6M",
        "python3 -c 'import json, hashlib; print(hashlib.sha256(json.dumps(list(range(5000))).encode()).hexdigest())'",
    ),
    Case {
        name: "python3 threads",
        command: Command::Shell {
            needs: "python3",
            line: "python3 -c 'import threading, queue, subprocess
q = queue.Queue()
t = [threading.Thread(target=lambda i=i: q.put(sum(range(i * 1000)))) for i in range(8)]
[x.start() for x in t]; [x.join() for x in t]
print(sorted(q.get() for _ in t), subprocess.run([\"/bin/echo\", \"child\"], capture_output=True).stdout)'",
            cap: "6M",
        },
    },
    shell(
        "git",
        "2M",
        "git init -q r && cd r && echo a > a && git add a && git ls-files -s && git status --short",
    ),
    shell(
        "sqlite3",
        "2M",
        "sqlite3 :memory: 'create table t(a,b); with recursive c(x) as (select 1 union all select x+1 from c \
           where x < 2000) insert into t select x, x*x from c; create index i on t(b); select count(*), sum(b) from t;'",
    ),
    shell(
        "gcc",
        "6M",
        "echo 'int main(void) { return 42; }' > m.c; gcc -S -O1 -o - m.c; gcc -o m m.c && ./m; echo $?",
    ),
];

/// The guests: what differs between kernels first.
pub const GUESTS: [Case; 38] = [
    guest("advices"),
    scene("each_advice_on_each_area"),
    scene("each_flag_of_mremap"),
    scene("guards_are_installed_and_removed"),
    scene("shared_mappings_are_resized_and_doubled"),
    scene("memory_files"),
    guest("brk_heap"),
    guest("map_walk"),
    guest("file_private"),
    guest("shared_memory"),
    guest("shared_readonly"),
    guest("shared_writers"),
    guest("reservations"),
    guest("stack_overflow"),
    guest("big_buffers"),
    guest("pthreads"),
    guest("thread_exits"),
    guest("signals_mask"),
    guest("signals_nested"),
    guest("signals_queue"),
    guest("signals_restart"),
    guest("own_segv"),
    guest("interrupted_calls"),
    guest("registers"),
    guest("aborts"),
    guest("terminated"),
    guest("exec_self"),
    guest("spawn"),
    guest("vfork_churn"),
    guest("fork_tree"),
    guest("fork_threads"),
    guest("start_up"),
    guest("keys"),
    guest("segments"),
    guest("punched_holes"),
    guest("action_flags"),
    guest("sent_faults"),
    guest("waiting_masks"),
];

/// All of them, programs first.
#[must_use]
pub fn all() -> Vec<Case> {
    // Their names alone: the filter is no part of them.
    let places = places::all(Path::new("")).into_iter().enumerate();
    let places = places.map(|(at, place)| Case { name: place.name, command: Command::Place(at) });
    let deeds =
        DEEDS.iter().enumerate().map(|(at, deed)| Case { name: deed.name, command: Command::Deed(at) });
    PROGRAMS.into_iter().chain(GUESTS).chain(places).chain(deeds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        let names: std::collections::BTreeSet<_> = all().iter().map(|case| case.name).collect();
        assert_eq!(names.len(), all().len());
    }
}
