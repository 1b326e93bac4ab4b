//! Churn: clients come, fetch a scope of 100 objects, and go.

use super::{Case, Scale, Workload, case};
use crate::contender::{Contender, Places, Size};
use crate::crowd::Crowd;
use crate::measure::{Measure, Sample};

use Contender as C;

/// Twenty at a time.
pub const CHURN: Workload = Workload {
    name: "churn",
    title: "Clients that come and go",
    measures: &[Measure { key: "join_us", title: "CPU per join, µs", digits: 0 }],
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
const AT_ONCE: usize = 20;

fn cases(scale: &Scale) -> Vec<Case> {
    let most = scale.most_connections;
    let name = format!("{OBJECTS} objects, {AT_ONCE} clients at a time");
    vec![case(name, move |places, server, sample| {
        // The peers take a hundred times as long.
        let joins = most.min(if server.is_peer() { 400 } else { 4_000 });
        measure(places, server, sample, joins)
    })]
}

fn measure(
    places: &Places,
    server: Contender,
    sample: Sample,
    joins: usize,
) -> Result<Sample, String> {
    let size = Size { objects: OBJECTS, connections: joins + AT_ONCE, changes: 1 };
    let running = server.start(places, size)?;
    let mut crowd = Crowd::new().map_err(|error| error.to_string())?;
    come_and_go(&mut crowd, running.port, &running.speech)?;
    let before = running.process.cpu_at_rest();
    for _ in 0..joins / AT_ONCE {
        come_and_go(&mut crowd, running.port, &running.speech)?;
    }
    let spent = running.process.cpu_at_rest() - before;
    Ok(sample.with("join_us", spent.as_secs_f64() * 1e6 / joins as f64))
}

fn come_and_go(
    crowd: &mut Crowd,
    port: u16,
    speech: &std::sync::Arc<crate::speech::Speech>,
) -> Result<(), String> {
    let first = crowd.connections.len();
    crowd.join(port, speech, AT_ONCE)?;
    (first..first + AT_ONCE).for_each(|number| crowd.cut(number));
    Ok(())
}
