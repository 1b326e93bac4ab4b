//! A server, clients, and a network between them that can be cut.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use jetstream::transport::memory::{FromServer, MemoryConnector};
use jetstream::{ConnectInfo, MemoryTransport, Scope, Server, ServerBuilder, ServerHandle};
use jetstream_client::core::model::Graph;
use jetstream_client::{
    BoxFuture, Connector, Introduction, Link, Model, Received, Session, Transport, TypedScope,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

#[derive(Model)]
pub(crate) struct Shape {
    pub x: f64,
    pub y: f64,
    #[model(default = 100)]
    pub width: f64,
}

#[derive(Model)]
pub(crate) struct Canvas {
    pub name: String,
    pub shapes: Vec<Shape>,
}

/// A shape at this place.
pub(crate) fn shape(x: f64) -> Shape {
    Shape { x, y: 0.0, width: 100.0 }
}

/// A server with one scope, "Canvas".
pub(crate) struct World {
    pub server: ServerHandle,
    pub scope: jetstream::TypedScope<Canvas>,
    connector: MemoryConnector,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let (transport, connector) = MemoryTransport::new();
        let scope = Scope::with_root("Canvas", Canvas { name: "Demo".into(), ..Canvas::default() });
        let offered = scope.untyped().clone();
        let builder = Server::builder().transport(transport).on_fetch(move |fetch| {
            let verdict = match fetch.name() {
                "Canvas" => fetch.accept(&offered),
                name => fetch.deny(format!("no scope {name:?}")),
            };
            async { verdict }
        });
        let server = change(builder).start().await.unwrap();
        Self { server, scope, connector }
    }

    /// A network that leads to this world's server.
    pub(crate) fn network(&self) -> Network {
        Network::to(self.connector.clone())
    }

    /// A client that has fetched the scope.
    pub(crate) async fn join(&self) -> Client {
        let network = self.network();
        let session = Connector::over(network.clone()).connect().await.unwrap();
        let canvas = session.fetch::<Canvas>("Canvas").await.unwrap();
        Client { network, session, canvas }
    }

    /// What the server holds.
    pub(crate) async fn picture(&self) -> String {
        self.scope.untyped().read(picture).await.unwrap()
    }

    /// Waits until the server has this many shapes.
    pub(crate) async fn has_shapes(&self, count: usize) {
        while self.scope.read(|canvas| canvas.shapes().len()).await.unwrap() != count {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Waits until a client shows what the server holds.
    pub(crate) async fn converged(&self, client: &Client) {
        client.session.synced().await;
        loop {
            let truth = self.picture().await;
            if client.canvas.untyped().read(picture) == truth {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// A client and its network.
pub(crate) struct Client {
    pub network: Network,
    pub session: Session,
    pub canvas: TypedScope<Canvas>,
}

impl Client {
    /// Where its shapes are, in order.
    pub(crate) fn places(&self) -> Vec<f64> {
        self.canvas.read(|canvas| canvas.shapes().iter().map(|shape| shape.x()).collect())
    }

    pub(crate) fn name(&self) -> String {
        self.canvas.read(|canvas| canvas.name().to_owned())
    }
}

/// Everything in a graph, in words.
pub(crate) fn picture(graph: &Graph) -> String {
    let mut picture = String::new();
    for object in graph.depth_first() {
        let model = graph.schema().model(object.model());
        picture += &format!("{} {}", model.name(), object.id());
        for (id, property) in model.properties() {
            picture += &format!(" {}={:?}", property.name(), object.value(id));
        }
        picture.push('\n');
    }
    picture
}

/// A network between one client and a server.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<NetworkState>>);

struct NetworkState {
    connector: MemoryConnector,
    up: bool,
    pumps: Vec<AbortHandle>,
    mute: Arc<AtomicBool>,
}

impl Network {
    /// A network that leads to this server.
    pub(crate) fn to(connector: MemoryConnector) -> Self {
        Self(Arc::new(Mutex::new(NetworkState {
            connector,
            up: true,
            pumps: Vec::new(),
            mute: Arc::default(),
        })))
    }

    /// Cuts every connection; the client may make another at once.
    pub(crate) fn cut(&self) {
        for pump in self.0.lock().unwrap().pumps.drain(..) {
            pump.abort();
        }
    }

    /// Cuts every connection, and there will be no other.
    pub(crate) fn go_down(&self) {
        self.0.lock().unwrap().up = false;
        self.cut();
    }

    pub(crate) fn come_up(&self) {
        self.0.lock().unwrap().up = true;
    }

    /// What the client says arrives, what the server says is lost, until the connection is another.
    pub(crate) fn lose_answers(&self) {
        self.0.lock().unwrap().mute.store(true, Ordering::Relaxed);
    }

    /// From now on it leads to another server.
    pub(crate) fn lead_to(&self, world: &World) {
        self.0.lock().unwrap().connector = world.connector.clone();
        self.cut();
    }
}

impl Transport for Network {
    fn connect<'a>(
        &'a mut self,
        introduction: Introduction<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Link>>> {
        Box::pin(async move {
            let connector = {
                let state = self.0.lock().unwrap();
                state.up.then(|| state.connector.clone())
            };
            let connector = connector.ok_or_else(|| io::Error::other("the network is down"))?;
            let info = ConnectInfo::new("/");
            let info = match introduction.token {
                Some(token) => info.with_header("X-Jetstream-SessionToken", token),
                None => info,
            };
            let info = match introduction.credential {
                Some(credential) => info.with_credential(credential),
                None => info,
            };
            let gone = || io::Error::other("the server is gone");
            let client = connector.connect(info).await.ok_or_else(gone)?;
            let (to_server, frames) = mpsc::unbounded_channel();
            let (to_client, received) = mpsc::unbounded_channel();
            let mut state = self.0.lock().unwrap();
            state.mute = Arc::default();
            let pump = tokio::spawn(pump(client, frames, to_client, state.mute.clone()));
            state.pumps.push(pump.abort_handle());
            Ok(Box::new(PumpedLink { to_server, received }) as Box<dyn Link>)
        })
    }
}

/// Carries frames both ways until it is aborted or one end is gone.
async fn pump(
    mut client: jetstream::transport::memory::MemoryClient,
    mut frames: mpsc::UnboundedReceiver<String>,
    to_client: mpsc::UnboundedSender<Received>,
    mute: Arc<AtomicBool>,
) {
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(text) => if !client.send(text).await { return },
                None => return,
            },
            received = client.recv() => {
                let received = match received {
                    Some(FromServer::Frame(text)) => Received::Frame(text),
                    Some(FromServer::Closed { code, reason }) => Received::Closed { code, reason },
                    None => return,
                };
                if !mute.load(Ordering::Relaxed) && to_client.send(received).is_err() {
                    return;
                }
            }
        }
    }
}

struct PumpedLink {
    to_server: mpsc::UnboundedSender<String>,
    received: mpsc::UnboundedReceiver<Received>,
}

impl Link for PumpedLink {
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        self.received.poll_recv(context).map(|received| received.unwrap_or(Received::Lost))
    }

    fn poll_room(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn send(&mut self, text: String) {
        let _ = self.to_server.send(text);
    }

    fn poll_flush(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
