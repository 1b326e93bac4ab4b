//! What every server of the benchmark has to do: one shared tree of shapes, and changes to it.
//!
//! The same in `bench/peers/job.mjs`, for the servers that are written in JavaScript.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::crowd::{CERTIFICATE, KEY};

/// The id of the shape at a place.
pub fn uuid(place: usize) -> String {
    format!("00000000-0000-4000-8000-{place:012x}")
}

/// The id of the root.
pub fn root_uuid() -> String {
    uuid(0xff_ffff)
}

/// How many characters a tag has: `@` and seven digits.
pub const TAG_LENGTH: usize = 8;

/// What tells one change from another in whatever a member receives.
pub fn tag(number: usize) -> String {
    format!("@{number:07}")
}

/// The properties that the change with this number sets, as JSON.
pub fn edit(number: usize) -> String {
    format!("{{\"x\":{},\"y\":{},\"tag\":\"{}\"}}", number % 1000, number % 700, tag(number))
}

/// A whole shape, as JSON.
pub fn shape(place: usize, tag: &str) -> String {
    format!(
        "{{\"x\":{},\"y\":{},\"width\":100,\"height\":100,\"color\":{},\"tag\":\"{tag}\"}}",
        place % 1000,
        place % 700,
        place % 10,
    )
}

/// The scope as the body of a `ScopeState`.
pub fn state(objects: usize) -> String {
    let mut text = format!("\"rootUUID\":\"{root}\",\"fragments\":[", root = root_uuid());
    let ids: Vec<String> = (0..objects).map(|place| format!("\"{}\"", uuid(place))).collect();
    let _ = write!(
        text,
        "{{\"type\":\"change\",\"uuid\":\"{}\",\"clsName\":\"Canvas\",\
         \"properties\":{{\"name\":\"Bench\",\"shapes\":[{}]}}}}",
        root_uuid(),
        ids.join(",")
    );
    for (place, id) in ids.iter().enumerate() {
        let shape = shape(place, "");
        let _ = write!(
            text,
            ",{{\"type\":\"add\",\"uuid\":{id},\"clsName\":\"Shape\",\"properties\":{shape}}}"
        );
    }
    text.push(']');
    text
}

/// Writes the configuration for our server into a folder. With bounds on rates that nobody meets: a writer of the
/// benchmark sends as fast as the server takes it, and all its clients come from one address, which nobody
/// else's do.
pub fn write_configuration(
    folder: &Path,
    objects: usize,
    storage: &str,
    top: &str,
    is_secure: bool,
) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let tls = if is_secure {
        std::fs::write(folder.join("cert.pem"), CERTIFICATE)?;
        std::fs::write(folder.join("key.pem"), KEY)?;
        "tls = { certificate = \"cert.pem\", key = \"key.pem\" }\n"
    } else {
        ""
    };
    std::fs::write(folder.join("canvas.json"), format!("{{{}}}", state(objects)))?;
    let configuration = format!(
        "listen = \"127.0.0.1:0\"\n{top}{tls}\
         [models.Shape.properties]\n\
         x = \"Number\"\ny = \"Number\"\nwidth = \"Number\"\nheight = \"Number\"\n\
         color = \"Number\"\ntag = \"String\"\n\
         [models.Canvas.properties]\nname = \"String\"\nshapes = \"[Shape]\"\n\
         [scopes.Canvas]\nroot = \"Canvas\"\nstate = \"canvas.json\"\n\
         [scopes.\"boards/{{id}}\"]\nroot = \"Canvas\"\ninitial = {{ name = \"Bench\" }}\n\
         [limits]\nsession_messages_per_second_max = 1000000000\n\
         session_bytes_per_second_max = \"1000GB\"\naddress_sessions_max = 100000\n\
         address_connections_pending_max = 20000\n\
         address_connections_per_second_max = 1000000\n\
         [storage]\n{storage}\n"
    );
    std::fs::write(folder.join("jetstream.toml"), configuration)
}
