//! Programs run from a mounted image by the kernel itself: what `swapfs` alone must get right, without the pager.
//!
//! Assumes: root or fusermount3, and the packages of `integration::tools`.

use std::path::Path;

use integration::mount::MountPlan;
use integration::run::{End, Run};
use integration::workloads::{self, Scale, Workload};

fn same_from_the_mount(workload: &Workload) {
    let limit = Scale::Quick.limit();
    let native = workload.prepare(Run::new(&workload.program), Path::new("")).limit(limit).outcome();
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
        "{}: {:.2} s natively, {:.2} s from the mount",
        workload.name,
        native.elapsed.as_secs_f64(),
        mounted.elapsed.as_secs_f64()
    );
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn bash_with_pipelines() {
    same_from_the_mount(&workloads::bash(Scale::Quick));
}

#[test]
fn gcc_with_its_compiler_proper() {
    same_from_the_mount(&workloads::gcc(Scale::Quick));
}

#[test]
fn python_building_structures() {
    same_from_the_mount(&workloads::python(Scale::Quick));
}

#[test]
fn git_clone_and_log() {
    same_from_the_mount(&workloads::git(Scale::Quick));
}

#[test]
fn sqlite_in_memory() {
    same_from_the_mount(&workloads::sqlite(Scale::Quick));
}

#[test]
fn sort_of_a_text_file() {
    same_from_the_mount(&workloads::sort(Scale::Quick));
}
