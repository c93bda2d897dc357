//! A row for each column of time and process; `all` for all of them.

use std::io::{self, Write};

use crate::survey::model::{COLUMNS, Series, Survey};

/// Writes the table.
///
/// # Errors
///
/// What the kernel said.
pub fn write(survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    let kinds: Vec<String> = survey.kinds.iter().map(|kind| kind.replace('-', "_")).collect();
    writeln!(out, "pid,from_ns,{},resident_pages,swapped_in,swapped_out,evicted", kinds.join(","))?;
    rows("all", &survey.all, survey.column_ns, out)?;
    for process in &survey.processes {
        rows(&process.pid.to_string(), &process.series, survey.column_ns, out)?;
    }
    Ok(())
}

fn rows(pid: &str, series: &Series, column_ns: u64, out: &mut impl Write) -> io::Result<()> {
    let value = |values: &[u32], at: usize| values.get(at).copied().unwrap_or(0);
    for at in 0..COLUMNS {
        let levels = [&series.resident, &series.swapped_in, &series.swapped_out, &series.evicted];
        let values = series.faults.iter().chain(levels);
        let values: Vec<String> = values.map(|values| value(values, at).to_string()).collect();
        writeln!(out, "{pid},{},{}", at as u64 * column_ns, values.join(","))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::survey;

    #[test]
    fn the_sums_of_the_rows_are_those_of_the_run() {
        let (survey, mut text) = (survey(), Vec::new());
        write(&survey, &mut text).expect("memory takes it");
        let text = String::from_utf8(text).expect("text");
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
        let swap_in = head.iter().position(|name| *name == "swap_in").expect("a column");
        let of_all = lines.filter(|line| line.starts_with("all,"));
        let cells = of_all.map(|line| line.split(',').nth(swap_in).and_then(|cell| cell.parse::<u64>().ok()));
        let counted: u64 = cells.map(|cell| cell.expect("a number")).sum();
        let told: u64 = survey.processes.iter().map(|process| process.tally.faults[2]).sum();
        assert!(counted == told && told > 0, "{counted} {told}");
    }
}
