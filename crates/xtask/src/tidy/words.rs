//! Words that have no place in a committed file: they mean something on one machine only, or promise
//! what somebody still has to do.

use std::path::Path;

/// Written in two halves, so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 9] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("C:\\Us", "ers"),
    ("registry.npm", "js.org"),
    ("index.crat", "es.io"),
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
];

/// The lines of a file with such a word in it.
pub fn check(file: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (first, second) in FORBIDDEN {
        let word = [first, second].concat();
        for (number, line) in text.lines().enumerate() {
            if line.contains(&word) {
                findings.push(format!(
                    "{}:{}: {word:?} does not belong here",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_word_is_found_with_its_line() {
        let text = ["fine", &["// ", "TO", "DO", " later"].concat()].join("\n");
        let findings = check(Path::new("a.rs"), &text);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("a.rs:2: "), "{findings:?}");
    }
}
