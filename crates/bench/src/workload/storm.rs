//! Storms: all clients come at once, back to their sessions or for a scope of many objects.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};
use crate::speech::Speech;

use Contender as C;

/// Two thousand clients.
pub const STORM: Workload = Workload {
    name: "storm",
    title: "All clients at once",
    measures: &[
        Measure { key: "cpu_us", title: "CPU per client, µs", digits: 0 },
        Measure { key: "seconds", title: "until all are there, s", digits: 2 },
        Measure { key: "memory_mb", title: "memory at the end, MB", digits: 0 },
    ],
    contenders: &[C::Limit, C::Jetstream, C::JetstreamOriginal, C::Original],
    cases,
};

fn cases(scale: &Scale) -> Vec<Case> {
    let clients = scale.most_members;
    let objects = scale.most_objects.min(10_000);
    vec![
        case(format!("{clients} clients resume"), move |places, server, sample| {
            let clients = if server.is_peer() { clients.min(500) } else { clients };
            resume(places, server, sample, clients)
        }),
        case(
            format!("{clients} clients fetch {objects} objects"),
            move |places, server, sample| match server.is_peer() {
                // It would take it minutes.
                true => Ok(sample),
                false => fetch(places, server, sample, clients, objects),
            },
        ),
    ]
}

fn resume(
    places: &Places,
    server: Contender,
    sample: Sample,
    clients: usize,
) -> Result<Sample, String> {
    let size = Size { objects: 100, connections: clients, changes: 0 };
    let running = server.start(places, size)?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    crowd.join(running.port, &running.speech, clients)?;
    let mut back = Vec::new();
    for number in 0..clients {
        let client = &crowd.connections[number];
        let token = client.token.clone().ok_or("a client has no session")?;
        back.push(Arc::new(Speech::resume(server.dialect(), &token, client.highest_index)));
        crowd.cut(number);
    }
    storm(&mut crowd, &running, sample, &back)
}

fn fetch(
    places: &Places,
    server: Contender,
    sample: Sample,
    clients: usize,
    objects: usize,
) -> Result<Sample, String> {
    let running = server.start(places, Size { objects, connections: clients, changes: 0 })?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    storm(&mut crowd, &running, sample, &vec![running.speech.clone(); clients])
}

fn storm(
    crowd: &mut Crowd,
    running: &crate::contender::Running,
    sample: Sample,
    speeches: &[Arc<Speech>],
) -> Result<Sample, String> {
    let (before, begun) = (running.process.cpu_at_rest(), Instant::now());
    for (place, speech) in speeches.iter().enumerate() {
        crowd
            .open_at(running.port, speech.path(0), speech)
            .map_err(|error| format!("could not connect: {error}"))?;
        if place % 64 == 63 {
            crowd.turn(Duration::ZERO);
        }
    }
    if !crowd.wait(STORM_MAX, |crowd| crowd.seen.joined >= speeches.len()) {
        return Err(format!("{} of {} clients are there", crowd.seen.joined, speeches.len()));
    }
    let took = begun.elapsed().as_secs_f64();
    let spent = running.process.cpu_at_rest() - before;
    Ok(sample
        .with("cpu_us", spent.as_secs_f64() * 1e6 / speeches.len() as f64)
        .with("seconds", took)
        .with("memory_mb", running.process.memory() as f64 / 1e6))
}

const STORM_MAX: Duration = Duration::from_secs(60);
