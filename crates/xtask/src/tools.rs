//! What the suite needs on the machine besides Rust: Node, PostgreSQL, a browser where a test drives one,
//! valgrind to count instructions.

use std::path::{Path, PathBuf};

use crate::command;

/// Fails with a clear text if Node or npm are missing: nothing is skipped for want of them.
pub fn require_node() -> Result<(), String> {
    for program in ["node", "npm"] {
        if !command::exists(program) {
            let text = "is needed for the tests of the JavaScript clients and was not found; \
                        install Node 20 or later";
            return Err(format!("{program} {text}"));
        }
    }
    Ok(())
}

/// Installs a folder's packages exactly as its lock file says.
pub fn install_packages(root: &Path, folder: &str) -> Result<(), String> {
    let finished = command::run(&root.join(folder), "npm", &["ci"], &[])?;
    if finished.success { Ok(()) } else { Err(format!("npm ci failed in {folder}/")) }
}

/// The browser that tests may drive, installed from the system's packages if it is missing.
pub fn require_browser(root: &Path) -> Result<PathBuf, String> {
    const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
    require(root, &BROWSERS, "chromium", "a browser is needed for the browser tests")
}

/// What counts instructions, installed likewise.
pub fn require_valgrind(root: &Path) -> Result<PathBuf, String> {
    require(root, &["valgrind"], "valgrind", "valgrind is needed to count instructions")
}

/// One of these programs; if there is none, from this package of the system.
fn require(root: &Path, programs: &[&str], package: &str, why: &str) -> Result<PathBuf, String> {
    let find = || programs.iter().find_map(|program| command::locate(program));
    if let Some(program) = find() {
        return Ok(program);
    }
    install(root, package)?;
    find().ok_or_else(|| {
        format!("{why} and none of {programs:?} was found; apt-get could not install {package}")
    })
}

/// PostgreSQL, whose server programs Debian keeps out of the path, installed if it is missing. The tests
/// start clusters of their own; that of the system, should there be one, is left alone.
pub fn require_postgres(root: &Path) -> Result<(), String> {
    let is_there = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        versions.map(|version| version.path().join("bin/initdb")).any(|initdb| initdb.exists())
            || command::locate("initdb").is_some()
    };
    if !is_there() {
        install(root, "postgresql")?;
    }
    let missing = "PostgreSQL is needed for the tests of its store and was not found; \
                   apt-get could not install postgresql";
    if is_there() { Ok(()) } else { Err(missing.to_owned()) }
}

/// Installs one of Debian's packages, where there are such.
fn install(root: &Path, package: &str) -> Result<(), String> {
    if command::exists("apt-get") {
        let quiet = [("DEBIAN_FRONTEND", "noninteractive".to_owned())];
        for arguments in
            [&["update"][..], &["install", "--yes", "--no-install-recommends", package]]
        {
            command::run(root, "apt-get", arguments, &quiet)?;
        }
    }
    Ok(())
}
