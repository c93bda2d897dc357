//! `swapfs swap`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use swapfs::units::show_text;

use super::client;

/// `swapfs swap`.
#[derive(Debug, Args)]
pub struct SwapArguments {
    #[command(subcommand)]
    verb: SwapVerb,
}

#[derive(Debug, Subcommand)]
enum SwapVerb {
    /// Make a swap file
    Add(Sized),
    /// Give a swap file another size; what is cut off is gone, what is added is zeros
    Resize(Sized),
    /// Remove a swap file; who has it open keeps it until closing it
    Remove {
        /// Where it is mounted
        mountpoint: PathBuf,
        /// The file's name below swap/
        name: String,
    },
    /// List swap files: size, room taken, name
    List {
        /// Where it is mounted
        mountpoint: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Sized {
    /// Where it is mounted
    mountpoint: PathBuf,
    /// The file's name below swap/
    name: String,
    /// Such as 1G
    size: String,
}

/// Has the mount do it.
pub fn run(arguments: &SwapArguments) -> anyhow::Result<()> {
    match &arguments.verb {
        SwapVerb::Add(Sized { mountpoint, name, size }) => {
            client::Mount::at(mountpoint)?.command(&format!("swap add {name} {size}")).map(drop)
        }
        SwapVerb::Resize(Sized { mountpoint, name, size }) => {
            client::Mount::at(mountpoint)?.command(&format!("swap resize {name} {size}")).map(drop)
        }
        SwapVerb::Remove { mountpoint, name } => {
            client::Mount::at(mountpoint)?.command(&format!("swap remove {name}")).map(drop)
        }
        SwapVerb::List { mountpoint } => {
            client::print(&show_text(&client::Mount::at(mountpoint)?.command("swap list")?)).map(drop)
        }
    }
}
