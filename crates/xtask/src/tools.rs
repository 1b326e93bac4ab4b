//! What the suite needs on the machine besides Rust: Node, and a browser where a test drives one.

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
    let find = || BROWSERS.into_iter().find_map(command::locate);
    if let Some(browser) = find() {
        return Ok(browser);
    }
    if command::exists("apt-get") {
        for arguments in
            [&["update"][..], &["install", "--yes", "--no-install-recommends", "chromium"]]
        {
            command::run(
                root,
                "apt-get",
                arguments,
                &[("DEBIAN_FRONTEND", "noninteractive".into())],
            )?;
        }
    }
    find().ok_or_else(|| {
        format!(
            "a browser is needed for the browser tests and none of {BROWSERS:?} was found; \
                 apt-get could not install chromium"
        )
    })
}
