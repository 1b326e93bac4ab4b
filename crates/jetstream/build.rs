//! Lists the pages that the program serves: the demos and the JavaScript client, as they are in the
//! repository.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let mut table = String::new();
    table.push_str("/// The JavaScript client.\nconst CLIENT: &[Page] = &[\n");
    file(&mut table, "/jetstream.js", &root.join("js/jetstream.js"));
    folder(&mut table, "/jetstream/", &root.join("js/jetstream"))?;
    table.push_str("];\n\n/// The demos.\nconst DEMOS: &[Page] = &[\n");
    folder(&mut table, "/", &root.join("demos"))?;
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("pages.rs"), table)
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
