//! Programs run from a mounted image by the kernel itself: what `swapfs` alone must get right, without the
//! pager.
//!
//! Assumes: root or fusermount3, and the packages of `integration::tools`.

use std::path::Path;

use integration::mount::MountPlan;
use integration::run::{End, Run, Sampling};
use integration::workloads::{self, Scale, Workload};

fn same_from_the_mount(workload: &Workload) {
    let limit = Scale::asked().limit();
    let native = workload
        .prepare(Run::new(&workload.program), Path::new(""))
        .limit(limit)
        .sampling(Sampling::Coarse)
        .outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    let products = workload.take_products();
    let mount = MountPlan::new().image("/").mount().unwrap_or_else(|reason| panic!("{reason}"));
    let program = mount.image(&workload.program.to_string_lossy());
    let mounted = workload.prepare(Run::new(program), &mount.images()).limit(limit).outcome();
    assert_eq!(mounted.end, End::Code(0), "{}", mounted.complaint());
    assert!(
        mounted.stdout == native.stdout && workload.take_products() == products,
        "{}: output differs",
        workload.name
    );
    assert!(mount.stats().number("total.read_bytes") > 0, "nothing was served");
    println!(
        "{}: {:.2} s and {} MiB natively, {:.2} s from the mount",
        workload.name,
        native.elapsed.as_secs_f64(),
        native.resident.largest_bytes() >> 20,
        mounted.elapsed.as_secs_f64()
    );
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn bash_with_pipelines() {
    same_from_the_mount(&workloads::bash(Scale::asked()));
}

#[test]
fn gcc_with_its_compiler_proper() {
    same_from_the_mount(&workloads::gcc(Scale::asked()));
}

#[test]
fn python_building_structures() {
    same_from_the_mount(&workloads::python(Scale::asked()));
}

#[test]
fn git_clone_and_log() {
    same_from_the_mount(&workloads::git(Scale::asked()));
}

#[test]
fn sqlite_in_memory() {
    same_from_the_mount(&workloads::sqlite(Scale::asked()));
}

#[test]
fn sort_of_a_text_file() {
    same_from_the_mount(&workloads::sort(Scale::asked()));
}
