//! Services that are told of changes after the commit: real ones, in every state of health.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jetstream::config::{Config, Kept};
use jetstream::operations::{Lines, NotifyOperation, Operation};
use jetstream::transport::memory::MemoryConnector;
use jetstream::{ConnectInfo, MemoryTransport, Metrics, ServerHandle};
use ring::hmac;
use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::double::{Act, Double, Seen};

const SECRETS: [&str; 2] =
    ["whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3", "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xk"];

const CONFIG: &str = r#"
[models.Board.properties]
name = "String"
[scopes."boards/{id}"]
root = "Board"
[scopes."boards/{id}".notify]
name = "mail"
[scopes."boards/{id}".notify.http]
url = "http://127.0.0.1:PORT/changed?from=here"
headers = { x-environment = "a test" }
secret_file = "webhook.key"
timeout = "5s"
retry_pause = "1ms"
retry_pause_max = "3ms"
failures_max = 1000
[storage]
memory = true
"#;

/// A server whose boards a service is told about.
struct World {
    service: Double,
    connector: MemoryConnector,
    server: ServerHandle,
    kept: Kept,
}

impl World {
    async fn new(act: Act) -> Self {
        let service = Double::new(act).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("webhook.key"), SECRETS.join("\n")).unwrap();
        let text = CONFIG.replace("PORT", &service.port.to_string());
        let config = Config::parse("jetstream.toml", &text, folder.path(), &[]).unwrap();
        let kept = config.open(Metrics::new()).await.unwrap().unwrap();
        let (transport, connector) = MemoryTransport::new();
        let server = config.server_over(&kept).metrics(Metrics::new()).transport(transport);
        let server = server.start().await.unwrap();
        kept.notifiers.iter().for_each(jetstream::notify::Notifier::begin);
        Self { service, connector, server, kept }
    }

    async fn member(&self, board: &str) -> (Client, String) {
        let line = self.connector.connect(ConnectInfo::new("/")).await.unwrap();
        let mut client = Client::join_v1(Line::Memory(line)).await;
        let state = client.state(board).await;
        (client, state["rootUUID"].as_str().unwrap().to_owned())
    }

    /// What an operator is told.
    async fn operate(&self, operation: NotifyOperation) -> Vec<Value> {
        let (out, mut lines) = Lines::channel();
        let operations = self.kept.operations();
        let (ended, said) = tokio::join!(
            async move { operations.run(Operation::Notify(operation), &out).await },
            async {
                let mut said = Vec::new();
                while let Some(line) = lines.recv().await {
                    said.push(serde_json::from_str(&line).unwrap());
                }
                said
            }
        );
        ended.unwrap();
        said
    }

    /// Waits until the service has taken everything.
    async fn taken(&self) {
        while self.operate(NotifyOperation::Standing).await[0]["commits_behind"] != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn rename(client: &mut Client, root: &str, name: &str) {
    let index = client.change("Board", root, json!({"name": name})).await;
    let reply = client.next().await;
    assert_eq!((&reply["replyTo"], &reply["fragmentReplies"]), (&json!(index), &json!([{}])));
}

/// The revisions of a request, in order.
fn revisions(seen: &Seen) -> Vec<u64> {
    let commits = seen.body["data"]["commits"].as_array().unwrap_or_else(|| panic!("{seen:?}"));
    commits.iter().map(|commit| commit["revision"].as_u64().unwrap()).collect()
}

fn text<'a>(seen: &'a Seen, header: &str) -> &'a str {
    seen.headers[header].to_str().unwrap()
}

/// Whether one of the signatures is made with a secret, as a service finds it out.
fn is_signed(seen: &Seen, secret: &str, body: &[u8]) -> bool {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let (id, timestamp) = (text(seen, "webhook-id"), text(seen, "webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    text(seen, "webhook-signature").split(' ').any(|signature| {
        let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &signature).is_ok()
    })
}

#[tokio::test]
async fn a_service_is_told_what_was_committed_and_can_tell_that_it_is_ours() {
    let world = World::new(Act::Answer(204, json!({}))).await;
    let (mut ann, root) = world.member("boards/1").await;
    rename(&mut ann, &root, "one").await;
    world.taken().await;
    let [seen] = &world.service.seen()[..] else { panic!("one request") };
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/changed?from=here"));
    assert_eq!(text(seen, "x-environment"), "a test");
    assert_eq!(text(seen, "content-type"), "application/json");
    let session = world.server.sessions()[0].info.id();
    let commit = &seen.body["data"]["commits"][0];
    assert_eq!(seen.body["data"]["scope"], "boards/1");
    assert_eq!((&commit["revision"], &commit["session"]), (&json!(1), &json!(session)));
    assert_eq!(commit["message"], 2, "which of its messages it was");
    assert_eq!(commit["fragments"][0]["properties"], json!({"name": "one"}));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let sent = text(seen, "webhook-timestamp").parse::<u64>().unwrap();
    assert!(now.as_secs().abs_diff(sent) < 300, "of this attempt, in seconds");
    for secret in SECRETS {
        assert!(is_signed(seen, secret, &seen.raw));
        assert!(!is_signed(seen, secret, b"something else"));
    }
}

#[tokio::test]
async fn a_service_that_is_dead_wrong_and_slow_gets_everything_in_order_when_it_comes_back() {
    let world = World::new(Act::HangUp).await;
    let (mut ann, root) = world.member("boards/1").await;
    let mut number = 0;
    for act in [
        Act::HangUp,
        Act::Answer(500, json!({})),
        Act::Header(429, "retry-after", "0"),
        Act::Header(302, "location", "http://127.0.0.1:9/"),
        Act::Answer(404, json!({})),
        Act::Hold,
    ] {
        world.service.will(act);
        number += 1;
        // The scope goes on whatever the service does.
        rename(&mut ann, &root, &number.to_string()).await;
        world.service.asked().await;
        for seen in world.service.seen() {
            assert_eq!(revisions(&seen)[0], 1, "nothing is told before what comes first");
        }
    }
    world.service.will(Act::Answer(200, json!({})));
    world.taken().await;
    let seen = world.service.seen();
    let told: Vec<u64> = seen.iter().flat_map(revisions).collect();
    assert_eq!(told, (2..=number).collect::<Vec<_>>(), "what it held was the first");
}

#[tokio::test]
async fn a_notice_is_the_same_with_the_same_id_until_it_is_taken() {
    let world = World::new(Act::Answer(503, json!({}))).await;
    let (mut ann, root) = world.member("boards/1").await;
    rename(&mut ann, &root, "one").await;
    let mut attempts = Vec::new();
    while attempts.len() < 3 {
        world.service.asked().await;
        attempts.extend(world.service.seen());
        rename(&mut ann, &root, "more").await;
    }
    let first = &attempts[0];
    for seen in &attempts {
        assert_eq!((&seen.raw, text(seen, "webhook-id")), (&first.raw, text(first, "webhook-id")));
    }
    world.service.will(Act::Answer(200, json!({})));
    world.taken().await;
    let next = world.service.seen().pop().unwrap();
    assert_ne!(text(&next, "webhook-id"), text(first, "webhook-id"));
}

#[tokio::test]
async fn a_board_that_is_not_taken_delays_no_other() {
    let world = World::new(Act::Answer(200, json!({}))).await;
    let ((mut ann, bad), (mut bo, good)) =
        (world.member("boards/bad").await, world.member("boards/good").await);
    world.service.refuse_where("boards/bad", 500);
    rename(&mut ann, &bad, "never taken").await;
    world.service.asked().await;
    for number in 0..20 {
        rename(&mut bo, &good, &number.to_string()).await;
    }
    while world.operate(NotifyOperation::Standing).await[0]["commits_behind"] != 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seen = world.service.seen();
    let of_good = seen.iter().filter(|seen| seen.body["data"]["scope"] == "boards/good");
    let told: Vec<u64> = of_good.flat_map(revisions).collect();
    assert_eq!(told, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_service_will_never_take_is_set_aside_for_an_operator() {
    let world = World::new(Act::Answer(422, json!({"error": "what is a board?"}))).await;
    let (mut ann, root) = world.member("boards/1").await;
    rename(&mut ann, &root, "one").await;
    world.taken().await;
    let refused = world.service.seen();
    assert_eq!(refused.len(), 1, "it is not tried again");
    world.service.will(Act::Answer(200, json!({})));
    rename(&mut ann, &root, "two").await;
    world.taken().await;
    assert_eq!(revisions(&world.service.seen()[0]), [2], "the next one follows");

    let letters = world.operate(NotifyOperation::List).await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(
        (&letter["consumer"], &letter["scope"], &letter["revision"]),
        (&json!("mail"), &json!("boards/1"), &json!(1))
    );
    assert_eq!(letter["why"], "it answered with the status 422");
    let id = letter["letter"].as_u64().unwrap();
    assert_eq!(world.operate(NotifyOperation::Show { letter: id }).await[0], refused[0].body);
    let which = jetstream::operations::Letters { consumer: None, letters: vec![id] };
    let retried = world.operate(NotifyOperation::Retry(which)).await;
    assert_eq!(retried[0]["stays"], Value::Null, "{retried:?}");
    let again = world.service.seen().remove(0);
    assert_eq!(
        (text(&again, "webhook-id"), &again.raw),
        (text(&refused[0], "webhook-id"), &refused[0].raw)
    );
    assert!(world.operate(NotifyOperation::List).await.is_empty());
}

#[tokio::test]
async fn a_service_that_is_gone_is_left_alone_until_it_is_resumed() {
    let world = World::new(Act::Answer(410, json!({}))).await;
    let (mut ann, root) = world.member("boards/1").await;
    rename(&mut ann, &root, "one").await;
    let standing = loop {
        let standing = world.operate(NotifyOperation::Standing).await.remove(0);
        if standing["stopped"].is_string() {
            break standing;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(standing["stopped"], "it answered with the status 410");
    world.service.will(Act::Answer(200, json!({})));
    world.service.seen();
    rename(&mut ann, &root, "two").await;
    assert!(world.service.seen().is_empty());
    let resumed = world.operate(NotifyOperation::Resume { consumer: None }).await;
    assert_eq!(resumed, [json!({"resumed": "mail"})]);
    world.taken().await;
    let told: Vec<u64> = world.service.seen().iter().flat_map(revisions).collect();
    assert_eq!(told, [1, 2]);
}

#[test]
fn mistakes_in_how_a_service_is_told_are_found_at_the_start() {
    let parse = |notify: &str| {
        let text = format!(
            "[models.A]\n[scopes.A]\nroot = \"A\"\nnotify = {notify}\n[storage]\nmemory = true\n"
        );
        let parsed = Config::parse("jetstream.toml", &text, Path::new(""), &[]);
        parsed.map_or_else(|mistakes| mistakes.to_string(), |_| String::new())
    };
    assert_eq!(parse("{ http = { url = \"http://127.0.0.1/x\" } }"), "");
    for (notify, expected) in [
        ("{}", "a notification needs the key \"http\""),
        ("{ http = {} }", "a webhook needs the key \"url\""),
        ("{ http = { url = \"ftp://a/\" } }", "no address of a web service"),
        ("{ http = { url = \"http://a/\", secret = \"x\" } }", "did you mean \"secret_file\"?"),
        ("{ http = { url = \"http://a/\", secret_file = \"no\" } }", "cannot read \"no\""),
        ("{ http = { url = \"http://a/\", method = \"PUT\" } }", "no key \"method\" in a webhook"),
        ("{ retry_for = \"3 weeks\", http = { url = \"http://a/\" } }", "expected a duration"),
    ] {
        let mistakes = parse(notify);
        assert!(mistakes.contains(expected), "{notify}: {mistakes}");
    }
}
