//! What the configuration file may say, what it means, and how its mistakes are told.

mod api;
mod authentication;
mod bounds;
mod meaning;
mod mistakes;
mod robustness;
mod scopes;
mod state;
mod storage;

use std::path::Path;

use jetstream::config::{Config, Mistakes, Setting};

/// The configuration of a text, or its mistakes as they are printed.
fn load(text: &str) -> Result<Config, Mistakes> {
    load_with(text, &[])
}

fn load_with(text: &str, settings: &[Setting]) -> Result<Config, Mistakes> {
    Config::parse("jetstream.toml", text, Path::new(env!("CARGO_TARGET_TMPDIR")), settings)
}

fn set(text: &str) -> Setting {
    Setting::Assignment { flag: "--set".into(), text: text.into() }
}

fn variable(name: &str, value: &str) -> Setting {
    Setting::Variable { name: name.into(), value: value.into() }
}
