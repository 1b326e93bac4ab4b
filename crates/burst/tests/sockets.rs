//! Bursts over real sockets. Where the system has no bursts, the tests count as ignored.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use jetstream_burst::{Burst, SENDS_PER_CALL, Taken, ToSend};
use libtest_mimic::{Arguments, Trial};

type Test = fn(&mut Burst);

fn main() -> ExitCode {
    let tests: [(&str, Test); 7] = [
        ("each_socket_gets_its_own_bytes", each_socket_gets_its_own_bytes),
        ("one_socket_gets_its_bytes_in_order", one_socket_gets_its_bytes_in_order),
        ("a_full_socket_holds_up_nobody", a_full_socket_holds_up_nobody),
        ("a_socket_takes_what_it_has_room_for", a_socket_takes_what_it_has_room_for),
        ("one_that_is_gone_is_told_apart", one_that_is_gone_is_told_apart),
        ("nothing_to_send_is_no_mistake", nothing_to_send_is_no_mistake),
        ("a_burst_may_change_threads", a_burst_may_change_threads),
    ];
    let is_there = Burst::new().is_ok();
    let trials = tests.map(|(name, test)| {
        let run = move || {
            test(&mut Burst::new().expect("there was one before"));
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!is_there)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

/// A socket that never waits, and its other end.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    here.set_nonblocking(true).unwrap();
    (here, listener.accept().unwrap().0)
}

fn send(burst: &mut Burst, sends: &[(&TcpStream, &[u8])]) -> Vec<Taken> {
    let mut taken = Vec::new();
    burst.send(sends.iter().map(|(socket, bytes)| ToSend::new(*socket, bytes)), &mut taken);
    assert_eq!(taken.len(), sends.len());
    assert!(!burst.is_plain());
    taken
}

/// Fills a socket until it takes nothing more, and says how much it took.
fn fill(mut socket: &TcpStream) -> usize {
    let (mut taken, chunk) = (0, [0; 64 << 10]);
    loop {
        match socket.write(&chunk) {
            Ok(count) => taken += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return taken;
            }
        }
    }
}

fn each_socket_gets_its_own_bytes(burst: &mut Burst) {
    let pairs: Vec<_> = (0..2 * SENDS_PER_CALL + 3).map(|_| pair()).collect();
    for round in 0..3 {
        let texts: Vec<_> = (0..pairs.len()).map(|n| format!("{n} in round {round}")).collect();
        let sends: Vec<_> =
            pairs.iter().zip(&texts).map(|((here, _), t)| (here, t.as_bytes())).collect();
        let taken = send(burst, &sends);
        for ((taken, text), (_, there)) in taken.into_iter().zip(&texts).zip(&pairs) {
            assert_eq!(taken.unwrap(), text.len());
            let mut read = vec![0; text.len()];
            (&*there).read_exact(&mut read).unwrap();
            assert_eq!(read, text.as_bytes());
        }
    }
}

fn one_socket_gets_its_bytes_in_order(burst: &mut Burst) {
    let (here, mut there) = pair();
    let texts: Vec<_> = (0..SENDS_PER_CALL).map(|n| format!("{n},")).collect();
    let sends: Vec<_> = texts.iter().map(|text| (&here, text.as_bytes())).collect();
    send(burst, &sends).into_iter().for_each(|taken| assert!(taken.is_ok()));
    drop(here);
    let mut read = String::new();
    there.read_to_string(&mut read).unwrap();
    assert_eq!(read, texts.concat());
}

fn a_full_socket_holds_up_nobody(burst: &mut Burst) {
    let ((full, mut slow), (here, mut there)) = (pair(), pair());
    let filled = fill(&full);
    let taken = send(burst, &[(&full, b"late"), (&here, b"in time")]);
    assert_eq!(taken[0].as_ref().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(*taken[1].as_ref().unwrap(), 7);
    let mut read = [0; 7];
    there.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"in time");
    // Nothing of what was refused goes out later.
    drop(full);
    assert_eq!(std::io::copy(&mut slow, &mut std::io::sink()).unwrap(), filled as u64);
}

fn a_socket_takes_what_it_has_room_for(burst: &mut Burst) {
    let (here, mut there) = pair();
    let much = vec![7; 64 << 20];
    let taken = send(burst, &[(&here, &much)]).remove(0).unwrap();
    assert!(0 < taken && taken < much.len(), "{taken}");
    drop(here);
    let mut read = Vec::new();
    there.read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), taken);
}

fn one_that_is_gone_is_told_apart(burst: &mut Burst) {
    let ((closed, _other), (here, mut there)) = (pair(), pair());
    closed.shutdown(Shutdown::Write).unwrap();
    // No socket at all.
    let file = TcpStream::from(OwnedFd::from(File::open("/dev/null").unwrap()));
    let sends: [(&TcpStream, &[u8]); 3] = [(&closed, b"a"), (&file, b"b"), (&here, b"c")];
    let taken = send(burst, &sends);
    assert_eq!(taken[0].as_ref().unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert!(taken[1].is_err());
    assert_eq!(*taken[2].as_ref().unwrap(), 1);
    there.read_exact(&mut [0]).unwrap();
}

fn nothing_to_send_is_no_mistake(burst: &mut Burst) {
    assert!(send(burst, &[]).is_empty());
}

fn a_burst_may_change_threads(burst: &mut Burst) {
    let (here, mut there) = pair();
    send(burst, &[(&here, b"one")]).remove(0).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| send(burst, &[(&here, b"two")]).remove(0).unwrap());
    });
    let mut read = [0; 6];
    there.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"onetwo");
}
