//! A server with the scope `Canvas`, and what makes clients for it.

use std::sync::Arc;

use jetstream::core::ids::ObjectId;
use jetstream::core::limits::Limits;
use jetstream::core::model::{ChangeSet, Fragment, FragmentKind, Graph, Schema, Value};
use jetstream::transport::memory::MemoryConnector;
use jetstream::{
    ConnectInfo, MemoryTransport, Metrics, Scope, Server, ServerBuilder, ServerHandle,
};

use crate::client::{Client, Line};

pub(crate) const ROOT: &str = "ca000000-0000-4000-8000-000000000001";

pub(crate) struct World {
    pub(crate) server: ServerHandle,
    pub(crate) canvas: Scope,
    pub(crate) connector: MemoryConnector,
}

/// A graph of a canvas with a name.
pub(crate) fn graph() -> Graph {
    let schema = Schema::builder()
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .model("Shape", |m| m.property("x", "Number").property("y", "Number"))
        .build()
        .unwrap();
    let (model, _) = schema.find("Canvas").unwrap();
    Graph::new(Arc::new(schema), root(), model)
}

pub(crate) fn root() -> ObjectId {
    ROOT.parse().unwrap()
}

/// The application's own change of the canvas's name.
pub(crate) fn rename(graph: &Graph, name: &str) -> ChangeSet {
    let (model, canvas) = graph.schema().find("Canvas").unwrap();
    let (property, _) = canvas.find("name").unwrap();
    let value = Value::Scalar(Some(name.into()));
    ChangeSet::new([Fragment::new(FragmentKind::Change, root(), model).with(property, value)])
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::with(|builder| builder.limits(limits)).await
    }

    /// A server in memory that gives everybody the canvas.
    pub(crate) async fn with(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let (transport, connector) = MemoryTransport::new();
        let canvas = Scope::new("Canvas", graph());
        let given = canvas.clone();
        let builder =
            Server::builder().transport(transport).metrics(Metrics::new()).on_fetch(move |fetch| {
                match fetch.name() {
                    "Canvas" => fetch.accept(&given),
                    _ => fetch.deny("No such scope"),
                }
            });
        let server = change(builder).start().await.unwrap();
        Self { server, canvas, connector }
    }

    pub(crate) async fn line(&self, info: ConnectInfo) -> Line {
        Line::Memory(self.connector.connect(info).await.unwrap())
    }

    /// A connection without a session.
    pub(crate) async fn stranger(&self) -> Client {
        Client::new(self.line(ConnectInfo::new("/")).await)
    }

    /// A client with a session.
    pub(crate) async fn client(&self) -> Client {
        Client::join(self.line(ConnectInfo::new("/")).await).await
    }

    /// A client with a session and the canvas.
    pub(crate) async fn member(&self) -> Client {
        let mut client = self.client().await;
        client.state("Canvas").await;
        client
    }

    /// A connection that names a session's token.
    pub(crate) async fn line_of(&self, token: &str) -> Line {
        let info = ConnectInfo::new("/").with_header("X-Jetstream-SessionToken", token);
        self.line(info).await
    }
}
