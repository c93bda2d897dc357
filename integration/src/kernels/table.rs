//! What came out: cases down, kernels across.

use serde_json::{Value, json};

use super::Plan;
use super::case;

/// One machine's results.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// What was asked for.
    pub plan: String,
    /// The kernel's release.
    pub release: String,
    /// What the machine told: the doctor's findings and a value for each case.
    pub told: Vec<Value>,
    /// Why there is no more, when the machine did not tell everything.
    pub failure: Option<String>,
}

impl Column {
    /// An empty one for `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Column {
        Column { plan: plan.to_string(), ..Column::default() }
    }

    /// Whether nothing differs and nothing is missing of it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failure.is_none() && self.differences().is_empty()
    }

    fn of(&self, case: &str) -> Option<&Value> {
        self.told.iter().find(|value| value["case"] == case)
    }

    fn differences(&self) -> Vec<String> {
        let different = self.told.iter().filter(|value| value["verdict"] == "different");
        different.map(|value| format!("{}: {}", text(&value["case"]), text(&value["detail"]))).collect()
    }

    fn doctor(&self) -> &Value {
        self.told
            .iter()
            .map(|value| &value["doctor"])
            .find(|doctor| doctor.is_object())
            .unwrap_or(&Value::Null)
    }

    fn lacks(&self) -> Vec<&str> {
        let features = self.doctor()["features"].as_array().into_iter().flatten();
        features.filter(|feature| feature["present"] != true).map(|feature| text(&feature["name"])).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One word for what a machine told about a case.
#[must_use]
pub fn mark(value: Option<&Value>) -> &'static str {
    match value.map(|value| text(&value["verdict"])) {
        Some("same") => "same",
        Some("refused") => "same*",
        Some("missing") => "missing",
        Some(_) => "DIFFERS",
        None => "-",
    }
}

/// The table in Markdown, with what differs and what each kernel lacks below it.
#[must_use]
pub fn markdown(columns: &[Column]) -> String {
    let mut out = row("", columns.iter().map(|column| column.plan.as_str()));
    out += &row("---", columns.iter().map(|_| "---"));
    for case in case::all() {
        out += &row(case.name, columns.iter().map(|column| mark(column.of(case.name))));
    }
    out += "\n`same*`: an engine that the kernel cannot have was refused by name, all others are the same. `-`: not run.\n\n";
    columns.iter().for_each(|column| out += &below(column));
    out
}

fn row<'a>(first: &str, cells: impl Iterator<Item = &'a str>) -> String {
    let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
    format!("| {first} |{cells}\n")
}

/// What a kernel lacks, and what differs on it.
fn below(column: &Column) -> String {
    let lacks = column.lacks();
    let lacks = if lacks.is_empty() { "nothing".to_owned() } else { lacks.join(", ") };
    let able = if column.doctor()["can_run"] == true { "lacks" } else { "cannot run: lacks" };
    let mut out = format!("- {} ({}): {able} {lacks}\n", column.plan, column.release);
    column.differences().iter().for_each(|line| out += &format!("  - DIFFERS {line}\n"));
    column.failure.iter().for_each(|line| out += &format!("  - FAILED: {line}\n"));
    out
}

/// The same for programs.
#[must_use]
pub fn json(columns: &[Column]) -> Value {
    let column = |column: &Column| {
        json!({ "plan": column.plan, "release": column.release, "good": column.is_good(), "failure": column.failure,
                "doctor": column.doctor(), "lacks": column.lacks(),
                "cases": column.told.iter().filter(|value| value["case"].is_string()).collect::<Vec<_>>() })
    };
    json!({ "good": columns.iter().all(Column::is_good), "kernels": columns.iter().map(column).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_a_failure_and_a_refusal_are_told_apart() {
        let told = |verdict: &str| vec![json!({ "case": "sort", "verdict": verdict, "detail": "why" })];
        let column = |verdict, failure: Option<&str>| Column {
            plan: "6.1".to_owned(),
            told: told(verdict),
            failure: failure.map(str::to_owned),
            ..Column::default()
        };
        let (good, bad, broken) =
            (column("refused", None), column("different", None), column("same", Some("silent")));
        assert_eq!([good.is_good(), bad.is_good(), broken.is_good()], [true, false, false]);
        let text = markdown(&[good.clone(), bad, broken]);
        assert!(text.contains("| sort | same* | DIFFERS | same |"), "{text}");
        assert!(text.contains("DIFFERS sort: why") && text.contains("FAILED: silent"), "{text}");
        assert_eq!(json(&[good])["good"], true);
    }
}
