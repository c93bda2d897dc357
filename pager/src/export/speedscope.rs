//! The file format of speedscope: frames once, and a profile of stacks with weights for each process.
//! <https://www.speedscope.app/file-format-schema.json>

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::folded::weight_of;
use crate::cli::Weight;
use crate::survey::model::{Stack, Survey};

/// Writes the file.
///
/// # Errors
///
/// What the kernel said.
pub fn write(survey: &Survey, weight: Weight, out: &mut impl Write) -> io::Result<()> {
    let mut frames = Frames::default();
    // The outermost frame is the process; stacks are in order of their frames.
    let by_process = survey.stacks.chunk_by(|a, b| a.frames.first() == b.frames.first());
    let profiles: Vec<Value> = by_process.map(|stacks| profile(stacks, weight, &mut frames)).collect();
    let file = json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": concat!("pager ", env!("CARGO_PKG_VERSION")),
        "name": survey.program,
        "activeProfileIndex": 0,
        "shared": { "frames": frames.names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() },
        "profiles": profiles,
    });
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

#[derive(Default)]
struct Frames {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Frames {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}

fn profile(stacks: &[Stack], weight: Weight, frames: &mut Frames) -> Value {
    let samples: Vec<Vec<usize>> =
        stacks.iter().map(|stack| stack.frames.iter().map(|name| frames.number(name)).collect()).collect();
    let weights: Vec<u64> = stacks.iter().map(|stack| weight_of(stack, weight)).collect();
    json!({
        "type": "sampled",
        "name": stacks.first().and_then(|stack| stack.frames.first()),
        "unit": match weight { Weight::Faults => "none", Weight::Time => "nanoseconds" },
        "startValue": 0,
        "endValue": weights.iter().sum::<u64>(),
        "samples": samples,
        "weights": weights,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::survey;

    #[test]
    fn every_sample_names_frames_that_there_are() {
        let mut text = Vec::new();
        write(&survey(), Weight::Time, &mut text).expect("memory takes it");
        let file: Value = serde_json::from_slice(&text).expect("JSON");
        let frames = file["shared"]["frames"].as_array().expect("frames").len() as u64;
        let profiles = file["profiles"].as_array().expect("profiles");
        assert!(frames > 0 && profiles.len() == 2);
        for profile in profiles {
            let (samples, weights) = (profile["samples"].as_array(), profile["weights"].as_array());
            let (samples, weights) = (samples.expect("samples"), weights.expect("weights"));
            assert_eq!(samples.len(), weights.len());
            let numbers = samples.iter().flat_map(|sample| sample.as_array().expect("a stack"));
            assert!(numbers.clone().count() > 0);
            assert!(numbers.into_iter().all(|number| number.as_u64().is_some_and(|number| number < frames)));
            let sum: u64 = weights.iter().filter_map(Value::as_u64).sum();
            assert_eq!(profile["endValue"].as_u64(), Some(sum));
        }
    }
}
