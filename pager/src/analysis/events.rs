//! `pager events`: a trace in a form that people and scripts read.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use pager_core::addr::PageRange;
use pager_core::area::Access;
use pager_core::trace::{Event, What};

use crate::cli::{EventsArgs, EventsFormat};
use crate::trace::reader::{Trace, TraceError};

/// Writes the events of `args.file` to standard output. A reader that has seen enough is no error.
///
/// # Errors
///
/// If there is no trace.
pub fn events(args: &EventsArgs) -> Result<(), TraceError> {
    let trace = Trace::open(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let _ = write_all(&trace, args.format, &mut out).and_then(|()| out.flush());
    trace.complain(Path::new(&args.file));
    Ok(())
}

fn write_all(trace: &Trace, format: EventsFormat, out: &mut impl Write) -> io::Result<()> {
    if format == EventsFormat::Csv {
        writeln!(out, "time_ns,pid,tid,event,kind,access,page,pages,touched,instruction,cost_ns")?;
    }
    for event in trace.events() {
        let row = Row::of(&event);
        match format {
            EventsFormat::Text => row.text(trace, out)?,
            EventsFormat::Csv => row.csv(out)?,
            EventsFormat::Json => {
                serde_json::to_writer(&mut *out, &row)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

/// An event with names for everything. JSON keys stay as they are; addresses are numbers.
#[derive(serde::Serialize)]
struct Row {
    time_ns: u64,
    pid: u32,
    tid: u32,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u64>,
    /// Address that was touched, of a fault; where pages moved to, of a move.
    #[serde(skip_serializing_if = "Option::is_none")]
    touched: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<u32>,
}

impl Row {
    fn of(event: &Event) -> Row {
        let mut row = Row {
            time_ns: event.time_ns,
            pid: event.pid,
            tid: event.tid,
            event: "",
            kind: None,
            access: None,
            address: None,
            pages: None,
            touched: event.what.touched().map(|page| page.start().0),
            instruction: None,
            cost_ns: None,
            image: None,
            image_page: None,
            parent: None,
        };
        let mut place = |range: PageRange| {
            (row.address, row.pages) = (Some(range.start().start().0), Some(range.count()));
        };
        match event.what {
            What::Fault { kind, access, range, instruction, cost_ns, .. } => {
                place(range);
                (row.event, row.kind, row.access) = ("fault", Some(kind.name()), Some(name_of(access)));
                (row.instruction, row.cost_ns) = (Some(instruction).filter(|&at| at != 0), Some(cost_ns));
            }
            What::Evict { how, range } => {
                place(range);
                (row.event, row.kind) = ("evict", Some(how.name()));
            }
            What::Map { range, image, .. } => {
                place(range);
                row.event = "map";
                (row.image, row.image_page) = image.unzip();
            }
            What::Discard { range } => {
                place(range);
                row.event = "discard";
            }
            What::Move { range, to } => {
                place(range);
                (row.event, row.touched) = ("move", Some(to.start().0));
            }
            What::Fork { parent } => (row.event, row.parent) = ("fork", Some(parent)),
            What::Exec => row.event = "exec",
        }
        row
    }

    fn csv(&self, out: &mut impl Write) -> io::Result<()> {
        let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{}",
            self.time_ns,
            self.pid,
            self.tid,
            self.event,
            self.kind.unwrap_or_default(),
            self.access.unwrap_or_default(),
            number(self.address.map(|at| at >> 12)),
            number(self.pages),
            number(self.touched.map(|at| at >> 12)),
            number(self.instruction),
            number(self.cost_ns)
        )
    }

    fn text(&self, trace: &Trace, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{:>12.3} ms  {:>7}  {:<8}", self.time_ns as f64 / 1e6, self.tid, self.event)?;
        if let Some(kind) = self.kind {
            write!(out, "{kind:<12}")?;
        }
        if let (Some(address), Some(pages)) = (self.address, self.pages) {
            write!(out, "{:#x}", self.touched.unwrap_or(address))?;
            if pages > 1 {
                write!(out, " of {pages} pages from {address:#x}")?;
            }
        }
        if let Some(access) = self.access {
            write!(out, "  {access}")?;
        }
        match self.instruction {
            Some(instruction) => write!(out, " by {instruction:#x}")?,
            None if self.event == "fault" => write!(out, " for a system call")?,
            None => {}
        }
        if let Some(cost) = self.cost_ns {
            write!(out, "  {:.1} us", cost as f64 / 1e3)?;
        }
        if let (Some(image), Some(page)) = (self.image, self.image_page) {
            let images = trace.end.as_ref().map_or(&[][..], |end| &end.images);
            match images.get(usize::from(image)) {
                Some(path) => write!(out, "  {path} page {page}")?,
                None => write!(out, "  image {image} page {page}")?,
            }
        }
        if let Some(parent) = self.parent {
            write!(out, "of {parent}")?;
        }
        writeln!(out)
    }
}

fn name_of(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Execute => "execute",
    }
}
