//! Manual pages and shell completions, made from the command line's definition.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Where a shell looks for completions, below `share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/pager"),
    (Shell::Zsh, "zsh/site-functions/_pager"),
    (Shell::Fish, "fish/vendor_completions.d/pager.fish"),
];

/// Writes manual pages and the completions of all shells, laid out as below `/usr/share`.
///
/// # Errors
///
/// When something cannot be written.
pub fn all(top: &Path) -> io::Result<()> {
    let pages = top.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Cli::command(), &pages)?;
    for (shell, path) in COMPLETIONS {
        let path = top.join(path);
        path.parent().map(fs::create_dir_all).transpose()?;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "pager", &mut script);
        fs::write(path, script)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_each_shell_completions() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        all(folder.path()).expect("a temporary folder can be written");
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).expect("it was written");
        for command in Cli::command().get_subcommands() {
            let page = read(&format!("man/man1/pager-{}.1", command.get_name()));
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
        for (_, path) in COMPLETIONS {
            assert!(read(path).contains("resident"), "{path}");
        }
    }
}
