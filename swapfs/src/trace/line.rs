//! The text of a trace: comma-separated values, one request a line. Names that need it are quoted as RFC 4180
//! says; a line break in a name is shown as a blank, so that a line is always a request. All other bytes of
//! names are as they are, also where they are no UTF-8.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use serde::Serializer;

use super::event::{Event, Happening, Operation};
use crate::accounting::Answered;
use crate::throttle::{Direction, Nanos, Request};

/// The first line.
pub const HEADER: &str =
    "arrived_ns,operation,offset,asked_bytes,bytes,errno,service_ns,wait_ns,depth,pid,comm,path\n";
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
    #[serde(serialize_with = "as_text")]
    pub comm: Vec<u8>,
    #[serde(serialize_with = "as_text")]
    pub path: Vec<u8>,
}

/// JSON has no other bytes than those of text.
fn as_text<S: Serializer>(name: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(name))
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

/// The fields up to the depth.
fn write_happening(text: &mut Vec<u8>, what: &Happening) {
    let _ = match what {
        Happening::Transfer(Answered { request, errno, service_ns, wait_ns, .. }) => {
            let Request { arrived: Nanos(arrived), offset, asked, bytes, .. } = request;
            let (operation, wait_ns) = (name(request.direction), wait_ns.unwrap_or(0));
            write!(text, "{arrived},{operation},{offset},{asked},{bytes},{errno},{service_ns},{wait_ns},")
        }
        Happening::Other(operation, Nanos(at)) => {
            let (operation, offset, bytes) = match operation {
                Operation::Open => ("open", 0, 0),
                Operation::Close => ("close", 0, 0),
                Operation::Sync => ("sync", 0, 0),
                Operation::Punch { offset, bytes } => ("punch", *offset, *bytes),
            };
            write!(text, "{at},{operation},{offset},{bytes},0,0,0,0,")
        }
    };
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "read",
        Direction::Write => "write",
    }
}

pub(super) fn write_event(text: &mut Vec<u8>, event: &Event) {
    write_happening(text, &event.what);
    let _ = write!(text, "{},{},", event.depth, event.process.pid());
    write_name(text, event.process.comm().as_bytes());
    text.push(b',');
    write_name(text, event.account.path().as_os_str().as_bytes());
    text.push(b'\n');
}

pub(super) fn write_dropped(text: &mut Vec<u8>, count: u64) {
    let _ = writeln!(text, "{DROPPED}{count}");
}

fn write_name(text: &mut Vec<u8>, name: &[u8]) {
    let is_quoted = name.iter().any(|byte| matches!(byte, b',' | b'"'));
    text.extend(is_quoted.then_some(b'"'));
    for byte in name {
        match byte {
            b'\n' | b'\r' => text.push(b' '),
            b'"' => text.extend(b"\"\""),
            byte => text.push(*byte),
        }
    }
    text.extend(is_quoted.then_some(b'"'));
}

/// Reads a line, without its end.
///
/// # Errors
/// [`LineError`] with the line.
pub(super) fn parse(line: &[u8]) -> Result<Parsed, LineError> {
    let wrong = || LineError(String::from_utf8_lossy(line).into_owned());
    if line == HEADER.trim_end().as_bytes() {
        return Ok(Parsed::Header);
    }
    let number = |text: &[u8]| {
        std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()).ok_or_else(wrong)
    };
    if let Some(count) = line.strip_prefix(DROPPED.as_bytes()) {
        return number(count).map(Parsed::Dropped);
    }
    let fields = split(line).ok_or_else(wrong)?;
    let [arrived, operation, offset, asked, bytes, errno, service, wait, depth, pid, comm, path] =
        <[Vec<u8>; 12]>::try_from(fields).map_err(|_| wrong())?;
    Ok(Parsed::Request(Line {
        arrived_ns: number(&arrived)?,
        operation: String::from_utf8(operation).map_err(|_| wrong())?,
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

fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut fields, mut rest) = (vec![], line);
    loop {
        let field;
        (field, rest) = match rest.strip_prefix(b"\"") {
            Some(quoted) => take_quoted(quoted)?,
            None => {
                let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
                (rest[..end].to_vec(), &rest[end..])
            }
        };
        fields.push(field);
        match rest.strip_prefix(b",") {
            Some(more) => rest = more,
            None => return rest.is_empty().then_some(fields),
        }
    }
}

fn take_quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut field, mut rest) = (vec![], text);
    loop {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        field.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(b"\"") {
            Some(more) => {
                field.push(b'"');
                rest = more;
            }
            None => return Some((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::trace::tests::event;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_path_reads_back(path in proptest::collection::vec(any::<u8>(), 0..20), offset in any::<u64>()) {
            let path: Vec<u8> = path.into_iter().filter(|byte| !b"\0\r\n".contains(byte)).collect();
            let mut text = vec![];
            write_event(&mut text, &event(OsStr::from_bytes(&path), offset));
            let Parsed::Request(line) = parse(text.strip_suffix(b"\n").unwrap()).unwrap() else { panic!("{text:?}") };
            prop_assert_eq!((line.path, line.offset, line.bytes, line.operation.as_str()), (path, offset, 4096, "read"));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }

    #[test]
    fn other_lines() {
        assert_eq!(parse(HEADER.trim_end().as_bytes()), Ok(Parsed::Header));
        assert_eq!(parse(b"#dropped 12"), Ok(Parsed::Dropped(12)));
        assert!(parse(b"#dropped x").is_err() && parse(b"").is_err() && parse(b"1,2").is_err());
        let mut text = vec![];
        write_event(&mut text, &event(OsStr::new("a\nb"), 0));
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(
            text.ends_with(b",a b\n"),
            "fio, which reads no name with a blank, is not given another file's"
        );
    }
}
