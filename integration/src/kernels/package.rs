//! Debian's kernels: found, fetched and unpacked by apt and dpkg, with lists and sources of their own;
//! nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::run::{End, Run};

/// Where kernels are looked for: Debian 11 to 13 with what is ported back to them.
const SOURCES: &str = "\
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-backports main
deb http://deb.debian.org/debian trixie main
deb http://deb.debian.org/debian trixie-backports main
deb http://deb.debian.org/debian-security bullseye-security main
";
/// Package lists older than this are fetched anew.
const STALE: Duration = Duration::from_secs(24 * 3600);
const UPDATE_LIMIT: Duration = Duration::from_secs(300);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// A kernel that is ready to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` tells it.
    pub release: String,
    /// The image that a machine boots.
    pub image: PathBuf,
    /// The folder of its modules.
    pub modules: PathBuf,
}

/// The folder that fetched kernels are kept in.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens `folder`, which need not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn open(folder: &Path) -> Result<Store> {
        let lists = folder.join("apt/lists/partial");
        for needed in [lists, folder.join("apt/cache/archives/partial"), folder.join("download")] {
            fs::create_dir_all(&needed).with_context(|| format!("cannot make {}", needed.display()))?;
        }
        fs::write(folder.join("apt/sources.list"), SOURCES).context("cannot write the list of sources")?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// The newest kernel whose release starts with `wish`, or of all for `newest`; fetched unless it is
    /// there.
    ///
    /// # Errors
    ///
    /// When apt knows none, or cannot fetch it: with its own words.
    pub fn kernel(&self, wish: &str) -> Result<Kernel> {
        self.update()?;
        let names = self.apt("apt-cache", &["pkgnames", "linux-image-"], UPDATE_LIMIT)?;
        let release =
            choose(&names, wish).with_context(|| format!("apt knows no linux-image package for {wish:?}"))?;
        let root = self.folder.join(&release);
        if !root.exists() {
            self.unpack(&release, &root).with_context(|| format!("the kernel {release} cannot be had"))?;
        }
        ready(&release, &root)
    }

    fn update(&self) -> Result<()> {
        let mark = self.folder.join("apt/updated");
        let age = fs::metadata(&mark)
            .and_then(|data| data.modified())
            .map(|at| SystemTime::now().duration_since(at));
        if matches!(age, Ok(Ok(age)) if age < STALE) {
            return Ok(());
        }
        self.apt("apt-get", &["update", "-q"], UPDATE_LIMIT)?;
        fs::write(mark, "").context("cannot note the update")
    }

    fn unpack(&self, release: &str, root: &Path) -> Result<()> {
        let download = self.folder.join("download");
        let part = self.folder.join(format!("{release}.part"));
        let _ = fs::remove_dir_all(&part);
        for package in self.packages(release)? {
            self.apt("apt-get", &["download", "-q", &package], DOWNLOAD_LIMIT)?;
            let archives = fs::read_dir(&download)?.flatten().map(|entry| entry.path());
            for archive in archives {
                let done = Command::new("dpkg-deb")
                    .arg("-x")
                    .arg(&archive)
                    .arg(&part)
                    .status()
                    .context("dpkg-deb")?;
                ensure!(done.success(), "dpkg-deb cannot unpack {}", archive.display());
                fs::remove_file(&archive)?;
            }
        }
        fs::rename(&part, root).with_context(|| format!("cannot rename {}", part.display()))
    }

    /// The packages that hold the image and the modules: one up to Linux 6.18, then one for each.
    fn packages(&self, release: &str) -> Result<Vec<String>> {
        let image = format!("linux-image-{release}-amd64");
        let shown = self.apt("apt-cache", &["show", "--no-all-versions", &image], UPDATE_LIMIT)?;
        let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
        let names =
            depends.split([',', ' ']).filter(|word| word.ends_with(release) || word.ends_with("-amd64"));
        let parts: Vec<String> = names
            .filter(|name| name.starts_with("linux-binary-") || name.starts_with("linux-modules-"))
            .map(str::to_owned)
            .collect();
        Ok(if parts.is_empty() { vec![image] } else { parts })
    }

    /// Runs a program of apt's with our lists; its output.
    fn apt(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<String> {
        let path = |name: &str| self.folder.join("apt").join(name).display().to_string();
        let options = [
            format!("Dir::Etc::SourceList={}", path("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", path("lists")),
            format!("Dir::Cache={}", path("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        let run = options.iter().fold(Run::new(program), |run, option| run.args(["-o", option]));
        let outcome = run.args(arguments).folder(&self.folder.join("download")).limit(limit).outcome();
        if outcome.end != End::Code(0) {
            bail!(
                "{program} {} ended with {:?}: {}",
                arguments.join(" "),
                outcome.end,
                outcome.complaint().trim()
            );
        }
        Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
    }
}

/// The release to take of the packages `names`.
fn choose(names: &str, wish: &str) -> Option<String> {
    let releases = names.lines().filter_map(|name| name.strip_prefix("linux-image-")?.strip_suffix("-amd64"));
    let plain = releases.filter(|release| {
        let rare = ["cloud", "rt", "deb11"].iter().any(|word| release.contains(word));
        release.starts_with(|first: char| first.is_ascii_digit())
            && release.matches('.').count() >= 2
            && !rare
    });
    let fits = |release: &&str| wish == "newest" || release.starts_with(&format!("{wish}."));
    plain.filter(fits).max_by_key(|release| numbers(release)).map(str::to_owned)
}

/// The numbers of a release, for comparison.
fn numbers(release: &str) -> Vec<u64> {
    release.split(|sign: char| !sign.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Where the unpacked kernel has its files: before and after `/usr` was merged, and with the image beside the
/// modules.
fn ready(release: &str, root: &Path) -> Result<Kernel> {
    let full = format!("{release}-amd64");
    let modules = ["lib/modules", "usr/lib/modules"].map(|folder| root.join(folder).join(&full));
    let modules = modules.into_iter().find(|folder| folder.is_dir());
    let modules = modules.with_context(|| format!("no modules of {full} below {}", root.display()))?;
    let images = [root.join(format!("boot/vmlinuz-{full}")), modules.join("vmlinuz")];
    let image = images.into_iter().find(|image| image.exists());
    let image = image.with_context(|| format!("no image of {full} below {}", root.display()))?;
    Ok(Kernel { release: full, image, modules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_of_a_series_is_taken() {
        let names = "linux-image-6.1.0-9-amd64\nlinux-image-6.1.0-48-amd64\nlinux-image-6.1-amd64\nlinux-image-amd64\n\
                     linux-image-6.1.0-49-cloud-amd64\nlinux-image-6.12.95+deb12-amd64\nlinux-image-7.3.4+deb13-amd64\n\
                     linux-image-6.1.0-0.deb11.52-amd64\n";
        assert_eq!(choose(names, "6.1").as_deref(), Some("6.1.0-48"));
        assert_eq!(choose(names, "6.12").as_deref(), Some("6.12.95+deb12"));
        assert_eq!(choose(names, "newest").as_deref(), Some("7.3.4+deb13"));
        assert_eq!(choose(names, "5.14"), None);
    }
}
