//! The bytes of a connection, plain or over TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};

use mio::net::TcpStream;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// What a client reads from and writes to. Neither ever waits.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// A connection over TLS.
pub struct Tls {
    tcp: TcpStream,
    session: ClientConnection,
}

impl Stream {
    pub fn new(tcp: TcpStream, is_secure: bool) -> Self {
        if !is_secure {
            return Self::Plain(tcp);
        }
        let name = ServerName::try_from("localhost").expect("a proper name");
        let session = ClientConnection::new(configuration(), name).expect("a proper configuration");
        Self::Tls(Box::new(Tls { tcp, session }))
    }

    /// Whether a read that gave so many bytes for so much room leaves nothing behind.
    pub fn is_drained(&self, count: usize, room: usize) -> bool {
        matches!(self, Self::Plain(_)) && count < room
    }

    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => {
                let count = tls.session.writer().write(bytes)?;
                tls.flush()?;
                Ok(count)
            }
        }
    }

    /// Writes what is encrypted and waits.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.session.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            // The handshake answers.
            self.flush()?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.tcp) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                written => drop(written?),
            }
        }
        Ok(())
    }
}

/// Trusts the certificate that our server is given, and no other.
fn configuration() -> Arc<ClientConfig> {
    static CONFIGURATION: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.expect("a certificate")).expect("it can be trusted");
        let configuration = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(configuration)
    };
    CONFIGURATION.get_or_init(make).clone()
}

/// For `localhost`, from the server's own tests.
pub const CERTIFICATE: &str = include_str!("../../../jetstream/tests/data/cert.pem");
/// Its key, which is no secret.
pub const KEY: &str = include_str!("../../../jetstream/tests/data/key.pem");
