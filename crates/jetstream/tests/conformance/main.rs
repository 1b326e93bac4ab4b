//! The recorded exchanges of `scenarios/`, each one a named test, played against our server: over
//! sockets, and again over the in-memory transport where that makes sense.
//!
//! `CONFORMANCE_SERVER="command"` plays the first kind against another server: the command is started
//! for each scenario with `--port 0` and the path of `models.json`, and prints the port that it took.

#![allow(
    unreachable_pub,
    reason = "in a test everything is private; `pub` says what a module offers"
)]

#[allow(dead_code, reason = "each test uses the part that it needs")]
#[path = "../support/process.rs"]
mod process;
#[allow(dead_code, reason = "each test uses the part that it needs")]
#[path = "../support/websocket.rs"]
mod websocket;

mod matching;
mod memory;
mod peer;
mod player;
mod scenario;
mod socket;
mod template;

#[path = "../../examples/conformance/application.rs"]
mod application;
#[path = "../../examples/conformance/models.rs"]
mod models;

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;

use jetstream::core::limits::Limits;
use jetstream::server::ServerBuilder;
use jetstream::{MemoryTransport, WebSocket};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::memory::Memory;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::socket::Sockets;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        self_test("runner::fills_placeholders", template::self_test),
        self_test("runner::tells_right_from_wrong", matching::self_test),
        Trial::test("runner::every_difference_has_its_reason", differences_are_explained),
    ];
    for name in scenario_names() {
        let scenario = load(&name).unwrap_or_else(|error| panic!("{error}"));
        if memory::refusal(&scenario).is_none() {
            trials.push(trial("memory", &name, over_memory));
        }
        trials.push(trial("socket", &name, over_sockets));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn self_test(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

fn trial<F>(network: &str, name: &str, play: fn(Scenario) -> F) -> Trial
where
    F: Future<Output = Result<(), Box<dyn Error>>> + 'static,
{
    let test = format!("{network}::{name}");
    let name = name.to_owned();
    Trial::test(test, move || {
        let scenario = load(&name)?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let played = runtime.worker_threads(1).enable_all().build()?.block_on(play(scenario));
        played.map_err(|failure| Failed::from(failure.to_string()))
    })
}

async fn over_sockets(scenario: Scenario) -> Result<(), Box<dyn Error>> {
    if let Ok(command) = std::env::var("CONFORMANCE_SERVER") {
        let process = Process::start(&command, &folder().join("models.json"))?;
        return Ok(player::play(&scenario, &Sockets { address: process.address() }).await?);
    }
    let server = fresh_server()?.transport(WebSocket::bind("127.0.0.1:0")).start().await?;
    let address = server.local_addr().to_string();
    Ok(player::play(&scenario, &Sockets { address }).await?)
}

async fn over_memory(scenario: Scenario) -> Result<(), Box<dyn Error>> {
    let (transport, connector) = MemoryTransport::new();
    let _server = fresh_server()?.transport(transport).start().await?;
    Ok(player::play(&scenario, &Memory { connector }).await?)
}

fn fresh_server() -> Result<ServerBuilder, Box<dyn Error>> {
    let world = models::read(&std::fs::read_to_string(folder().join("models.json"))?)?;
    Ok(application::server(world, Limits::default()))
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "conformance"].iter().collect()
}

fn scenario_names() -> Vec<String> {
    let files = std::fs::read_dir(folder().join("scenarios")).expect("the scenarios are there");
    let mut names: Vec<String> = files
        .map(|file| file.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn load(name: &str) -> Result<Scenario, String> {
    let path = folder().join("scenarios").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let scenario: Scenario =
        serde_json::from_str(&text).map_err(|error| format!("{name}.json: {error}"))?;
    if scenario.name != name { Err(format!("{name}.json has another name")) } else { Ok(scenario) }
}

/// A step that was edited says what was recorded; its scenario, why the protocol wants it otherwise.
fn differences_are_explained() -> Result<(), Failed> {
    for name in scenario_names() {
        let scenario = load(&name)?;
        let edited = scenario.steps.iter().any(|step| step.recorded.is_some());
        if edited != scenario.difference.is_some() {
            return Err(format!("{name}: \"recorded\" and \"difference\" belong together").into());
        }
        if edited && !scenario.quirk {
            return Err(format!("{name} is no quirk: the recorded exchange is right").into());
        }
    }
    Ok(())
}
