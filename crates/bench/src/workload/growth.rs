//! Growth: what a change, an added and a removed object cost in scopes of more and more objects.

use std::time::Duration;

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Running, Size};
use crate::crowd::Crowd;
use crate::job;
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
    let most = scale.most_objects;
    let cases = sizes.map(|objects| {
        case(format!("{objects} objects"), move |places, server, sample| {
            let added = if objects == 100 { most } else { 0 };
            measure(places, server, sample, objects, acts, added)
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
    added: usize,
) -> Result<Sample, String> {
    // The original ends when something is added to a collection of 10,000.
    if server == C::Original && objects > ORIGINAL_OBJECTS_MAX {
        return Ok(sample);
    }
    let size = Size { objects, connections: MEMBERS + 1, changes: 0 };
    let running = server.start(places, size)?;
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
        let before = running.process.cpu_at_rest();
        perform(&mut crowd, &mut writer, act, acts)?;
        let spent = running.process.cpu_at_rest() - before;
        sample = sample.with(key, spent.as_secs_f64() * 1e6 / acts as f64);
    }
    if server == C::Jetstream && added > 0 {
        let bytes = memory_per_object(&mut crowd, &mut writer, &running, added)?;
        sample = sample.with("object_bytes", bytes);
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

/// What the process grows by with each added object, without the object's values: five numbers of eight
/// bytes and a text of eight.
fn memory_per_object(
    crowd: &mut Crowd,
    writer: &mut Writer,
    running: &Running,
    added: usize,
) -> Result<f64, String> {
    let before = running.process.memory();
    for _ in 0..added / ADDED_AT_ONCE {
        let arrived = crowd.seen.deliveries + (MEMBERS * ADDED_AT_ONCE) as u64;
        writer.add_many(crowd, ADDED_AT_ONCE);
        if !crowd.wait(ACT_MAX, |crowd| crowd.seen.deliveries >= arrived) {
            return Err("what was added did not arrive".to_owned());
        }
    }
    // What members have not acknowledged is let go of when they do, within ten seconds.
    crowd.wait(Duration::from_millis(110) * added.min(100) as u32, |_| false);
    let grown = running.process.memory().saturating_sub(before);
    let values = 5 * size_of::<f64>() + job::TAG_LENGTH;
    Ok(grown as f64 / added as f64 - values as f64)
}

const ADDED_AT_ONCE: usize = 100;
const ACT_MAX: Duration = Duration::from_secs(20);
const ORIGINAL_OBJECTS_MAX: usize = 1_000;
