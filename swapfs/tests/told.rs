//! What is told in a line: rules that match nothing, sources that are shown as they are, names that hold
//! anything.
//!
//! Assumes GNU tar, gzip, zstd and Python.

mod fixture;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use fixture::*;

fn started(mount: &Mount, arguments: &[&str]) -> String {
    let output = mount.try_start(arguments);
    assert!(output.status.success(), "{}", complaint(&output));
    complaint(&output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn rules_that_match_nothing_are_told_and_others_are_not() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    fs::create_dir_all(mount.source().join("usr/bin")).unwrap();
    fs::write(mount.source().join("usr/bin/python"), "x").unwrap();
    let shown = ["--swap", "t:1M", "--images", "@/source"];
    let never = "can ever match";
    let now = "matches no file that is here now";
    for (pattern, words) in [
        ("/swap/t", Some(never)),
        ("/**", Some(never)),
        ("image/**", Some(never)),
        ("Swap/*", Some(never)),
        ("swap/u", Some(now)),
        ("images/**/pyhton", Some(now)),
        ("images/sourc/**", Some(now)),
        ("images/source/usr/bin/python?", Some(now)),
        ("swap/t", None),
        ("swap/*", None),
        ("**", None),
        ("**/python", None),
        ("images/*/usr/*/p*", None),
        ("images/** & comm=nobody", None),
    ] {
        for option in ["--throttle", "--fault"] {
            let rule = format!("{pattern}: {}", if option == "--fault" { "eio=0.1" } else { "bw=1G" });
            let said = started(&mount, &[&shown[..], &[option, &rule]].concat());
            match words {
                Some(words) => assert!(said.contains(words) && said.lines().count() == 1, "{rule}: {said}"),
                None => assert_eq!(said, "", "{rule}"),
            }
            let verb = option.trim_start_matches("--");
            let set = finish(program().arg(verb).arg(mount.point()).args(["--set", &rule]));
            assert!(set.status.success());
            assert_eq!(complaint(&set), said, "{rule}: the same is told of a rule that comes later");
            let rules = text(&finish(program().arg(verb).arg(mount.point())));
            assert!(!rules.contains('#') && rules.lines().count() == 1, "{rules}");
            assert!(mount.unmount().status.success());
        }
    }
}

#[test]
fn what_cannot_be_read_in_place_is_refused_or_told() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    let at = |name: &str| mount.scratch_path().join(name);
    fs::write(mount.source().join("f"), "x").unwrap();
    let script = "tar -cf t.tar source && gzip -k t.tar && zstd -q t.tar && cp t.tar.gz 5f70bf18a086 && printf PK\\\\003\\\\004 >a.zip";
    assert!(
        Command::new("sh").args(["-c", script]).current_dir(mount.scratch_path()).status().unwrap().success()
    );
    for (file, tool) in [("t.tar.gz", "gzip"), ("t.tar.zst", "zstd"), ("5f70bf18a086", "gzip")] {
        let refused = mount.try_start(&["--image", &format!("root=@/{file}")]);
        assert_eq!(refused.status.code(), Some(1));
        // What is said helps as it stands.
        let said = complaint(&refused);
        let command = said.split('`').find(|part| part.starts_with(tool)).unwrap_or_else(|| panic!("{said}"));
        assert!(
            Command::new("sh")
                .args(["-c", command])
                .current_dir(mount.scratch_path())
                .status()
                .unwrap()
                .success()
        );
        mount.start(&["--image", "root=@/root.tar"]);
        assert_eq!(fs::read(mount.at("images/root/source/f")).unwrap(), b"x");
        assert!(mount.unmount().status.success());
        let said = started(&mount, &["--images", &format!("@/{file}")]);
        assert!(said.contains("shown as the file that it is") && said.lines().count() == 1, "{said}");
        assert_eq!(fs::read(mount.at("images").join(file)).unwrap(), fs::read(at(file)).unwrap());
        assert!(mount.unmount().status.success());
    }
    let said = started(&mount, &["--image", "it=@/a.zip"]);
    assert!(said.contains("zip archive"), "{said}");
    assert!(mount.unmount().status.success());
    assert_eq!(started(&mount, &["--images", "@/t.tar", "/bin/ls"]), "");
    assert!(mount.unmount().status.success());
}

#[test]
fn names_with_control_bytes_do_not_reach_the_terminal() {
    let prepare = |mount: &Mount| fs::write(mount.source().join("a\x1b[2Jb\nc"), "x").unwrap();
    with_mount(&["--images", "@/source/", "--swap", "s\x1b]0;x\x07:1M"], prepare, |mount| {
        fs::read(mount.at("images/a\x1b[2Jb\nc")).unwrap();
        fs::read(mount.at("swap/s\x1b]0;x\x07")).unwrap();
        for arguments in [
            &["stat", "M"][..],
            &["stat", "M", "--latency"],
            &["stat", "M", "images/a\x1b[2Jb\nc"],
            &["stat", "M", "images/not\x1b[31m"],
            &["stat", "M", "--interval", "0.01", "--count", "2"],
            &["swap", "list", "M"],
            &["swap", "remove", "M", "\x1b[31m"],
            &["heatmap", "M", "swap/s\x1b]0;x\x07"],
        ] {
            let point = mount.point();
            let arguments =
                arguments.iter().map(|word| if *word == "M" { point.as_os_str() } else { OsStr::new(*word) });
            let output = finish(program().args(arguments));
            let said = [&output.stdout[..], &output.stderr[..]].concat();
            assert!(
                !said.is_empty() && said.iter().all(|byte| *byte >= b' ' || *byte == b'\n'),
                "{}",
                said.escape_ascii()
            );
        }
        let list = text(&finish(program().args(["swap", "list"]).arg(mount.point())));
        assert!(list.contains("s\\x1b]0;x\\x07"), "{list}");
    });
}

#[test]
fn names_that_are_no_utf8_are_whole_in_a_recording() {
    let name = OsStr::from_bytes(b"n\xff\xfe\xe9");
    let prepare = move |mount: &Mount| {
        fs::write(mount.source().join(name), vec![1; 8192]).unwrap();
        fs::write(mount.source().join("line\nend"), "x").unwrap();
    };
    with_mount(&["--images", "@/source/", "--strict"], prepare, move |mount| {
        for format in ["fio", "csv"] {
            let out = mount.scratch_path().join(format);
            let mut trace = program();
            trace
                .arg("trace")
                .arg(mount.point())
                .args(["--seconds", "1", "--format", format, "--out"])
                .arg(&out);
            let mut trace = trace.stderr(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(400));
            fs::read(mount.at("images").join(name)).unwrap();
            fs::read(mount.at("images/line\nend")).unwrap();
            assert!(trace.wait().unwrap().success());
            let log = fs::read(&out).unwrap();
            let holds = |bytes: &[u8]| log.windows(bytes.len()).any(|part| part == bytes);
            assert!(holds(name.as_bytes()), "{}", log.escape_ascii());
            assert_eq!(holds(b"line end"), format == "csv", "{}", log.escape_ascii());
        }
        if Command::new("fio").arg("--version").output().is_ok() {
            let log = mount.scratch_path().join("fio");
            let replay = finish(
                Command::new("fio").args(["--name=again", "--ioengine=psync", "--read_iolog"]).arg(&log),
            );
            assert!(replay.status.success(), "{}", complaint(&replay));
        }
    });
}

/// As those see them who ask for the size first: archivers, copiers and exporters.
#[test]
fn control_files_are_as_large_as_their_text() {
    with_mount(
        &["--swap", "a:1M", "--throttle", "swap/*: bw=1G"],
        |_| {},
        |mount| {
            let scratch = mount.scratch_path();
            let is_whole = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).is_ok();
            let script = "cp mnt/.swapfs/stats.json mnt/.swapfs/metrics . && cp -r mnt/.swapfs copied && \
            rsync -a mnt/.swapfs/ synced/ && tar -C mnt -cf t.tar .swapfs && tar -xf t.tar && \
            bsdtar -C mnt -cf b.tar .swapfs && mkdir b && tar -C b -xf b.tar";
            let output = finish(Command::new("sh").args(["-c", script]).current_dir(scratch));
            assert!(output.status.success() && output.stderr.is_empty(), "{}", complaint(&output));
            for copy in [".", "copied", "synced", ".swapfs", "b/.swapfs"] {
                let read = |name: &str| fs::read(scratch.join(copy).join(name)).unwrap();
                assert!(is_whole(&read("stats.json")), "{copy}");
                assert!(read("metrics").ends_with(b"# EOF\n"), "{copy}");
                assert!(copy == "." || !read("throttle").is_empty(), "{copy}");
            }
            let size = fs::metadata(mount.at(".swapfs/stats.json")).unwrap().len();
            assert!(size.abs_diff(fs::read(mount.at(".swapfs/stats.json")).unwrap().len() as u64) < 100);
        },
    );
}

/// Debian's node exporter, by its collector for text files.
#[test]
fn an_exporter_of_text_files_exports_the_metrics() {
    if Command::new("prometheus-node-exporter").arg("--version").output().is_err() {
        eprintln!("skipped: there is no prometheus-node-exporter here");
        return;
    }
    with_mount(
        &["--swap", "a:1M"],
        |_| {},
        |mount| {
            let folder = mount.scratch_path().join("textfile");
            fs::create_dir(&folder).unwrap();
            std::os::unix::fs::symlink(mount.at(".swapfs/metrics"), folder.join("swapfs.prom")).unwrap();
            fs::read(mount.at("swap/a")).unwrap();
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut exporter = Command::new("prometheus-node-exporter");
            exporter
                .args([
                    "--collector.disable-defaults",
                    "--collector.textfile",
                    "--collector.textfile.directory",
                ])
                .arg(&folder);
            let exporter = exporter
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stderr(std::process::Stdio::null())
                .spawn();
            let mut exporter = exporter.unwrap();
            let scrape = format!(
                "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/metrics').read().decode())"
            );
            let scraped = || Command::new("python3").args(["-c", &scrape]).output().unwrap();
            wait_until(|| scraped().status.success());
            let page = text(&scraped());
            let _ = exporter.kill();
            let _ = exporter.wait();
            assert!(page.contains("node_textfile_scrape_error 0"), "{page}");
            let bytes = page.lines().find(|line| {
                line.starts_with("swapfs_bytes_total{") && line.contains("swap/a") && line.contains("read")
            });
            assert!(bytes.is_some_and(|line| line.ends_with(" 1.048576e+06")), "{page}");
        },
    );
}
