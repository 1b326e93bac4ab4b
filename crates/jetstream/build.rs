//! Lists the pages that the program serves: the demos and the JavaScript client, as they are in the
//! repository. Has the linker put side by side what a change goes through.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    lay_out(&package.join("layout.ld"));
    let root = package.join("../..");
    let mut table = String::new();
    table.push_str("/// The JavaScript client.\nconst CLIENT: &[Page] = &[\n");
    file(&mut table, "/jetstream.js", &root.join("js/jetstream.js"));
    folder(&mut table, "/jetstream/", &root.join("js/jetstream"))?;
    table.push_str("];\n\n/// The demos.\nconst DEMOS: &[Page] = &[\n");
    folder(&mut table, "/", &root.join("demos"))?;
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("pages.rs"), table)
}

/// Gives the linker the list of functions that stand together in the released program.
///
/// Only where the linker is known, which is lld or GNU ld: others need not understand the list, and nothing
/// but speed depends on it. `docs/decisions/layout.md`.
fn lay_out(list: &Path) {
    for name in ["RUSTC_LINKER", "MOLD_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed={}", list.display());
    let says = |name: &str| env::var(name).unwrap_or_default();
    let is_known = says("TARGET") == "x86_64-unknown-linux-gnu"
        && says("RUSTC_LINKER").is_empty()
        && says("MOLD_PATH").is_empty()
        && !says("CARGO_ENCODED_RUSTFLAGS").contains("link");
    let (list, is_wanted) = (list.display(), says("PROFILE") == "release");
    if is_known && is_wanted && env::var_os("CARGO_FEATURE_CLI").is_some() {
        // Not by `-Wl,-T,`: the path may have a comma.
        println!("cargo::rustc-link-arg-bin=jetstream=-T{list}");
    }
}

/// Lists what is in a folder, in an order that does not depend on the file system.
fn folder(table: &mut String, path: &str, folder: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            self::folder(table, &format!("{path}{name}/"), &entry.path())?;
        } else {
            file(table, &format!("{path}{name}"), &entry.path());
        }
    }
    Ok(())
}

/// Lists one file, if it is something that a browser reads.
fn file(table: &mut String, path: &str, file: &Path) {
    println!("cargo::rerun-if-changed={}", file.display());
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return,
    };
    let path = path.strip_suffix("index.html").unwrap_or(path);
    writeln!(
        table,
        "    Page {{ path: {path:?}, kind: {kind:?}, text: include_bytes!({file:?}) }},"
    )
    .expect("a String takes every text");
}
