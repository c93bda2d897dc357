//! Files that hold files in a way that is not served here: they are shown as the files that they are, and a
//! line says so.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::tar;

/// What compresses a file that begins so; by its name as a command.
pub(super) fn compression(start: &[u8]) -> Option<&'static str> {
    let magics: [(&[u8], &str); 4] =
        [(b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")];
    magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, tool)| tool)
}

/// Whether what is compressed is a tar archive, as layers of OCI images are, whose names do not tell. (Of
/// bzip2 only names tell.)
pub(super) fn holds_tar(tool: &str, path: &Path) -> bool {
    let first_block = || -> io::Result<[u8; 512]> {
        let (file, mut block) = (File::open(path)?, [0; 512]);
        match tool {
            "gzip" => flate2::read::GzDecoder::new(file).read_exact(&mut block)?,
            "zstd" => zstd::stream::read::Decoder::new(file)?.read_exact(&mut block)?,
            "xz" => lzma_rust2::XzReader::new(file, false).read_exact(&mut block)?,
            _ => {}
        }
        Ok(block)
    };
    first_block().is_ok_and(|block| tar::is_tar(&block))
}

/// What to say of the regular file or directory at `path` where it is shown as it is.
pub(in crate::images) fn note(path: &Path) -> Option<String> {
    if path.is_dir() {
        let is_layout = path.join("oci-layout").is_file() && path.join("index.json").is_file();
        let line = "an OCI image layout, whose layers are shown as the compressed files that they are; unpack it (`umoci unpack`, `podman \
            unshare`), and show that";
        return is_layout.then(|| line.to_owned());
    }
    let file = File::open(path).ok()?;
    let mut start = vec![0; START_BYTES];
    let known = file.read_at(&mut start, 0).ok()?;
    start.resize(known.max(LEAST_BYTES), 0);
    if let Some(tool) = compression(&start).filter(|tool| holds_tar(tool, path)) {
        return Some(format!(
            "a compressed tar archive, shown as the file that it is; `{tool} -dc` gives a tar, which `--image NAME=FILE` shows"
        ));
    }
    if start.starts_with(b"\x7fELF") && &start[8..10] == b"AI" {
        return Some(app_image(&file, &start));
    }
    let held = HOLDERS.iter().find(|(at, magic, _)| start[*at..].starts_with(magic));
    held.map(|(.., what)| {
        format!("{what}, shown as the file that it is; mount or unpack it, and show that, or make a squashfs of it")
    })
}

const START_BYTES: usize = 33 << 10;
/// As far as magic numbers are looked for in a short file.
const LEAST_BYTES: usize = START_BYTES;

/// Where a magic number is, the number, and what it is of.
const HOLDERS: [(usize, &[u8], &str); 9] = [
    (1024, b"\xe2\xe1\xf5\xe0", "an EROFS image"),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 image"),
    (0x8001, b"CD001", "an ISO 9660 image"),
    (0, b"QFI\xfb", "a QCOW2 disk image"),
    (0, b"070701", "a cpio archive"),
    (0, b"070707", "a cpio archive"),
    (0, b"!<arch>\n", "an ar archive or Debian package"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"PK\x03\x04", "a zip archive"),
];

/// An AppImage of type 2 is an ELF program with a squashfs after it.
fn app_image(file: &File, start: &[u8]) -> String {
    let number = |at: usize, bytes: usize| {
        start[at..at + bytes].iter().rev().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte))
    };
    let end = number(0x28, 8).saturating_add(number(0x3a, 2) * number(0x3c, 2));
    let mut magic = [0; 4];
    let found = file.read_exact_at(&mut magic, end).is_ok() && magic == *b"hsqs";
    match found {
        true => format!(
            "an AppImage, shown as the program that it is; `tail -c +{} FILE > root.sqfs` gives its squashfs, which `--image NAME=root.sqfs` shows",
            end + 1
        ),
        false => {
            "an AppImage, shown as the program that it is; `FILE --appimage-extract` unpacks it".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn said(bytes: &[u8]) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        note(file.path()).unwrap_or_default()
    }

    fn with(at: usize, magic: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; at];
        bytes.extend(magic);
        bytes
    }

    #[test]
    fn what_holds_files_is_told() {
        for (at, magic, what) in HOLDERS {
            assert!(said(&with(at, magic)).contains(what), "{what}");
        }
        let mut header = ::tar::Header::new_gnu();
        header.set_path("f").unwrap();
        header.set_size(0);
        header.set_cksum();
        let tar = [header.as_bytes().as_slice(), &[0; 1024]].concat();
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        assert!(said(&gzip.finish().unwrap()).contains("`gzip -dc`"));
        assert!(said(&zstd::encode_all(&*tar, 1).unwrap()).contains("`zstd -dc`"));
        assert_eq!(said(&zstd::encode_all(&b"no tar at all"[..], 1).unwrap()), "");
        assert_eq!(
            (said(b""), said(b"#!/bin/sh\n"), said(&std::fs::read("/bin/sh").unwrap())),
            Default::default()
        );
    }

    #[test]
    fn where_an_app_image_has_its_squashfs() {
        let mut elf = vec![0; 200];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[8..11].copy_from_slice(b"AI\x02");
        (elf[0x28], elf[0x3a], elf[0x3c]) = (120, 40, 2);
        elf.extend(b"hsqs and so on");
        assert!(said(&elf).contains("`tail -c +201 FILE"), "{}", said(&elf));
        elf[200] = b'x';
        assert!(said(&elf).contains("--appimage-extract"));
    }

    #[test]
    fn an_oci_layout_is_told() {
        let layout = tempfile::tempdir().unwrap();
        assert_eq!(note(layout.path()), None);
        std::fs::write(layout.path().join("oci-layout"), "{}").unwrap();
        std::fs::write(layout.path().join("index.json"), "{}").unwrap();
        assert!(note(layout.path()).unwrap().contains("OCI image layout"));
    }
}
