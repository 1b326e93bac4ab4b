//! What no compiler checks: the arrows between core's modules, core's few dependencies, the length of
//! files, links between pages, and words that have no place in the project.

mod arrows;
mod links;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What core may depend on. Whoever adds to this list argues for it in `docs/decisions/`.
const CORE_DEPENDENCIES: [&str; 12] = [
    "foldhash",
    "indexmap",
    "itoa",
    "prefetch-index",
    "semver",
    "serde",
    "serde_json",
    "smallvec",
    "thiserror",
    "time",
    "uuid",
    "zmij",
];

/// What the book's table of contents is.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Longer files have a second noun in them.
const FILE_LINES_MAX: usize = 700;
const CODE: [&str; 6] = ["rs", "js", "mjs", "ts", "html", "css"];

/// Runs all checks. The error lists every finding.
pub fn run(root: &Path) -> Result<String, String> {
    let files = tracked_files(root)?;
    let mut findings = core_dependencies(root)?;
    for file in &files {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        let extension =
            file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        findings.extend(words::check(file, &text));
        if CODE.contains(&extension) && text.lines().count() > FILE_LINES_MAX {
            findings.push(format!("{}: more than {FILE_LINES_MAX} lines", file.display()));
        }
        findings.extend(arrows::check(file, &text));
        findings.extend(links::check(root, file, &text));
    }
    let summary = std::fs::read_to_string(root.join(SUMMARY)).unwrap_or_default();
    findings.extend(outside_the_book(&files, &summary));
    match findings.as_slice() {
        [] => Ok(format!("tidy: {} files", files.len())),
        _ => Err(format!("{}\nnot tidy: {} findings", findings.join("\n"), findings.len())),
    }
}

/// Pages that the book's table of contents does not lead to.
fn outside_the_book(files: &[PathBuf], summary: &str) -> Vec<String> {
    let pages = files.iter().filter(|file| {
        let is_page = file.extension().is_some_and(|extension| extension == "md");
        is_page && file.as_path() != Path::new(SUMMARY)
    });
    let pages = pages.filter_map(|file| file.strip_prefix("docs").ok());
    let missing = pages.filter(|page| !summary.contains(&format!("]({})", page.display())));
    missing.map(|page| format!("{SUMMARY}: no docs/{}", page.display())).collect()
}

/// The files of the project, as git knows them.
fn tracked_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("could not start git: {error}"))?;
    if !listed.status.success() {
        return Err("git could not list the project's files".to_owned());
    }
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

fn core_dependencies(root: &Path) -> Result<Vec<String>, String> {
    const MANIFEST: &str = "crates/core/Cargo.toml";
    let manifest = std::fs::read_to_string(root.join(MANIFEST))
        .map_err(|error| format!("{MANIFEST}: {error}"))?;
    let unknown = dependencies(&manifest).filter(|name| !CORE_DEPENDENCIES.contains(name));
    Ok(unknown.map(|name| format!("{MANIFEST}: core may not depend on {name}")).collect())
}

/// The names below `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['=', '.', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_the_book_leaves_out_are_found() {
        let files = ["README.md", "docs/a.md", "docs/b/c.md", SUMMARY, "docs/b/d.png"];
        let files = files.map(PathBuf::from);
        assert_eq!(outside_the_book(&files, "- [C](b/c.md)"), ["docs/SUMMARY.md: no docs/a.md"]);
        assert!(outside_the_book(&files, "- [A](a.md)\n  - [C](b/c.md)").is_empty());
    }

    #[test]
    fn dependencies_are_read_from_their_section_only() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nserde.workspace = true\n\
                        # why\ntime = \"1\"\n\n[dev-dependencies]\nproptest.workspace = true\n";
        assert_eq!(dependencies(manifest).collect::<Vec<_>>(), ["serde", "time"]);
    }
}
