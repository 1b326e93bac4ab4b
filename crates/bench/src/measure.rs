//! What is measured: one sample for each server, case and round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One run of one case against one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    pub workload: String,
    /// What was asked for, as it stands in tables: "100 members, 50 changes/s".
    pub case: String,
    pub server: String,
    /// By the measure's key.
    pub values: BTreeMap<String, f64>,
}

impl Sample {
    pub fn new(workload: &str, case: &str, server: &str) -> Self {
        let (workload, case, server) = (workload.to_owned(), case.to_owned(), server.to_owned());
        Self { workload, case, server, values: BTreeMap::new() }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: f64) -> Self {
        self.values.insert(key.to_owned(), value);
        self
    }
}

/// A quantity of a workload.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    pub key: &'static str,
    pub title: &'static str,
    pub digits: usize,
}

/// What the rounds of one case and server come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// The spread of a measure over the rounds; `None` if it was not measured.
pub fn spread(samples: &[&Sample], key: &str) -> Option<Spread> {
    let mut values: Vec<f64> =
        samples.iter().filter_map(|sample| sample.values.get(key).copied()).collect();
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    };
    Some(Spread { median, least, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between_the_middle_two() {
        let samples: Vec<Sample> =
            [4.0, 1.0, 3.0, 2.0].map(|x| Sample::new("w", "c", "s").with("k", x)).into();
        let all: Vec<&Sample> = samples.iter().collect();
        let expected = Spread { median: 2.5, least: 1.0, most: 4.0 };
        assert_eq!(spread(&all, "k"), Some(expected));
        assert_eq!(spread(&all, "other"), None);
    }
}
