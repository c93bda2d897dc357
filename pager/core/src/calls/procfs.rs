//! Names in `/proc` and `/dev/fd` that mean something else to a paged program: its executable, and the
//! descriptors that are the pager's.

use super::maps::List;

/// What a path leads to, as far as it is about the process itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// The link to the process's executable.
    Executable,
    /// An open descriptor of the process, or what is told of it, or something behind it.
    Descriptor(i32),
    /// A list of the process's mappings.
    Mappings(List),
}

/// What `path` leads to, for process `pid`. Only absolute paths without links and `..` are understood.
pub fn named(path: &[u8], pid: u32) -> Option<Named> {
    if path.first() != Some(&b'/') {
        return None;
    }
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    match (parts.next()?, parts.next()?) {
        (b"dev", b"fd") => parts.next().and_then(number).map(Named::Descriptor),
        (b"proc", who)
            if who == b"self" || who == b"thread-self" || number(who) == i32::try_from(pid).ok() =>
        {
            let mut part = parts.next()?;
            if part == b"task" && who != b"thread-self" {
                parts.next()?;
                part = parts.next()?;
            }
            match part {
                b"exe" if parts.next().is_none() && !path.ends_with(b"/") => Some(Named::Executable),
                b"maps" if parts.next().is_none() => Some(Named::Mappings(List::Maps)),
                b"smaps" if parts.next().is_none() => Some(Named::Mappings(List::Smaps)),
                b"numa_maps" if parts.next().is_none() => Some(Named::Mappings(List::NumaMaps)),
                b"fd" | b"fdinfo" => parts.next().and_then(number).map(Named::Descriptor),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Which list of the mappings of process `pid` is at `path`, if one is.
pub fn list_of_mappings(path: &[u8], pid: u32) -> Option<List> {
    match named(path, pid) {
        Some(Named::Mappings(list)) => Some(list),
        _ => None,
    }
}

/// Whose descriptors the directory at `path` lists: `path` is a link of `/proc/self/fd`, as the kernel tells
/// it. The number of a process.
pub fn listed(path: &[u8]) -> Option<u32> {
    let path = path.strip_suffix(b"/fd").or_else(|| path.strip_suffix(b"/fdinfo"))?;
    let mut parts = path.rsplit(|byte| *byte == b'/');
    let (last, before) = (parts.next()?, parts.next()?);
    let process = if before == b"task" { parts.next()? } else { last };
    number(process).map(i32::unsigned_abs)
}

/// A number as the kernel writes it: decimal, without zeros before it.
fn number(text: &[u8]) -> Option<i32> {
    let plain = text.first().is_some_and(u8::is_ascii_digit) && (text.len() == 1 || text[0] != b'0');
    let text = core::str::from_utf8(text).ok().filter(|_| plain)?;
    text.parse().ok()
}

/// Removes the entries for which `hidden` says so from what getdents64 (with `layout`, getdents) has stored;
/// how many bytes are left.
///
/// Entries that do not make sense end the search: what follows stays as it is.
pub fn without(entries: &mut [u8], layout: Layout, hidden: impl Fn(i32) -> bool) -> usize {
    let (mut from, mut to) = (0, 0);
    while let Some(length) = entries.get(from + 16..from + 18) {
        let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
        let Some(entry) = entries.get(from..from + length).filter(|entry| entry.len() > layout.name()) else {
            break;
        };
        let name = &entry[layout.name()..];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        if !number(&name[..end]).is_some_and(&hidden) {
            entries.copy_within(from..from + length, to);
            to += length;
        }
        from += length;
    }
    let rest = entries.len() - from;
    entries.copy_within(from.., to);
    to + rest
}

/// Which of the two structures of a directory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// `struct linux_dirent`.
    Old,
    /// `struct linux_dirent64`.
    New,
}

impl Layout {
    /// Where an entry's name begins.
    const fn name(self) -> usize {
        match self {
            Layout::Old => 18,
            Layout::New => 19,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_executable_has_many_names() {
        for path in [
            "/proc/self/exe",
            "/proc/thread-self/exe",
            "/proc/12/exe",
            "//proc/./self//exe",
            "/proc/12/task/13/exe",
        ] {
            assert_eq!(named(path.as_bytes(), 12), Some(Named::Executable), "{path}");
        }
        for path in [
            "proc/self/exe",
            "/proc/13/exe",
            "/proc/self/exe/",
            "/proc/012/exe",
            "/proc/self/exe/x",
            "/proc/self",
            "/",
        ] {
            assert_eq!(named(path.as_bytes(), 12), None, "{path}");
        }
    }

    #[test]
    fn a_descriptor_too() {
        for path in [
            "/proc/self/fd/7",
            "/dev/fd/7",
            "/proc/12/fdinfo/7",
            "/proc/thread-self/fd/7/x",
            "/proc/self/task/12/fd/7",
        ] {
            assert_eq!(named(path.as_bytes(), 12), Some(Named::Descriptor(7)), "{path}");
        }
        for path in [
            "/proc/self/fd",
            "/proc/self/fd/07",
            "/proc/13/fd/7",
            "/dev/fd/+7",
            "/dev/fd/99999999999",
            "/dev/null",
        ] {
            assert_eq!(named(path.as_bytes(), 12), None, "{path}");
        }
    }

    #[test]
    fn mappings_are_listed_in_three_ways() {
        for (path, list) in [
            ("/proc/self/maps", List::Maps),
            ("/proc/12/smaps", List::Smaps),
            ("/proc/self/task/14/maps", List::Maps),
            ("/proc/thread-self/numa_maps", List::NumaMaps),
        ] {
            assert_eq!(list_of_mappings(path.as_bytes(), 12), Some(list), "{path}");
        }
        for path in ["/proc/13/maps", "/proc/self/fd/7", "/proc/self/smaps_rollup", "maps"] {
            assert_eq!(list_of_mappings(path.as_bytes(), 12), None, "{path}");
        }
    }

    #[test]
    fn a_listing_is_of_a_process() {
        assert_eq!(listed(b"/proc/12/fd"), Some(12));
        assert_eq!(listed(b"/mnt/proc/12/task/13/fdinfo"), Some(12));
        assert_eq!(listed(b"/proc/12/net"), None);
        assert_eq!(listed(b"/home/fd"), None);
    }

    fn entry(name: &str, layout: Layout) -> Vec<u8> {
        let length = (layout.name() + name.len() + 2).next_multiple_of(8);
        let mut bytes = Vec::from([7; 16]);
        bytes.extend((length as u16).to_ne_bytes());
        bytes.resize(layout.name(), 4);
        bytes.extend(name.as_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn entries_are_taken_out_and_the_rest_moves_up() {
        for layout in [Layout::Old, Layout::New] {
            let all =
                |names: &[&str]| -> Vec<u8> { names.iter().flat_map(|name| entry(name, layout)).collect() };
            let mut entries = all(&[".", "..", "0", "4096", "5", "4100"]);
            let left = without(&mut entries, layout, |number| number >= 4096);
            assert_eq!(entries[..left], all(&[".", "..", "0", "5"]));
            let mut entries = all(&["4096"]);
            assert_eq!(without(&mut entries, layout, |_| true), 0);
        }
    }
}
