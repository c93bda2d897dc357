//! What faults are due to: the instructions that made them, as functions and lines of source.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use pager_core::addr::PAGE_SIZE;

use super::model::{Culprit, Stack, Tally};
use super::names::{Names, short};
use super::scan::Scan;
use crate::symbols::{Frame, Symbols};

/// Rows of a table.
const ROWS: usize = 400;
/// Stacks of a flame graph; the rest is summed up in one for each file.
const STACKS: usize = 2000;
/// Distinct instructions that are looked up; the rest have their file's name alone.
const NAMED: usize = 50_000;

/// Where an instruction that faulted is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Site {
    /// In a file: its number, and the byte.
    Image(u16, u64),
    /// In memory that belongs to no file: code that was made at run time.
    Anonymous,
    /// Nowhere: a system call needed the page.
    Call,
}

/// The tables.
#[derive(Default)]
pub struct Culprits {
    pub functions: Vec<Culprit>,
    pub lines: Vec<Culprit>,
    pub stacks: Vec<Stack>,
    /// Files that names are not to be trusted of.
    pub warning: Option<String>,
}

/// Names the sites, and adds up what has the same name.
pub fn name(
    sites: HashMap<(usize, Site), Tally>,
    scan: &Scan,
    names: &Names,
    symbols: &mut Symbols,
) -> Culprits {
    let mut sites: Vec<((usize, Site), Tally)> = sites.into_iter().collect();
    sites.sort_by(|a, b| (b.1.total_ns(), a.0).cmp(&(a.1.total_ns(), b.0)));
    let mut functions: HashMap<(u32, String, String), Tally> = HashMap::new();
    let mut lines = functions.clone();
    let mut stacks: HashMap<Vec<String>, Tally> = HashMap::new();
    for (at, ((number, site), tally)) in sites.iter().enumerate() {
        let pid = scan.processes[*number].pid;
        let (image, frames) = describe(*site, names, symbols, at < NAMED);
        let innermost = frames.last().map_or_else(|| nameless(*site), |frame| frame.function.clone());
        functions.entry((pid, image.clone(), innermost.clone())).or_default().merge(tally);
        if let Some(line) = frames.last().and_then(|frame| frame.line.clone()) {
            lines.entry((pid, image.clone(), line)).or_default().merge(tally);
        }
        let program = format!("{} ({pid})", short(&names.program(pid)));
        let mut stack = vec![program, short(&image).to_owned()];
        match frames.is_empty() || at >= STACKS {
            true if *site == Site::Call => {}
            true => stack.push(nameless(*site)),
            false => stack.extend(frames.into_iter().map(|frame| frame.function)),
        }
        stacks.entry(stack).or_default().merge(tally);
    }
    let mut stacks: Vec<Stack> = stacks.into_iter().map(stack).collect();
    stacks.sort_by(|a, b| a.frames.cmp(&b.frames));
    let warning = changed(&sites, scan, names);
    Culprits { functions: table(functions), lines: table(lines), stacks, warning }
}

fn describe(site: Site, names: &Names, symbols: &mut Symbols, is_named: bool) -> (String, Vec<Frame>) {
    match site {
        Site::Call => ("system call".to_owned(), Vec::new()),
        Site::Anonymous => ("made code".to_owned(), Vec::new()),
        Site::Image(image, offset) => {
            let path = names.image(image);
            let frames = if is_named { symbols.frames(&path, offset) } else { Vec::new() };
            (path, frames)
        }
    }
}

fn nameless(site: Site) -> String {
    match site {
        Site::Call => "for a system call".to_owned(),
        Site::Anonymous => "code that was made at run time".to_owned(),
        // By page: where nothing has a name, neighbours are likely one function, or at least one file's.
        Site::Image(_, offset) => format!("no symbol, page {:#x}", offset & !(PAGE_SIZE - 1)),
    }
}

fn stack((frames, tally): (Vec<String>, Tally)) -> Stack {
    Stack { frames, faults: tally.count(), ns: tally.total_ns() }
}

/// The rows with the most time or the most faults, the most time first.
fn table(rows: HashMap<(u32, String, String), Tally>) -> Vec<Culprit> {
    let mut rows: Vec<Culprit> =
        rows.into_iter().map(|((pid, image, name), tally)| Culprit { pid, image, name, tally }).collect();
    rows.sort_by(|a, b| {
        (b.tally.count(), a.pid, &a.image, &a.name).cmp(&(a.tally.count(), b.pid, &b.image, &b.name))
    });
    let (mut first, rest) =
        if rows.len() > ROWS / 2 { rows.split_at(ROWS / 2) } else { (&rows[..], &[][..]) };
    let mut kept = std::mem::take(&mut first).to_vec();
    let mut rest = rest.to_vec();
    rest.sort_by_key(|row| std::cmp::Reverse(row.tally.total_ns()));
    kept.extend(rest.into_iter().take(ROWS / 2));
    kept.sort_by_key(|row| std::cmp::Reverse(row.tally.total_ns()));
    kept
}

/// A sentence about files that were written to after the run began: their names may be another's.
fn changed(sites: &[((usize, Site), Tally)], scan: &Scan, names: &Names) -> Option<String> {
    let mut images: Vec<u16> = sites
        .iter()
        .filter_map(|((_, site), _)| if let Site::Image(image, _) = site { Some(*image) } else { None })
        .collect();
    images.sort_unstable();
    images.dedup();
    let started = i64::try_from(names.started_unix_ns() / 1_000_000_000).ok()?;
    let is_newer =
        |path: &String| fs::metadata(path).is_ok_and(|data| data.is_file() && data.mtime() > started);
    let newer: Vec<String> = images.into_iter().map(|image| names.image(image)).filter(is_newer).collect();
    (!newer.is_empty() && scan.events > 0)
        .then(|| format!("changed since the run, so names of functions may be wrong: {}", newer.join(", ")))
}
