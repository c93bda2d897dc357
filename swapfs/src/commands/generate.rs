//! Shell completions and manual pages, made from the command line's definition.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;

use crate::arguments::definition;

/// `swapfs completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `swapfs manpages`.
#[derive(Debug, Args)]
pub struct ManpagesArguments {
    /// An existing directory
    pub directory: PathBuf,
}

/// Writes completions to the standard output.
pub fn completions(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    let mut script = vec![];
    clap_complete::generate(arguments.shell, &mut definition(), "swapfs", &mut script);
    super::client::print(&String::from_utf8_lossy(&script)).map(drop)
}

/// Writes `swapfs.1`, `swapfs-mount.1`, and so on.
pub fn manpages(arguments: &ManpagesArguments) -> anyhow::Result<()> {
    let directory = &arguments.directory;
    let written: io::Result<()> = clap_mangen::generate_to(definition(), directory);
    written.with_context(|| format!("cannot write manual pages into {}", directory.display()))
}
