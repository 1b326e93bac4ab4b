//! Which module of core may know which: `model ◀ wire ◀ {session, scope, replica}`.

use std::path::Path;

/// Each module with those it may use besides itself. A module that is not listed is a finding, but for
/// `fuzzing`, which hands all of core to the fuzzers.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("hash", &[]),
    ("ids", &[]),
    ("time", &[]),
    ("limits", &[]),
    ("rate", &["time", "limits"]),
    ("model", &["hash", "ids", "time", "limits"]),
    ("wire", &["ids", "time", "limits", "model"]),
    ("session", &["ids", "time", "limits", "rate", "model", "wire"]),
    ("scope", &["ids", "time", "limits", "model", "wire"]),
    ("replica", &["ids", "time", "limits", "model", "wire"]),
];

/// The arrows in a file of core that should not be there.
pub fn check(file: &Path, text: &str) -> Vec<String> {
    let Ok(inside) = file.strip_prefix("crates/core/src") else { return Vec::new() };
    let Some(first) = inside.iter().next().and_then(|part| part.to_str()) else {
        return Vec::new();
    };
    let module = first.trim_end_matches(".rs");
    // Tests may use what they like, in files of their own as at the end of others.
    let is_test = inside.iter().any(|part| part == "tests" || part == "tests.rs");
    if is_test || ["lib", "fuzzing"].contains(&module) {
        return Vec::new();
    }
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{}: no arrows are laid down for module {module}", file.display())];
    };
    let used = used_modules(text).into_iter();
    let wrong = used.filter(|used| used != module && !allowed.contains(&used.as_str()));
    wrong.map(|used| format!("{}: {module} may not use {used}", file.display())).collect()
}

/// The modules that a file names after `crate::`, up to its tests (which may use what they like).
fn used_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .take_while(|line| !line.contains("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut modules: Vec<String> = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let path = &code[at + prefix.len()..];
        match path.strip_prefix('{') {
            Some(group) => modules.extend(top_level_names(group)),
            None => modules.push(identifier(path)),
        }
    }
    modules.sort();
    modules.dedup();
    modules
}

/// The first name of each entry in `a::B, c::{d, e}, f}`.
fn top_level_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut entry = String::new();
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => names.push(identifier(std::mem::take(&mut entry).trim())),
            '}' => depth -= 1,
            _ if depth == 0 => entry.push(character),
            _ => {}
        }
        if character == '}' && depth == 0 && entry.is_empty() {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(path: &str, text: &str) -> usize {
        check(Path::new(path), text).len()
    }

    #[test]
    fn an_arrow_against_the_order_is_found() {
        let session = "crates/core/src/session/server.rs";
        assert_eq!(check_file(session, "use crate::scope::Commit;"), 1);
        assert_eq!(check_file(session, "use crate::{ids::X, model::{A, B}, scope};"), 1);
        assert_eq!(check_file(session, "use crate::{\n    ids::{X},\n    replica::Y,\n};"), 1);
        assert_eq!(check_file(session, "fn f() -> crate::scope::Commit {}"), 1);
        assert_eq!(check_file("crates/core/src/model/mod.rs", "use crate::wire::Decoder;"), 1);
        assert_eq!(check_file("crates/core/src/ids.rs", "use crate::model::Value;"), 1);
        assert_eq!(check_file("crates/core/src/novel.rs", ""), 1);
    }

    #[test]
    fn arrows_in_order_pass() {
        let scope = "crates/core/src/scope/mod.rs";
        assert_eq!(check_file(scope, "use crate::{ids::X, model::{A, B}, scope::C, wire};"), 0);
        assert_eq!(check_file(scope, "// crate::session\n#[cfg(test)]\nuse crate::session;"), 0);
        assert_eq!(check_file("crates/jetstream/src/lib.rs", "use crate::scope;"), 0);
    }
}
