//! `/etc/ld.so.cache`: names of libraries and where `ldconfig` found them. The layout is glibc's
//! `sysdeps/generic/dl-cache.h`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Where it lies.
pub(super) const PATH: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// The cache's entries, in its order.
#[derive(Debug, Default)]
pub(super) struct LinkerCache(Vec<(OsString, PathBuf)>);

impl LinkerCache {
    /// The host's; empty where there is none or it is of another format, as the linker goes on then, too.
    pub(super) fn of_host() -> Self {
        std::fs::read(PATH).ok().and_then(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    /// The format may follow an older one in the same file; offsets count from where it begins.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        let bytes = &bytes[start..];
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let text = |at: usize| {
            let text = bytes.get(number(at)?..)?;
            let end = text.iter().position(|byte| *byte == 0)?;
            Some(OsString::from_vec(text[..end].to_vec()))
        };
        let count = number(MAGIC.len())?.min(bytes.len() / ENTRY);
        let entry = |index: usize| {
            let at = HEADER + index * ENTRY;
            Some((text(at + 4)?, text(at + 8)?.into()))
        };
        (0..count).map(entry).collect::<Option<_>>().map(LinkerCache)
    }

    /// Where the library `name` is: what is for one of `levels` first, in their order, and nothing that is
    /// for another.
    pub(super) fn find(&self, name: &OsStr, levels: &[&str]) -> impl Iterator<Item = PathBuf> {
        let level = |path: &PathBuf| {
            let mut parts = path.components().skip_while(|part| part.as_os_str() != "glibc-hwcaps");
            match parts.nth(1) {
                Some(asked) => levels.iter().position(|level| asked.as_os_str() == *level),
                None => Some(levels.len()),
            }
        };
        let named = self.0.iter().filter(|(known, _)| known == name);
        let mut found: Vec<_> = named.filter_map(|(_, path)| Some((level(path)?, path.clone()))).collect();
        found.sort_by_key(|(level, _)| *level);
        found.into_iter().map(|(_, path)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = [MAGIC, &(entries.len() as u32).to_le_bytes(), &[0; HEADER - 24]].concat();
        let mut texts = Vec::new();
        let mut place = |text: &str| {
            let at = HEADER + entries.len() * ENTRY + texts.len();
            texts.extend_from_slice(text.as_bytes());
            texts.push(0);
            (at as u32).to_le_bytes()
        };
        for (name, path) in entries {
            bytes.extend([&[0; 4][..], &place(name), &place(path), &[0; 12]].concat());
        }
        [bytes, texts].concat()
    }

    #[test]
    fn the_first_entry_for_this_processor_counts() {
        let entries = [
            ("liba.so", "/x/glibc-hwcaps/x86-64-v4/liba.so"),
            ("liba.so", "/first/liba.so"),
            ("liba.so", "/x/glibc-hwcaps/x86-64-v2/liba.so"),
            ("libb.so", "/b"),
        ];
        let cache = LinkerCache::parse(&[b"ld.so-1.7.0 of old", &cache(&entries)[..]].concat()).unwrap();
        let find = |levels: &[&str]| cache.find(OsStr::new("liba.so"), levels).collect::<Vec<_>>();
        assert_eq!(find(&[])[0], PathBuf::from("/first/liba.so"));
        assert_eq!(find(&[]).len(), 1);
        assert_eq!(find(&["x86-64-v3", "x86-64-v2"])[0], PathBuf::from("/x/glibc-hwcaps/x86-64-v2/liba.so"));
    }

    #[test]
    fn a_cache_that_is_cut_off_or_garbage_is_none() {
        let whole = cache(&[("liba.so", "/a"), ("libb.so", "/b")]);
        (0..whole.len()).for_each(|len| drop(LinkerCache::parse(&whole[..len])));
        assert!(LinkerCache::parse(&whole[..whole.len() - 1]).is_none());
        let mut wild = whole;
        wild[20..24].copy_from_slice(&[255; 4]);
        assert!(LinkerCache::parse(&wild).is_none());
        assert!(LinkerCache::parse(b"").is_none());
    }
}
