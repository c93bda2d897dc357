//! Random trees of files: planned as data, made on disk, and kept as a naive model of what they must look
//! like.

#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::{XattrFlags, setxattr};

/// One file to be.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Which of the directories so far it is in.
    folder: prop::sample::Index,
    name: Vec<u8>,
    mode: u32,
    xattrs: Vec<Vec<u8>>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Directory,
    /// Pieces of data, each after a hole of so many bytes, and a hole at the end.
    File(Vec<(u64, Vec<u8>)>, u64),
    HardLink(prop::sample::Index),
    Symlink(Aim, prop::sample::Index),
}

/// Where a symlink points.
#[derive(Debug, Clone, Copy)]
enum Aim {
    AbsoluteInside,
    RelativeInside,
    AbsoluteOutside,
    Above,
    Nothing,
}

/// What the tree must look like.
#[derive(Debug, Default)]
pub struct Model {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub folders: BTreeMap<PathBuf, BTreeSet<OsString>>,
    /// Where each leads to, from the top of the tree; nothing for those that lead out.
    pub links: BTreeMap<PathBuf, Option<PathBuf>>,
    pub xattrs: BTreeMap<PathBuf, BTreeMap<OsString, Vec<u8>>>,
    /// What the pieces of each file begin and end at: where looking for data and holes is worth it.
    pub edges: BTreeMap<PathBuf, BTreeSet<u64>>,
}

pub fn trees() -> impl Strategy<Value = Vec<Planned>> {
    let name = prop_oneof![
        "[a-z]{1,12}".prop_map(String::into_bytes),
        vec((1u8..).prop_filter("no slash", |byte| *byte != b'/'), 1..20),
        Just(vec![b'n'; 120]),
    ];
    let mode = prop::sample::select(vec![0o755, 0o700, 0o711, 0o744]);
    let planned = (any::<prop::sample::Index>(), name, mode, vec(vec(any::<u8>(), 0..300), 0..3), body());
    vec(
        planned.prop_map(|(folder, name, mode, xattrs, body)| Planned { folder, name, mode, xattrs, body }),
        1..24,
    )
}

fn body() -> impl Strategy<Value = Body> {
    let hole = prop_oneof![Just(0), 1u64..5000, (1u64..200).prop_map(|pages| pages * 4096)];
    let piece = (hole.clone(), vec(any::<u8>(), 1..9000));
    let aims = [Aim::AbsoluteInside, Aim::RelativeInside, Aim::AbsoluteOutside, Aim::Above, Aim::Nothing];
    prop_oneof![
        2 => Just(Body::Directory),
        4 => (vec(piece, 0..4), hole).prop_map(|(pieces, end)| Body::File(pieces, end)),
        1 => any::<prop::sample::Index>().prop_map(Body::HardLink),
        2 => (prop::sample::select(aims.to_vec()), any::<prop::sample::Index>())
            .prop_map(|(aim, index)| Body::Symlink(aim, index)),
    ]
}

/// Makes the tree in the empty directory `top`, whose path is without links.
pub fn make(top: &Path, plan: &[Planned]) -> Model {
    let mut model = Model::default();
    model.folders.insert(PathBuf::new(), BTreeSet::new());
    for (number, planned) in plan.iter().enumerate() {
        let folders: Vec<PathBuf> = model.folders.keys().cloned().collect();
        let folder = planned.folder.get(&folders);
        // No two of one name.
        let name = OsString::from_vec([&planned.name, format!(".{number}").as_bytes()].concat());
        let path = folder.join(&name);
        if model.add(top, planned, &path) {
            model.folders.get_mut(folder).unwrap().insert(name);
        }
    }
    model
}

impl Model {
    /// Whether it could be made: there may be nothing yet for a hard link.
    fn add(&mut self, top: &Path, planned: &Planned, path: &Path) -> bool {
        let real = top.join(path);
        match &planned.body {
            Body::Directory => {
                fs::create_dir(&real).unwrap();
                self.folders.insert(path.to_owned(), BTreeSet::new());
            }
            Body::File(pieces, end) => {
                let (contents, edges) = make_file(&real, pieces, *end);
                self.files.insert(path.to_owned(), contents);
                self.edges.insert(path.to_owned(), edges);
            }
            Body::HardLink(index) => {
                if self.files.is_empty() {
                    return false;
                }
                let old: Vec<_> = self.files.keys().cloned().collect();
                let old = index.get(&old).clone();
                fs::hard_link(top.join(&old), &real).unwrap();
                self.files.insert(path.to_owned(), self.files[&old].clone());
                self.xattrs.insert(path.to_owned(), self.xattrs[&old].clone());
                self.edges.insert(path.to_owned(), self.edges[&old].clone());
                return true;
            }
            Body::Symlink(aim, index) => {
                self.link(top, path, *aim, index);
                return true;
            }
        }
        self.attributes(&real, path, planned);
        true
    }

    fn attributes(&mut self, real: &Path, path: &Path, planned: &Planned) {
        let mut xattrs = BTreeMap::new();
        for (number, value) in planned.xattrs.iter().enumerate() {
            let name = format!("user.n{number}");
            setxattr(real, name.as_str(), value, XattrFlags::empty()).unwrap();
            xattrs.insert(name.into(), value.clone());
        }
        self.xattrs.insert(path.to_owned(), xattrs);
        fs::set_permissions(real, PermissionsExt::from_mode(planned.mode)).unwrap();
    }

    fn link(&mut self, top: &Path, path: &Path, aim: Aim, index: &prop::sample::Index) {
        let known: Vec<_> = self.files.keys().chain(self.folders.keys()).cloned().collect();
        let inside = index.get(&known);
        let up: PathBuf = path.components().skip(1).map(|_| Component::ParentDir).collect();
        let (target, leads) = match aim {
            Aim::AbsoluteInside => (top.join(inside), Some(inside.clone())),
            Aim::RelativeInside => (up.join(inside), Some(inside.clone())),
            Aim::AbsoluteOutside => ("/etc/passwd".into(), None),
            Aim::Above => (up.join("../x"), None),
            Aim::Nothing => ("no/thing".into(), Some(path.parent().unwrap().join("no/thing"))),
        };
        let target = if target.as_os_str().is_empty() { PathBuf::from(".") } else { target };
        symlink(target, top.join(path)).unwrap();
        self.links.insert(path.to_owned(), leads);
    }
}

fn make_file(real: &Path, pieces: &[(u64, Vec<u8>)], end: u64) -> (Vec<u8>, BTreeSet<u64>) {
    let (file, mut contents, mut edges) = (File::create(real).unwrap(), Vec::new(), BTreeSet::new());
    for (hole, data) in pieces {
        let at = contents.len() as u64 + hole;
        file.write_all_at(data, at).unwrap();
        contents.resize(at as usize, 0);
        contents.extend_from_slice(data);
        edges.extend([at, contents.len() as u64]);
    }
    contents.resize(contents.len() + end as usize, 0);
    file.set_len(contents.len() as u64).unwrap();
    edges.insert(contents.len() as u64);
    (contents, edges)
}
