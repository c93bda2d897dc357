//! Extended headers: `LENGTH KEY=VALUE\n` records (POSIX.1-2017, pax, "pax Extended Header").

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::images::tree::Xattrs;

const XATTR: &[u8] = b"SCHILY.xattr.";

/// What the records say, as far as it is of use here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size_bytes: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) modified: Option<(i64, u32)>,
    pub(super) xattrs: Xattrs,
    pub(super) sparse: PaxSparse,
}

/// GNU's three ways of saying where the data of a sparse file is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct PaxSparse {
    pub(super) name: Option<Vec<u8>>,
    /// `GNU.sparse.size` (0.0 and 0.1) or `GNU.sparse.realsize` (1.0).
    pub(super) real_bytes: Option<u64>,
    /// Offsets and lengths of 0.0 and 0.1, one after the other.
    pub(super) map: Vec<u64>,
    /// The map stands before the data (1.0).
    pub(super) map_in_data: bool,
}

impl Pax {
    /// Adds the records of one extended header; later ones count.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(&mut self, mut records: &[u8]) -> Result<(), &'static str> {
        // Some writers fill the block with zeros.
        while records.first().is_some_and(|byte| *byte != 0) {
            let (record, rest) = split_record(records).ok_or("a pax record of a wrong length")?;
            let equals =
                record.iter().position(|byte| *byte == b'=').ok_or("a pax record without a value")?;
            self.set(&record[..equals], &record[equals + 1..]).ok_or("a pax record with a wrong value")?;
            records = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let id = |value| Some(u32::try_from(decimal(value)?).unwrap_or(NOBODY));
        if value.is_empty() {
            self.unset(key);
            return Some(());
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link_path = Some(value.to_vec()),
            b"size" => self.size_bytes = Some(decimal(value)?),
            b"uid" => self.uid = Some(id(value)?),
            b"gid" => self.gid = Some(id(value)?),
            b"mtime" => self.modified = Some(time(value)?),
            b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.real_bytes = Some(decimal(value)?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse.map.push(decimal(value)?),
            b"GNU.sparse.map" => {
                self.sparse.map = value.split(|byte| *byte == b',').map(decimal).collect::<Option<_>>()?;
            }
            b"GNU.sparse.major" => self.sparse.map_in_data = decimal(value)? >= 1,
            _ => {
                if let Some(name) =
                    key.strip_prefix(XATTR).filter(|name| !name.is_empty() && !name.contains(&0))
                {
                    self.xattrs.insert(OsStr::from_bytes(name).to_owned(), value.to_vec());
                }
            }
        }
        Some(())
    }
}

impl Pax {
    /// A record without a value takes back what earlier ones said.
    fn unset(&mut self, key: &[u8]) {
        match key {
            b"path" => self.path = None,
            b"linkpath" => self.link_path = None,
            b"size" => self.size_bytes = None,
            b"uid" => self.uid = None,
            b"gid" => self.gid = None,
            b"mtime" => self.modified = None,
            b"GNU.sparse.map" => self.sparse.map.clear(),
            _ => {
                if let Some(name) =
                    key.strip_prefix(XATTR).filter(|name| !name.is_empty() && !name.contains(&0))
                {
                    self.xattrs.insert(OsStr::from_bytes(name).to_owned(), vec![]);
                }
            }
        }
    }
}

/// Who owns what belongs to a number that no kernel has.
pub(super) const NOBODY: u32 = u32::MAX - 1;

/// The first record, without its length and line end, and what follows.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = records.iter().take(12).position(|byte| *byte == b' ')?;
    let len = usize::try_from(decimal(&records[..space])?).ok()?;
    let record = records.get(..len)?;
    Some((record.get(space + 1..)?.strip_suffix(b"\n")?, &records[len..]))
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// Seconds since 1970 with a fraction, perhaps negative.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = dot.map_or((text, &b""[..]), |dot| (&text[..dot], &text[dot + 1..]));
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = u32::try_from(decimal(&digits.copied().collect::<Vec<u8>>())?).ok()?;
    match (negative, nanoseconds) {
        (false, _) => Some((seconds, nanoseconds)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &[u8]) -> Vec<u8> {
        let mut len = text.len() + 3;
        while len != text.len() + 2 + len.to_string().len() {
            len += 1;
        }
        [len.to_string().as_bytes(), b" ", text, b"\n"].concat()
    }

    fn read(records: &[&[u8]]) -> Result<Pax, &'static str> {
        let mut pax = Pax::default();
        pax.read(&records.iter().flat_map(|text| record(text)).collect::<Vec<u8>>())?;
        Ok(pax)
    }

    #[test]
    fn values_may_hold_line_ends() {
        let pax = read(&[b"path=a\nb", b"SCHILY.xattr.user.x=\n\0=", b"comment=x", b"size=12"]).unwrap();
        assert_eq!(pax.path.unwrap(), b"a\nb");
        assert_eq!(pax.xattrs[OsStr::new("user.x")], b"\n\0=");
        assert_eq!(pax.size_bytes, Some(12));
    }

    #[test]
    fn times() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"-3"), Some((-3, 0)));
        assert_eq!(time(b"1.12345678999"), Some((1, 123_456_789)));
        assert_eq!(
            (time(b""), time(b"x"), time(b"1.x"), time(b"99999999999999999999")),
            (None, None, None, None)
        );
    }

    #[test]
    fn records_that_are_refused() {
        for bad in [
            &b"11 path=x\n"[..],
            b"99999999999999999999 a=b\n",
            b"5 a=b",
            b"5 ab\n",
            b" a=b\n",
            b"0 a=b\n",
            b"x",
        ] {
            assert!(Pax::default().read(bad).is_err(), "{}", bad.escape_ascii());
        }
        assert!(
            read(&[b"size=-1"]).is_err()
                && read(&[b"uid=1x"]).is_err()
                && read(&[b"GNU.sparse.map=1,,2"]).is_err()
        );
        assert_eq!(read(&[b"uid=99999999999"]).unwrap().uid, Some(NOBODY));
    }
}
