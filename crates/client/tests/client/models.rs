//! Programs whose models are not all of the scope's.

/// What a program knows that is older than the server.
mod older {
    use jetstream_client::Model;

    #[derive(Model)]
    pub(crate) struct Shape {
        pub x: f64,
    }

    #[derive(Model)]
    pub(crate) struct Canvas {
        pub shapes: Vec<Shape>,
    }
}

/// What the server knows.
mod newer {
    use jetstream_client::Model;

    #[derive(Model)]
    pub(crate) struct Layer {
        pub title: String,
        pub shapes: Vec<Shape>,
    }

    #[derive(Model)]
    pub(crate) struct Shape {
        pub x: f64,
        pub color: Option<String>,
        pub layer: Option<jetstream_client::Id<Layer>>,
    }

    #[derive(Model)]
    pub(crate) struct Canvas {
        pub layers: Vec<Layer>,
        pub shapes: Vec<Shape>,
    }
}

use jetstream::{MemoryTransport, Scope, Server};
use jetstream_client::Connector;

#[tokio::test(start_paused = true)]
async fn what_a_program_does_not_know_is_left_out() {
    let hidden = newer::Shape { x: 1.0, ..newer::Shape::default() };
    let layer = newer::Layer { title: "below".into(), shapes: vec![hidden] };
    let shown = newer::Shape { x: 2.0, color: Some("red".into()), layer: None };
    let root = newer::Canvas { layers: vec![layer], shapes: vec![shown] };
    let scope = Scope::with_root("Canvas", root);
    let offered = scope.untyped().clone();
    let (transport, connector) = MemoryTransport::new();
    let server = Server::builder()
        .transport(transport)
        .on_fetch(move |fetch| {
            let verdict = fetch.accept(&offered);
            async { verdict }
        })
        .start();
    let _server = server.await.unwrap();
    let network = crate::world::Network::to(connector);
    let session = Connector::over(network).connect().await.unwrap();
    let canvas = session.fetch::<older::Canvas>("Canvas").await.unwrap();
    let places = || canvas.read(|canvas| canvas.shapes().iter().map(|s| s.x()).collect::<Vec<_>>());
    assert_eq!(places(), [2.0]);

    // What others change in the unknown part passes by; what is changed in the known part arrives.
    let mut changes = canvas.changes();
    scope
        .update(|canvas| {
            canvas.layers_mut().push(newer::Layer::default());
            canvas.shapes_mut().push(newer::Shape { x: 3.0, ..newer::Shape::default() });
        })
        .await
        .unwrap();
    while places() != [2.0, 3.0] {
        changes.next().await.unwrap();
    }
    canvas
        .update(|canvas| canvas.shapes_mut().push(older::Shape { x: 4.0 }))
        .unwrap()
        .await
        .unwrap();
    let theirs = scope.read(|canvas| {
        let shapes = canvas.shapes().iter().map(|shape| shape.x()).collect::<Vec<_>>();
        (shapes, canvas.layers().len())
    });
    assert_eq!(theirs.await.unwrap(), (vec![2.0, 3.0, 4.0], 2));
}
