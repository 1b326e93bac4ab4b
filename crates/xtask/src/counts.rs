//! How many tests a runner ran, read from what it printed.

use std::ops::AddAssign;

/// What became of a suite's tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Ran and passed.
    pub passed: u64,
    /// Ran and failed, or did not come to an end.
    pub failed: u64,
    /// Not run although they are there. A suite must not have any: what is skipped rots.
    pub skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The test runners that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `cargo nextest run`.
    Nextest,
    /// `cargo test`: one result a test binary.
    Libtest,
    /// `node --test`, with the reporter `spec` or `tap`.
    Node,
    /// `schemathesis run`.
    Schemathesis,
}

/// Adds up what the lines say; `None` if no summary is among them.
pub fn read(runner: Runner, lines: &[String]) -> Option<Counts> {
    let mut total = None;
    for line in lines {
        let line = without_colours(line);
        let counts = match runner {
            Runner::Nextest => nextest(&line),
            Runner::Libtest => libtest(&line),
            Runner::Node => node(&line),
            Runner::Schemathesis => schemathesis(&line),
        };
        if let Some(counts) = counts {
            *total.get_or_insert_with(Counts::default) += counts;
        }
    }
    total
}

/// `Summary [  1.2s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 2 skipped`
fn nextest(line: &str) -> Option<Counts> {
    let (_, summary) = line.trim_start().strip_prefix("Summary [")?.split_once("run:")?;
    let passed = number_before(summary, "passed").unwrap_or(0);
    let unsuccessful = ["failed", "timed out", "exec failed"];
    let failed = unsuccessful.iter().filter_map(|word| number_before(summary, word)).sum();
    Some(Counts { passed, failed, skipped: number_before(summary, "skipped").unwrap_or(0) })
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s`
fn libtest(line: &str) -> Option<Counts> {
    let result = line.trim_start().strip_prefix("test result:")?;
    Some(Counts {
        passed: number_before(result, "passed")?,
        failed: number_before(result, "failed")?,
        skipped: number_before(result, "ignored")?,
    })
}

/// `ℹ pass 3` or `# pass 3`, and the same with `fail`, `cancelled`, `skipped` and `todo`.
fn node(line: &str) -> Option<Counts> {
    let summary = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# "))?;
    let (word, number) = summary.split_once(' ')?;
    let number = number.parse().ok()?;
    let nothing = Counts::default();
    match word {
        "pass" => Some(Counts { passed: number, ..nothing }),
        "fail" | "cancelled" => Some(Counts { failed: number, ..nothing }),
        "skipped" | "todo" => Some(Counts { skipped: number, ..nothing }),
        _ => None,
    }
}

/// `1030 generated, 1030 passed, 14 skipped`, or `790 generated, 4 found 4 unique failures, 10 skipped`. Those
/// are skipped in which there was nothing to check; whether a whole operation was is looked for elsewhere.
fn schemathesis(line: &str) -> Option<Counts> {
    let generated = number_before(line.trim_start(), "generated,")?;
    let failed = number_before(line, "found").unwrap_or(0);
    let passed = number_before(line, "passed").unwrap_or_else(|| generated.saturating_sub(failed));
    Some(Counts { passed, failed, skipped: 0 })
}

/// The number right before a word, as in `10 passed`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).find_map(|(at, _)| {
        let number = text[..at].trim_end().rsplit(|c: char| !c.is_ascii_digit()).next()?;
        number.parse().ok()
    })
}

fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split('\u{1b}');
    plain.extend(parts.next());
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runner: Runner, lines: &[&str], passed: u64, failed: u64, skipped: u64) {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(read(runner, &lines), Some(Counts { passed, failed, skipped }), "{lines:?}");
    }

    #[test]
    fn the_summaries_of_all_runners_are_understood() {
        let nextest = "     Summary [   1.204s] 12/14 tests run: 9 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped";
        check(Runner::Nextest, &["PASS a", nextest], 9, 3, 3);
        check(Runner::Nextest, &["Summary [ 0.1s] 1 test run: 1 passed, 0 skipped"], 1, 0, 0);
        let bold = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.056s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped";
        check(Runner::Nextest, &[bold], 2, 0, 0);
        let first = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0s";
        let second =
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        check(Runner::Libtest, &[first, "", second], 4, 2, 1);
        let node =
            ["ℹ tests 9", "ℹ pass 4", "ℹ fail 1", "ℹ cancelled 1", "ℹ skipped 1", "ℹ todo 2"];
        check(Runner::Node, &node, 4, 2, 3);
        check(Runner::Node, &["# Subtest: a", "# tests 2", "# pass 2", "# fail 0"], 2, 0, 0);
        check(Runner::Schemathesis, &["  1030 generated, 1030 passed, 14 skipped"], 1030, 0, 0);
        let failed = "  790 generated, 4 found 4 unique failures, 10 skipped";
        check(Runner::Schemathesis, &["Test cases:", failed], 786, 4, 0);
    }

    #[test]
    fn without_a_summary_there_is_no_count() {
        for runner in [Runner::Nextest, Runner::Libtest, Runner::Node, Runner::Schemathesis] {
            assert_eq!(read(runner, &["error: could not compile".to_owned()]), None);
        }
    }
}
