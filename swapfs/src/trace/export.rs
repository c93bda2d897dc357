//! A trace in the formats of others: fio's iolog version 3, CSV and JSON lines.
//!
//! fio's log knows a file by a name without blanks, of at most 255 bytes, and times in microseconds since the
//! first request. A file is opened at its first request and closed at the end; requests that failed, and
//! requests of no bytes, are left out, as is all that belongs to a name that fio cannot read
//! ([`Exporter::left_out`] counts it).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::line::{HEADER, Line, LineError, Parsed, parse};

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// fio iolog version 3, for `fio --read_iolog`.
    Fio,
    /// The lines of `.swapfs/trace`.
    Csv,
    /// One object a line.
    Json,
}

const LONGEST_NAME: usize = 255;
/// What fio's scanf takes for a blank, too.
const VERTICAL_TAB: u8 = 0x0b;

/// Writes the lines of a trace in another format.
#[derive(Debug)]
pub struct Exporter<W> {
    out: W,
    format: Format,
    /// Put before paths in fio's log: the mount point.
    top: PathBuf,
    begin_ns: Option<u64>,
    last_us: u64,
    opened: BTreeSet<Vec<u8>>,
    requests: u64,
    dropped: u64,
    left_out: u64,
}

impl<W: Write> Exporter<W> {
    /// Begins an export.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W, format: Format, top: PathBuf) -> io::Result<Self> {
        match format {
            Format::Fio => writeln!(out, "fio version 3 iolog")?,
            Format::Csv => out.write_all(HEADER.as_bytes())?,
            Format::Json => {}
        }
        let (opened, begin_ns) = (BTreeSet::new(), None);
        Ok(Exporter { out, format, top, begin_ns, last_us: 0, opened, requests: 0, dropped: 0, left_out: 0 })
    }

    /// Takes one line of the trace, without its end.
    ///
    /// # Errors
    /// What the output says; [`LineError`] inside, if it is not such a line.
    pub fn line(&mut self, text: &[u8]) -> io::Result<()> {
        match parse(text).map_err(|error: LineError| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Parsed::Header => Ok(()),
            Parsed::Dropped(count) => self.note_dropped(count),
            Parsed::Request(line) => {
                self.requests += 1;
                match self.format {
                    Format::Fio => self.fio(&line),
                    Format::Csv => self.write_all(&[text, b"\n"]),
                    Format::Json => {
                        serde_json::to_writer(&mut self.out, &line)?;
                        self.out.write_all(b"\n")
                    }
                }
            }
        }
    }

    /// Sends on what was written.
    ///
    /// # Errors
    /// What the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the export.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(&mut self) -> io::Result<()> {
        for name in std::mem::take(&mut self.opened) {
            let us = self.last_us.to_string();
            self.write_all(&[us.as_bytes(), b" ", &name, b" close\n"])?;
        }
        self.out.flush()
    }

    /// Requests taken so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Requests that the trace says are missing.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Requests that the format has no place for.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn note_dropped(&mut self, count: u64) -> io::Result<()> {
        self.dropped += count;
        match self.format {
            // fio refuses what it does not know, comments too.
            Format::Fio => Ok(()),
            Format::Csv => writeln!(self.out, "#dropped {count}"),
            Format::Json => writeln!(self.out, "{{\"dropped\":{count}}}"),
        }
    }

    fn fio(&mut self, line: &Line) -> io::Result<()> {
        let (action, bytes) = match line.operation.as_str() {
            "read" => ("read", line.bytes),
            "write" => ("write", line.bytes),
            "sync" => ("sync", 0),
            "punch" => ("trim", line.asked_bytes),
            _ => return Ok(()),
        };
        let name = self.top.join(OsStr::from_bytes(&line.path)).into_os_string().into_vec();
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == VERTICAL_TAB;
        let readable = name.len() <= LONGEST_NAME && !name.iter().any(is_blank);
        if !readable || line.errno != 0 || (bytes == 0 && action != "sync") {
            self.left_out += 1;
            return Ok(());
        }
        let begin_ns = *self.begin_ns.get_or_insert(line.arrived_ns);
        // Requests are recorded when they are answered, so a slow one may come after one that arrived later.
        let us = (line.arrived_ns.saturating_sub(begin_ns) / 1000).max(self.last_us);
        self.last_us = us;
        if self.opened.insert(name.clone()) {
            let us = us.to_string();
            self.write_all(&[us.as_bytes(), b" ", &name, b" add\n", us.as_bytes(), b" ", &name, b" open\n"])?;
        }
        let what = match action {
            "sync" => " sync 0 0\n".to_owned(),
            _ => format!(" {action} {} {bytes}\n", line.offset),
        };
        self.write_all(&[us.to_string().as_bytes(), b" ", &name, what.as_bytes()])
    }

    fn write_all(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        parts.iter().try_for_each(|part| self.out.write_all(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
arrived_ns,operation,offset,asked_bytes,bytes,errno,service_ns,wait_ns,depth,pid,comm,path
5000000,open,0,0,0,0,0,0,1,7,ls,images/ls
6000000,read,4096,4096,4096,0,1000,0,1,7,ls,images/ls
6000000,read,8192,4096,0,5,1000,0,1,7,ls,images/ls
6000000,read,0,4096,4096,0,1000,0,1,7,ls,images/a b
#dropped 3
5900000,write,0,100,100,0,1000,0,1,7,dd,swap/s
8000000,sync,0,0,0,0,1000,0,1,7,dd,swap/s
9000000,close,0,0,0,0,0,0,1,7,ls,images/ls
";

    fn export(format: Format) -> (String, u64, u64, u64) {
        let mut out = vec![];
        let mut exporter = Exporter::new(&mut out, format, "/mnt".into()).unwrap();
        TRACE.lines().for_each(|line| exporter.line(line.as_bytes()).unwrap());
        exporter.finish().unwrap();
        let counts = (exporter.requests(), exporter.dropped(), exporter.left_out());
        (String::from_utf8(out).unwrap(), counts.0, counts.1, counts.2)
    }

    #[test]
    fn fio_iolog() {
        let (text, requests, dropped, left_out) = export(Format::Fio);
        assert_eq!((requests, dropped, left_out), (7, 3, 2));
        let expected = "\
fio version 3 iolog
0 /mnt/images/ls add
0 /mnt/images/ls open
0 /mnt/images/ls read 4096 4096
0 /mnt/swap/s add
0 /mnt/swap/s open
0 /mnt/swap/s write 0 100
2000 /mnt/swap/s sync 0 0
2000 /mnt/images/ls close
2000 /mnt/swap/s close
";
        assert_eq!(text, expected);
    }

    #[test]
    fn csv_is_the_trace_itself() {
        assert_eq!(export(Format::Csv), (TRACE.to_owned(), 7, 3, 0));
    }

    #[test]
    fn json_is_an_object_a_line() {
        let (text, ..) = export(Format::Json);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[1]["offset"], 4096);
        assert_eq!(lines[4]["dropped"], 3);
    }
}
