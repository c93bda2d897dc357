//! Shell completions and manual pages, made from the command line's definition, `command`.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

/// `swapfs completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `swapfs generate`.
#[derive(Debug, Args)]
pub struct GenerateArguments {
    /// Where, such as target/share; what is missing of it is made
    pub directory: PathBuf,
}

/// Where a shell looks for completions, below `share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/swapfs"),
    (Shell::Zsh, "zsh/site-functions/_swapfs"),
    (Shell::Fish, "fish/vendor_completions.d/swapfs.fish"),
];

/// `swapfs manpages`.
#[derive(Debug, Args)]
pub struct ManpagesArguments {
    /// An existing directory
    pub directory: PathBuf,
}

/// Writes completions to the standard output.
pub fn completions(command: &Command, arguments: &CompletionsArguments) -> anyhow::Result<()> {
    super::client::print(&String::from_utf8_lossy(&script(command, arguments.shell))).map(drop)
}

fn script(command: &Command, shell: Shell) -> Vec<u8> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut command.clone(), "swapfs", &mut script);
    script
}

/// Writes `swapfs.1`, `swapfs-mount.1`, and so on.
pub fn manpages(command: &Command, arguments: &ManpagesArguments) -> anyhow::Result<()> {
    let directory = &arguments.directory;
    let written: io::Result<()> = clap_mangen::generate_to(command.clone(), directory);
    written.with_context(|| format!("cannot write manual pages into {}", directory.display()))
}

/// Writes manual pages and the completions of all shells, laid out as below `/usr/share`.
pub fn all(command: &Command, arguments: &GenerateArguments) -> anyhow::Result<()> {
    let top = &arguments.directory;
    let write = || -> io::Result<()> {
        let pages = top.join("man/man1");
        fs::create_dir_all(&pages)?;
        clap_mangen::generate_to(command.clone(), &pages)?;
        for (shell, path) in COMPLETIONS {
            let path = top.join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::write(path, script(command, shell))?;
        }
        Ok(())
    };
    write().with_context(|| format!("cannot write manual pages and completions into {}", top.display()))
}
