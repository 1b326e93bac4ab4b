//! What the suite needs on the machine besides Rust: Node, PostgreSQL, a browser where a test drives one,
//! valgrind to count instructions, Python for schemathesis.

use std::path::{Path, PathBuf};

use crate::{api, command};

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

/// Schemathesis, in an environment of its own below `target`, exactly as its list says. Python and its `venv`
/// are installed if they are missing.
pub fn require_schemathesis(root: &Path, target: &Path) -> Result<PathBuf, String> {
    let python = require_python(root)?;
    let list = root.join(api::FOLDER).join("requirements.txt");
    let wanted = std::fs::read_to_string(&list)
        .map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let environment = target.join("schemathesis");
    let (program, installed) = (api::program(&environment), environment.join("installed.txt"));
    if program.exists() && std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(program);
    }
    let (folder, list) = (environment.display().to_string(), list.display().to_string());
    let pip = environment.join("bin").join("pip").display().to_string();
    for (program, arguments) in [
        (python, vec!["-m", "venv", "--clear", &folder]),
        (pip, vec!["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", &list]),
    ] {
        if !command::run(root, &program, &arguments, &[])?.success {
            return Err(format!("schemathesis could not be installed: {program} failed"));
        }
    }
    std::fs::write(&installed, wanted)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()))?;
    Ok(program)
}

/// Python 3 with what makes environments; Debian keeps that in a package of its own.
fn require_python(root: &Path) -> Result<String, String> {
    let python = "python3".to_owned();
    let is_there = || {
        let arguments = ["-c", "import venv, ensurepip"];
        command::exists(&python)
            && command::run(root, &python, &arguments, &[]).is_ok_and(|tried| tried.success)
    };
    if !is_there() {
        install(root, "python3-venv")?;
    }
    let missing = "Python 3 with venv is needed for the tests of the interface for programs and was not \
                   found; apt-get could not install python3-venv";
    if is_there() { Ok(python) } else { Err(missing.to_owned()) }
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
