//! The smallest server: `cargo run --example shapes`.
//!
//! A canvas of shapes that everybody who connects to ws://localhost:3000 sees and changes.

use jetstream::{Model, Scope, Server, ServerBuilder, WebSocket};

#[derive(Model)]
struct Shape {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    kind: f64,
}

#[derive(Model)]
struct Canvas {
    name: String,
    shapes: Vec<Shape>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    server("0.0.0.0:3000").run().await
}

/// A server at this address.
pub(crate) fn server(address: &str) -> ServerBuilder {
    let scope =
        Scope::with_root("ShapesDemo", Canvas { name: "Shapes Demo".into(), ..Default::default() });
    Server::builder()
        .transport(WebSocket::bind(address))
        .on_session(|session| session.accept())
        .on_fetch(move |fetch| {
            if fetch.name() == "ShapesDemo" {
                fetch.accept(&scope)
            } else {
                fetch.deny("no such scope")
            }
        })
}
