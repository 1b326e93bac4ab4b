//! Plays a scenario, step by step.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::matching::{Rules, Verdict, judge, shorten};
use crate::peer::{Event, Inbox, Network, Outgoing, Peer};
use crate::scenario::{Burst, Close, Connect, Expectation, Scenario, Step};
use crate::template::{Bindings, fill, fill_message, fill_text};

/// How long events may take where the scenario does not say.
const WITHIN_MS: u64 = 5_000;
/// How long to look for events that should not come, at the end and where a later step is tolerant.
const QUIET_MS: u64 = 200;

/// Plays all steps and, where the scenario ends the reference server, checks that this one serves on.
pub async fn play<N: Network>(scenario: &Scenario, network: &N) -> Result<(), String> {
    let mut stage = Stage::new(network);
    for (number, step) in scenario.steps.iter().enumerate() {
        let next = scenario.steps.get(number + 1);
        let quiet_ms = match (step.quiet_ms, next) {
            (Some(quiet_ms), _) => quiet_ms,
            (None, Some(next)) if !step.is_tolerant() && !next.is_tolerant() => {
                network.short_quiet_ms()
            }
            (None, _) => QUIET_MS,
        };
        let rules = Rules {
            exact_errors: scenario.exact_errors,
            pings: step.strict.iter().any(|what| what == "pings"),
            arrays: step.frames.as_deref() == Some("array"),
        };
        let played = match stage.act(step).await {
            Ok(()) => stage.observe(step, rules, Duration::from_millis(quiet_ms)).await,
            Err(failure) => Err(failure),
        };
        played.map_err(|failure| {
            format!("{}\nstep {number} (client {}): {failure}", scenario.description, step.client)
        })?;
    }
    if scenario.reference.as_deref() == Some("crash") {
        stage.check_serving(&scenario.fetched_scopes()).await?;
    }
    Ok(())
}

/// The clients, and what has come for them.
struct Stage<'a, N: Network> {
    network: &'a N,
    peers: HashMap<String, N::Peer>,
    bindings: Bindings,
    sender: UnboundedSender<(String, Event)>,
    events: UnboundedReceiver<(String, Event)>,
    /// Events of the step at hand.
    arrived: BTreeMap<String, Vec<Event>>,
}

impl<'a, N: Network> Stage<'a, N> {
    fn new(network: &'a N) -> Self {
        let (sender, events) = unbounded_channel();
        Self {
            network,
            peers: HashMap::new(),
            bindings: Bindings::new(),
            sender,
            events,
            arrived: BTreeMap::new(),
        }
    }

    async fn connect(&mut self, name: &str, options: &Connect) -> Result<(), String> {
        let inbox = Inbox { client: name.to_owned(), events: self.sender.clone() };
        let peer = self.network.connect(options, inbox).await?;
        self.peers.insert(name.to_owned(), peer);
        Ok(())
    }

    async fn act(&mut self, step: &Step) -> Result<(), String> {
        if let Some(connect) = &step.connect {
            let mut options = connect.clone();
            options.path = fill_text(&options.path, &self.bindings);
            for value in options.headers.values_mut() {
                *value = fill_text(value, &self.bindings);
            }
            return self.connect(&step.client, &options).await;
        }
        if step.wait {
            return Ok(());
        }
        if step.terminate {
            let peer = self.peers.remove(&step.client).ok_or("is not connected")?;
            peer.terminate().await;
            return Ok(());
        }
        let outgoing = self.outgoing(step)?;
        self.peers.get_mut(&step.client).ok_or("is not connected")?.write(outgoing).await;
        Ok(())
    }

    fn outgoing(&self, step: &Step) -> Result<Vec<Outgoing>, String> {
        let text = |text: &str| Outgoing::Text(fill_text(text, &self.bindings));
        if let Some(message) = &step.send {
            return Ok(vec![Outgoing::Text(fill_message(message.get(), &self.bindings))]);
        }
        if let Some(sent) = &step.send_text {
            return Ok(vec![text(sent)]);
        }
        if let Some(sent) = &step.send_binary {
            return Ok(vec![Outgoing::Binary(fill_text(sent, &self.bindings).into_bytes())]);
        }
        if let Some(hex) = &step.send_raw {
            return Ok(vec![Outgoing::Raw(bytes(&fill_text(hex, &self.bindings))?)]);
        }
        if let Some(close) = &step.close {
            return Ok(vec![close_of(close)]);
        }
        let burst = step.burst.as_ref().ok_or("a step without an action")?;
        Ok(burst.iter().map(|part| self.burst_part(part)).collect())
    }

    fn burst_part(&self, part: &Burst) -> Outgoing {
        match part {
            Burst { send: Some(message), .. } => {
                Outgoing::Text(fill_message(message.get(), &self.bindings))
            }
            Burst { send_text: Some(text), .. } => Outgoing::Text(fill_text(text, &self.bindings)),
            Burst { close, .. } => close_of(close.as_ref().unwrap_or(&Close::Plain(true))),
        }
    }

    /// Waits until what arrives fits one of the step's expectations and stays that way.
    async fn observe(&mut self, step: &Step, rules: Rules, quiet: Duration) -> Result<(), String> {
        self.arrived.clear();
        let Some(expected) = &step.expect else { return self.observe_anything(step, quiet).await };
        let expectations: Vec<Expectation> = [expected]
            .into_iter()
            .chain(&step.also_accept)
            .map(|expectation| {
                let filled = |(name, events): (&String, &Value)| {
                    (name.clone(), fill(events, &self.bindings))
                };
                expectation.iter().map(filled).collect()
            })
            .collect();
        let within = Duration::from_millis(step.within_ms.unwrap_or(WITHIN_MS));
        let deadline = Instant::now() + within;
        loop {
            let verdicts: Vec<Verdict> =
                expectations.iter().map(|each| judge(each, &self.arrived, rules)).collect();
            let matched = verdicts.iter().find_map(|verdict| match verdict {
                Verdict::Matches(bound) => Some(bound.clone()),
                _ => None,
            });
            let open = verdicts.contains(&Verdict::Incomplete);
            if matched.is_none() && !open {
                return Err(self.report(step, &verdicts));
            }
            let until = if matched.is_some() { Instant::now() + quiet } else { deadline };
            match timeout_at(until, self.events.recv()).await {
                Ok(event) => self.take(event),
                Err(_elapsed) => {
                    let Some(bound) = matched else { return Err(self.report(step, &verdicts)) };
                    self.bindings.extend(bound);
                    return Ok(());
                }
            }
        }
    }

    /// After a step that ends the reference server: nothing is expected but that others stay.
    async fn observe_anything(&mut self, step: &Step, quiet: Duration) -> Result<(), String> {
        let until = Instant::now() + quiet;
        while let Ok(event) = timeout_at(until, self.events.recv()).await {
            self.take(event);
        }
        let closed = |events: &Vec<Event>| events.iter().any(|e| matches!(e, Event::Closed { .. }));
        match self.arrived.iter().find(|(name, events)| **name != step.client && closed(events)) {
            Some((name, events)) => Err(format!("ended client {name}'s connection: {events:?}")),
            None => Ok(()),
        }
    }

    fn take(&mut self, event: Option<(String, Event)>) {
        let (client, event) = event.expect("the stage itself holds a sender");
        self.arrived.entry(client).or_default().push(event);
    }

    /// A new client gets a session, every scope that was fetched, and an answer to a change in it.
    async fn check_serving(&mut self, scopes: &[String]) -> Result<(), String> {
        const NAME: &str = "newcomer";
        self.connect(NAME, &Connect::default()).await?;
        let hello =
            json!({ "type": "SessionCreate", "index": 0, "params": {}, "version": "0.1.0" });
        let reply = self.request(NAME, hello, 1).await?.remove(0);
        if reply["sessionToken"].as_str().is_none_or(str::is_empty) {
            return Err(format!("a new client got no session: {}", shorten(&reply)));
        }
        for (number, scope) in scopes.iter().enumerate() {
            let fetch = json!({ "type": "ScopeFetch", "index": 2 * number + 1, "name": scope, "params": {} });
            let state = self.request(NAME, fetch, 2).await?.remove(1);
            let root = &state["fragments"][0];
            let (key, value) = root["properties"]
                .as_object()
                .and_then(|properties| properties.iter().find(|(_, value)| value.is_string()))
                .ok_or_else(|| format!("a new client got no {scope}: {}", shorten(&state)))?;
            let change = json!({
                "type": "ScopeSync", "index": 2 * number + 2, "scopeIndex": number,
                "fragments": [{
                    "type": "change", "uuid": root["uuid"], "clsName": root["clsName"],
                    "properties": { key: value },
                }],
            });
            let reply = self.request(NAME, change, 1).await?.remove(0);
            if reply["fragmentReplies"] != json!([{}]) {
                return Err(format!("a change in {scope} was answered with {}", shorten(&reply)));
            }
        }
        Ok(())
    }

    /// Sends a message and waits for as many answers.
    async fn request(
        &mut self,
        name: &str,
        message: Value,
        answers: usize,
    ) -> Result<Vec<Value>, String> {
        self.arrived.clear();
        let outgoing = vec![Outgoing::Text(message.to_string())];
        self.peers.get_mut(name).ok_or("is not connected")?.write(outgoing).await;
        let deadline = Instant::now() + Duration::from_millis(WITHIN_MS);
        loop {
            let events = self.arrived.get(name).into_iter().flatten();
            let messages: Vec<Value> =
                events.map(Event::to_json).filter(|event| event["type"] != "Ping").collect();
            if messages.len() >= answers {
                return Ok(messages);
            }
            match timeout_at(deadline, self.events.recv()).await {
                Ok(event) => self.take(event),
                Err(_elapsed) => {
                    return Err(format!("no answer to {}, only {messages:?}", shorten(&message)));
                }
            }
        }
    }

    fn report(&self, step: &Step, verdicts: &[Verdict]) -> String {
        let mut text = String::from("what arrived is not what was expected\n");
        for (name, events) in &self.arrived {
            for event in events {
                text += &format!("  arrived at {name}: {}\n", shorten(&event.to_json()));
            }
        }
        let expectations = step.expect.iter().chain(&step.also_accept);
        for (expectation, verdict) in expectations.zip(verdicts) {
            text += &format!("  expected: {}\n", shorten(&json!(expectation)));
            text += &match verdict {
                Verdict::Differs(difference) => format!("    but {difference}\n"),
                _ => "    but not everything came in time\n".to_owned(),
            };
        }
        text
    }
}

fn close_of(close: &Close) -> Outgoing {
    Outgoing::Close(match close {
        Close::Plain(_) => None,
        Close::With { code, reason } => Some((*code, reason.clone())),
    })
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> =
        hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>().ok_or("is no hex")?;
    Ok(digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit) as u8)
        .collect())
}
