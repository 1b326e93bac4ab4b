//! Builds what is measured and what measures, installs the peers, and begins.

use std::path::{Path, PathBuf};

use crate::{command, tools};

/// Measures with a release build; the arguments are those of `jetstream-bench run`.
pub fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    install_peers(root)?;
    let built = build(root, &["--release"])?;
    measure(root, &built.join("release"), arguments)
}

/// Every workload, tiny, against every server: so that the harness does not rot.
pub fn smoke(root: &Path) -> Result<(), String> {
    install_peers(root)?;
    let built = build(root, &[])?;
    measure(root, &built.join("debug"), &["--smoke"])
}

/// Puts the tables and plots of the latest run into the documentation.
pub fn render(root: &Path) -> Result<(), String> {
    let built = build(root, &["--release"])?.join("release/jetstream-bench");
    let path = |path: &str| root.join(path).display().to_string();
    let results = results(root).join("results.json").display().to_string();
    let arguments =
        ["render", &results, &path("docs/performance.md"), &path("docs/images/performance")];
    succeed(command::run(root, &built.display().to_string(), &arguments, &[])?, "bench render")
}

fn measure(root: &Path, built: &Path, arguments: &[&str]) -> Result<(), String> {
    let path = |path: PathBuf| path.display().to_string();
    let (server, peers) = (path(built.join("jetstream")), path(root.join(PEERS)));
    let out = path(results(root));
    let mut all = vec!["run", "--server", &server, "--peers", &peers, "--out", &out];
    all.extend(arguments);
    let bench = path(built.join("jetstream-bench"));
    succeed(command::run(root, &bench, &all, &[])?, "bench")
}

fn build(root: &Path, arguments: &[&str]) -> Result<PathBuf, String> {
    let mut all = vec!["build", "--package", "jetstream", "--package", "jetstream-bench", "--bins"];
    all.extend(arguments);
    succeed(command::run(root, env!("CARGO"), &all, &[])?, "the build")?;
    Ok(target(root))
}

/// As the lock file says. Not `npm ci`: it refuses lock files that leave out optional packages for other
/// systems. No scripts are run: the native parts that some packages would build are optional, too.
fn install_peers(root: &Path) -> Result<(), String> {
    tools::require_node()?;
    let arguments = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
    succeed(command::run(&root.join(PEERS), "npm", &arguments, &[])?, "npm install in bench/peers")
}

pub fn succeed(finished: command::Finished, what: &str) -> Result<(), String> {
    if finished.success { Ok(()) } else { Err(format!("{what} failed")) }
}

pub fn results(root: &Path) -> PathBuf {
    target(root).join("bench")
}

pub fn target(root: &Path) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target)
}

pub const PEERS: &str = "bench/peers";
