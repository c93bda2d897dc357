//! What the screen of `swapfs top` shows: plain data, without a terminal.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use swapfs::accounting::{Figures, Heat, Snapshot};

/// Cells of a file's heat strip.
pub const HEAT_CELLS: usize = 14;
/// Looks that a trend goes back.
pub const TREND: usize = 60;
/// More than any terminal shows.
const MOST_IN_SIGHT: usize = 60;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A file.
    Files,
    /// A process.
    Processes,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Bytes,
    Reads,
    Writes,
    P99,
    Name,
}

/// One file or process.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    /// What it did since the last look.
    pub spent: Figures,
    /// Bytes a second of the last looks, the newest last.
    pub trend: Vec<u64>,
}

/// All that is shown.
#[derive(Debug)]
pub struct Screen {
    pub snapshot: Snapshot,
    pub total: Figures,
    pub total_trend: VecDeque<u64>,
    pub seconds: f64,
    pub subject: Subject,
    pub key: Key,
    pub reversed: bool,
    pub offset: usize,
    rows: Vec<Row>,
    trends: HashMap<String, VecDeque<u64>>,
    heats: HashMap<String, Heat>,
}

impl Screen {
    /// The screen at the first look: nothing has happened yet.
    pub fn new(snapshot: Snapshot) -> Self {
        let mut screen = Screen {
            total: Figures::default(),
            total_trend: VecDeque::new(),
            seconds: 1.0,
            subject: Subject::Files,
            key: Key::Bytes,
            reversed: false,
            offset: 0,
            rows: vec![],
            trends: HashMap::new(),
            heats: HashMap::new(),
            snapshot: snapshot.clone(),
        };
        screen.take(snapshot, Duration::from_secs(1));
        screen.total_trend.clear();
        screen
    }

    /// A new look, so long after the last.
    pub fn take(&mut self, snapshot: Snapshot, time: Duration) {
        let spent = snapshot.since(&self.snapshot);
        self.seconds = time.as_secs_f64().max(1e-3);
        self.total = spent.total.clone();
        let bytes = |figures: &Figures, seconds: f64| {
            ((figures.read_bytes + figures.write_bytes) as f64 / seconds) as u64
        };
        push(&mut self.total_trend, bytes(&self.total, self.seconds));
        let files = spent.files.iter().map(|file| (file.path.as_str(), &file.figures));
        let names: Vec<String> = spent.processes.iter().map(|p| format!("{} ({})", p.comm, p.pid)).collect();
        let processes = names.iter().map(String::as_str).zip(spent.processes.iter().map(|p| &p.figures));
        let all: HashMap<&str, &Figures> = files.chain(processes).collect();
        let known = snapshot.files.iter().map(|file| file.path.clone());
        let known = known.chain(snapshot.processes.iter().map(|p| format!("{} ({})", p.comm, p.pid)));
        let known: Vec<String> = known.collect();
        self.trends.retain(|name, _| known.contains(name));
        for name in known {
            let now = all.get(name.as_str()).map_or(0, |figures| bytes(figures, self.seconds));
            push(self.trends.entry(name).or_default(), now);
        }
        self.rows = self.rows_of(&snapshot, &all);
        self.snapshot = snapshot;
        self.sort();
    }

    /// The heat of a file in sight.
    pub fn take_heat(&mut self, heat: Heat) {
        self.heats.insert(heat.path.clone(), heat);
    }

    /// The heat strip of a row, if it is a file's.
    pub fn heat(&self, row: &Row) -> Option<&Heat> {
        self.heats.get(&row.name)
    }

    /// Rows in order, from the first one in sight on.
    pub fn rows(&self) -> &[Row] {
        &self.rows[self.offset.min(self.rows.len())..]
    }

    /// The paths of files in sight.
    pub fn paths_in_sight(&self) -> Vec<String> {
        match self.subject {
            Subject::Files => self.rows().iter().take(MOST_IN_SIGHT).map(|row| row.name.clone()).collect(),
            Subject::Processes => vec![],
        }
    }

    pub fn sort_by_next(&mut self) {
        self.key = match self.key {
            Key::Bytes => Key::Reads,
            Key::Reads => Key::Writes,
            Key::Writes => Key::P99,
            Key::P99 => Key::Name,
            Key::Name => Key::Bytes,
        };
        self.sort();
    }

    pub fn reverse(&mut self) {
        self.reversed = !self.reversed;
        self.sort();
    }

    pub fn change_subject(&mut self) {
        self.subject = match self.subject {
            Subject::Files => Subject::Processes,
            Subject::Processes => Subject::Files,
        };
        self.offset = 0;
        self.rows = self.rows_of(&self.snapshot, &HashMap::new());
        self.sort();
    }

    pub fn scroll(&mut self, rows: isize) {
        self.offset = self.offset.saturating_add_signed(rows).min(self.rows.len().saturating_sub(1));
    }

    fn rows_of(&self, snapshot: &Snapshot, spent: &HashMap<&str, &Figures>) -> Vec<Row> {
        let names: Vec<String> = match self.subject {
            Subject::Files => snapshot.files.iter().map(|file| file.path.clone()).collect(),
            Subject::Processes => {
                snapshot.processes.iter().map(|p| format!("{} ({})", p.comm, p.pid)).collect()
            }
        };
        let row = |name: String| Row {
            spent: spent.get(name.as_str()).map(|figures| (*figures).clone()).unwrap_or_default(),
            trend: self.trends.get(&name).map(|trend| trend.iter().copied().collect()).unwrap_or_default(),
            name,
        };
        names.into_iter().map(row).collect()
    }

    /// The busiest first, and by name where they are equal.
    fn sort(&mut self) {
        let worth = |row: &Row| match self.key {
            Key::Bytes => row.spent.read_bytes + row.spent.write_bytes,
            Key::Reads => row.spent.read_ops,
            Key::Writes => row.spent.write_ops,
            Key::P99 => p99(&row.spent),
            Key::Name => 0,
        };
        let recent = |row: &Row| row.trend.iter().rev().take(10).sum::<u64>();
        let by_name = self.key == Key::Name;
        self.rows.sort_by_cached_key(|row| {
            let worths = (Reverse(worth(row)), Reverse(if by_name { 0 } else { recent(row) }));
            (worths, row.name.clone())
        });
        if self.reversed {
            self.rows.reverse();
        }
        self.offset = self.offset.min(self.rows.len().saturating_sub(1));
    }
}

/// The slower direction's.
pub fn p99(figures: &Figures) -> u64 {
    figures.read_total.p99_ns.max(figures.write_total.p99_ns)
}

fn push(trend: &mut VecDeque<u64>, value: u64) {
    trend.push_back(value);
    while trend.len() > TREND {
        trend.pop_front();
    }
}
