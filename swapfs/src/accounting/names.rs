//! What a process is called, as rules want to know it: its name and its control groups.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::throttle::Client;

/// Names as of some moment; cheap to copy.
#[derive(Debug, Clone)]
pub struct Names {
    pid: u32,
    comm: Arc<str>,
    cgroups: Option<Arc<[String]>>,
}

impl Names {
    /// The same for a rule.
    pub fn client(&self) -> Client<'_> {
        Client { pid: self.pid, comm: &self.comm, cgroups: self.cgroups.as_deref().unwrap_or_default() }
    }

    /// Its name.
    pub fn comm(&self) -> &str {
        &self.comm
    }
}

/// The names of one process. A leaf of the lock order.
#[derive(Debug)]
pub(super) struct NameTag(Mutex<Names>);

impl NameTag {
    pub(super) fn new(pid: u32, comm: &str) -> Self {
        NameTag(Mutex::new(Names { pid, comm: comm.into(), cgroups: None }))
    }

    pub(super) fn names(&self) -> Names {
        self.0.lock().clone()
    }

    /// It was looked at again: it has this name, and its control groups are to be read anew by who wants
    /// them.
    pub(super) fn rename(&self, comm: &str) {
        let mut names = self.0.lock();
        if *names.comm != *comm {
            names.comm = comm.into();
        }
        names.cgroups = None;
    }

    /// Reads the control groups where they are not known; nothing is locked meanwhile.
    pub(super) fn learn_cgroups(&self) {
        let Names { pid, cgroups: None, .. } = self.names() else { return };
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        self.0.lock().cgroups = Some(parse_cgroups(&text));
    }
}

/// Lines are `NUMBER:CONTROLLERS:PATH` (cgroups(7)); paths are often the same for all controllers.
fn parse_cgroups(text: &str) -> Arc<[String]> {
    let mut paths: Vec<String> =
        text.lines().filter_map(|line| Some(line.splitn(3, ':').nth(2)?.to_owned())).collect();
    paths.sort();
    paths.dedup();
    paths.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_of_both_versions() {
        let paths = parse_cgroups("12:memory:/a.slice/b:c\n11:cpu,cpuacct:/\n0::/\n\nbad");
        assert_eq!(*paths, ["/".to_owned(), "/a.slice/b:c".to_owned()]);
    }

    #[test]
    fn ours_are_read_when_wanted_and_again_after_a_new_name() {
        let tag = NameTag::new(std::process::id(), "a");
        assert!(tag.names().cgroups.is_none());
        tag.learn_cgroups();
        let names = tag.names();
        assert!(names.client().cgroups.iter().all(|path| path.starts_with('/')));
        assert!(!names.client().cgroups.is_empty());
        tag.rename("b");
        assert_eq!((tag.names().comm(), tag.names().cgroups), ("b", None));
    }
}
