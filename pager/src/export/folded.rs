//! Stacks in one line each, frames between semicolons, a number at the end: what flame graph tools read.

use std::io::{self, Write};

use crate::cli::Weight;
use crate::survey::model::{Stack, Survey};

/// Writes the lines.
///
/// # Errors
///
/// What the kernel said.
pub fn write(survey: &Survey, weight: Weight, out: &mut impl Write) -> io::Result<()> {
    for stack in survey.stacks.iter().filter(|stack| weight_of(stack, weight) > 0) {
        let frames: Vec<String> = stack.frames.iter().map(|frame| plain(frame)).collect();
        writeln!(out, "{} {}", frames.join(";"), weight_of(stack, weight))?;
    }
    Ok(())
}

/// What a stack weighs: faults, or nanoseconds.
pub fn weight_of(stack: &Stack, weight: Weight) -> u64 {
    match weight {
        Weight::Faults => stack.faults,
        Weight::Time => stack.ns,
    }
}

/// A frame without what has a meaning in a line.
fn plain(frame: &str) -> String {
    frame
        .chars()
        .map(|c| {
            if c == ';' {
                ':'
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::survey;

    #[test]
    fn each_stack_is_a_line_that_ends_in_its_weight() {
        let mut survey = survey();
        survey.stacks[0].frames.push("operator;\n".into());
        for weight in [Weight::Faults, Weight::Time] {
            let mut text = Vec::new();
            write(&survey, weight, &mut text).expect("memory takes it");
            let text = String::from_utf8(text).expect("text");
            let weights = text.lines().map(|line| line.rsplit_once(' ').expect("a weight").1);
            let sum: u64 = weights.map(|weight| weight.parse::<u64>().expect("a number")).sum();
            let told: u64 = survey.stacks.iter().map(|stack| weight_of(stack, weight)).sum();
            assert_eq!(sum, told);
            assert_eq!(text.lines().count(), survey.stacks.len(), "{text}");
        }
    }
}
