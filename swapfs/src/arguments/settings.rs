//! Options of `swapfs mount` that come from elsewhere than its command line: a configuration file, or `-o` of
//! mount(8). They become arguments before those that were typed, so that both mean the same, and what was
//! typed wins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, ArgMatches, Command};
use swapfs::config::{Entry, Setting, Takes};

/// The key of the mount point, which has no option.
pub(super) const MOUNTPOINT: &str = "mountpoint";
/// The option that names a configuration file.
pub(super) const CONFIG: &str = "config";
/// Options about the configuration file, which have no keys in it.
const KEYLESS: [&str; 2] = [CONFIG, "without"];

/// All keys of the command line `command`, in the order of the help, and what they take.
pub(super) fn known(command: &Command) -> Vec<(String, Takes)> {
    let mount =
        command.find_subcommand("mount").map(|mount| mount.get_arguments().chain(command.get_arguments()));
    let takes = |action: &ArgAction| match action {
        ArgAction::SetTrue => Some(Takes::Switch),
        ArgAction::Count => Some(Takes::Count),
        ArgAction::Set => Some(Takes::Value),
        ArgAction::Append => Some(Takes::Values),
        _ => None,
    };
    let named = mount.into_iter().flatten().filter_map(|argument| {
        let name = argument.get_long().or(argument.is_positional().then_some(MOUNTPOINT))?;
        Some((name.to_owned(), takes(argument.get_action())?))
            .filter(|(name, _)| !KEYLESS.contains(&name.as_str()))
    });
    named.collect()
}

/// The arguments that an entry stands for.
pub(super) fn arguments(entry: &Entry) -> Vec<OsString> {
    let key = &entry.key;
    match &entry.setting {
        Setting::Switch(on) => on.then(|| format!("--{key}").into()).into_iter().collect(),
        Setting::Count(times) => (0..*times).map(|_| format!("--{key}").into()).collect(),
        Setting::Values(values) if key == MOUNTPOINT => values.iter().map(OsString::from).collect(),
        Setting::Values(values) => values.iter().map(|value| format!("--{key}={value}").into()).collect(),
    }
}

/// Whether the option was typed. `matches` are those of `swapfs mount`.
pub(super) fn was_typed(matches: &ArgMatches, key: &str) -> bool {
    let id = key.replace('-', "_");
    matches.value_source(&id) == Some(clap::parser::ValueSource::CommandLine)
}

/// Where options came from, to say so when one of them is wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Provenance {
    file: PathBuf,
    lines: Vec<(String, usize)>,
}

impl Provenance {
    pub(super) fn of(file: &Path, entries: &[Entry]) -> Self {
        let lines = entries.iter().map(|entry| (entry.key.clone(), entry.line)).collect();
        Provenance { file: file.to_owned(), lines }
    }

    /// Adds the file and line to a complaint about an option that came from there.
    pub(super) fn explain(&self, complaint: &str) -> Option<String> {
        let names = |key: &str| {
            let option = format!("--{key}");
            let mut after = complaint.split(&option).skip(1);
            after.any(|rest| !rest.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric()))
        };
        let (_, line) = self.lines.iter().find(|(key, _)| names(key))?;
        Some(format!("{}, line {line}: {complaint}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_its_key() {
        let known = known(&crate::arguments::definition());
        let takes = |name: &str| known.iter().find(|(key, _)| key == name).map(|(_, takes)| *takes);
        assert_eq!(takes("swap"), Some(Takes::Values));
        assert_eq!(takes("read-bw"), Some(Takes::Value));
        assert_eq!(takes("strict"), Some(Takes::Switch));
        assert_eq!(takes("verbose"), Some(Takes::Count));
        assert_eq!(takes(MOUNTPOINT), Some(Takes::Value));
        assert_eq!((takes(CONFIG), takes("without"), takes("help")), (None, None, None));
    }

    #[test]
    fn a_complaint_is_led_back_to_its_line() {
        let entry = |key: &str, line| Entry { key: key.into(), setting: Setting::Switch(true), line };
        let provenance = Provenance::of(Path::new("f.toml"), &[entry("swap", 3), entry("swap-limit", 7)]);
        let explained = provenance.explain("--swap-limit is for compressed swap files").unwrap();
        assert_eq!(explained, "f.toml, line 7: --swap-limit is for compressed swap files");
        assert!(provenance.explain("invalid value 'x' for '--swap <NAME:SIZE>'").unwrap().contains("line 3"));
        assert_eq!(provenance.explain("--threads"), None);
    }
}
