//! Frames that leave together: one call into the kernel for many connections, where a call for each costs more
//! than half of what it does.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jetstream_burst::{Burst, SENDS_PER_CALL, Taken, ToSend};

use super::Sent;

/// Frames to several connections that leave together: see [`FrameSink::send_with`](super::FrameSink::send_with).
///
/// Whoever has one fills it and lets it leave, all without waiting for anything in between.
#[derive(Default)]
pub struct Departure {
    /// Taken from the thread with the first frame, and given back in the end.
    gear: Option<Box<Gear>>,
    /// Whose turn it is.
    turn: usize,
}

/// A socket whose frames can leave with others'.
pub(super) trait Departing: Send + Sync {
    /// The socket, with bytes for it.
    fn to_send<'a>(&'a self, bytes: &'a [u8]) -> ToSend<'a>;

    /// So many of the bytes were taken. The answer is about the connection: whether it takes more.
    fn landed(&self, bytes: &[u8], taken: Taken) -> Sent;
}

struct Gear {
    burst: Burst,
    /// The frames, one behind the other.
    bytes: Vec<u8>,
    aboard: Vec<Aboard>,
    /// What became of them.
    taken: Vec<Taken>,
}

struct Aboard {
    /// Until it has landed.
    sink: Option<Arc<dyn Departing>>,
    /// Where its bytes stand.
    range: Range<usize>,
    turn: usize,
}

impl Drop for Aboard {
    /// What a panic keeps from landing may have been sent or not: that connection is at its end.
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.landed(&[], Err(ErrorKind::ConnectionAborted.into()));
        }
    }
}

thread_local! {
    static GEAR: RefCell<Shelf> = const { RefCell::new(Shelf::Untried) };
}

/// What a thread has for its departures.
enum Shelf {
    Untried,
    /// Here, or with a departure.
    Gear(Option<Box<Gear>>),
    /// The kernel offers none.
    Nothing,
}

impl Departure {
    /// What is put aboard from now on counts as this turn's.
    pub(crate) fn turn(&mut self, turn: usize) {
        self.turn = turn;
    }

    /// Whether it should leave before more is put aboard.
    pub(crate) fn is_full(&self) -> bool {
        self.gear.as_ref().is_some_and(|gear| {
            gear.aboard.len() >= SENDS_PER_CALL || gear.bytes.len() >= BYTES_MAX
        })
    }

    /// Whether frames can leave together here.
    pub(super) fn is_open(&mut self) -> bool {
        if self.gear.is_none() {
            self.gear = take_gear();
        }
        self.gear.is_some()
    }

    /// Whether nobody has asked for anything of it.
    #[cfg(test)]
    pub(super) fn is_untouched(&self) -> bool {
        self.gear.is_none()
    }

    /// Whether what was put aboard last is this sink's.
    pub(super) fn is_last(&self, sink: &dyn Departing) -> bool {
        let last = self.gear.as_ref().and_then(|gear| gear.aboard.last());
        let last = last.and_then(|last| last.sink.as_ref());
        last.is_some_and(|last| std::ptr::addr_eq(Arc::as_ptr(last), sink))
    }

    /// Puts bytes aboard an open departure; behind those of the same sink, if they are the last ones.
    pub(super) fn board<'a>(
        &mut self,
        sink: Arc<dyn Departing>,
        parts: impl Iterator<Item = &'a [u8]>,
    ) {
        let is_last = self.is_last(&*sink);
        let gear = self.gear.as_mut().expect("somebody has asked whether it is open");
        let start = gear.bytes.len();
        parts.for_each(|part| gear.bytes.extend_from_slice(part));
        let end = gear.bytes.len();
        match gear.aboard.last_mut() {
            Some(last) if is_last => last.range.end = end,
            _ => gear.aboard.push(Aboard { sink: Some(sink), range: start..end, turn: self.turn }),
        }
    }

    /// Lets everything leave, and tells of each turn whose connection does not take more.
    pub(crate) fn leave(&mut self, mut held_up: impl FnMut(usize)) {
        let Some(gear) = self.gear.as_deref_mut() else { return };
        // Taken out, so that nothing leaves twice, whatever happens.
        let mut aboard = std::mem::take(&mut gear.aboard);
        let Gear { burst, bytes, taken, .. } = gear;
        let sends = aboard.iter().map(|one| {
            let sink = one.sink.as_ref().expect("nothing has landed yet");
            sink.to_send(&bytes[one.range.clone()])
        });
        taken.clear();
        burst.send(sends, taken);
        for (one, taken) in aboard.iter_mut().zip(taken.drain(..)) {
            let bytes = &bytes[one.range.clone()];
            let sent = one.sink.take().map(|sink| sink.landed(bytes, taken));
            // A connection that is gone is told of by its source.
            if sent == Some(Sent::Full) {
                held_up(one.turn);
            }
        }
        gear.aboard = aboard;
        gear.empty();
    }
}

impl Gear {
    fn empty(&mut self) {
        self.aboard.clear();
        self.bytes.clear();
        self.bytes.shrink_to(2 * BYTES_MAX);
        self.taken.clear();
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let Some(gear) = &self.gear else { return };
        let is_told = gear.aboard.is_empty() || std::thread::panicking();
        debug_assert!(is_told, "nobody has let the departure leave");
        // A panic in between is no reason to lose what is aboard.
        self.leave(|_| {});
        if let Some(mut gear) = self.gear.take() {
            gear.empty();
            give_back(gear);
        }
    }
}

impl std::fmt::Debug for Departure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let aboard = self.gear.as_ref().map_or(0, |gear| gear.aboard.len());
        f.debug_struct("Departure").field("aboard", &aboard).finish_non_exhaustive()
    }
}

fn take_gear() -> Option<Box<Gear>> {
    GEAR.with_borrow_mut(|shelf| match shelf {
        Shelf::Gear(gear) => gear.take(),
        Shelf::Nothing => None,
        Shelf::Untried => match Burst::new() {
            Ok(burst) => {
                *shelf = Shelf::Gear(None);
                let (bytes, aboard, taken) = (Vec::new(), Vec::new(), Vec::new());
                Some(Box::new(Gear { burst, bytes, aboard, taken }))
            }
            Err(error) => {
                // What is merely lacking now (memory, a file descriptor) may be there the next time.
                if matches!(
                    error.kind(),
                    ErrorKind::Unsupported | ErrorKind::PermissionDenied | ErrorKind::InvalidInput
                ) {
                    *shelf = Shelf::Nothing;
                }
                tell_of_plain_sends(&error);
                None
            }
        },
    })
}

/// For the thread's next departure. One whose burst has become plain would save nothing.
fn give_back(gear: Box<Gear>) {
    let shelf = match gear.burst.is_plain() {
        false => Shelf::Gear(Some(gear)),
        true => {
            tell_of_plain_sends(&"the kernel has stopped taking sends");
            Shelf::Nothing
        }
    };
    // Later than the thread's end nothing is kept.
    let _ = GEAR.try_with(|kept| kept.replace(shelf));
}

/// Once, not by each thread.
fn tell_of_plain_sends(why: &dyn std::fmt::Display) {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        tracing::info!(%why, "no io_uring: each frame is a call into the kernel");
    }
}

/// How many bytes are put aboard before it leaves. What a turn brings may go beyond it.
const BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A socket that says what became of its bytes.
    struct Pier(std::net::UdpSocket, Mutex<Vec<Vec<u8>>>);

    impl Departing for Pier {
        fn to_send<'a>(&'a self, bytes: &'a [u8]) -> ToSend<'a> {
            ToSend::new(&self.0, bytes)
        }

        fn landed(&self, bytes: &[u8], taken: Taken) -> Sent {
            assert_ne!(bytes, b"boom", "as asked");
            self.1.lock().unwrap().push(bytes.into());
            match taken {
                Ok(count) if count == bytes.len() => Sent::Room,
                _ => Sent::Full,
            }
        }
    }

    /// One that is connected takes everything.
    fn pier(is_connected: bool) -> Arc<Pier> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        if is_connected {
            socket.connect(socket.local_addr().unwrap()).unwrap();
        }
        Arc::new(Pier(socket, Mutex::default()))
    }

    fn landed(pier: &Pier) -> Vec<Vec<u8>> {
        std::mem::take(&mut pier.1.lock().unwrap())
    }

    fn board(departure: &mut Departure, pier: &Arc<Pier>, text: &str) {
        departure.board(pier.clone(), text.split_inclusive(' ').map(str::as_bytes));
    }

    #[test]
    fn each_gets_its_own_and_those_held_up_are_told() {
        let mut departure = Departure::default();
        if !departure.is_open() {
            return; // The system offers no io_uring; then nobody puts anything aboard.
        }
        for _ in 0..2 {
            let piers = [true, false, true].map(pier);
            for (turn, pier) in piers.iter().enumerate() {
                departure.turn(turn);
                board(&mut departure, pier, &format!("for {turn}"));
            }
            assert!(departure.is_last(&*piers[2]) && !departure.is_last(&*piers[0]));
            board(&mut departure, &piers[2], ", more");
            board(&mut departure, &piers[0], "again");
            let mut held_up = Vec::new();
            departure.leave(|turn| held_up.push(turn));
            assert_eq!(held_up, [1]);
            assert_eq!(landed(&piers[0]), [&b"for 0"[..], b"again"]);
            assert_eq!(landed(&piers[1]), [b"for 1"]);
            assert_eq!(landed(&piers[2]), [b"for 2, more"]);
            assert!(!departure.is_last(&*piers[0]), "it has left");
            departure.leave(|_| panic!("it is empty"));
        }
    }

    #[test]
    fn it_is_full_before_it_is_large() {
        let mut departure = Departure::default();
        if !departure.is_open() {
            return; // As above.
        }
        let piers = [pier(true), pier(true)];
        let mut aboard = 0;
        while !departure.is_full() {
            board(&mut departure, &piers[aboard % 2], "small");
            aboard += 1;
        }
        assert_eq!(aboard, SENDS_PER_CALL);
        departure.leave(|_| {});
        assert!(!departure.is_full());
        for _ in 0..BYTES_MAX >> 10 {
            assert!(!departure.is_full());
            board(&mut departure, &piers[0], &"x".repeat(1 << 10));
        }
        assert!(departure.is_full());
        departure.leave(|_| {});
    }

    #[test]
    fn what_a_panic_keeps_from_leaving_leaves_all_the_same_and_the_next_one_has_its_gear() {
        let mut departure = Departure::default();
        if !departure.is_open() {
            return; // As above.
        }
        let pier = pier(true);
        board(&mut departure, &pier, "late");
        assert!(!Departure::default().is_open(), "there is one for each thread");
        let panics = std::panic::AssertUnwindSafe(move || {
            let _departure = departure;
            panic!("on purpose");
        });
        std::panic::catch_unwind(panics).unwrap_err();
        assert_eq!(landed(&pier), [b"late"]);
        assert_eq!(Arc::strong_count(&pier), 1);
        assert!(Departure::default().is_open());
    }

    #[test]
    fn a_panic_in_between_sends_nothing_twice_and_ends_those_of_whom_nothing_is_known() {
        let mut departure = Departure::default();
        if !departure.is_open() {
            return; // As above.
        }
        let piers = [true; 3].map(pier);
        for (pier, text) in piers.iter().zip(["first", "boom", "third"]) {
            board(&mut departure, pier, text);
        }
        let leaves = std::panic::AssertUnwindSafe(|| departure.leave(|_| {}));
        std::panic::catch_unwind(leaves).unwrap_err();
        drop(departure);
        assert_eq!(landed(&piers[0]), [b"first"]);
        assert!(landed(&piers[1]).is_empty());
        assert_eq!(landed(&piers[2]), [b""]);

        let mut departure = Departure::default();
        assert!(departure.is_open());
        board(&mut departure, &piers[0], "next");
        departure.leave(|_| {});
        assert_eq!(landed(&piers[0]), [b"next"]);
    }
}
