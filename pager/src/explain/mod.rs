//! `pager explain`: what is at an address of a paged process, and which sentences of the textbook apply to it.
//!
//! | module | owns |
//! |---|---|
//! | [`ask`] | asking the process, which knows its areas and its page table |
//! | [`sentences`] | the textbook, sentence by sentence |

pub mod ask;
pub mod sentences;

use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;

use pager_core::addr::{PAGE_SIZE, PageNum, USER_END, VirtAddr};
use pager_core::area::{Access, Area, Holding, KernelReason, PageSource, Protection};
use pager_core::entry::{Dirt, Entry};
use pager_core::fault::{Plan, classify};
use pager_core::inquiry::Answer;
use pager_core::trace::Use;
use serde::Serialize;
use thiserror::Error;

use crate::attach::Attached;
use crate::cli::ExplainArgs;
use crate::failure::printable;
use crate::say;
use ask::{AskError, Asked};
use sentences::{Sentence, that_apply};

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum ExplainError {
    /// The process could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// No process and no address.
    #[error("name a process and an address in it, or --sentences")]
    Nothing,
}

/// What is at an address. JSON keys stay as they are; addresses are numbers.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Explanation {
    pub pid: u32,
    pub address: u64,
    pub area: Option<AreaShown>,
    pub entry: EntryShown,
    /// What the kernel's own page table says: whether a page is there; `None` where it may not be asked.
    pub kernel_present: Option<bool>,
    /// Number of the frame; `None` unless root asks.
    pub frame: Option<u64>,
    /// What a read, a write and a fetch of an instruction would do now.
    pub read: Outcome,
    pub write: Outcome,
    pub execute: Outcome,
}

/// An area.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct AreaShown {
    pub start: u64,
    pub end: u64,
    pub rights: String,
    pub purpose: &'static str,
    /// How its pages are held: `private`, `map-through`, `shared-through`, or `kernel`.
    pub holding: &'static str,
    /// File and byte that the page comes from; `None` for zeros.
    pub image: Option<(String, u64)>,
}

/// A page table entry.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct EntryShown {
    /// `empty`, `zero`, `guard`, `resident`, `mapped`, `swapped` or `busy`.
    pub state: &'static str,
    pub is_dirty: bool,
    pub slot: Option<SlotShown>,
}

/// A swap slot.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct SlotShown {
    pub file: u8,
    pub path: String,
    pub index: u32,
}

/// What a touch would do.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Outcome {
    pub plan: &'static str,
    pub sentences: Vec<&'static str>,
}

/// Explains the addresses that are asked about.
///
/// # Errors
///
/// See [`ExplainError`].
pub fn explain(args: &ExplainArgs) -> Result<(), ExplainError> {
    if args.sentences {
        say::to_stdout(&table(args.json));
        return Ok(());
    }
    let (Some(pid), false) = (args.pid, args.addresses.is_empty()) else { return Err(ExplainError::Nothing) };
    let asked = Asked::of(pid)?;
    let kernel = File::open(format!("/proc/{pid}/pagemap")).ok();
    for address in &args.addresses {
        let page = VirtAddr(address.0).page();
        // The page table ends where the program's half of the address space does.
        let answer = match address.0 < USER_END {
            true => asked.ask(page)?,
            false => Answer { area: None, entry: Entry::Empty },
        };
        let explanation = describe(pid, address.0, &answer, asked.run(), kernel.as_ref());
        let text = match args.json {
            true => serde_json::to_string(&explanation).unwrap_or_default() + "\n",
            false => render(&explanation, &answer),
        };
        say::to_stdout(&text);
    }
    Ok(())
}

fn describe(pid: u32, address: u64, answer: &Answer, run: &Attached, kernel: Option<&File>) -> Explanation {
    let page = VirtAddr(address).page();
    let outcome = |access| {
        let plan = classify(answer.area.as_ref(), page, answer.entry, access);
        let sentences = that_apply(answer.area.as_ref(), answer.entry, plan);
        Outcome { plan: name_of(plan), sentences: sentences.iter().map(|sentence| sentence.text).collect() }
    };
    let seen = kernel.and_then(|file| page_of_kernel(file, page));
    Explanation {
        pid,
        address,
        area: answer.area.as_ref().map(|area| area_shown(area, page, run)),
        entry: entry_shown(answer.entry, run),
        kernel_present: seen.map(|word| word >> 63 != 0),
        frame: seen.map(|word| word & ((1 << 55) - 1)).filter(|frame| *frame != 0),
        read: outcome(Access::Read),
        write: outcome(Access::Write),
        execute: outcome(Access::Execute),
    }
}

/// The word of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
fn page_of_kernel(file: &File, page: PageNum) -> Option<u64> {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, page.0 * 8).ok().map(|()| u64::from_ne_bytes(word))
}

fn area_shown(area: &Area, page: PageNum, run: &Attached) -> AreaShown {
    let right = |right, letter| if area.protection.contains(right) { letter } else { '-' };
    let image = match area.backing_at(page) {
        PageSource::Image { image, offset, .. } => {
            let row = run.control().images.get(usize::from(image.0));
            Some((row.map_or_else(String::new, |row| printable(&row.path)), offset))
        }
        PageSource::Zero => None,
    };
    AreaShown {
        start: area.range.start().start().0,
        end: area.range.end().start().0,
        rights: [right(Protection::READ, 'r'), right(Protection::WRITE, 'w'), right(Protection::EXEC, 'x')]
            .iter()
            .collect(),
        purpose: Use::from(area.role).name(),
        holding: match area.holding {
            Holding::Private => "private",
            Holding::MapThrough => "map-through",
            Holding::SharedThrough => "shared-through",
            Holding::Kernel(KernelReason::Shared) => "kernel, shared",
            Holding::Kernel(KernelReason::Device) => "kernel, device",
            Holding::Kernel(KernelReason::Huge) => "kernel, huge pages",
            Holding::Kernel(KernelReason::Other) => "kernel",
        },
        image,
    }
}

fn entry_shown(entry: Entry, run: &Attached) -> EntryShown {
    let slot = entry.slot().map(|slot| {
        let path = run.swap_path(slot.file);
        SlotShown { file: slot.file, path, index: slot.index }
    });
    let state = match entry {
        Entry::Empty => "empty",
        Entry::Resident(..) => "resident",
        Entry::Mapped(_) => "mapped",
        Entry::Zero => "zero",
        Entry::Guard => "guard",
        Entry::Swapped(_) => "swapped",
        Entry::Busy(_) => "busy",
    };
    EntryShown { state, is_dirty: matches!(entry, Entry::Resident(Dirt::Dirty, _)), slot }
}

fn name_of(plan: Plan) -> &'static str {
    match plan {
        Plan::NoArea => "no area: SIGSEGV, SEGV_MAPERR",
        Plan::Guarded => "guarded by the program: SIGSEGV, SEGV_MAPERR",
        Plan::Denied => "not allowed: SIGSEGV, SEGV_ACCERR",
        Plan::AlreadyThere => "succeeds: the page is there",
        Plan::Unprotect => "faults: the page is there, and becomes dirty",
        Plan::FillZero => "faults: a page of zeros is made",
        Plan::FillImage { .. } => "faults: the page is read from its file",
        Plan::MapThrough => "faults: the file's own page is mapped",
        Plan::SwapIn(_) => "faults: the page is read from its swap slot",
        Plan::Wait => "waits: another thread is changing the page",
        Plan::KernelOwned => "is the kernel's to answer: the pager does not hold this memory",
    }
}

fn render(explanation: &Explanation, answer: &Answer) -> String {
    let mut text = format!("{:#x} of process {}\n", explanation.address, explanation.pid);
    let _ = match &explanation.area {
        Some(area) => {
            let (start, end, rights, purpose, holding) =
                (area.start, area.end, &area.rights, area.purpose, area.holding);
            writeln!(text, "  area     {start:#x}-{end:#x} {rights} {purpose}, held {holding}")
        }
        None => writeln!(text, "  area     none"),
    };
    if let Some(area) = &explanation.area {
        let _ = match &area.image {
            Some((path, offset)) => {
                writeln!(text, "  backing  {path}, page {}", offset / PAGE_SIZE)
            }
            None => writeln!(text, "  backing  zeros"),
        };
        let entry = &explanation.entry;
        let dirt = if entry.is_dirty { ", dirty" } else { "" };
        let slot = entry.slot.as_ref().map(|slot| format!(", slot {} of {}", slot.index, slot.path));
        let frame = explanation.frame.map(|frame| format!(", frame {frame:#x}")).unwrap_or_default();
        let _ = writeln!(text, "  entry    {}{dirt}{}{frame}", entry.state, slot.unwrap_or_default());
    }
    let outcomes =
        [("read", &explanation.read), ("write", &explanation.write), ("fetch", &explanation.execute)];
    for (name, outcome) in outcomes {
        let _ = writeln!(text, "  a {name:<5}  {}", outcome.plan);
    }
    let page = VirtAddr(explanation.address).page();
    let plan = classify(answer.area.as_ref(), page, answer.entry, Access::Read);
    let _ = writeln!(text, "  for a read the textbook says:");
    for sentence in that_apply(answer.area.as_ref(), answer.entry, plan) {
        let _ = writeln!(text, "    {}\n      {} ({})", sentence.text, sentence.code.0, sentence.code.1);
    }
    text
}

/// All sentences.
fn table(json: bool) -> String {
    if json {
        return serde_json::to_string(&sentences::ALL).unwrap_or_default() + "\n";
    }
    let line = |sentence: &Sentence| {
        format!(
            "{}\n  code  {}: {}\n  test  {}\n  see   {}\n",
            sentence.text, sentence.code.0, sentence.code.1, sentence.test, sentence.command
        )
    };
    sentences::ALL.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use pager_core::addr::PageRange;
    use pager_core::area::Role;
    use pager_core::entry::SwapSlot;

    use super::*;

    fn sentences_of(area: Option<Area>, entry: Entry, access: Access) -> Vec<Sentence> {
        let plan = classify(area.as_ref(), PageNum(5), entry, access);
        that_apply(area.as_ref(), entry, plan)
    }

    #[test]
    fn each_state_of_a_page_has_its_sentence() {
        let range = PageRange::with_count(PageNum(0), 10).expect("not empty");
        let area = Some(Area::new(range, Protection::READ | Protection::WRITE, Holding::Private, Role::Heap));
        let slot = SwapSlot { file: 0, index: 1, tag: 0 };
        assert!(sentences_of(None, Entry::Empty, Access::Read).contains(&sentences::NO_AREA));
        assert!(sentences_of(area, Entry::Empty, Access::Execute).contains(&sentences::DENIED));
        assert!(sentences_of(area, Entry::Empty, Access::Write).contains(&sentences::ZEROS));
        assert!(sentences_of(area, Entry::Swapped(slot), Access::Read).contains(&sentences::SWAPPED));
        let clean = Entry::Resident(Dirt::Clean, Some(slot));
        assert!(sentences_of(area, clean, Access::Read).contains(&sentences::SWAP_CACHE));
        assert!(sentences_of(area, clean, Access::Write).contains(&sentences::UNPROTECT));
    }
}
