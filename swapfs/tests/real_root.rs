//! Parts of this machine's own root, shown as a directory and as archives by every writer at hand, are what
//! they were made from: for rsync with checksums, for `tar --compare`, and after a round trip through bsdtar
//! and cpio. With `INTEGRATION_FULL=1` all of `/usr`.
//!
//! Assumes root, GNU tar, bsdtar, cpio, rsync, mksquashfs and Python; what is missing is said and left out.

mod fixture;

use std::path::Path;
use std::process::{Command, Output};

use fixture::*;

/// What of the machine is taken.
const PARTS: [&str; 5] = [
    "/usr/lib/python3.11/encodings",
    "/usr/share/zoneinfo/Etc",
    "/etc/alternatives",
    "/etc/default",
    "/etc/passwd",
];

/// Links that lead out or are written in a roundabout way are shown otherwise than they are written; devices
/// and pipes are not shown. Times are whole seconds, as old formats have no others.
const MAKE: &str = r#"
set -e
for part in $PARTS; do [ ! -e "$part" ] || tar -C / --xattrs -c "${part#/}" 2>/dev/null | tar -C source --xattrs -x; done
cd source
find . -type l \( -lname '/*' -o -lname '*/..*' -o -lname './*' -o -lname '*//*' -o -lname '*/' \) ! -lname '../*' -delete
find . -type l -lname '/*' -delete
find . ! -type f ! -type d ! -type l -delete
mkdir -p "with blank" etc empty
echo hello >"with blank/caf$(printf '\303\251')"
ln -f "with blank/caf$(printf '\303\251')" hard-link
ln -s "with blank" to-blank
head -c 70000 /dev/urandom >large
truncate -s 3M sparse; printf x | dd of=sparse bs=1 seek=1500000 conv=notrunc status=none
chmod 4755 large; chmod 1777 empty; chown 12345:54321 hard-link
find . -exec touch -h -d '@1600000000' {} +
"#;

fn sh(mount: &Mount, script: &str) -> Output {
    let parts = if is_full() { "/usr /etc".to_owned() } else { PARTS.join(" ") };
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("PARTS", parts).current_dir(mount.scratch_path());
    finish_within(&mut command, if is_full() { 20 * PATIENCE } else { PATIENCE })
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("left out: there is no {program} here");
    }
    found
}

/// Nothing is printed, and the end is good.
fn silent(mount: &Mount, what: &str, script: &str) {
    let output = sh(mount, script);
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{what}: {script}\n{}",
        String::from_utf8_lossy(&said[..said.len().min(4000)])
    );
}

/// `mnt/images/it` against `source`; `attributes` are rsync's flags for what the format keeps.
fn compare(mount: &Mount, what: &str, attributes: &str) {
    let it = "mnt/images/it";
    silent(mount, what, &format!("rsync -nai{attributes} --checksum --delete source/ {it}/"));
    silent(mount, what, &format!("tar -C {it} --compare -f whole.tar"));
    silent(mount, what, &format!("tar -C {it} -c . | tar -C source --compare -f -"));
    if has("bsdtar") {
        silent(mount, what, &format!("bsdtar -C {it} -cf - . | tar -C source --compare -f -"));
    }
    if has("cpio") {
        // (It sets no times of links that have several names, nor of the top.)
        let script = format!(
            "rm -rf back && mkdir back && (cd {it} && find . -depth -print0 | cpio -o0 -H newc --quiet) | (cd back && cpio -idm --quiet) && \
             rsync -naiHJO --checksum --delete source/ back/ && find back -depth -delete"
        );
        silent(mount, what, &script);
    }
}

/// Makes an archive by `script`, as the file `archive`, and compares.
fn round_trip(mount: &Mount, what: &str, attributes: &str, script: &str) {
    let made = sh(mount, &format!("rm -f archive; {script}"));
    assert!(made.status.success(), "{what}: {}", complaint(&made));
    mount.start(&["--image", "it=@/archive"]);
    compare(mount, what, attributes);
    assert!(mount.unmount().status.success());
}

fn python(format: &str) -> String {
    format!(
        "python3 -c \"import tarfile as t; a = t.open('archive', 'w', format=t.{format}_FORMAT); a.add('source', '.'); a.close()\""
    )
}

fn prepared() -> Option<Mount> {
    if !can_mount() || !rustix::process::geteuid().is_root() || !has("rsync") {
        return None;
    }
    let mount = Mount::scratch();
    let made = sh(&mount, MAKE);
    assert!(made.status.success(), "{}", complaint(&made));
    silent(&mount, "prepare", "tar -C source -cf whole.tar .");
    Some(mount)
}

fn has_in(mount: &Mount, path: &str) -> bool {
    Path::new(&mount.source()).join(path).exists()
}

#[test]
fn a_root_as_a_directory_is_what_it_is() {
    let Some(mount) = prepared() else { return };
    assert!(has_in(&mount, "etc/passwd"));
    for extra in [&[][..], &["--strict"]] {
        mount.start(&[&["--image", "it=@/source"], extra].concat());
        compare(&mount, "directory", "HAX");
        assert!(mount.unmount().status.success());
    }
}

#[test]
fn a_root_in_a_tar_of_any_writer_is_what_it_was_made_from() {
    let Some(mount) = prepared() else { return };
    for format in ["gnu", "oldgnu", "ustar", "v7", "posix"] {
        // Owners of more than 2097151 and names of more than 100 bytes are not in this tree.
        let sparse = if matches!(format, "gnu" | "posix") { " -S" } else { "" };
        round_trip(
            &mount,
            &format!("GNU tar, {format}"),
            "H",
            &format!("tar -C source --format={format}{sparse} -cf archive ."),
        );
    }
    round_trip(
        &mount,
        "GNU tar with attributes",
        "HX",
        "tar -C source --format=posix --xattrs -cf archive .",
    );
    if has("bsdtar") {
        for format in ["pax", "ustar", "gnutar", "v7"] {
            round_trip(
                &mount,
                &format!("bsdtar, {format}"),
                "H",
                &format!("bsdtar -C source --format={format} -cf archive ."),
            );
        }
    }
    for format in ["GNU", "USTAR", "PAX"] {
        round_trip(&mount, &format!("Python, {format}"), "H", &python(format));
    }
}

#[test]
fn a_root_in_a_squashfs_of_any_compression_is_what_it_was_made_from() {
    let Some(mount) = prepared() else { return };
    if Command::new("mksquashfs").arg("-version").output().is_err() {
        eprintln!("left out: there is no mksquashfs here");
        return;
    }
    for compression in ["gzip", "xz", "zstd", "lz4", "lzma", "lzo"] {
        let make = format!("mksquashfs source archive -quiet -no-progress -comp {compression}");
        if matches!(compression, "lzma" | "lzo") {
            // Those that are refused, in words.
            let made = sh(&mount, &format!("rm -f archive; {make}"));
            let refused = mount.try_start(&["--image", "it=@/archive"]);
            assert!(
                !made.status.success() || complaint(&refused).contains(compression),
                "{}",
                complaint(&refused)
            );
            if refused.status.success() {
                assert!(mount.unmount().status.success());
            }
            continue;
        }
        round_trip(&mount, &format!("squashfs, {compression}"), "HX", &make);
    }
    for layout in [
        "-noI -noD -noF -noX",
        "-b 4096",
        "-b 1M -always-use-fragments",
        "-no-fragments",
        "-no-xattrs -no-exports",
    ] {
        let make = format!("mksquashfs source archive -quiet -no-progress {layout}");
        round_trip(&mount, &format!("squashfs, {layout}"), "H", &make);
    }
}
