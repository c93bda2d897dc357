//! Where a symlink of a source may point.
//!
//! A link is shown only in a form that cannot leave its source: some `..`, no more than there are directories
//! between the link and the top of the source, then plain names. Every name on the way is a directory or such
//! a link itself, so by induction no walk that starts inside ends outside. Absolute targets inside the source
//! become relative ones; `x/..` in the middle of a target is folded, which differs from the kernel's walk
//! only where `x` is itself a link.

use std::path::{Component, Path, PathBuf};

/// What to do with a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTarget {
    /// Show this target.
    Inside(PathBuf),
    /// The target leaves the source.
    Escapes,
}

/// Decides on the link at `link` (relative to the top of the source, whose absolute path is `root`) with
/// target `target`.
pub fn confine(root: &Path, link: &Path, target: &Path) -> LinkTarget {
    let directory: Vec<&Path> = link.parent().into_iter().flat_map(Path::iter).map(Path::new).collect();
    let inside = if target.is_absolute() {
        let Some(inside) = fold(&[], target).and_then(|t| strip(&t, root)) else {
            return LinkTarget::Escapes;
        };
        inside
    } else {
        let Some(inside) = fold(&directory, target) else { return LinkTarget::Escapes };
        inside
    };
    LinkTarget::Inside(relative(&directory, &inside))
}

fn strip(target: &[PathBuf], root: &Path) -> Option<Vec<PathBuf>> {
    let root = fold(&[], root)?;
    target.strip_prefix(root.as_slice()).map(<[PathBuf]>::to_vec)
}

/// `target`, seen from `directory`, as names from the top; `None` if it climbs over the top. An absolute
/// path's top is `/`.
fn fold(directory: &[&Path], target: &Path) -> Option<Vec<PathBuf>> {
    let mut names: Vec<PathBuf> = directory.iter().map(PathBuf::from).collect();
    for component in target.components() {
        match component {
            Component::Normal(name) => names.push(name.into()),
            Component::ParentDir if names.pop().is_none() && !target.is_absolute() => return None,
            _ => {}
        }
    }
    Some(names)
}

/// The way from `directory` to `inside`, both as names from the top.
fn relative(directory: &[&Path], inside: &[PathBuf]) -> PathBuf {
    let common = directory.iter().zip(inside).take_while(|(a, b)| **a == b.as_path()).count();
    let up = std::iter::repeat_n(Path::new(".."), directory.len() - common);
    let path: PathBuf = up.chain(inside[common..].iter().map(PathBuf::as_path)).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(root: &str, link: &str, target: &str) -> LinkTarget {
        confine(Path::new(root), Path::new(link), Path::new(target))
    }

    fn inside(target: &str) -> LinkTarget {
        LinkTarget::Inside(target.into())
    }

    #[test]
    fn relative_links_inside() {
        assert_eq!(shown("/src", "a/l", "b"), inside("b"));
        assert_eq!(shown("/src", "a/l", "../c/d"), inside("../c/d"));
        assert_eq!(shown("/src", "l", "./x/../y"), inside("y"));
        assert_eq!(shown("/src", "a/l", ".."), inside(".."));
        assert_eq!(shown("/src", "l", "."), inside("."));
    }

    #[test]
    fn links_that_climb_over_the_top() {
        assert_eq!(shown("/src", "l", ".."), LinkTarget::Escapes);
        assert_eq!(shown("/src", "a/l", "../../etc"), LinkTarget::Escapes);
        assert_eq!(shown("/src", "a/l", "b/../../../src/c"), LinkTarget::Escapes);
    }

    #[test]
    fn absolute_links() {
        assert_eq!(shown("/src", "a/b/l", "/src/a/x"), inside("../x"));
        assert_eq!(shown("/src", "a/l", "/etc/passwd"), LinkTarget::Escapes);
        assert_eq!(shown("/src", "a/l", "/srcx/y"), LinkTarget::Escapes);
        assert_eq!(shown("/src", "a/l", "/src/../etc"), LinkTarget::Escapes);
        assert_eq!(shown("/src", "l", "/src"), inside("."));
        assert_eq!(shown("/", "etc/l", "/usr/bin/x"), inside("../usr/bin/x"));
        assert_eq!(shown("/", "etc/l", "/../usr"), inside("../usr"));
    }

    proptest! {
        /// However a target is written, what is shown climbs no higher than the top, and only at its
        /// beginning.
        #[test]
        fn nothing_climbs_out(link in "([a-c]/){0,3}l", target in "/?((\\.\\.|\\.|[a-c])/){0,6}[a-c]?") {
            if let LinkTarget::Inside(shown) = shown("/a", &link, &target) {
                let ups = shown.components().take_while(|c| *c == Component::ParentDir).count();
                prop_assert!(ups <= link.matches('/').count());
                prop_assert!(shown.components().skip(ups).all(|c| matches!(c, Component::Normal(_) | Component::CurDir)));
            }
        }
    }
}
