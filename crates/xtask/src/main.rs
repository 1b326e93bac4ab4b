//! Chores of the project: `cargo xtask test` runs everything that has to pass, `cargo xtask tidy` only
//! the checks that no compiler makes, `cargo xtask bench` the measurements.

#![allow(clippy::print_stdout, reason = "a tool that is run by hand talks on its standard output")]
#![allow(
    unreachable_pub,
    reason = "nothing of a binary is reachable; `pub` says what a module offers"
)]

mod api;
mod bench;
mod command;
mod counts;
mod instructions;
mod layout;
mod suite;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  test [STEP…]   everything that has to pass, or only the steps named
  tidy           the arrows between modules, core's dependencies, file lengths, links, stray words
  bench [WORKLOAD…] [--quick | --brief] [--only SERVER]…
                 measures this server beside others; without names all workloads, which takes hours
  bench counts   the instructions of each step of a change, beside those on record
  bench layout   records which functions the linker puts side by side
  bench render   puts what was measured into docs/performance.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = project_root();
    let done = match arguments.as_slice() {
        ["test", steps @ ..] => suite::run(&root, steps),
        ["bench", "counts"] => instructions::check(&root),
        ["bench", "counts", "--record", why] => instructions::record(&root, why),
        ["bench", "layout"] => layout::record(&root),
        ["bench", "render"] => bench::render(&root),
        ["bench", arguments @ ..] => bench::run(&root, arguments),
        ["tidy"] => tidy::run(&root).map(|summary| println!("{summary}")),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace, two above this package.
fn project_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies in crates/").to_owned()
}
