//! Links in the project's pages: what they lead to has to be there, file and heading.

use std::path::{Component, Path, PathBuf};

/// The links of a page that lead nowhere. Links to other sites are not followed.
pub fn check(root: &Path, file: &Path, text: &str) -> Vec<String> {
    if file.extension().is_none_or(|extension| extension != "md") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in prose(text) {
        for target in targets(line).filter(|target| !target.contains("://")) {
            if let Some(problem) = problem(root, file, text, target) {
                findings.push(format!("{}:{number}: {target}: {problem}", file.display()));
            }
        }
    }
    findings
}

fn problem(root: &Path, file: &Path, text: &str, target: &str) -> Option<String> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let aim = match path {
        "" => file.to_owned(),
        path => plain(&file.parent().unwrap_or(Path::new("")).join(path)),
    };
    if !path.is_empty() && !root.join(&aim).exists() {
        return Some("no such file".to_owned());
    }
    if heading.is_empty() || aim.extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let other = std::fs::read_to_string(root.join(&aim)).unwrap_or_default();
    let page = if path.is_empty() { text } else { &other };
    let found = prose(page).any(|(_, line)| anchor(line).as_deref() == Some(heading));
    (!found).then(|| "no such heading".to_owned())
}

/// The lines that are no code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(place, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((place + 1, line))
    })
}

/// Where the links and pictures of a line lead to, in Markdown's or HTML's way of writing them.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    // What stands between backticks is no link, however it looks.
    let spoken = line.split('`').step_by(2);
    spoken.flat_map(|text| {
        let markdown = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let html = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        markdown.chain(html)
    })
}

/// The name by which a heading is linked to; `None` if the line is no heading.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = title.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    Some(kept.collect::<String>().to_lowercase())
}

/// A path without `..` in it, as far as that can be known.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if plain.pop() => {}
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = "# One `thing`, and more\n[a](src/main.rs) [b](#one-thing-and-more) [c](https://x)\n\
                    `[no](link)` ![d](gone.svg) <img src=\"gone.png\">\n```\n[in](code)\n```\n\
                    [e](#nowhere) [f](../nowhere.rs) [g](../xtask)\n";
        let findings = check(root, Path::new("page.md"), page);
        assert_eq!(
            findings,
            [
                "page.md:3: gone.svg: no such file",
                "page.md:3: gone.png: no such file",
                "page.md:7: #nowhere: no such heading",
                "page.md:7: ../nowhere.rs: no such file",
            ]
        );
        assert!(check(root, Path::new("page.rs"), page).is_empty());
    }
}
