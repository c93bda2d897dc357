//! Which requests a rule is for: `PATH & pid=N & comm=GLOB & cgroup=GLOB`. All that is written must hold;
//! each part may be left out.

use std::fmt;

use super::Glob;
use super::wrong::Wrong;

/// Requests for some files, by some processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Visible paths.
    pub path: Glob,
    /// What must hold of the process besides; empty for any.
    pub conditions: Vec<Condition>,
}

/// What must hold of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It has this number.
    Pid(u32),
    /// It is called so (`/proc/PID/comm`, at most 15 bytes).
    Comm(Glob),
    /// One of its control groups has such a path (`/proc/PID/cgroup`).
    Cgroup(Glob),
}

/// The process that asks, as far as rules may want to know it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// Its number; 0 for the kernel.
    pub pid: u32,
    /// Its name.
    pub comm: &'a str,
    /// Paths of its control groups.
    pub cgroups: &'a [String],
}

const KNOWN: &str = "pid=N, comm=GLOB and cgroup=GLOB";

impl Selector {
    /// All requests for files of this pattern.
    pub fn of_path(path: impl Into<String>) -> Self {
        Selector { path: Glob::new(path), conditions: vec![] }
    }

    /// Whether a request is meant, whose path is of the pattern.
    pub fn accepts(&self, client: &Client<'_>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Pid(pid) => client.pid == *pid,
            Condition::Comm(glob) => glob.holds(client.comm.as_bytes()),
            Condition::Cgroup(glob) => client.cgroups.iter().any(|path| glob.holds(path.as_bytes())),
        })
    }

    /// Whether control groups matter for it.
    pub fn names_cgroups(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Cgroup(_)))
    }

    /// Reads what stands before a rule's `:`.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut selector = Selector::of_path("**");
        let mut from = 0;
        for (number, part) in text.split('&').enumerate() {
            let at = from + (part.len() - part.trim_start().len());
            from += part.len() + 1;
            match (number, part.trim()) {
                (0, "") if text.trim().is_empty() => {
                    return Err(Wrong::new(0, "no pattern before the `:`; `**` is every file"));
                }
                (_, "") => {
                    return Err(Wrong::new(
                        at,
                        format!("nothing at this side of the `&`; known are {KNOWN}"),
                    ));
                }
                (number, part) => match condition(part, at)? {
                    Some(condition) => selector.conditions.push(condition),
                    None if number == 0 => selector.path = Glob::new(part),
                    None => {
                        return Err(Wrong::new(at, format!("`{part}` is no condition; known are {KNOWN}")));
                    }
                },
            }
        }
        Ok(selector)
    }
}

/// A condition, or `None` for what is none.
fn condition(part: &str, at: usize) -> Result<Option<Condition>, Wrong> {
    let Some((key, value)) = part.split_once('=') else { return Ok(None) };
    let value_at = at + key.len() + 1 + (value.len() - value.trim_start().len());
    let (key, value) = (key.trim(), value.trim());
    if value.is_empty() && matches!(key, "pid" | "comm" | "cgroup") {
        return Err(Wrong::new(value_at, format!("a value is missing; known are {KNOWN}")));
    }
    match key {
        "pid" => match value.parse() {
            Ok(pid) if pid > 0 => Ok(Some(Condition::Pid(pid))),
            _ => Err(Wrong::new(value_at, format!("`{value}` is not a process's number"))),
        },
        "comm" => Ok(Some(Condition::Comm(Glob::new(value)))),
        "cgroup" => Ok(Some(Condition::Cgroup(Glob::new(value)))),
        _ => Ok(None),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        self.conditions.iter().try_for_each(|condition| match condition {
            Condition::Pid(pid) => write!(f, " & pid={pid}"),
            Condition::Comm(glob) => write!(f, " & comm={glob}"),
            Condition::Cgroup(glob) => write!(f, " & cgroup={glob}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        Selector::parse(text).unwrap_or_else(|wrong| panic!("{text}: {}", wrong.why))
    }

    #[test]
    fn all_conditions_must_hold() {
        let sort = selector(" images/** & comm=so?t & pid=7 ");
        assert_eq!(sort.path, Glob::new("images/**"));
        let client = Client { pid: 7, comm: "sort", cgroups: &[] };
        assert!(sort.accepts(&client));
        assert!(
            !sort.accepts(&Client { pid: 8, ..client })
                && !sort.accepts(&Client { comm: "sorted", ..client })
        );
        let groups = ["/".to_owned(), "/user.slice/a.scope".to_owned()];
        let slice = selector("cgroup=/user.slice/**");
        assert!(slice.accepts(&Client { cgroups: &groups, ..client }) && !slice.accepts(&client));
        assert_eq!(
            (slice.path.clone(), slice.names_cgroups(), sort.names_cgroups()),
            (Glob::new("**"), true, false)
        );
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let at = |text: &str| Selector::parse(text).map_err(|wrong| wrong.at).unwrap_err();
        assert_eq!([at(""), at("  "), at("a & "), at("& a"), at("a & b")], [0, 0, 4, 0, 4]);
        assert_eq!([at("a & user=1"), at("a & pid=x"), at("a & pid= 0"), at("a & comm=")], [4, 8, 9, 9]);
    }
}
