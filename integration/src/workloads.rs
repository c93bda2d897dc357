//! The real programs of the acceptance list, each as one command that can be run natively or from a mounted
//! image.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::Run;
use crate::scratch::Scratch;
use crate::tools::{self, Tool};
use crate::{guests, inputs};

/// How large the inputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A tenth or so: the default suite.
    Quick,
    /// As the acceptance list says: `INTEGRATION_FULL=1`.
    Full,
}

impl Scale {
    /// What the environment asks for.
    #[must_use]
    pub fn asked() -> Self {
        if std::env::var_os("INTEGRATION_FULL").is_some_and(|value| value == "1") {
            Scale::Full
        } else {
            Scale::Quick
        }
    }

    /// One of two values.
    #[must_use]
    pub fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }

    /// The cap that makes the inputs of this scale swap.
    #[must_use]
    pub fn cap(self) -> Cap {
        self.pick(Cap { option: "24M", bytes: 24 << 20 }, Cap { option: "32M", bytes: 32 << 20 })
    }

    /// How long one run may take.
    #[must_use]
    pub fn limit(self) -> Duration {
        self.pick(Duration::from_secs(90), Duration::from_secs(900))
    }
}

/// A cap on resident memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// As it is typed.
    pub option: &'static str,
    /// In bytes.
    pub bytes: u64,
}

/// One real program with its inputs.
#[derive(Debug)]
pub struct Workload {
    /// What it is called in tables.
    pub name: &'static str,
    /// The absolute path of the program as installed.
    pub program: PathBuf,
    arguments: Vec<String>,
    products: Vec<PathBuf>,
    folder: Scratch,
}

impl Workload {
    fn new(name: &'static str, program: impl Into<PathBuf>, folder: Scratch) -> Self {
        Self { name, program: program.into(), arguments: Vec::new(), products: Vec::new(), folder }
    }

    fn arguments<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    fn product(mut self, name: &str) -> Self {
        self.products.push(self.folder.join(name));
        self
    }

    /// Adds arguments, folder and an environment whose programs come from `prefix` (empty for the system's
    /// own).
    #[must_use]
    pub fn prepare(&self, run: Run, prefix: &Path) -> Run {
        let under = |folder: &str| format!("{}{folder}", prefix.display());
        run.args(&self.arguments)
            .folder(self.folder.path())
            .env("PATH", format!("{}:{}", under("/usr/bin"), under("/bin")))
            .env("GIT_EXEC_PATH", under("/usr/lib/git-core"))
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C")
            .env("PYTHONHASHSEED", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
    }

    /// The bytes of the files that it is to leave behind, which are removed.
    ///
    /// # Panics
    ///
    /// When one is missing.
    #[must_use]
    pub fn take_products(&self) -> Vec<Vec<u8>> {
        let take = |path: &PathBuf| {
            let bytes = std::fs::read(path)
                .unwrap_or_else(|error| panic!("{} left no {}: {error}", self.name, path.display()));
            std::fs::remove_file(path).expect("a product can be removed");
            bytes
        };
        self.products.iter().map(take).collect()
    }
}

/// `sort` of a text file, with the buffer of 80 MiB that keeps a machine of little memory from sorting all of
/// it at once: the last merges of one large buffer compare lines at random places, which no pager can make
/// local.
#[must_use]
pub fn sort(scale: Scale) -> Workload {
    let folder = Scratch::new("sort");
    inputs::text_file(&folder.join("text"), scale.pick(20, 200) * 1_000_000, 1);
    Workload::new("sort", "/usr/bin/sort", folder)
        .arguments(["-S", "80M", "-o", "sorted", "text"])
        .product("sorted")
}

/// CPython building and summing structures.
#[must_use]
pub fn python(scale: Scale) -> Workload {
    tools::require(&[tools::PYTHON]);
    let folder = Scratch::new("python");
    folder.file("structures.py", inputs::python_source(scale.pick(50, 150)));
    Workload::new("python3", resolved(tools::PYTHON), folder).arguments(["-S", "structures.py"])
}

/// sqlite loading, indexing and querying a database in memory.
#[must_use]
pub fn sqlite(scale: Scale) -> Workload {
    tools::require(&[tools::SQLITE]);
    let folder = Scratch::new("sqlite");
    folder.file("script.sql", inputs::sql_source(scale.pick(200_000, 1_000_000)));
    Workload::new("sqlite3", tools::SQLITE.path, folder).arguments(["-batch", ":memory:", ".read script.sql"])
}

/// gcc, with the compiler proper, the assembler, and no linker.
#[must_use]
pub fn gcc(scale: Scale) -> Workload {
    tools::require(&[tools::GCC, tools::HEADERS]);
    let folder = Scratch::new("gcc");
    folder.file("generated.c", inputs::c_source(scale.pick(4_000, 20_000)));
    Workload::new("gcc -O2", resolved(tools::GCC), folder)
        .arguments(["-O2", "-c", "generated.c"])
        .product("generated.o")
}

/// A shell with pipelines of gzip and sha256sum.
#[must_use]
pub fn bash(scale: Scale) -> Workload {
    let folder = Scratch::new("bash");
    inputs::text_file(&folder.join("text"), scale.pick(4, 40) * 1_000_000, 2);
    let script = "set -euo pipefail\n\
                  gzip -c text | sha256sum\n\
                  gzip -c text | gzip -dc | sha256sum\n\
                  for i in 1 2 3 4 5; do head -c $((i * 10000)) text | gzip -9 | wc -c; done\n\
                  diff <(gzip -dc <(gzip -c text)) text && echo same\n";
    folder.file("script.sh", script);
    Workload::new("bash", "/usr/bin/bash", folder).arguments(["script.sh"])
}

/// git: a clone of a local repository, and its log.
#[must_use]
pub fn git(scale: Scale) -> Workload {
    tools::require(&[tools::GIT]);
    let folder = Scratch::new("git");
    make_repository(&folder, scale.pick(20, 100));
    let script = "set -eu\nrm -rf copy\ngit clone --quiet --no-local origin copy 2>&1\n\
                  cd copy\ngit log --stat\ngit fsck --full 2>&1\ncat file*.txt | sha256sum\n";
    folder.file("script.sh", script);
    Workload::new("git", "/usr/bin/bash", folder).arguments(["script.sh"])
}

/// Eight threads that allocate, fill, checksum and free.
#[must_use]
pub fn threads(scale: Scale) -> Workload {
    let program = guests::build("threads_churn", guests::Link::Dynamic);
    let seconds = scale.pick("2", "10");
    Workload::new("8 threads", program, Scratch::new("threads")).arguments(["-s", seconds])
}

/// A program that handles its own SIGSEGV.
#[must_use]
pub fn own_segv(_scale: Scale) -> Workload {
    Workload::new("own SIGSEGV", guests::build("own_segv", guests::Link::Dynamic), Scratch::new("segv"))
}

/// A tool's path with its links resolved: what a distribution's `python3` or `gcc` really is.
fn resolved(tool: Tool) -> PathBuf {
    std::fs::canonicalize(tool.path).expect("an installed tool has a path")
}

fn make_repository(folder: &Scratch, commits: u64) {
    let origin = folder.folder("origin");
    let git = |arguments: &[&str]| {
        let run = Run::new(tools::GIT.path).args(arguments).folder(&origin).env("HOME", folder.path());
        let run = run
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z");
        let outcome = run.outcome();
        assert_eq!(outcome.end, crate::run::End::Code(0), "git {arguments:?}: {}", outcome.complaint());
    };
    git(&["init", "--quiet", "-b", "main"]);
    for commit in 0..commits {
        inputs::text_file(&origin.join(format!("file{}.txt", commit % 10)), 200_000, commit);
        git(&["add", "."]);
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.invalid"];
        let what = format!("Change {commit}");
        git(&[&who[..], &["commit", "--quiet", "-m", &what]].concat());
    }
}
