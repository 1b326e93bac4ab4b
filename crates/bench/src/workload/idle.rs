//! Idle members: what each costs in memory that has fetched a scope and says nothing.

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};

use Contender as C;

/// What the process holds; buffers of the kernel are not in it.
pub const IDLE: Workload = Workload {
    name: "idle",
    title: "Idle members",
    measures: &[
        Measure { key: "kilobytes", title: "memory per member, kB", digits: 1 },
        Measure { key: "join_us", title: "CPU per join, µs", digits: 0 },
    ],
    contenders: &[
        C::Limit,
        C::Jetstream,
        C::JetstreamOriginal,
        C::JetstreamTls,
        C::Original,
        C::SocketIo,
        C::Colyseus,
        C::ShareDb,
        C::YWebsocket,
    ],
    cases,
};

const OBJECTS: usize = 100;

fn cases(scale: &Scale) -> Vec<Case> {
    let counts = [20, 2_000, 10_000].into_iter();
    let counts = counts.filter(|count| *count == scale.most_connections || *count >= 2_000);
    let counts = counts.filter(|count| *count <= scale.most_connections);
    let cases = counts.map(|members| {
        case(format!("{members} members"), move |places, server, sample| {
            match server.is_peer() && members > PEER_MEMBERS_MAX {
                true => Ok(sample),
                false => measure(places, server, sample, members),
            }
        })
    });
    cases.collect()
}

fn measure(
    places: &Places,
    server: Contender,
    sample: Sample,
    members: usize,
) -> Result<Sample, String> {
    let size = Size { objects: OBJECTS, connections: members + 1, changes: 1 };
    let running = server.start(places, size)?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    crowd.join(running.port, &running.speech, 1)?;
    let (memory, cpu) = (running.process.memory(), running.process.cpu_at_rest());
    crowd.join(running.port, &running.speech, members)?;
    let spent = running.process.cpu_at_rest() - cpu;
    // Clients say what they have within ten seconds, and only then is it let go of.
    let second = std::time::Duration::from_secs(1);
    for _ in 0..if members >= 2_000 { 11 } else { 1 } {
        crowd.wait(second, |_| false);
    }
    let grown = running.process.memory().saturating_sub(memory);
    Ok(sample
        .with("kilobytes", grown as f64 / 1e3 / members as f64)
        .with("join_us", spent.as_secs_f64() * 1e6 / members as f64))
}

const PEER_MEMBERS_MAX: usize = 2_000;
