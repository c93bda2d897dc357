//! The medians and the best of the rounds, as tables and as JSON.

use serde_json::{Map, Value, json};

use super::measures::{Better, MEASURES};

/// What a file system's daemon took of memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident, in bytes.
    pub rss_bytes: u64,
    /// The same with what is shared split among its users.
    pub pss_bytes: u64,
}

/// One file system's figures.
#[derive(Debug)]
pub struct Row {
    name: &'static str,
    missing: Option<String>,
    /// By measure, by round, by column.
    turns: Vec<Vec<Vec<f64>>>,
    /// Of its daemon, after the last round.
    pub memory: Option<Memory>,
}

impl Row {
    /// Nothing measured yet.
    pub fn new(name: &'static str) -> Self {
        Row { name, missing: None, turns: vec![vec![]; MEASURES.len()], memory: None }
    }

    /// Nothing to be measured.
    pub fn missing(name: &'static str, why: String) -> Self {
        Row { missing: Some(why), ..Row::new(name) }
    }

    /// Adds a turn of a measure.
    pub fn add(&mut self, measure: usize, turn: Option<Vec<f64>>) {
        self.turns[measure].extend(turn);
    }

    /// One figure for each column.
    fn figures(&self, pick: Pick) -> Vec<Option<f64>> {
        let columns = MEASURES.iter().enumerate().flat_map(|(at, measure)| {
            measure.columns.iter().enumerate().map(move |(column, (_, better))| (at, column, *better))
        });
        let of_rounds = |(measure, column, better): (usize, usize, Better)| {
            let mut values: Vec<f64> = self.turns[measure].iter().map(|turn| turn[column]).collect();
            values.sort_by(f64::total_cmp);
            match (pick, better) {
                (Pick::Median, _) => values.get(values.len() / 2).copied(),
                (Pick::Best, Better::Higher) => values.last().copied(),
                (Pick::Best, Better::Lower) => values.first().copied(),
            }
        };
        columns.map(of_rounds).collect()
    }
}

/// Which of the rounds is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The one in the middle.
    Median,
    /// The best one: what is left of a measure where other programs take the processors.
    Best,
}

fn headings() -> impl Iterator<Item = &'static str> {
    MEASURES.iter().flat_map(|measure| measure.columns.iter().map(|(heading, _)| *heading))
}

/// A table in Markdown.
pub fn print(rows: &[Row], pick: Pick) {
    println!("\n{pick:?} of the rounds:\n");
    println!("| file system | {} | RSS / PSS MB |", headings().collect::<Vec<_>>().join(" | "));
    println!("|---|{}---|", "---|".repeat(headings().count()));
    for row in rows {
        if let Some(why) = &row.missing {
            println!("| {} | missing: {why} |", row.name);
            continue;
        }
        let figures: Vec<String> =
            row.figures(pick).into_iter().map(|figure| figure.map_or("-".into(), shown)).collect();
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let memory = row.memory.map_or("-".to_owned(), |memory| {
            format!("{:.0} / {:.0}", megabytes(memory.rss_bytes), megabytes(memory.pss_bytes))
        });
        println!("| {} | {} | {memory} |", row.name, figures.join(" | "));
    }
}

fn shown(figure: f64) -> String {
    if figure < 1000.0 { format!("{figure:.1}") } else { format!("{figure:.0}") }
}

/// The same for programs.
pub fn json(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let figures = |pick| -> Map<String, Value> {
            headings()
                .zip(row.figures(pick))
                .map(|(heading, figure)| (heading.to_owned(), json!(figure)))
                .collect()
        };
        json!({
            "file_system": row.name,
            "missing": row.missing,
            "medians": figures(Pick::Median),
            "best": figures(Pick::Best),
            "rss_bytes": row.memory.map(|memory| memory.rss_bytes),
            "pss_bytes": row.memory.map(|memory| memory.pss_bytes),
        })
    };
    format!("{:#}\n", Value::Array(rows.iter().map(row).collect()))
}
