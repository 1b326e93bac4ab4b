//! `jetstream types`: the models of a configuration as a program in another language has them.
//!
//! - `javascript`: JavaScript and TypeScript, for this project's client.
//! - `rust`: structs for `#[derive(Model)]`.
//! - `swift`: classes in the manner of the original's client for iOS.
//! - `names`: what a thing may be called there.

mod javascript;
mod names;
mod rust;
mod swift;

use clap::ValueEnum;

use crate::core::model::Schema;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// JavaScript, with its types in comments.
    Js,
    /// TypeScript.
    Ts,
    /// Rust.
    Rust,
    /// Swift, for the original's client.
    Swift,
}

/// The definitions of all models. An error names what has no name in that language.
pub(super) fn print(schema: &Schema, language: Language, source: &str) -> Result<String, String> {
    let head = format!(
        "// Printed by `jetstream types` from {source}. Print it again instead of editing it.\n"
    );
    let body = match language {
        Language::Js => javascript::print(schema, javascript::Dialect::Js),
        Language::Ts => javascript::print(schema, javascript::Dialect::Ts),
        Language::Rust => rust::print(schema),
        Language::Swift => swift::print(schema)?,
    };
    Ok(head + &body)
}

/// What is said of models whose objects do not stay.
const OF_A_SESSION: &str = "Objects of this model leave with the session that added them.";
