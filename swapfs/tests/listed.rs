//! Whatever is in a source is in its listing; what is wrong with it is told to who asks for it.
//!
//! Assumes mksquashfs, Python, coreutils and findutils.

mod fixture;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use fixture::*;

fn names(directory: &Path) -> BTreeSet<OsString> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

/// A squashfs image in which the inodes of a file and of a directory are of an impossible type.
fn damaged_image(mount: &Mount) {
    let source = mount.source();
    fs::create_dir_all(source.join("d/inner")).unwrap();
    for name in ["d/a", "d/damaged", "d/z", "d/inner/x"] {
        fs::write(source.join(name), name).unwrap();
    }
    let marks = [("d/damaged", 0x4abb_ccddu32), ("d/inner", 0x4abb_ccdf)];
    for (name, mark) in marks {
        let file = fs::File::open(source.join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(mark.into())).unwrap();
    }
    let image = mount.scratch_path().join("image");
    let made = Command::new("mksquashfs")
        .arg(&source)
        .arg(&image)
        .args(["-noI", "-quiet", "-no-progress"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", complaint(&made));
    let mut bytes = fs::read(&image).unwrap();
    for (name, mark) in marks {
        let at = bytes.windows(4).position(|bytes| bytes == mark.to_le_bytes()).expect(name);
        bytes[at - 8..at - 6].copy_from_slice(&0x7fu16.to_le_bytes());
    }
    fs::write(image, bytes).unwrap();
}

#[test]
fn what_cannot_be_looked_up_is_listed_and_its_error_reaches_who_asks() {
    with_mount(&["--image", "it=@/image"], damaged_image, |mount| {
        let d = mount.at("images/it/d");
        let all = ["a", "damaged", "inner", "z"].map(OsString::from).into();
        // The kernel lists with attributes first, and without once it has them.
        for _ in 0..3 {
            assert_eq!(names(&d), all);
        }
        assert_eq!(fs::read(d.join("a")).unwrap(), b"d/a");
        for name in ["damaged", "inner"] {
            assert_eq!(errno(fs::metadata(d.join(name))), EIO, "{name}");
            assert_eq!(errno(fs::File::open(d.join(name))), EIO, "{name}");
        }
        let copy = mount.scratch_path().join("copy");
        for command in [
            Command::new("ls").arg("-l").arg(&d),
            Command::new("cp").arg("-a").arg(&d).arg(&copy),
            Command::new("find").arg(&d).args(["-newermt", "1980-01-01"]),
            Command::new("tar").arg("-cf").arg("/dev/zero").arg(&d),
            Command::new("du").arg(&d),
        ] {
            let output = finish(command);
            assert!(!output.status.success(), "{command:?} ends with 0");
            assert!(complaint(&output).contains("damaged"), "{command:?}: {}", complaint(&output));
        }
        assert_eq!(names(&copy), ["a", "z"].map(OsString::from).into());
    });
}

/// Paths of more than 4096 bytes, as programs reach them: step by step.
#[test]
fn what_lies_deeper_than_one_path_reaches_is_served() {
    const MAKE: &str = "
import os, sys
os.chdir(sys.argv[1])
for n in range(25):
    name = f'{n:03}' + 'x' * 240
    open('beside', 'w').write(str(n)); os.mkdir(name); os.chdir(name)
open('file', 'w').write('far down'); os.symlink('file', 'link'); os.setxattr('file', 'user.k', b'v') if sys.argv[2] == 'x' else None
";
    const WALK: &str = "
import os, sys
os.chdir(sys.argv[1])
for n in range(25):
    name = f'{n:03}' + 'x' * 240
    assert sorted(os.listdir('.')) == sorted(['beside', name]), os.listdir('.')
    assert open('beside').read() == str(n)
    os.chdir(name)
assert sorted(os.listdir('.')) == ['file', 'link']
assert open('file').read() == 'far down' and os.readlink('link') == 'file' and open('link').read() == 'far down'
assert os.stat('file').st_size == 8 and os.listxattr('file') is not None
";
    let python = |script: &str, at: &Path| {
        let output = finish(Command::new("python3").args(["-c", script]).arg(at).arg("-"));
        assert!(output.status.success(), "{}", complaint(&output));
    };
    let prepare = move |mount: &Mount| python(MAKE, &mount.source());
    with_mount(&["--images", "@/source/"], prepare, move |mount| {
        python(WALK, &mount.source());
        python(WALK, &mount.at("images"));
    });
}

/// As archivers go by the size, and would cut the text.
#[test]
fn a_link_is_as_large_as_what_readlink_gives() {
    let prepare = |mount: &Mount| {
        let source = mount.source();
        fs::create_dir_all(source.join("d/e")).unwrap();
        fs::write(source.join("d/file"), "x").unwrap();
        let inside = source.canonicalize().unwrap().join("d/file");
        for (name, target) in [
            ("d/e/absolute", inside.to_str().unwrap()),
            ("d/e/folded", "./../e/../file"),
            ("plain", "d/file"),
        ] {
            std::os::unix::fs::symlink(target, source.join(name)).unwrap();
        }
        // In archives an absolute link counts from the top.
        fs::create_dir(mount.scratch_path().join("other")).unwrap();
        let other = mount.scratch_path().join("other");
        std::os::unix::fs::symlink("/usr/../etc/passwd", other.join("absolute")).unwrap();
        let script = "tar -C other -cf t.tar . && mksquashfs other t.sqfs -quiet -no-progress";
        assert!(
            Command::new("sh")
                .args(["-c", script])
                .current_dir(mount.scratch_path())
                .status()
                .unwrap()
                .success()
        );
    };
    let arguments = ["--image", "it=@/source", "--image", "tar=@/t.tar", "--image", "squashfs=@/t.sqfs"];
    with_mount(&arguments, prepare, |mount| {
        for name in ["it/d/e/absolute", "it/d/e/folded", "it/plain", "tar/absolute", "squashfs/absolute"] {
            let link = mount.at("images").join(name);
            let (size, target) = (fs::symlink_metadata(&link).unwrap().len(), fs::read_link(&link).unwrap());
            assert_eq!(size, target.as_os_str().len() as u64, "{name} -> {target:?}");
        }
        let script = "bsdtar -C mnt/images/it -cf b.tar . && mkdir b && tar -C b -xf b.tar && cat b/d/e/absolute b/d/e/folded b/plain && \
            mkdir c && (cd mnt/images/it && find . | cpio -o --quiet -H newc) | (cd c && cpio -idm --quiet) && cat c/d/e/absolute c/d/e/folded";
        let output = finish(Command::new("sh").args(["-c", script]).current_dir(mount.scratch_path()));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "xxxxx", "{}", complaint(&output));
    });
}
