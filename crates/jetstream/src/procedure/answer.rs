//! What a service's answer means for a ChangeSet.

use http::{StatusCode, header};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ErrorCode, ModelId, Rejection, Schema};
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::Dialect;
use jetstream_core::wire::update::Update;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FragmentVerdict, Verdict};
use crate::http::Answer;
use crate::scope::new_object_id;

/// What is needed to read the answer.
pub(super) struct Asked<'a> {
    pub(super) schema: &'a Schema,
    pub(super) limits: &'a Limits,
    /// The model of each fragment that was asked about.
    pub(super) models: &'a [ModelId],
    /// The reason of a refusal that gives none.
    pub(super) refused: ErrorCode,
    /// The statuses of an acceptance; none: 200 to 299.
    pub(super) success: &'a [StatusCode],
}

/// The body of an answer, as far as it means something.
#[derive(Default, Deserialize)]
struct Said {
    error: Option<Refusal>,
    fragments: Option<Vec<SaidOfFragment>>,
    #[serde(default)]
    updates: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct SaidOfFragment {
    error: Option<Refusal>,
    modifications: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Asked<'_> {
    /// What becomes of the ChangeSet.
    ///
    /// # Errors
    ///
    /// In words for the log: the answer cannot be understood.
    pub(super) fn verdict(&self, answer: &Answer) -> Result<Verdict, String> {
        let accepted = match self.success {
            [] => answer.status.is_success(),
            success => success.contains(&answer.status),
        };
        if !accepted && !answer.status.is_client_error() {
            return Err(format!("its status is {}", answer.status.as_u16()));
        }
        match said(answer) {
            Err(why) if accepted => Err(why),
            Ok(Said { error: Some(refusal), .. }) => Ok(Verdict::Refuse(self.rejection(refusal))),
            Ok(Said { fragments, updates, .. }) if accepted => {
                let verdicts = self.each(fragments.unwrap_or_default())?;
                if updates.is_empty() {
                    return Ok(Verdict::Accept(verdicts));
                }
                Ok(Verdict::AcceptAnd(verdicts, self.updates(&updates)?))
            }
            _ => Ok(Verdict::Refuse(Rejection::new(
                self.refused,
                "the service does not accept this",
            ))),
        }
    }

    fn each(&self, said: Vec<SaidOfFragment>) -> Result<Vec<FragmentVerdict>, String> {
        if said.len() > self.models.len() {
            return Err("it speaks of more fragments than there are".to_owned());
        }
        let verdicts =
            said.into_iter().zip(self.models).map(|(said, model)| self.one(said, *model));
        verdicts.collect()
    }

    fn updates(&self, updates: &[Box<RawValue>]) -> Result<Vec<Update>, String> {
        if updates.len() > UPDATES_MAX {
            return Err(format!("it has more than {UPDATES_MAX} updates"));
        }
        let update = |text: &RawValue| {
            let update = Update::parse(text.get()).map_err(|rejection| rejection.message)?;
            Ok(update.with_ids(&mut new_object_id))
        };
        updates.iter().map(|text| update(text)).collect()
    }

    fn one(&self, said: SaidOfFragment, model: ModelId) -> Result<FragmentVerdict, String> {
        let SaidOfFragment { error, modifications } = said;
        if let Some(refusal) = error {
            return Ok(FragmentVerdict::Refuse(self.rejection(refusal)));
        }
        let Some(modifications) = modifications else { return Ok(FragmentVerdict::Accept) };
        let typing = Typing { schema: self.schema, dialect: Dialect::V1, limits: self.limits };
        let values = typing.properties(model, modifications.get());
        values.map(FragmentVerdict::Amend).map_err(|rejection| rejection.message)
    }

    fn rejection(&self, refusal: Refusal) -> Rejection {
        refusal.rejection(self.refused)
    }
}

impl Refusal {
    /// As a client is told it; `otherwise` is its type if it has none.
    fn rejection(self, otherwise: ErrorCode) -> Rejection {
        let message: String = self.message.chars().take(MESSAGE_CHARS_MAX).collect();
        match self.kind {
            Some(kind) => {
                Rejection::with_type(kind.chars().take(TYPE_CHARS_MAX).collect::<String>(), message)
            }
            None => Rejection::new(otherwise, message),
        }
    }
}

/// The refusal that an answer holds, if it holds one.
pub(crate) fn refusal_of(answer: &Answer, otherwise: ErrorCode) -> Option<Rejection> {
    said(answer).ok()?.error.map(|refusal| refusal.rejection(otherwise))
}

/// A body that is no JSON means nothing; one that claims to be must be.
fn said(answer: &Answer) -> Result<Said, String> {
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind == "application/json" || kind.ends_with("+json")
    });
    if !is_json || answer.body.is_empty() {
        return Ok(Said::default());
    }
    serde_json::from_slice(&answer.body).map_err(|error| format!("its body is wrong: {error}"))
}

/// More updates are nothing that a service has to say of one ChangeSet.
const UPDATES_MAX: usize = 100;

/// A refusal goes to a person; longer texts are cut off.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// And its type to a program.
const TYPE_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use jetstream_core::model::{Scalar, Value};

    fn verdict(status: u16, body: &str) -> Result<Verdict, String> {
        let schema =
            Schema::builder().model("Shape", |m| m.property("x", "Number")).build().unwrap();
        let shape = schema.find("Shape").unwrap().0;
        let mut headers = http::HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers, body: body.to_owned().into() };
        let asked = Asked {
            schema: &schema,
            limits: &Limits::default(),
            models: &[shape, shape],
            refused: ErrorCode::ValidationFailed,
            success: &[],
        };
        asked.verdict(&answer)
    }

    fn refusal(code: ErrorCode, message: &str) -> Verdict {
        Verdict::Refuse(Rejection::new(code, message))
    }

    #[test]
    fn an_answer_accepts_refuses_or_amends() {
        assert_eq!(verdict(204, ""), Ok(Verdict::ACCEPT));
        assert_eq!(verdict(200, r#"{"id": 7}"#), Ok(Verdict::ACCEPT));
        let refused = refusal(ErrorCode::ValidationFailed, "too wide");
        assert_eq!(verdict(422, r#"{"error": {"message": "too wide"}}"#), Ok(refused.clone()));
        assert_eq!(verdict(200, r#"{"error": {"message": "too wide"}}"#), Ok(refused));
        let plain = refusal(ErrorCode::ValidationFailed, "the service does not accept this");
        assert_eq!(verdict(404, "<html>"), Ok(plain));
        let of_fragments = r#"{"fragments": [{"modifications": {"x": 5}},
            {"error": {"message": "no", "type": "full"}}]}"#;
        let Ok(Verdict::Accept(verdicts)) = verdict(200, of_fragments) else { panic!() };
        let [FragmentVerdict::Amend(values), FragmentVerdict::Refuse(refused)] = &verdicts[..]
        else {
            panic!("{verdicts:?}")
        };
        assert_eq!(values[0].1, Value::Scalar(Some(Scalar::Number(5.0))));
        assert_eq!(*refused, Rejection::with_type("full", "no"));
    }

    #[test]
    fn an_answer_that_makes_no_sense_decides_nothing() {
        for (status, body) in [
            (200, "{"),
            (200, "[]x"),
            (302, ""),
            (500, ""),
            (200, r#"{"fragments": 5}"#),
            (200, r#"{"fragments": [{}, {}, {}]}"#),
            (200, r#"{"fragments": [{"modifications": {"x": "five"}}]}"#),
            (200, r#"{"fragments": [{"modifications": {"y": 5}}]}"#),
            (200, r#"{"error": "no"}"#),
            (200, r#"{"updates": [{"update": {"$turn": {"x": 1}}}]}"#),
            (200, r#"{"updates": 5}"#),
        ] {
            assert!(verdict(status, body).is_err(), "{status} {body}");
        }
    }
}
