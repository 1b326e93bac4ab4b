//! Many scopes: the same load in one of them and spread over five hundred.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};
use crate::speech::Speech;
use crate::writer::Writer;

use Contender as C;

/// Each scope has a writer and four members.
pub const SCOPES: Workload = Workload {
    name: "scopes",
    title: "Many scopes",
    measures: &[
        Measure { key: "cpu_us", title: "CPU per delivery, µs", digits: 2 },
        Measure { key: "p50_ms", title: "p50, ms", digits: 1 },
        Measure { key: "p99_ms", title: "p99, ms", digits: 1 },
        Measure { key: "per_second", title: "deliveries/s", digits: 0 },
        Measure { key: "cores", title: "cores used", digits: 2 },
    ],
    contenders: &[
        C::Limit,
        C::LimitJoined,
        C::LimitBurst,
        C::Jetstream,
        C::JetstreamPlain,
        C::JetstreamOriginal,
    ],
    cases,
};

const MEMBERS: usize = 4;
/// Changes of all scopes together, in a second.
const RATE: f64 = 1_250.0;

fn cases(scale: &Scale) -> Vec<Case> {
    let many = (scale.most_members / 4).min(500);
    let seconds = scale.seconds;
    let cases = [
        (1, "1 scope".to_owned(), Some(RATE)),
        (many, format!("{many} scopes"), Some(RATE)),
        (many, format!("{many} scopes"), None),
    ];
    let cases = cases.into_iter().map(|(scopes, name, rate)| {
        let pace = if rate.is_some() { "1250 changes/s" } else { "as fast as it goes" };
        case(format!("{name} of {MEMBERS} members, {pace}"), move |places, server, sample| {
            measure(places, server, sample, scopes, rate, seconds)
        })
    });
    cases.collect()
}

fn measure(
    places: &Places,
    server: Contender,
    sample: Sample,
    scopes: usize,
    rate: Option<f64>,
    seconds: f64,
) -> Result<Sample, String> {
    let running = server.start(places, Size { objects: 1, connections: 0, changes: 0 })?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    let mut writers = Vec::new();
    for scope in 0..scopes {
        let speech = Arc::new(Speech::jetstream(server.dialect(), &format!("boards/{scope}")));
        let writer = crowd.connections.len();
        crowd.join(running.port, &speech, 1)?;
        crowd.connections[writer].is_writer = true;
        crowd.join(running.port, &speech, MEMBERS)?;
        writers.push(Writer::new(writer, 0));
    }
    let (before, begun) = (running.process.cpu(), Instant::now());
    let mut sent = 0;
    while begun.elapsed().as_secs_f64() < seconds {
        let arrived = crowd.seen.deliveries as usize / MEMBERS;
        let due = match rate {
            Some(rate) => (begun.elapsed().as_secs_f64() * rate) as usize,
            // Every scope has a change on its way.
            None => arrived + scopes,
        };
        while sent < due {
            writers[sent % scopes].rename(&mut crowd, sent);
            sent += 1;
        }
        crowd.turn(Duration::from_millis(1));
    }
    let (took, in_time) = (begun.elapsed().as_secs_f64(), crowd.seen.deliveries);
    let all = (sent * MEMBERS) as u64;
    if !crowd.wait(Duration::from_secs(20), |crowd| crowd.seen.deliveries >= all) {
        return Err(format!("{} of {all} deliveries arrived", crowd.seen.deliveries));
    }
    let cpu = (running.process.cpu() - before).as_secs_f64();
    Ok(sample
        .with("cpu_us", cpu * 1e6 / all as f64)
        .with("p50_ms", crowd.seen.latencies.quantile(0.5))
        .with("p99_ms", crowd.seen.latencies.quantile(0.99))
        .with("per_second", in_time as f64 / took)
        .with("cores", cpu / took))
}
