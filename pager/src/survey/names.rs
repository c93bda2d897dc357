//! What processes and files of a recorded run are called.

use std::collections::HashMap;

use crate::trace::reader::Trace;

/// The names that the end of a trace tells.
pub struct Names {
    images: Vec<String>,
    programs: HashMap<u32, String>,
    first: String,
    started_unix_ns: u64,
}

impl Names {
    /// Those that the end of a trace tells.
    pub fn of(trace: &Trace) -> Names {
        let end = trace.end.as_ref();
        let table = end.and_then(|end| end.report.get("process_table")?.as_array());
        let row = |row: &serde_json::Value| {
            let pid = u32::try_from(row.get("pid")?.as_u64()?).ok()?;
            Some((pid, row.get("program")?.as_str()?.to_owned()))
        };
        Names {
            images: end.map_or_else(Vec::new, |end| end.images.clone()),
            programs: table.into_iter().flatten().filter_map(row).collect(),
            first: trace.description.program.clone(),
            started_unix_ns: trace.description.started_unix_ns,
        }
    }

    /// Path of a file.
    pub fn image(&self, number: u16) -> String {
        let known = self.images.get(usize::from(number)).filter(|path| !path.is_empty());
        known.cloned().unwrap_or_else(|| format!("image {number}"))
    }

    /// When the run began.
    pub fn started_unix_ns(&self) -> u64 {
        self.started_unix_ns
    }

    /// Path of the last program that a process executed.
    pub fn program(&self, pid: u32) -> String {
        self.programs.get(&pid).unwrap_or(&self.first).clone()
    }
}

/// The last part of a path.
pub fn short(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
