//! A mistake in a session, or in a transport, is that session's alone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use jetstream::transport::{
    Connection, Environment, FramePart, FrameSink, Listener, Sent, Transport,
};
use jetstream::{BoxFuture, ConnectInfo, MemoryTransport};
use serde_json::json;

use crate::client::{Client, Line};
use crate::world::{ROOT, World};

/// Connections that panic when they are to carry a certain word.
struct Fragile<T>(T);

impl Transport for Fragile<MemoryTransport> {
    fn listen(
        self: Box<Self>,
        environment: Environment,
    ) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async {
            let listener = Box::new(self.0).listen(environment).await?;
            Ok(Box::new(Fragile(listener)) as Box<dyn Listener>)
        })
    }
}

impl Listener for Fragile<Box<dyn Listener>> {
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn accept(&mut self) -> BoxFuture<'_, Option<Connection>> {
        Box::pin(async {
            let mut connection = self.0.accept().await?;
            connection.sink = Arc::new(Fragile(connection.sink));
            Some(connection)
        })
    }
}

impl FrameSink for Fragile<Arc<dyn FrameSink>> {
    fn send(&self, parts: &[FramePart<'_>]) -> Sent {
        let text: String = parts.iter().map(|part| part.as_str()).collect();
        assert!(!text.contains("boom"), "as asked");
        self.0.send(parts)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_writable(context)
    }

    fn close(&self, code: u16, reason: &str) {
        self.0.close(code, reason);
    }
}

#[tokio::test]
async fn a_session_that_panics_while_it_is_delivered_to_is_over_and_the_scope_goes_on() {
    let (transport, fragile) = MemoryTransport::new();
    let world = World::with(|builder| builder.transport(Fragile(transport))).await;
    let (mut ann, mut bo) = (world.member().await, world.member().await);
    let line = Line::Memory(fragile.connect(ConnectInfo::new("/")).await.unwrap());
    let mut cy = Client::join(line).await;
    cy.state("Canvas").await;
    ann.change("Canvas", ROOT, json!({"name": "boom"})).await;
    assert_eq!(ann.next().await["type"], "ScopeSyncReply");
    assert_eq!(bo.next().await["type"], "ScopeSync");
    assert_eq!(cy.close().await.0, 4097);
    while world.server.sessions().len() > 2 || world.canvas.member_count() > 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.server.metrics().sessions_failed.get(), 1);
    bo.change("Canvas", ROOT, json!({"name": "still here"})).await;
    assert_eq!(ann.next().await["type"], "ScopeSync");
}
