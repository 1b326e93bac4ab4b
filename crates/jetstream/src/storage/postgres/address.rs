//! Where the database is, and how its connections are secured.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Config, SslMode, TargetSessionAttrs};

use super::tls::Trust;

/// The address of a database: `postgres://user:password@host:port/database?sslmode=verify-full`.
///
/// It means what it means to other programs of PostgreSQL. Of `sslmode` there are `disable`, `prefer`
/// (the default: encrypted if the server can, whoever it is), `require` (encrypted, whoever it is) and
/// `verify-full` (encrypted, and the certificate is the host's); `sslrootcert` names the file with the
/// authorities that are believed, in PEM, and without it those are believed that browsers trust.
///
/// Printed, it shows no password.
#[derive(Clone)]
pub struct PostgresAddress {
    pub(super) config: Config,
    pub(super) trust: Trust,
    shown: String,
}

impl PostgresAddress {
    /// Reads an address; `directory` is what a relative `sslrootcert` is relative to.
    ///
    /// # Errors
    ///
    /// In plain words and without the password, if it is none.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, String> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err("an address of a database begins with postgres://".to_owned());
        }
        let (plain, security) = Security::split(text)?;
        let mut config = Config::from_str(&plain).map_err(|error| reason(&error))?;
        if config.get_hosts().is_empty() {
            return Err("the address names no host".to_owned());
        }
        if config.get_user().is_none() {
            return Err("the address names no user".to_owned());
        }
        let (mode, trust) = security.decide(directory)?;
        config.ssl_mode(mode);
        // A standby would take no writes; where several hosts are named, the one that does is meant.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_application_name().is_none() {
            config.application_name("jetstream");
        }
        keep_alive(&mut config);
        let shown = describe(&config);
        Ok(Self { config, trust, shown })
    }
}

/// A connection whose other end is gone without a word has to be noticed: until then nothing is stored.
fn keep_alive(config: &mut Config) {
    config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT_MAX));
    config.keepalives_idle(SILENCE_MAX);
    config.keepalives_interval(SILENCE_MAX / 3);
    config.keepalives_retries(3);
    config.tcp_user_timeout(SILENCE_MAX * 2);
}

/// What the address says about certificates, which the library's own reader does not know.
#[derive(Default)]
struct Security {
    mode: Option<String>,
    roots: Option<String>,
}

impl Security {
    /// The address without these keys, and what they say.
    fn split(text: &str) -> Result<(String, Self), String> {
        let Some((before, query)) = text.split_once('?') else {
            return Ok((text.to_owned(), Self::default()));
        };
        let mut security = Self::default();
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => security.mode = Some(mode.to_owned()),
                Some(("sslrootcert", file)) => security.roots = Some(unescape(file)?),
                _ => rest.push(pair),
            }
        }
        let plain = if rest.is_empty() {
            before.to_owned()
        } else {
            format!("{before}?{}", rest.join("&"))
        };
        Ok((plain, security))
    }

    fn decide(self, directory: &Path) -> Result<(SslMode, Trust), String> {
        let roots: Option<PathBuf> = self.roots.map(|file| directory.join(file));
        let believed = |roots: Option<PathBuf>| match roots {
            Some(file) => Trust::file(&file),
            None => Ok(Trust::Public),
        };
        // As with other programs: who names authorities wants them to be asked.
        let anybody =
            |roots: Option<PathBuf>| roots.map_or(Ok(Trust::Anybody), |f| Trust::file(&f));
        match self.mode.as_deref() {
            Some("disable") => Ok((SslMode::Disable, Trust::Anybody)),
            None | Some("prefer") => Ok((SslMode::Prefer, anybody(roots)?)),
            Some("require") => Ok((SslMode::Require, anybody(roots)?)),
            Some("verify-full") => Ok((SslMode::Require, believed(roots)?)),
            Some(other) => Err(format!(
                "sslmode is {other:?}; it can be disable, prefer, require and verify-full"
            )),
        }
    }
}

/// Takes `%2F` and the like for what they stand for.
fn unescape(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not escaped properly");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| (digit as char).to_digit(16));
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Hosts, ports and the database: what an operator needs to recognise it.
fn describe(config: &Config) -> String {
    use tokio_postgres::config::Host;
    let ports = config.get_ports();
    let port = |nth: usize| ports.get(nth).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().map(|(nth, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(nth)),
        #[cfg(unix)]
        Host::Unix(path) => format!("{}:{}", path.display(), port(nth)),
    });
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}/{database}", hosts.collect::<Vec<_>>().join(","))
}

/// What the library says is wrong with an address. Its words hold names of keys, never their values.
fn reason(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

/// The same database, reached in the same way.
impl PartialEq for PostgresAddress {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.trust == other.trust
    }
}

impl Eq for PostgresAddress {}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self})")
    }
}

/// How long one attempt to connect may take, if the address does not say.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long the other end may be silent before it is asked whether it is still there. Twice as long
/// without an answer, and the connection counts as lost: sooner than clients give up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PostgresAddress, String> {
        PostgresAddress::parse(text, Path::new(""))
    }

    #[test]
    fn no_password_is_shown() {
        let address =
            parse("postgres://ann:hunter2@db.example:5433/boards?sslmode=require").unwrap();
        assert_eq!(address.to_string(), "postgres://db.example:5433/boards");
        assert!(!format!("{address:?}").contains("hunter2"));
        for wrong in [
            "postgres://ann:hunter2@db:port/x",
            "postgres://ann:hunter2@db/x?color=red",
            "postgres://ann:hunter2@db/x?sslmode=perhaps",
            "mysql://ann:hunter2@db/x",
            "postgres://ann:hunter2@/x",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(!error.contains("hunter2") && !error.is_empty(), "{error}");
        }
    }

    #[test]
    fn the_mode_says_who_is_believed() {
        let of = |query: &str| {
            let address = parse(&format!("postgres://ann@db/x{query}")).unwrap();
            (address.config.get_ssl_mode(), matches!(address.trust, Trust::Anybody))
        };
        assert_eq!(of(""), (SslMode::Prefer, true));
        assert_eq!(of("?sslmode=disable"), (SslMode::Disable, true));
        assert_eq!(of("?sslmode=require&connect_timeout=3"), (SslMode::Require, true));
        assert_eq!(of("?connect_timeout=3&sslmode=verify-full"), (SslMode::Require, false));
        let missing = parse("postgres://ann@db/x?sslmode=verify-full&sslrootcert=no%20file.pem");
        assert!(missing.unwrap_err().contains("no file.pem"));
    }

    #[test]
    fn a_folder_of_sockets_is_a_host() {
        let address = parse("postgres://ann@%2Fvar%2Frun:5433/boards").unwrap();
        assert_eq!(address.to_string(), "postgres:///var/run:5433/boards");
        assert!(parse("postgres://db/boards").unwrap_err().contains("user"));
    }
}
