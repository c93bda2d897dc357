//! Being called by mount(8): as `mount.swapfs` or
//! `mount.fuse.swapfs SOURCE MOUNTPOINT [-sfnv] [-o OPTIONS] [-t TYPE]`, or by libfuse's `mount.fuse` as
//! `swapfs SOURCE MOUNTPOINT -o OPTIONS`. Becomes a command line of `swapfs mount --daemon`.
//!
//! SOURCE is a configuration file (`*.toml`), something to show below `images/`, or `swapfs` or `none`.
//! OPTIONS are ours without their dashes; an `_` stands for a `-` too. What mount(8) and systemd keep for
//! themselves is left out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use swapfs::config::{Entry, Setting, Takes};
use swapfs::mounting::MountFlag;

use clap::Command;

use super::settings;

/// Names under which mount(8) starts us.
const NAMES: [&str; 2] = ["mount.swapfs", "mount.fuse.swapfs"];
/// Sources that say nothing.
const NO_SOURCE: [&str; 3] = ["swapfs", "none", "-"];
/// Options that are not for us: fstab(5), mount(8), and what holds in any case (`nosuid,nodev`) or not at all
/// (`dev,suid`, which libfuse's helper always gives).
const IGNORED: [&str; 37] = [
    "defaults",
    "rw",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "nousers",
    "owner",
    "noowner",
    "group",
    "nogroup",
    "nofail",
    "_netdev",
    "dev",
    "nodev",
    "suid",
    "nosuid",
    "async",
    "atime",
    "diratime",
    "norelatime",
    "nostrictatime",
    "nolazytime",
    "symfollow",
    "iversion",
    "noiversion",
    "mand",
    "nomand",
    "silent",
    "loud",
    "uhelper",
    "helper",
    "comment",
    "exec",
    "clone-fd",
    "nonempty",
];
/// What takes back which flag that stands before it; the others of mount(8) say what holds anyway.
const TAKES_BACK: [(&str, &str); 8] = [
    ("exec", "noexec"),
    ("async", "sync"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("norelatime", "relatime"),
    ("nostrictatime", "strictatime"),
    ("nolazytime", "lazytime"),
    ("symfollow", "nosymfollow"),
];
/// What cannot be done, and why.
const REFUSED: [(&str, &str); 5] = [
    ("ro", "images are read-only in any case, swap files never"),
    (
        "remount",
        "unmount and mount again; rules of the throttle change by `swapfs throttle`, swap files by `swapfs swap`",
    ),
    ("bind", "mount(8) does that without us: `mount --bind`"),
    ("rbind", "mount(8) does that without us: `mount --rbind`"),
    ("loop", "an image file is given as `image=NAME=FILE`, or by its configuration"),
];

/// What mount(8) wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// This command line, without the program.
    Mount(Vec<OsString>),
    /// Everything but that (`-f`).
    Nothing,
}

/// Whether mount(8) calls: by our name, or by a command line that begins with no verb of ours and has `-o`.
pub(super) fn is_call(line: &[OsString], verbs: &[String]) -> bool {
    let name = line.first().and_then(|program| Path::new(program).file_name());
    if name.is_some_and(|name| NAMES.iter().any(|known| name == *known)) {
        return true;
    }
    let is_verb = |word: &OsString| verbs.iter().any(|verb| word == verb.as_str());
    let (Some(source), Some(_)) = (line.get(1), line.get(2)) else { return false };
    !is_verb(source) && !source.as_bytes().starts_with(b"-") && line[2..].iter().any(|word| word == "-o")
}

/// Reads such a call.
///
/// # Errors
/// What is wrong with it.
pub(super) fn request(line: &[OsString], command: &Command) -> Result<Request, String> {
    let (mut places, mut options, mut fake, mut sloppy) = (vec![], String::new(), false, false);
    let mut words = line.iter().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{} wants a value", word.display()));
        match word.to_str() {
            Some("-o") => {
                let text = value()?;
                options = format!("{options},{}", text.to_str().ok_or("options are text in UTF-8")?);
            }
            Some("-t") => match value()?.to_str() {
                Some("swapfs" | "fuse.swapfs") => {}
                other => return Err(format!("type {} is not swapfs", other.unwrap_or("?"))),
            },
            Some("-N") => {
                return Err(
                    "mounting in another namespace (-N) is not possible; enter it by nsenter(1)".into()
                );
            }
            Some(flags) if flags.starts_with('-') && flags.len() > 1 => {
                if let Some(unknown) = flags[1..].chars().find(|flag| !"sfnv".contains(*flag)) {
                    return Err(format!(
                        "unknown flag -{unknown}; swapfs is started here as mount(8) starts its helpers"
                    ));
                }
                fake |= flags.contains('f');
                sloppy |= flags.contains('s');
            }
            _ => places.push(word.clone()),
        }
    }
    let [source, mountpoint] = places.as_slice() else {
        return Err(
            "give SOURCE MOUNTPOINT [-o OPTIONS]; SOURCE is a *.toml, something to show, or `none`".into()
        );
    };
    let mut mount: Vec<OsString> = vec!["mount".into(), "--daemon".into()];
    mount.extend(of_source(source));
    // By which `mount -a` and `umount SOURCE` know it again.
    let mut name = OsString::from("--fsname=");
    name.push(source);
    mount.push(name);
    let known = settings::known(command);
    let options = split(&options);
    for (at, option) in options.iter().enumerate() {
        let is_taken_back = TAKES_BACK
            .iter()
            .any(|(by, what)| option == what && options[at..].iter().any(|later| later == by));
        if !is_taken_back {
            mount.extend(of_option(option, sloppy, &known)?);
        }
    }
    mount.extend(["--".into(), mountpoint.clone()]);
    Ok(if fake { Request::Nothing } else { Request::Mount(mount) })
}

fn of_source(source: &OsStr) -> Option<OsString> {
    if NO_SOURCE.iter().any(|none| source == *none) {
        return None;
    }
    let mut option =
        OsString::from(match Path::new(source).extension().is_some_and(|extension| extension == "toml") {
            true => "--config=",
            false => "--images=",
        });
    option.push(source);
    Some(option)
}

/// Options are apart by commas; those between double quotes are not meant, as for mount(8).
fn split(options: &str) -> Vec<String> {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for c in options.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            c => parts.last_mut().expect("one part at least").push(c),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn of_option(option: &str, sloppy: bool, known: &[(String, Takes)]) -> Result<Vec<OsString>, String> {
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let key = name.replace('_', "-");
    let known = known.iter().find(|(known, _)| *known == key && key != settings::MOUNTPOINT);
    let takes = known.map(|(_, takes)| *takes);
    let setting = match (takes, value) {
        (None, Some(file)) if key == settings::CONFIG => return Ok(vec![format!("--config={file}").into()]),
        (None, None) if name.parse::<MountFlag>().is_ok() => {
            return Ok(vec![format!("--mount-flag={name}").into()]);
        }
        (None, _) if IGNORED.contains(&name) || name.starts_with("x-") || name.starts_with("X-") => {
            return Ok(vec![]);
        }
        (None, _) if sloppy && name == "ro" => return Ok(vec![]),
        (None, _) if REFUSED.iter().any(|(refused, _)| *refused == name) => {
            let why = REFUSED.iter().find(|(refused, _)| *refused == name).map_or("", |(_, why)| why);
            return Err(format!("option `{name}` is not served: {why}"));
        }
        (None, _) if sloppy => return Ok(vec![]),
        (None, _) => {
            return Err(format!(
                "unknown option `{name}`; options are those of `swapfs mount --help` without their dashes"
            ));
        }
        (Some(Takes::Switch), None) => Setting::Switch(true),
        (Some(Takes::Switch), Some(_)) => return Err(format!("option `{name}` takes no value")),
        (Some(Takes::Count), None) => Setting::Count(1),
        (Some(_), None) => return Err(format!("option `{name}` wants a value")),
        (Some(_), Some(value)) => Setting::Values(vec![value.to_owned()]),
    };
    Ok(settings::arguments(&Entry { key, setting, line: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn mount(words: &[&str]) -> Result<Request, String> {
        request(&line(words), &crate::arguments::definition())
    }

    #[test]
    fn calls_are_told_from_commands() {
        let verbs = ["mount".to_owned(), "stat".to_owned()];
        assert!(is_call(&line(&["/sbin/mount.swapfs", "none", "/m"]), &verbs));
        assert!(is_call(&line(&["mount.fuse.swapfs"]), &verbs));
        assert!(is_call(&line(&["swapfs", "/etc/s.toml", "/m", "-o", "rw"]), &verbs));
        for command in [
            &["swapfs", "mount", "-o", "x"][..],
            &["swapfs", "stat", "/m"],
            &["swapfs"],
            &["swapfs", "-v", "mount", "-o"],
        ] {
            assert!(!is_call(&line(command), &verbs), "{command:?}");
        }
    }

    #[test]
    fn options_become_ours() {
        let options = r#"rw,swap=a:1G,swap=b:2G,strict,allow_other,dev,suid,x-systemd.automount,"throttle=swap/*: bw=1M, iops=3""#;
        let wanted = [
            "mount",
            "--daemon",
            "--config=/etc/s.toml",
            "--fsname=/etc/s.toml",
            "--swap=a:1G",
            "--swap=b:2G",
            "--strict",
            "--allow-other",
            "--throttle=swap/*: bw=1M, iops=3",
            "--",
            "/m",
        ];
        let words = ["mount.swapfs", "/etc/s.toml", "/m", "-n", "-o", options];
        assert_eq!(mount(&words).unwrap(), Request::Mount(line(&wanted)));
        let images = mount(&["swapfs", "/bin/ls", "/m", "-o", "rw", "-t", "fuse.swapfs"]).unwrap();
        assert_eq!(
            images,
            Request::Mount(line(&["mount", "--daemon", "--images=/bin/ls", "--fsname=/bin/ls", "--", "/m"]))
        );
        assert_eq!(mount(&["mount.swapfs", "none", "/m", "-f", "-o", "rw"]).unwrap(), Request::Nothing);
    }

    #[test]
    fn flags_of_the_kernel_are_passed_on_and_the_last_word_counts() {
        let flags = |options: &str| match mount(&["mount.swapfs", "none", "/m", "-o", options]).unwrap() {
            Request::Mount(words) => {
                let flag = |word: &OsString| word.to_str()?.strip_prefix("--mount-flag=").map(str::to_owned);
                words.iter().filter_map(flag).collect::<Vec<_>>().join(",")
            }
            Request::Nothing => String::new(),
        };
        assert_eq!(flags("rw,noexec,nosuid,nodev,user=me"), "noexec");
        assert_eq!(flags("users,noexec,exec,uhelper=udisks2,X-mount.mkdir"), "");
        assert_eq!(
            flags("exec,noexec,sync,dirsync,lazytime,noatime,nodiratime,nosymfollow"),
            "noexec,sync,dirsync,lazytime,noatime,nodiratime,nosymfollow"
        );
        assert_eq!(
            flags("sync,async,lazytime,nolazytime,strictatime,relatime,mand,silent,iversion,_netdev"),
            "strictatime,relatime"
        );
    }

    proptest! {
        #[test]
        fn no_call_panics(words in proptest::collection::vec("(-o|-t|-f|\\PC|swap=|none|/m|,|\"|=){0,4}", 0..6)) {
            let words: Vec<OsString> = std::iter::once("mount.swapfs".into()).chain(words.into_iter().map(Into::into)).collect();
            if let Ok(Request::Mount(line)) = request(&words, &crate::arguments::definition()) {
                prop_assert!(line[0] == "mount" && line[line.len() - 2] == "--");
            }
        }
    }

    #[test]
    fn calls_that_are_refused() {
        for (words, why) in [
            (&["mount.swapfs", "none"][..], "SOURCE MOUNTPOINT"),
            (&["mount.swapfs", "none", "/m", "-o"], "wants a value"),
            (&["mount.swapfs", "none", "/m", "-o", "swapp=a:1"], "unknown option `swapp`"),
            (&["mount.swapfs", "none", "/m", "-o", "swap"], "wants a value"),
            (&["mount.swapfs", "none", "/m", "-o", "strict=1"], "takes no value"),
            (&["mount.swapfs", "none", "/m", "-o", "mountpoint=/x"], "unknown option"),
            (&["mount.swapfs", "none", "/m", "-o", "ro"], "`ro`"),
            (&["mount.swapfs", "none", "/m", "-s", "-o", "rw,remount"], "unmount and mount again"),
            (&["mount.swapfs", "none", "/m", "-t", "ext4"], "not swapfs"),
            (&["mount.swapfs", "none", "/m", "-N", "3"], "namespace"),
            (&["mount.swapfs", "none", "/m", "-q"], "unknown flag -q"),
        ] {
            let said = mount(words).unwrap_err();
            assert!(said.contains(why), "{words:?}: {said}");
        }
        assert!(mount(&["mount.swapfs", "none", "/m", "-s", "-o", "swapp=a:1"]).is_ok(), "sloppy");
    }
}
