//! Serves what a `models.json` of the conformance scenarios describes:
//! `conformance --port N MODELS.json`. Port 0 takes a free one; the address taken is printed.

#[path = "conformance/application.rs"]
mod application;
#[path = "conformance/models.rs"]
mod models;

use std::error::Error;

use jetstream::WebSocket;
use jetstream::core::limits::Limits;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (port, file) = arguments(std::env::args().skip(1))?;
    let world = models::read(&std::fs::read_to_string(file)?)?;
    let server = application::server(world, Limits::default())
        .transport(WebSocket::bind(format!("127.0.0.1:{port}")).compression(true))
        .start()
        .await?;
    say(&format!("listening on ws://{}", server.local_addr()));
    server.ended().await;
    Ok(())
}

/// The port and the path of the file, in any order.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(u16, String), Box<dyn Error>> {
    const USAGE: &str = "usage: conformance --port N MODELS.json";
    let (mut port, mut file) = (None, None);
    while let Some(argument) = arguments.next() {
        if argument == "--port" {
            port = Some(arguments.next().ok_or(USAGE)?.parse()?);
        } else {
            file = Some(argument);
        }
    }
    Ok((port.ok_or(USAGE)?, file.ok_or(USAGE)?))
}

#[expect(clippy::print_stdout, reason = "whoever started this reads the address from here")]
fn say(line: &str) {
    println!("{line}");
}
