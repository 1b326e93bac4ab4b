//! Connections over TLS: the certificate, and a writing half that goes through a task of its own.
//!
//! An encrypted stream cannot be written from several tasks without a lock around its state, so frames
//! are put into a bounded buffer, and one task per connection encrypts and writes them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::deflate::Packed;
use super::encode::{Header, close_frame};
use super::outbound::{CONTROL_WAITING_BYTES_MAX, ControlSink};
use crate::transport::{FramePart, FrameSink, Sent};

/// Reads a certificate chain and its key, both PEM.
///
/// # Errors
///
/// If a file cannot be read or holds something else, or if key and certificate do not belong together.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let invalid = |file: &Path, problem: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {problem}", file.display()))
    };
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| invalid(certificate, &error))?;
    if certificates.is_empty() {
        return Err(invalid(certificate, &"no certificate is in the file"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => invalid(key, &"no private key is in the file"),
        error => invalid(key, &error),
    })?;
    // The provider is named here rather than installed for the process: that is the application's.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map_err(|error| invalid(certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The writing half of a connection whose stream has to be written by one task.
pub(super) struct TaskSink {
    shared: Arc<Shared>,
    /// Whether the client takes compressed frames.
    compresses: bool,
}

#[derive(Default)]
struct Shared {
    outbound: Mutex<Outbound>,
    /// Tells the writer that there is something to do.
    work: Notify,
}

#[derive(Default)]
struct Outbound {
    waiting: Vec<u8>,
    /// Taken by the writer and not yet on its way.
    in_hand: usize,
    closing: bool,
    gone: bool,
    /// Who waits for room.
    waker: Option<Waker>,
}

impl TaskSink {
    /// Starts the writer, which ends when the sink is closed or dropped, or the stream fails.
    pub(super) fn new(
        stream: impl AsyncWrite + Send + Unpin + 'static,
        compresses: bool,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared::default());
        tokio::spawn(write(shared.clone(), stream));
        Arc::new(Self { shared, compresses })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Outbound) -> T) -> T {
        let result = change(&mut self.shared.outbound.lock());
        self.shared.work.notify_one();
        result
    }
}

impl Drop for TaskSink {
    fn drop(&mut self) {
        self.with(|outbound| outbound.closing = true);
    }
}

impl FrameSink for TaskSink {
    fn send(&self, parts: &[FramePart<'_>]) -> Sent {
        let packed = if self.compresses { Packed::of(parts) } else { None };
        self.with(|outbound| {
            if outbound.closing || outbound.gone {
                return Sent::Closed;
            }
            let waiting = &mut outbound.waiting;
            if let Some(packed) = &packed {
                waiting.extend_from_slice(packed.header().as_bytes());
                packed.parts().for_each(|part| waiting.extend_from_slice(part.as_bytes()));
            } else {
                let texts = parts.iter().map(|part| part.as_str());
                let header = Header::text(texts.clone().map(str::len).sum());
                waiting.extend_from_slice(header.as_bytes());
                texts.for_each(|text| waiting.extend_from_slice(text.as_bytes()));
            }
            if outbound.has_room() { Sent::Room } else { Sent::Full }
        })
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut outbound = self.shared.outbound.lock();
        // Someone who closes waits here for the last byte to leave.
        if outbound.gone || (!outbound.closing && outbound.has_room()) {
            return Poll::Ready(());
        }
        outbound.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn close(&self, code: u16, reason: &str) {
        self.with(|outbound| {
            if !std::mem::replace(&mut outbound.closing, true) {
                outbound.waiting.extend(close_frame(code, reason));
            }
        });
    }
}

impl ControlSink for TaskSink {
    fn send_control(&self, frames: &[u8]) -> bool {
        self.with(|outbound| {
            if outbound.closing || outbound.gone {
                return true;
            }
            if outbound.waiting.len() + outbound.in_hand > CONTROL_WAITING_BYTES_MAX {
                return false;
            }
            outbound.waiting.extend_from_slice(frames);
            true
        })
    }

    fn finish(&self) {
        self.with(|outbound| outbound.closing = true);
    }
}

impl Outbound {
    fn has_room(&self) -> bool {
        self.waiting.len() + self.in_hand < WAITING_BYTES_MAX
    }
}

async fn write(shared: Arc<Shared>, mut stream: impl AsyncWrite + Unpin) {
    loop {
        let (bytes, closing) = {
            let mut outbound = shared.outbound.lock();
            let bytes = std::mem::take(&mut outbound.waiting);
            outbound.in_hand = bytes.len();
            (bytes, outbound.closing)
        };
        if bytes.is_empty() && !closing {
            shared.work.notified().await;
            continue;
        }
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            if closing { stream.shutdown().await } else { Ok(()) }
        };
        // A client that does not read may hold us up, but not when we are to go.
        let written = if closing {
            tokio::time::timeout(LAST_WRITE_MAX, written)
                .await
                .unwrap_or_else(|late| Err(late.into()))
        } else {
            tokio::select! {
                written = written => written,
                () = must_go(&shared) => Err(io::ErrorKind::TimedOut.into()),
            }
        };
        let waker = {
            let mut outbound = shared.outbound.lock();
            outbound.in_hand = 0;
            outbound.gone = closing || written.is_err();
            outbound.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        if closing || written.is_err() {
            return;
        }
    }
}

/// Ready some time after the sink was closed while a write was under way.
async fn must_go(shared: &Shared) {
    loop {
        shared.work.notified().await;
        if shared.outbound.lock().closing {
            return tokio::time::sleep(LAST_WRITE_MAX).await;
        }
    }
}

/// How much waits for the writer before the sink is full.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// How long the last bytes of a connection may take.
const LAST_WRITE_MAX: Duration = Duration::from_secs(5);
