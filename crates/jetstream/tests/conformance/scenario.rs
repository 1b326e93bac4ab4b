//! A scenario as it stands in its file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What arrives at each client in a step: a list of events, or `"{{any}}"`.
pub type Expectation = BTreeMap<String, Value>;

/// A story with steps; the file name is its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    pub name: String,
    pub description: String,
    #[expect(dead_code, reason = "for selection by people; tests are selected by name")]
    pub tags: Vec<String>,
    /// The reference's behaviour is a bug and no contract.
    #[serde(default)]
    pub quirk: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    pub note: Option<String>,
    /// `"crash"`: the last step ends the reference server.
    #[serde(default)]
    pub reference: Option<String>,
    #[serde(default)]
    pub exact_errors: bool,
    /// For a quirk: why the steps differ from what was recorded.
    #[serde(default)]
    pub difference: Option<String>,
    pub steps: Vec<Step>,
}

impl Scenario {
    /// The scopes that its clients fetch, each once.
    pub fn fetched_scopes(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let sent = self.steps.iter().flat_map(|step| {
            step.send
                .iter()
                .chain(step.burst.iter().flatten().filter_map(|part| part.send.as_ref()))
        });
        for message in sent {
            let Ok(message) = serde_json::from_str::<Value>(message.get()) else { continue };
            if message["type"] != "ScopeFetch" || message["params"]["deny"] == true {
                continue;
            }
            if let Some(name) = message["name"].as_str()
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    }
}

/// One action of one client, and what arrives because of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    pub client: String,
    #[serde(default)]
    pub connect: Option<Connect>,
    /// Kept as text, so that keys go out in the order in which they were written.
    #[serde(default)]
    pub send: Option<Box<RawValue>>,
    #[serde(default)]
    pub send_text: Option<String>,
    #[serde(default)]
    pub send_binary: Option<String>,
    #[serde(default)]
    pub send_raw: Option<String>,
    #[serde(default)]
    pub burst: Option<Vec<Burst>>,
    #[serde(default)]
    pub close: Option<Close>,
    #[serde(default)]
    pub terminate: bool,
    #[serde(default)]
    pub wait: bool,

    /// `None`: anything may happen to this client.
    pub expect: Option<Expectation>,
    #[serde(default)]
    pub also_accept: Vec<Expectation>,
    #[serde(default)]
    pub strict: Vec<String>,
    #[serde(default)]
    pub frames: Option<String>,
    #[serde(default)]
    pub within_ms: Option<u64>,
    #[serde(default)]
    pub quiet_ms: Option<u64>,

    // What the reference did, for the reader: nothing is compared with it.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    pub reference: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    pub reference_error: Option<String>,
    #[serde(default)]
    pub recorded: Option<Value>,
}

impl Step {
    /// Whether the step takes so many forms that an event too late for the step before would pass
    /// as one of its own.
    pub fn is_tolerant(&self) -> bool {
        let wild = |expectation: &Expectation| {
            expectation.contains_key("*") || expectation.values().any(|events| !events.is_array())
        };
        !self.also_accept.is_empty() || self.expect.as_ref().is_none_or(wild)
    }
}

/// How a client opens its connection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Connect {
    #[serde(default)]
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub protocols: Vec<String>,
    #[serde(default)]
    pub expect_protocol: Option<String>,
    #[serde(default)]
    pub deflate: bool,
}

/// One of several frames that leave in one write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Burst {
    #[serde(default)]
    pub send: Option<Box<RawValue>>,
    #[serde(default)]
    pub send_text: Option<String>,
    #[serde(default)]
    pub close: Option<Close>,
}

/// `true`, or a code and a reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Close {
    Plain(#[expect(dead_code, reason = "it can only be true")] bool),
    With {
        code: u16,
        #[serde(default)]
        reason: String,
    },
}
