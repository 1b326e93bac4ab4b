//! Growth: what a change, an added and a removed object cost in scopes of more and more objects.

use std::time::Duration;

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};
use crate::writer::{Act, Writer};

use Contender as C;

/// One writer, ten members.
pub const GROWTH: Workload = Workload {
    name: "growth",
    title: "Growth: the cost of one change by the size of the scope",
    measures: &[
        Measure { key: "change_us", title: "CPU per change, µs", digits: 0 },
        Measure { key: "add_us", title: "per added object, µs", digits: 0 },
        Measure { key: "remove_us", title: "per removed object, µs", digits: 0 },
        Measure { key: "object_bytes", title: "memory per object, bytes", digits: 0 },
    ],
    contenders: &[C::Limit, C::Jetstream, C::JetstreamOriginal, C::Original],
    cases,
};

const MEMBERS: usize = 10;

fn cases(scale: &Scale) -> Vec<Case> {
    let sizes = [100, 1_000, 10_000, 100_000].into_iter();
    let sizes = sizes.filter(|objects| *objects <= scale.most_objects);
    let acts = (scale.seconds * 250.0) as usize;
    let cases = sizes.map(|objects| {
        case(format!("{objects} objects"), move |places, server, sample| {
            measure(places, server, sample, objects, acts)
        })
    });
    cases.collect()
}

fn measure(
    places: &Places,
    server: Contender,
    mut sample: Sample,
    objects: usize,
    acts: usize,
) -> Result<Sample, String> {
    // The original ends when something is added to a collection of 10,000.
    if server == C::Original && objects > ORIGINAL_OBJECTS_MAX {
        return Ok(sample);
    }
    let size = Size { objects, connections: MEMBERS + 1, changes: 0 };
    let running = server.start(places, size)?;
    if server.is_ours() {
        sample = sample.with("object_bytes", memory_per_object(places, server, objects, &running)?);
    }
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    crowd.join(running.port, &running.speech, 1)?;
    crowd.connections[0].is_writer = true;
    crowd.join(running.port, &running.speech, MEMBERS)?;
    let mut writer = Writer::new(0, objects);
    for (act, key) in [(Act::Change, "change_us"), (Act::Add, "add_us"), (Act::Remove, "remove_us")]
    {
        // Whole collections take their time; a few are enough.
        let sends_whole = act != Act::Change && server != C::Jetstream;
        let acts = if sends_whole { acts.min(100_000 / objects).max(3) } else { acts };
        perform(&mut crowd, &mut writer, act, 2)?;
        let before = running.process.cpu();
        perform(&mut crowd, &mut writer, act, acts)?;
        let spent = running.process.cpu() - before;
        sample = sample.with(key, spent.as_secs_f64() * 1e6 / acts as f64);
    }
    Ok(sample)
}

/// One after the other, each when the one before has arrived everywhere.
fn perform(crowd: &mut Crowd, writer: &mut Writer, act: Act, times: usize) -> Result<(), String> {
    for _ in 0..times {
        let arrived = crowd.seen.deliveries + MEMBERS as u64;
        writer.act(crowd, act);
        if !crowd.wait(ACT_MAX, |crowd| crowd.seen.deliveries >= arrived) {
            return Err(format!("{act:?} did not arrive"));
        }
    }
    Ok(())
}

/// Beside a server with hardly any objects, and without the values' own bytes, of which a shape has five
/// numbers of 8 and a short text.
fn memory_per_object(
    places: &Places,
    server: Contender,
    objects: usize,
    running: &crate::contender::Running,
) -> Result<f64, String> {
    let memory = running.process.memory();
    let small = Places { scratch: places.scratch.join("small"), ..places.clone() };
    let size = Size { objects: 1, connections: 1, changes: 0 };
    let base = server.start(&small, size)?.process.memory();
    let values = (5 * size_of::<f64>()) as f64;
    Ok(memory.saturating_sub(base) as f64 / objects as f64 - values)
}

const ACT_MAX: Duration = Duration::from_secs(20);
const ORIGINAL_OBJECTS_MAX: usize = 1_000;
