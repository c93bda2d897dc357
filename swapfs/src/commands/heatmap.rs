//! `swapfs heatmap`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use swapfs::accounting::Heat;
use swapfs::heatmap::{COLUMNS, ROWS, png, svg, text};

use super::client;

/// `swapfs heatmap`.
#[derive(Debug, Args)]
pub struct HeatmapArguments {
    /// Where it is mounted
    pub mountpoint: PathBuf,
    /// The file, as `swapfs stat` shows it: images/ls, swap/swap0
    pub file: String,
    /// Write a PNG picture instead
    #[arg(long, value_name = "OUT", conflicts_with = "svg")]
    pub png: Option<PathBuf>,
    /// Write an SVG picture instead
    #[arg(long, value_name = "OUT")]
    pub svg: Option<PathBuf>,
}

/// Rows of the page of text.
const TEXT_ROWS: usize = 16;

/// Draws.
pub fn run(arguments: &HeatmapArguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.png {
        return write(path, &png(&heat(arguments, COLUMNS * ROWS)?));
    }
    if let Some(path) = &arguments.svg {
        return write(path, svg(&heat(arguments, COLUMNS * ROWS)?).as_bytes());
    }
    client::print(&text(&heat(arguments, COLUMNS * TEXT_ROWS)?, COLUMNS)).map(drop)
}

fn heat(arguments: &HeatmapArguments, cells: usize) -> anyhow::Result<Heat> {
    // Also as a path that the shell has completed.
    let below = Path::new(&arguments.file).strip_prefix(&arguments.mountpoint);
    let file = below.map_or(arguments.file.as_str(), |path| path.to_str().unwrap_or(&arguments.file));
    let answer = client::Mount::at(&arguments.mountpoint)?.command(&format!("heat {cells} {file}"))?;
    serde_json::from_str(&answer).context("the mount is served by another version of swapfs")
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
