//! Fan-out: one scope of 100 objects, one writer, many members.

use std::time::{Duration, Instant};

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Running, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};
use crate::writer::Writer;

use Contender as C;

const MEASURES: &[Measure] = &[
    Measure { key: "cpu_us", title: "CPU per delivery, µs", digits: 2 },
    Measure { key: "p50_ms", title: "p50, ms", digits: 1 },
    Measure { key: "p99_ms", title: "p99, ms", digits: 1 },
    Measure { key: "per_core_second", title: "deliveries per core-second", digits: 0 },
    Measure { key: "per_second", title: "deliveries/s", digits: 0 },
];

/// At a rate at which nothing waits.
pub const FIXED: Workload = Workload {
    name: "fan-out",
    title: "Fan-out at a fixed rate",
    measures: MEASURES,
    contenders: &C::ALL,
    cases: fixed_cases,
};

/// As fast as the server takes it.
pub const SATURATED: Workload = Workload {
    name: "saturation",
    title: "Fan-out as fast as it goes",
    measures: MEASURES,
    contenders: &C::ALL,
    cases: saturated_cases,
};

/// At half of the rate that a server has to reach: how long changes take when there is still some room.
pub const HALF: Workload = Workload {
    name: "half",
    title: "Fan-out at 750,000 deliveries a second",
    measures: MEASURES,
    contenders: &[
        C::Limit,
        C::LimitJoined,
        C::LimitBurst,
        C::Jetstream,
        C::JetstreamPlain,
        C::JetstreamOriginal,
        C::JetstreamTls,
    ],
    cases: half_cases,
};

const OBJECTS: usize = 100;

/// Changes in a second for each member, so that a hundred members get 750,000 of them.
const HALF_RATE_PER_MEMBER: f64 = 75.0;

/// How many changes are on their way at a time when a server is saturated.
const WINDOW: usize = 512;

/// How the writer goes on.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// So many changes in a second.
    Rate(f64),
    /// The next as soon as fewer than this have not arrived everywhere.
    Window(usize),
}

fn members(scale: &Scale) -> Vec<usize> {
    [20, 100, 500, 2_000].into_iter().filter(|members| *members <= scale.most_members).collect()
}

fn fixed_cases(scale: &Scale) -> Vec<Case> {
    let seconds = scale.seconds;
    let cases = members(scale).into_iter().map(|members| {
        let rate = (5_000.0 / members as f64).min(50.0);
        case(format!("{members} members, {rate} changes/s"), move |places, server, sample| {
            measure(places, server, sample, members, Pace::Rate(rate), seconds)
        })
    });
    cases.collect()
}

fn half_cases(scale: &Scale) -> Vec<Case> {
    let (members, seconds) = (scale.most_members.min(100), scale.seconds);
    let rate = HALF_RATE_PER_MEMBER * members as f64;
    vec![case(format!("{members} members, {rate} changes/s"), move |places, server, sample| {
        measure(places, server, sample, members, Pace::Rate(rate), seconds)
    })]
}

fn saturated_cases(scale: &Scale) -> Vec<Case> {
    let seconds = scale.seconds;
    let cases = members(scale).into_iter().map(|members| {
        case(format!("{members} members"), move |places, server, sample| {
            measure(places, server, sample, members, Pace::Window(WINDOW), seconds)
        })
    });
    cases.collect()
}

fn measure(
    places: &Places,
    server: Contender,
    sample: Sample,
    members: usize,
    pace: Pace,
    seconds: f64,
) -> Result<Sample, String> {
    // Peers' changes are prepared by their own libraries; no peer does more than this.
    let changes = match pace {
        Pace::Rate(rate) => (rate * (seconds + 1.0)) as usize + 2,
        Pace::Window(_) => (20_000.0 * seconds) as usize,
    };
    let running =
        server.start(places, Size { objects: OBJECTS, connections: members + 1, changes })?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    crowd.join(running.port, &running.speech, 1)?;
    crowd.connections[0].is_writer = true;
    crowd.join(running.port, &running.speech, members)?;
    let mut writer = Writer::new(0, OBJECTS);
    // A moment to get warm, which is not measured.
    drive(&mut crowd, &mut writer, members, pace, seconds / 8.0);
    settle(server, &mut crowd, &writer, members)?;
    crowd.seen.latencies.clear();
    let (before, deliveries) = (running.process.cpu(), crowd.seen.deliveries);
    let begun = Instant::now();
    drive(&mut crowd, &mut writer, members, pace, seconds);
    let took = begun.elapsed().as_secs_f64();
    let in_time = crowd.seen.deliveries - deliveries;
    settle(server, &mut crowd, &writer, members)?;
    let cpu = (running.process.cpu() - before).as_secs_f64();
    finish(sample, &running, &crowd, (cpu, in_time as f64 / took), deliveries)
}

fn finish(
    sample: Sample,
    _running: &Running,
    crowd: &Crowd,
    (cpu, per_second): (f64, f64),
    deliveries_before: u64,
) -> Result<Sample, String> {
    let deliveries = (crowd.seen.deliveries - deliveries_before) as f64;
    if deliveries == 0.0 {
        return Err("nothing was delivered".to_owned());
    }
    Ok(sample
        .with("cpu_us", cpu * 1e6 / deliveries)
        .with("p50_ms", crowd.seen.latencies.quantile(0.5))
        .with("p99_ms", crowd.seen.latencies.quantile(0.99))
        .with("per_core_second", deliveries / cpu)
        .with("per_second", per_second))
}

fn drive(crowd: &mut Crowd, writer: &mut Writer, members: usize, pace: Pace, seconds: f64) {
    let begun = Instant::now();
    let first = writer.sent();
    loop {
        let elapsed = begun.elapsed().as_secs_f64();
        if elapsed >= seconds {
            return;
        }
        match pace {
            Pace::Rate(rate) => {
                let due = first + (elapsed * rate) as usize;
                while writer.sent() < due && writer.change(crowd) {}
                let next = (writer.sent() - first + 1) as f64 / rate;
                let pause = (next.min(seconds) - begun.elapsed().as_secs_f64()).max(0.0);
                crowd.turn(Duration::from_secs_f64(pause));
            }
            Pace::Window(window) => {
                let arrived = (crowd.seen.deliveries / members as u64) as usize;
                while writer.sent() < arrived + window && writer.change(crowd) {}
                crowd.turn(Duration::from_millis(1));
            }
        }
    }
}

/// Waits until everything has arrived everywhere: what is lost is no bargain. A peer may say something twice
/// (ShareDB sometimes does).
fn settle(
    server: Contender,
    crowd: &mut Crowd,
    writer: &Writer,
    members: usize,
) -> Result<(), String> {
    let Some(last) = writer.sent().checked_sub(1) else { return Ok(()) };
    let sent = writer.sent() as u64;
    let has_all = |crowd: &Crowd| {
        crowd.connections[1..=members].iter().all(|member| match member.speech.merges {
            true => member.latest == Some(last),
            false if server.is_peer() => member.heard >= sent,
            false => member.heard == sent,
        })
    };
    if crowd.wait(SETTLE_MAX, has_all) {
        return Ok(());
    }
    let heard: Vec<u64> = crowd.connections[1..=members].iter().map(|m| m.heard).collect();
    let (least, most) = (heard.iter().min(), heard.iter().max());
    Err(format!("{sent} changes were sent, but members heard of {least:?} to {most:?}"))
}

const SETTLE_MAX: Duration = Duration::from_secs(20);
