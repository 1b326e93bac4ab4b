//! One slow member: what it costs the others that one of them reads nothing.

use std::time::{Duration, Instant};

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};
use crate::writer::Writer;

use Contender as C;

/// Five hundred members, of whom one stops to read.
pub const SLOW: Workload = Workload {
    name: "slow",
    title: "One slow member",
    measures: &[
        Measure { key: "p99_ms", title: "p99 of the others, ms", digits: 1 },
        Measure { key: "p50_ms", title: "p50, ms", digits: 1 },
        Measure { key: "grown_mb", title: "memory grown by, MB", digits: 1 },
        Measure { key: "caught_up_ms", title: "up to date again after, ms", digits: 0 },
    ],
    contenders: &[
        C::Limit,
        C::Jetstream,
        C::JetstreamOriginal,
        C::Original,
        C::SocketIo,
        C::ShareDb,
        C::YWebsocket,
    ],
    cases,
};

const OBJECTS: usize = 100;

fn cases(scale: &Scale) -> Vec<Case> {
    let (members, seconds) = (scale.most_members.min(500), scale.seconds);
    let cases = [(false, "all read"), (true, "one reads nothing")].map(|(slow, name)| {
        case(format!("{members} members, {name}"), move |places, server, sample| {
            // As much as the slowest of them keeps up with for that many members.
            let rate = if server == C::Original { 10.0 } else { 30.0 };
            measure(places, server, sample, (members, slow), rate, seconds)
        })
    });
    cases.into()
}

fn measure(
    places: &Places,
    server: Contender,
    mut sample: Sample,
    (members, slow): (usize, bool),
    rate: f64,
    seconds: f64,
) -> Result<Sample, String> {
    let changes = (rate * seconds) as usize + 1;
    let running =
        server.start(places, Size { objects: OBJECTS, connections: members + 1, changes })?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    let failed = |error: std::io::Error| error.to_string();
    crowd.join(running.port, &running.speech, 1)?;
    crowd.connections[0].is_writer = true;
    let deaf = crowd.open_narrow(running.port, &running.speech).map_err(failed)?;
    crowd.join(running.port, &running.speech, members - 1)?;
    if !crowd.wait(Duration::from_secs(5), |crowd| crowd.seen.joined > members) {
        return Err("the slow member did not join".to_owned());
    }
    crowd.connections[deaf].is_deaf = slow;
    let memory = running.process.memory();
    let mut writer = Writer::new(0, OBJECTS);
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        while writer.sent() < due && writer.change(&mut crowd) {}
        crowd.turn(Duration::from_millis(1));
    }
    let last = writer.sent().checked_sub(1).ok_or("nothing was sent")?;
    let others = move |crowd: &Crowd| {
        crowd.connections[2..].iter().all(|member| member.latest == Some(last))
    };
    if !crowd.wait(Duration::from_secs(10), others) {
        return Err("the others did not get everything".to_owned());
    }
    let grown = running.process.memory().saturating_sub(memory);
    sample = sample
        .with("p99_ms", crowd.seen.latencies.quantile(0.99))
        .with("p50_ms", crowd.seen.latencies.quantile(0.5))
        .with("grown_mb", grown as f64 / 1e6);
    let heard = Instant::now();
    crowd.hear(deaf);
    if !crowd.wait(Duration::from_secs(10), |crowd| crowd.connections[deaf].latest == Some(last)) {
        return Err("the slow member never got the present state".to_owned());
    }
    Ok(match slow {
        true => sample.with("caught_up_ms", heard.elapsed().as_secs_f64() * 1e3),
        false => sample,
    })
}
