//! Who may come in: connections that have no session yet, all together and by address.
//!
//! Such a connection costs memory and cannot be told from an attack, so there are only so many, only so many
//! from one address, and from one address only so many in a second. A proxy that is trusted is not
//! counted; who is behind it is, as soon as it is known.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jetstream_core::limits::{Limit, Limits};
use jetstream_core::model::Rejection;
use jetstream_core::rate::{Allowance, Rate};
use jetstream_core::time::Millis;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::proxies::{Network, Proxies};
use crate::clock;
use crate::metrics::Metrics;
use crate::quota::{Account, Register};

/// Lets connections in.
pub struct Entrance {
    limits: Arc<Limits>,
    metrics: Metrics,
    proxies: Proxies,
    pending: Arc<Semaphore>,
    addresses: Register<Network, Neighbour>,
}

/// What comes from one address.
#[derive(Default)]
struct Neighbour {
    pending: AtomicUsize,
    sessions: AtomicUsize,
    connections: Mutex<Allowance>,
}

impl Account for Neighbour {
    fn is_settled(&self, now: Millis) -> bool {
        self.connections.lock().is_full(now)
    }
}

/// The place of a connection among those without a session; given back when it is dropped.
pub struct Pending {
    _all: OwnedSemaphorePermit,
    address: Option<Counted>,
}

/// The place of a session among those of its address; given back when it is dropped.
pub(crate) struct Seat(
    #[expect(dead_code, reason = "held, and given back when it is dropped")] Counted,
);

/// One more of something that comes from an address.
struct Counted(Arc<Neighbour>, fn(&Neighbour) -> &AtomicUsize);

impl Counted {
    /// One more, if there are not `max` already.
    fn new(
        neighbour: Arc<Neighbour>,
        what: fn(&Neighbour) -> &AtomicUsize,
        max: usize,
    ) -> Option<Self> {
        let before = what(&neighbour).fetch_add(1, Ordering::Relaxed);
        let counted = Self(neighbour, what);
        (before < max).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Entrance {
    /// The entrance of a server with these bounds, which counts here.
    pub fn new(limits: Arc<Limits>, metrics: Metrics, proxies: Proxies) -> Self {
        let most = limits.connections_pending_max.min(Semaphore::MAX_PERMITS);
        let pending = Arc::new(Semaphore::new(most));
        Self { limits, metrics, proxies, pending, addresses: Register::default() }
    }

    /// A place for a connection from `peer`, if the transport knows that; `None`: close it at once. To be
    /// asked before anything is spent on the connection.
    pub fn enter(&self, peer: Option<IpAddr>) -> Option<Pending> {
        let Ok(all) = self.pending.clone().try_acquire_owned() else {
            return self.refuse(Limit::ConnectionsPending);
        };
        let pending = Pending { _all: all, address: None };
        match peer.filter(|peer| !self.proxies.trusts(*peer)) {
            Some(address) => self.claim(pending, address),
            None => Some(pending),
        }
    }

    /// The address that counts for a connection from `peer` with these headers, whose names are in lower
    /// case, and its place among those of that address; `None`: refuse it.
    pub fn identify<'h>(
        &self,
        pending: Pending,
        peer: IpAddr,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
    ) -> Option<(IpAddr, Pending)> {
        let address = self.proxies.client(peer, headers);
        let pending = match pending.address {
            Some(_) => pending,
            None => self.claim(pending, address)?,
        };
        Some((address, pending))
    }

    fn claim(&self, mut pending: Pending, address: IpAddr) -> Option<Pending> {
        let now = clock::now().mono;
        let neighbour = self.addresses.account(Network::of_customer(address), now);
        let limits = &self.limits;
        let rate = Rate::new(limits.address_connections_per_second_max, limits.rate_burst_ms);
        if !neighbour.connections.lock().take(rate, now) {
            return self.refuse(Limit::AddressConnectionsPerSecond);
        }
        let max = limits.address_connections_pending_max;
        pending.address = Counted::new(neighbour, |neighbour| &neighbour.pending, max);
        match pending.address {
            Some(_) => Some(pending),
            None => self.refuse(Limit::AddressConnectionsPending),
        }
    }

    fn refuse<T>(&self, limit: Limit) -> Option<T> {
        self.metrics.connections_refused.inc();
        self.metrics.count_limit(Some(limit));
        None
    }

    /// A place for a session whose client comes from this address.
    ///
    /// # Errors
    ///
    /// That there are as many as there may be.
    pub(crate) fn seat(&self, address: IpAddr) -> Result<Seat, Rejection> {
        let max = self.limits.address_sessions_max;
        self.seat_within(address, max).ok_or_else(|| {
            let message = format!("at most {max} sessions from one address");
            Rejection::beyond(Limit::AddressSessions, message)
        })
    }

    /// The same for a session that was there before: it is counted and never refused.
    pub(crate) fn keep_seat(&self, address: IpAddr) -> Option<Seat> {
        self.seat_within(address, usize::MAX)
    }

    fn seat_within(&self, address: IpAddr, max: usize) -> Option<Seat> {
        let neighbour = self.addresses.account(Network::of_customer(address), clock::now().mono);
        Counted::new(neighbour, |neighbour| &neighbour.sessions, max).map(Seat)
    }
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entrance").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrance(change: impl FnOnce(&mut Limits)) -> (Entrance, Metrics) {
        let mut limits = Limits::default();
        change(&mut limits);
        let metrics = Metrics::new();
        let proxies = Proxies::new(["10.0.0.0/8".parse().unwrap()]);
        (Entrance::new(limits.into(), metrics.clone(), proxies), metrics)
    }

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn an_address_has_only_so_many_connections_without_a_session_and_others_have_theirs() {
        let (entrance, metrics) = entrance(|limits| limits.address_connections_pending_max = 2);
        let mut inside: Vec<_> = (0..2).map(|_| entrance.enter(from("192.0.2.1"))).collect();
        assert!(inside.iter().all(Option::is_some));
        assert!(entrance.enter(from("192.0.2.1")).is_none());
        assert!(entrance.enter(from("192.0.2.2")).is_some());
        assert!(entrance.enter(None).is_some());
        assert_eq!(metrics.limit_reached(Limit::AddressConnectionsPending).get(), 1);
        inside.pop();
        assert!(entrance.enter(from("192.0.2.1")).is_some(), "one has left");
    }

    #[test]
    fn addresses_of_version_6_have_their_places_together() {
        let (entrance, _) = entrance(|limits| limits.address_connections_pending_max = 1);
        let _inside = entrance.enter(from("2001:db8::1")).unwrap();
        assert!(entrance.enter(from("2001:db8::2")).is_none());
        assert!(entrance.enter(from("2001:db8:0:1::2")).is_some());
    }

    #[test]
    fn an_address_makes_only_so_many_connections_in_a_time() {
        let (entrance, metrics) = entrance(|limits| {
            limits.address_connections_per_second_max = 1;
            limits.rate_burst_ms = 5_000;
        });
        let let_in = (0..20).filter(|_| entrance.enter(from("192.0.2.1")).is_some()).count();
        assert!((5..=6).contains(&let_in), "{let_in}");
        assert!(metrics.limit_reached(Limit::AddressConnectionsPerSecond).get() >= 14);
        assert!(entrance.enter(from("192.0.2.2")).is_some());
    }

    #[test]
    fn who_is_behind_a_proxy_is_counted_once_the_proxy_has_said_who_it_is() {
        let (entrance, _) = entrance(|limits| limits.address_connections_pending_max = 1);
        let behind = |client: &str| {
            let pending = entrance.enter(from("10.0.0.1")).expect("a proxy is not counted");
            let headers = [("x-forwarded-for", client)];
            entrance.identify(pending, "10.0.0.1".parse().unwrap(), headers.into_iter())
        };
        let (address, _inside) = behind("192.0.2.1").unwrap();
        assert_eq!(address, from("192.0.2.1").unwrap());
        assert!(behind("192.0.2.1").is_none());
        assert!(behind("192.0.2.2").is_some());
        // Who says so without being a proxy is somebody like everybody else.
        let pending = entrance.enter(from("192.0.2.9")).unwrap();
        let headers = [("x-forwarded-for", "192.0.2.3")];
        let liar = "192.0.2.9".parse().unwrap();
        let (address, _inside) = entrance.identify(pending, liar, headers.into_iter()).unwrap();
        assert_eq!(address, liar);
    }

    #[test]
    fn an_address_has_only_so_many_sessions() {
        let (entrance, _) = entrance(|limits| limits.address_sessions_max = 1);
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let first = entrance.seat(here).unwrap();
        let refusal = entrance.seat(here).err().unwrap();
        assert_eq!(refusal.message, "at most 1 sessions from one address (address_sessions_max)");
        assert!(entrance.keep_seat(here).is_some(), "what was there before stays");
        assert!(entrance.seat("192.0.2.2".parse().unwrap()).is_ok());
        drop(first);
        assert!(entrance.seat(here).is_ok());
    }
}
