//! Which files are meant.

/// Which files to show: all, or those with one of these paths or below one of them.
#[derive(Debug, Clone, Default)]
pub struct Selection(pub Vec<String>);

impl Selection {
    /// Whether `path` is chosen.
    pub fn holds(&self, path: &str) -> bool {
        let below = |chosen: &String| {
            let chosen = chosen.trim_end_matches('/');
            path.strip_prefix(chosen).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.is_empty() || self.0.iter().any(below)
    }
}
