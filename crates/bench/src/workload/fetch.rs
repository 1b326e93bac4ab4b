//! Fetch: what a member costs that joins a scope of many objects.

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};
use crate::writer::Writer;

use Contender as C;

/// Members fetch one after the other, each after somebody has changed something.
pub const FETCH: Workload = Workload {
    name: "fetch",
    title: "A member fetches a scope",
    measures: &[
        Measure { key: "after_change_ms", title: "CPU, after a change, ms", digits: 2 },
        Measure {
            key: "unchanged_ms",
            title: "CPU, nothing changed since the last, ms",
            digits: 2,
        },
        Measure { key: "first_ms", title: "CPU, the first, ms", digits: 2 },
    ],
    contenders: &[
        C::Limit,
        C::Jetstream,
        C::JetstreamOriginal,
        C::Original,
        C::SocketIo,
        C::Colyseus,
        C::ShareDb,
        C::YWebsocket,
    ],
    cases,
};

fn cases(scale: &Scale) -> Vec<Case> {
    let sizes = [100, 1_000, 10_000, 100_000].into_iter();
    let sizes = sizes.filter(|objects| *objects <= scale.most_objects);
    // Fewer of the large ones: the original takes a fifth of a second for 10,000 objects.
    let cases = sizes.map(|objects| {
        let fetches = (50_000 / objects).clamp(3, 50);
        case(format!("{objects} objects"), move |places, server, sample| {
            measure(places, server, sample, objects, fetches)
        })
    });
    cases.collect()
}

fn measure(
    places: &Places,
    server: Contender,
    sample: Sample,
    objects: usize,
    fetches: usize,
) -> Result<Sample, String> {
    if server.is_peer() && objects > PEER_OBJECTS_MAX {
        return Ok(sample);
    }
    let size = Size { objects, connections: 2 * fetches + 2, changes: fetches + 1 };
    let running = server.start(places, size)?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    let cpu = || running.process.cpu_at_rest();
    let before = cpu();
    crowd.join(running.port, &running.speech, 1)?;
    let first = cpu() - before;
    crowd.connections[0].is_writer = true;
    let mut writer = Writer::new(0, objects);
    let mut after_change = std::time::Duration::ZERO;
    for _ in 0..fetches {
        let members = crowd.seen.joined as u64 - 1;
        let deliveries = crowd.seen.deliveries;
        writer.change(&mut crowd);
        // Not measured: the change itself.
        crowd.wait(std::time::Duration::from_secs(5), |crowd| {
            crowd.seen.deliveries >= deliveries + members
        });
        let before = cpu();
        crowd.join(running.port, &running.speech, 1)?;
        after_change += cpu() - before;
    }
    let before = cpu();
    crowd.join(running.port, &running.speech, fetches)?;
    let unchanged = cpu() - before;
    let each = |spent: std::time::Duration| spent.as_secs_f64() * 1e3 / fetches as f64;
    Ok(sample
        .with("after_change_ms", each(after_change))
        .with("unchanged_ms", each(unchanged))
        .with("first_ms", first.as_secs_f64() * 1e3))
}

/// With more objects the peers take minutes.
const PEER_OBJECTS_MAX: usize = 10_000;
