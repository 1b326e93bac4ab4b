//! What came out: as JSON to keep, as tables to read, as plots.

pub mod flame;
mod plot;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contender::Contender;
use crate::machine::Machine;
use crate::measure::{Measure, Sample, Spread, spread};
use crate::workload::{self, Workload};

/// All that a run has measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub samples: Vec<Sample>,
}

impl Results {
    pub fn new(machine: Machine) -> Self {
        Self { machine, samples: Vec::new() }
    }

    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn save(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The cases of a workload, in the order in which they were run.
    fn cases(&self, workload: &Workload) -> Vec<&str> {
        let mut cases: Vec<&str> = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.workload == workload.name) {
            if !cases.contains(&&*sample.case) {
                cases.push(&sample.case);
            }
        }
        cases
    }

    fn of(&self, workload: &Workload, case: &str, server: Contender) -> Vec<&Sample> {
        let samples = self.samples.iter().filter(|sample| {
            sample.workload == workload.name
                && sample.case == case
                && sample.server == server.name()
        });
        samples.collect()
    }
}

/// One sample, as it is shown while the run goes on.
pub fn line(sample: &Sample) -> String {
    let values = sample.values.iter().map(|(key, value)| format!("{key} {value:.2}"));
    let values: Vec<String> = values.collect();
    let Sample { workload, case, server, .. } = sample;
    format!("{workload:10} {case:30} {server:30} {}", values.join("  "))
}

/// The tables of all workloads that were run.
pub fn tables(results: &Results) -> String {
    let mut text = format!("{}\n", results.machine.describe());
    for workload in workload::ALL {
        if let Some(table) = table(results, workload) {
            text.push_str(&format!("\n### {}\n\n{table}", workload.title));
        }
    }
    text
}

/// The table of a workload; `None` if it was not run.
fn table(results: &Results, workload: &Workload) -> Option<String> {
    let cases = results.cases(workload);
    if cases.is_empty() {
        return None;
    }
    let measured: Vec<&Measure> = workload
        .measures
        .iter()
        .filter(|measure| is_measured(results, workload, measure))
        .collect();
    let mut text = "| | server | × limit |".to_owned();
    measured.iter().for_each(|measure| text.push_str(&format!(" {} |", measure.title)));
    text.push_str(&format!("\n|---|---|--:|{}\n", "--:|".repeat(measured.len())));
    for case in cases {
        let mut shown = case;
        for server in workload.contenders {
            let samples = results.of(workload, case, *server);
            if samples.iter().all(|sample| sample.values.is_empty()) {
                continue;
            }
            let ratio = ratio(results, workload, case, *server);
            let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            text.push_str(&format!("| {shown} | {} | {ratio} |", server.name()));
            for measure in &measured {
                let cell = spread(&samples, measure.key);
                let cell = cell.map_or(String::new(), |spread| cell_text(spread, measure.digits));
                text.push_str(&format!(" {cell} |"));
            }
            text.push('\n');
            shown = "";
        }
    }
    Some(text)
}

fn is_measured(results: &Results, workload: &Workload, measure: &Measure) -> bool {
    let mut samples = results.samples.iter().filter(|sample| sample.workload == workload.name);
    samples.any(|sample| sample.values.contains_key(measure.key))
}

/// The median, and between which values it lies.
fn cell_text(spread: Spread, digits: usize) -> String {
    let Spread { median, least, most } = spread;
    if least == most {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} [{least:.digits$}–{most:.digits$}]")
}

/// How many times the limit's first measure a server needs: the median over the rounds of the ratios
/// within each, since times drift and ratios hardly do.
fn ratio(results: &Results, workload: &Workload, case: &str, server: Contender) -> Option<f64> {
    let key = workload.measures.first()?.key;
    let values = |server| -> Vec<f64> {
        let samples = results.of(workload, case, server);
        samples.iter().filter_map(|sample| sample.values.get(key).copied()).collect()
    };
    let limits = values(Contender::Limit);
    let mut ratios: Vec<f64> =
        values(server).iter().zip(&limits).map(|(one, limit)| one / limit).collect();
    ratios.retain(|ratio| ratio.is_finite());
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

/// Draws the plots of all workloads that were run.
pub fn save_plots(results: &Results, folder: &Path) -> Result<(), String> {
    for workload in workload::ALL {
        let cases = results.cases(workload);
        let Some(measure) = workload.measures.first().filter(|_| !cases.is_empty()) else {
            continue;
        };
        let bars = cases.iter().map(|case| {
            let servers = workload.contenders.iter().filter_map(|server| {
                let median = spread(&results.of(workload, case, *server), measure.key)?.median;
                Some(plot::Bar { name: server.name(), value: median, is_ours: server.is_ours() })
            });
            (*case, servers.collect())
        });
        let groups: Vec<(&str, Vec<plot::Bar>)> = bars.collect();
        let drawing = plot::bars(workload.title, measure, &groups);
        let path = folder.join(format!("{}.svg", workload.name));
        std::fs::write(&path, drawing).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Replaces the tables of a page that were measured: each stands between two comments with its name.
pub fn update_page(results: &Results, path: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    let mut page = std::fs::read_to_string(path).map_err(failed)?;
    page = replaced(&page, "machine", &format!("{}\n", results.machine.describe()))?;
    for workload in workload::ALL {
        if let Some(table) = table(results, workload) {
            page = replaced(&page, workload.name, &table)?;
        }
    }
    std::fs::write(path, page).map_err(failed)
}

fn replaced(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let missing = || format!("the page has no place for {name}: {} … {end}", begin.trim());
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page = "a\n<!-- fetch -->\nold\n<!-- end of fetch -->\nb\n";
        let once = replaced(page, "fetch", "| new |\n").unwrap();
        assert_eq!(once, "a\n<!-- fetch -->\n\n| new |\n\n<!-- end of fetch -->\nb\n");
        assert_eq!(replaced(&once, "fetch", "| new |\n").unwrap(), once);
        assert!(replaced(page, "growth", "").is_err());
    }
}
