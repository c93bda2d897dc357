//! Patterns over visible paths: `*` and `?` stay within a component, `**` goes across; `images/**` is all
//! below `images`.

use std::fmt;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// The pattern that is written `text`. Every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Glob(text.into())
    }

    /// Whether `path` is of this pattern. Takes time in proportion to both lengths multiplied, whatever the
    /// pattern.
    pub fn holds(&self, path: &[u8]) -> bool {
        let mut whole = path.is_empty();
        self.walk(path, |is_reached| whole = is_reached);
        whole
    }

    /// Whether a path that begins with `start` can be of this pattern: some beginning of the pattern is of
    /// `start`, and what is left is of some rest.
    pub fn can_begin(&self, start: &[u8]) -> bool {
        let mut any = start.is_empty();
        self.walk(start, |is_reached| any |= is_reached);
        any
    }

    /// Tells, for the pattern up to each of its signs, whether all of `path` is of that.
    fn walk(&self, path: &[u8], mut tell: impl FnMut(bool)) {
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        let mut pattern = self.0.as_bytes();
        while let Some((&byte, rest)) = pattern.split_first() {
            let across = byte == b'*' && rest.first() == Some(&b'*');
            pattern = if across { &rest[1..] } else { rest };
            if byte == b'*' {
                for i in 0..path.len() {
                    reached[i + 1] |= reached[i] && (across || path[i] != b'/');
                }
            } else {
                for i in (0..path.len()).rev() {
                    let fits = path[i] == byte || (byte == b'?' && path[i] != b'/');
                    reached[i + 1] = reached[i] && fits;
                }
                reached[0] = false;
            }
            tell(reached[path.len()]);
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_may_begin_with() {
        let can = |glob: &str, start: &str| Glob::new(glob).can_begin(start.as_bytes());
        for glob in
            ["**", "*/x", "images/**", "ima*", "i?ages/a", "images/*.so", "im**/x", "**/bin/ls", "images/"]
        {
            assert!(can(glob, "images/") || glob == "ima*", "{glob}");
        }
        for glob in ["/images/**", "image/**", "swap/*", "ima*", "", "images", "/", "Images/**"] {
            assert!(!can(glob, "images/"), "{glob}");
        }
        assert!(can("images/usr/*/x", "images/usr/lib/") && !can("images/usr/*/x", "images/etc/"));
    }

    #[test]
    fn stars_and_components() {
        let holds = |glob: &str, path: &str| Glob::new(glob).holds(path.as_bytes());
        assert!(holds("**", "") && holds("**", "images/a/b") && holds("images/**", "images/a/b"));
        assert!(holds("swap/*", "swap/s") && !holds("swap/*", "swap/a/b") && !holds("swap/*", "swapped"));
        assert!(
            holds("images/**/*.so", "images/a/b/c.so") && holds("s?ap/x", "swap/x") && !holds("a?b", "a/b")
        );
        assert!(!holds("swap", "swap/x") && !holds("", "a") && holds("", ""));
        assert!(!holds(&"*a".repeat(200), &"a".repeat(199)));
    }
}
