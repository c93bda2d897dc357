//! The text of a trace: comma-separated values, one request a line. Names that need it are quoted as RFC 4180 says; a line
//! break in a name is shown as `?`, so that a line is always a request.

use std::fmt::Write;

use super::{Event, Operation};

/// The first line.
pub const HEADER: &str = "arrived_ns,operation,offset,asked_bytes,bytes,errno,service_ns,wait_ns,depth,pid,comm,path\n";
const DROPPED: &str = "#dropped ";

/// A line that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a line of a swapfs trace")]
pub struct LineError(pub String);

/// A request, read back from its line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs)]
pub struct Line {
    pub arrived_ns: u64,
    pub operation: String,
    pub offset: u64,
    pub asked_bytes: u64,
    pub bytes: u64,
    pub errno: u64,
    pub service_ns: u64,
    pub wait_ns: u64,
    pub depth: u64,
    pub pid: u64,
    pub comm: String,
    pub path: String,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The first line.
    Header,
    /// A request.
    Request(Line),
    /// So many requests are missing here.
    Dropped(u64),
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Open => "open",
            Operation::Close => "close",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Sync => "sync",
            Operation::Punch => "punch",
        }
    }
}

pub(super) fn write_event(text: &mut String, event: &Event) {
    let Event { offset, asked, bytes, errno, service_ns, wait_ns, depth, .. } = event;
    let (arrived, operation, pid) = (event.arrived.0, event.operation.name(), event.process.pid());
    let _ =
        write!(text, "{arrived},{operation},{offset},{asked},{bytes},{errno},{service_ns},{wait_ns},{depth},{pid},");
    write_name(text, &event.process.comm());
    text.push(',');
    write_name(text, &event.account.path().to_string_lossy());
    text.push('\n');
}

pub(super) fn write_dropped(text: &mut String, count: u64) {
    let _ = writeln!(text, "{DROPPED}{count}");
}

fn write_name(text: &mut String, name: &str) {
    let name = name.replace(['\n', '\r'], "?");
    match name.contains([',', '"']) {
        true => drop(write!(text, "\"{}\"", name.replace('"', "\"\""))),
        false => text.push_str(&name),
    }
}

/// Reads a line, without its end.
///
/// # Errors
/// [`LineError`] with the line.
pub(super) fn parse(line: &str) -> Result<Parsed, LineError> {
    let wrong = || LineError(line.to_owned());
    if line == HEADER.trim_end() {
        return Ok(Parsed::Header);
    }
    if let Some(count) = line.strip_prefix(DROPPED) {
        return count.parse().map(Parsed::Dropped).map_err(|_| wrong());
    }
    let fields = split(line).ok_or_else(wrong)?;
    let [arrived, operation, offset, asked, bytes, errno, service, wait, depth, pid, comm, path] =
        <[String; 12]>::try_from(fields).map_err(|_| wrong())?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    Ok(Parsed::Request(Line {
        arrived_ns: number(&arrived)?,
        operation,
        offset: number(&offset)?,
        asked_bytes: number(&asked)?,
        bytes: number(&bytes)?,
        errno: number(&errno)?,
        service_ns: number(&service)?,
        wait_ns: number(&wait)?,
        depth: number(&depth)?,
        pid: number(&pid)?,
        comm,
        path,
    }))
}

fn split(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut rest) = (vec![], line);
    loop {
        let field;
        (field, rest) = match rest.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.is_empty().then_some(fields),
        }
    }
}

fn take_quoted(text: &str) -> Option<(String, &str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::event;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_path_reads_back(path in "[^\0\r\n]{0,20}", offset in any::<u64>()) {
            let mut text = String::new();
            write_event(&mut text, &event(&path, offset));
            let Parsed::Request(line) = parse(text.strip_suffix('\n').unwrap()).unwrap() else { panic!("{text}") };
            prop_assert_eq!((line.path, line.offset, line.bytes, line.operation.as_str()), (path, offset, 4096, "read"));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn other_lines() {
        assert_eq!(parse(HEADER.trim_end()), Ok(Parsed::Header));
        assert_eq!(parse("#dropped 12"), Ok(Parsed::Dropped(12)));
        assert!(parse("#dropped x").is_err() && parse("").is_err() && parse("1,2").is_err());
        let mut text = String::new();
        write_event(&mut text, &event("a\nb", 0));
        assert_eq!(text.lines().count(), 1);
    }
}
