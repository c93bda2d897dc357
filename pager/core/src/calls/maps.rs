//! `/proc/PID/maps` and its kin as a native run has them: the pager's own mappings are not in them, and
//! private memory that holds pages of a file has the file's name.
//!
//! The kernel's text is taken line by line; what of it is the program's is known from the areas. Format:
//! show_map_vma (fs/proc/task_mmu.c) of Linux.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;
use core::str;

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::area::{Area, Backing, Holding, ImageId};

/// Which of the files it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// `maps`: a line for each mapping.
    Maps,
    /// `smaps`: the same line, and what is known of the mapping in lines behind it.
    Smaps,
    /// `numa_maps`: a line that begins with where the mapping does.
    NumaMaps,
}

/// A file as a mapping's line names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Device and inode, `fd:01 1234`.
    pub place: Vec<u8>,
    /// Its path.
    pub path: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    rights: Vec<u8>,
    offset: u64,
    place: Vec<u8>,
    name: Vec<u8>,
}

/// In this column a mapping's name begins.
const NAME_COLUMN: usize = 73;
const NO_FILE: &[u8] = b"00:00 0";

/// The kernel's `text`, made that of a native run. `areas` are what the program has mapped, in order; what
/// lies in `hidden` is not the program's; `file` tells of the file of an image.
pub fn as_natively(
    list: List,
    text: &[u8],
    areas: &[Area],
    hidden: &Range<u64>,
    file: impl Fn(ImageId) -> Option<File>,
) -> Vec<u8> {
    let mut shown: Vec<u8> = Vec::with_capacity(text.len());
    let mut last: Option<(Mapping, Option<usize>)> = None;
    let mut hides = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if list == List::NumaMaps {
            let start = line.split(|byte| *byte == b' ').next().and_then(hexadecimal);
            if !start.is_some_and(|start| hidden.contains(&start)) {
                shown.extend_from_slice(line);
            }
            continue;
        }
        let Some(mapping) = Mapping::parse(line) else {
            // A line about the mapping before.
            if !hides {
                shown.extend_from_slice(line);
            }
            continue;
        };
        hides = hidden.contains(&mapping.start);
        if hides {
            continue;
        }
        let pieces = mapping.pieces(areas, &file);
        match list {
            List::Maps => pieces.into_iter().for_each(|(piece, area)| match &mut last {
                Some((before, of)) if area.is_some() && *of == area && before.continues_in(&piece) => {
                    before.end = piece.end;
                }
                _ => {
                    if let Some((before, _)) = last.replace((piece, area)) {
                        before.show(&mut shown);
                    }
                }
            }),
            // What is told of the mapping is told of all its pieces together.
            _ => match &pieces[..] {
                [(whole, _)] => whole.show(&mut shown),
                _ => shown.extend_from_slice(line),
            },
        }
    }
    if let Some((mapping, _)) = last {
        mapping.show(&mut shown);
    }
    shown
}

impl Mapping {
    fn parse(line: &[u8]) -> Option<Mapping> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let mut range = fields.next()?.splitn(2, |byte| *byte == b'-');
        let (start, end) = (hexadecimal(range.next()?)?, hexadecimal(range.next()?)?);
        let rights = fields.next().filter(|rights| rights.len() == 4)?.to_vec();
        let offset = hexadecimal(fields.next()?)?;
        let (device, inode) = (fields.next()?, fields.next()?);
        let place = [device, b" ", inode].concat();
        let name = fields.next().unwrap_or(b"");
        let name = &name[name.iter().position(|byte| *byte != b' ').unwrap_or(name.len())..];
        (start < end).then(|| Mapping { start, end, rights, offset, place, name: name.to_vec() })
    }

    /// The parts of it that are of one area and from one file, and which area that is.
    fn pieces(
        &self,
        areas: &[Area],
        file: &impl Fn(ImageId) -> Option<File>,
    ) -> Vec<(Mapping, Option<usize>)> {
        let mut pieces = Vec::new();
        let mut at = self.start;
        while at < self.end {
            let next = areas.partition_point(|area| area.range.end().start().0 <= at);
            let inside = areas.get(next).filter(|area| area.range.contains(VirtAddr(at).page()));
            let (end, named) = match (inside, areas.get(next)) {
                (Some(area), _) => source(area, at, file),
                (None, Some(above)) => (above.range.start().start().0, None),
                (None, None) => (self.end, None),
            };
            let end = end.min(self.end);
            // Of memory without a file the kernel tells no offset.
            let offset = if self.place == NO_FILE { self.offset } else { self.offset + (at - self.start) };
            let mut piece = Mapping { start: at, end, offset, ..self.clone() };
            if let Some((file, offset)) = named {
                (piece.place, piece.name, piece.offset) = (file.place, file.path, offset);
            }
            pieces.push((piece, inside.map(|_| next)));
            at = end;
        }
        pieces
    }

    fn continues_in(&self, next: &Mapping) -> bool {
        let same = (&self.rights, &self.place, &self.name) == (&next.rights, &next.place, &next.name);
        let follows = self.place == NO_FILE || self.offset + (self.end - self.start) == next.offset;
        same && self.end == next.start && follows
    }

    fn show(&self, into: &mut Vec<u8>) {
        let begin = into.len();
        into.extend_from_slice(format!("{:08x}-{:08x} ", self.start, self.end).as_bytes());
        into.extend_from_slice(&self.rights);
        into.extend_from_slice(format!(" {:08x} ", self.offset).as_bytes());
        into.extend_from_slice(&self.place);
        into.push(b' ');
        if !self.name.is_empty() {
            into.resize(into.len().max(begin + NAME_COLUMN), b' ');
            into.extend_from_slice(&self.name);
        }
        into.push(b'\n');
    }
}

/// Where, from `at` on, an area's pages have another source, and the file that they are from, with the offset
/// of the first: of memory of the pager's own, of which the kernel does not know that.
fn source(area: &Area, at: u64, file: &impl Fn(ImageId) -> Option<File>) -> (u64, Option<(File, u64)>) {
    let (start, end) = (area.range.start().start().0, area.range.end().start().0);
    match area.backing {
        Backing::Image { image, offset, valid } if area.holding == Holding::Private => {
            let file_end = start + valid.next_multiple_of(PAGE_SIZE);
            match file(image) {
                Some(file) if at < file_end => {
                    (file_end.min(end), Some((file, offset.wrapping_add(at - start))))
                }
                _ => (end, None),
            }
        }
        _ => (end, None),
    }
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{PageNum, PageRange};
    use crate::area::{Protection, Role};

    const HIDDEN: Range<u64> = 0x5500_0000_0000..0x5540_0000_0000;

    fn area(start: u64, end: u64, holding: Holding, backing: Backing) -> Area {
        let range = PageRange::new(PageNum(start >> 12), PageNum(end >> 12)).expect("not empty");
        Area { backing, ..Area::new(range, Protection::READ, holding, Role::Mapping) }
    }

    fn file(image: ImageId) -> Option<File> {
        let path = format!("/lib/{}.so", image.0).into_bytes();
        Some(File { place: b"fd:01 77".to_vec(), path })
    }

    fn shown(list: List, text: &str, areas: &[Area]) -> String {
        String::from_utf8(as_natively(list, text.as_bytes(), areas, &HIDDEN, file)).expect("text")
    }

    #[test]
    fn data_has_its_file_and_bss_has_none() {
        let image = Backing::Image { image: ImageId(3), offset: 0x2000, valid: 0x1234 };
        let areas = [area(0x40_0000, 0x40_5000, Holding::Private, image)];
        let text = "00400000-00405000 rw-p 00000000 00:00 0 \n";
        let pad = " ".repeat(NAME_COLUMN - "00400000-00402000 rw-p 00002000 fd:01 77".len());
        let wanted = format!(
            "00400000-00402000 rw-p 00002000 fd:01 77{pad}/lib/3.so\n00402000-00405000 rw-p 00000000 00:00 0 \n"
        );
        assert_eq!(shown(List::Maps, text, &areas), wanted);
        assert_eq!(shown(List::Smaps, text, &areas), text, "two pieces have one set of figures");
    }

    #[test]
    fn the_pagers_own_is_not_there() {
        let text = "00400000-00401000 r-xp 00000000 00:00 0 \nSize: 4 kB\n550000000000-550000001000 rw-p 00000000 00:00 0 \nSize: 4 kB\n";
        assert_eq!(shown(List::Smaps, text, &[]), "00400000-00401000 r-xp 00000000 00:00 0 \nSize: 4 kB\n");
        assert_eq!(shown(List::Maps, "550000000000-550000001000 rw-p 00000000 00:00 0 \n", &[]), "");
        let numa = "00400000 default anon=1\n550000000000 default anon=1\n";
        assert_eq!(shown(List::NumaMaps, numa, &[]), "00400000 default anon=1\n");
    }

    #[test]
    fn what_the_kernel_holds_in_parts_is_one_mapping_of_one_area() {
        let areas = [
            area(0x1000, 0x4000, Holding::Private, Backing::Zero),
            area(0x4000, 0x5000, Holding::Private, Backing::Zero),
        ];
        let text = "00001000-00002000 rw-p 00000000 00:00 0 \n00002000-00005000 rw-p 00000000 00:00 0 \n";
        let wanted = "00001000-00004000 rw-p 00000000 00:00 0 \n00004000-00005000 rw-p 00000000 00:00 0 \n";
        assert_eq!(shown(List::Maps, text, &areas), wanted);
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        let text = "00001000-00003000 r--s 00001000 fd:01 12                                 /a b (deleted)\n\
                    7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n\
                    ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
        for list in [List::Maps, List::Smaps, List::NumaMaps] {
            assert_eq!(shown(list, text, &[]), text);
        }
    }
}
