//! The JSON examples of `docs/protocol.md`: whoever writes a client copies them, so they have to be right.
//!
//! Each is marked with what it is (```` ```json client ````), and read as that with the server's own decoder
//! and the models that the page is about.

use jetstream_core::limits::Limits;
use jetstream_core::model::{Fragment, Rejection, Schema};
use jetstream_core::session::CloseReason;
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::decode;
use jetstream_core::wire::message::{ClientBody, Dialect, RawFragment, ServerBody};

const PAGE: &str = include_str!("../../../docs/protocol.md");

#[test]
fn every_example_is_what_it_is_marked_as() {
    let reader = Reader { schema: canvas_of_shapes(), limits: Limits::default() };
    let mut kinds = Vec::new();
    for (kind, text) in examples(PAGE) {
        if let Err(problem) = reader.read(kind, text) {
            panic!("{problem}, in the example of kind {kind:?}\n{text}");
        }
        kinds.push(kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["client", "close", "fragment", "refused", "server"]);
}

#[test]
fn a_wrong_example_is_noticed() {
    let reader = Reader { schema: canvas_of_shapes(), limits: Limits::default() };
    for (kind, text) in [
        ("client", r#"{"type":"Ping","index":0}"#),
        ("server", r#"[{"type":"Pong","index":0}]"#),
        ("fragment", r#"{"type":"add","uuid":"1","clsName":"Shape"}"#),
        (
            "refused",
            r#"{"type":"add","uuid":"5a000000-0000-4000-8000-000000000001","clsName":"Shape"}"#,
        ),
        ("close", "bye"),
        ("", "{}"),
    ] {
        assert!(reader.read(kind, text).is_err(), "{kind} {text}");
    }
}

/// The page's models.
fn canvas_of_shapes() -> Schema {
    Schema::builder()
        .model("Shape", |m| {
            m.property("x", "Number")
                .property("y", "Number")
                .property_with_default("width", "Number", 100.0)
                .property("color", "Number")
        })
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .build()
        .unwrap()
}

/// The JSON blocks of a page: what they are marked as, and their text.
fn examples(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("```json").skip(1).map(|rest| {
        let (kind, rest) = rest.split_once('\n').expect("a block has lines");
        let (text, _) = rest.split_once("```").expect("a block has an end");
        (kind.trim(), text)
    })
}

struct Reader {
    schema: Schema,
    limits: Limits,
}

impl Reader {
    fn read(&self, kind: &str, text: &str) -> Result<(), String> {
        match kind {
            "client" => self.client(text),
            "server" => self.server(text),
            "fragment" => self.fragment(text).map(drop).map_err(|error| error.message),
            "refused" => match self.fragment(text) {
                Ok(_) => Err("the fragment is not refused".to_owned()),
                // The page quotes the answer.
                Err(error) if PAGE.contains(&error.message) => Ok(()),
                Err(error) => Err(format!("it is refused with another text: {error}")),
            },
            "close" => match CloseReason::read_reason(text) {
                Some(_) => Ok(()),
                None => Err("no close reason".to_owned()),
            },
            _ => Err("not marked as anything known".to_owned()),
        }
    }

    fn client(&self, text: &str) -> Result<(), String> {
        for message in decode::frame(text, &self.limits).map_err(|error| error.to_string())? {
            let message = message.map_err(|unreadable| unreadable.to_string())?;
            if let ClientBody::ScopeSync { fragments, atomic, procedure, .. } = message.body {
                let changes = self.typing().change_set(&fragments, atomic, procedure.as_deref());
                for fragment in changes.fragments {
                    fragment.map_err(|error| error.message)?;
                }
            }
        }
        Ok(())
    }

    fn server(&self, text: &str) -> Result<(), String> {
        for message in decode::server_frame(text) {
            let message = message.map_err(|unreadable| unreadable.to_string())?;
            match message.body {
                ServerBody::ScopeState { fragments, .. }
                | ServerBody::ScopeSync { fragments, .. } => {
                    for fragment in fragments {
                        self.typing().fragment(&fragment).map_err(|error| error.message)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fragment(&self, text: &str) -> Result<Fragment, Rejection> {
        let raw: RawFragment = serde_json::from_str(text.trim()).expect("the example is JSON");
        self.typing().fragment(&raw)
    }

    fn typing(&self) -> Typing<'_> {
        Typing { schema: &self.schema, dialect: Dialect::V1, limits: &self.limits }
    }
}
