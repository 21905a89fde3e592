//! The fields of a request body, whatever form it came in, and how an endpoint reads them.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::fmt;

use foldhash::HashMap;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::reply::{ApiError, Problem};
use super::secrets::may_be_secret;

/// A body as names and values, each name once. It may hold secrets and has no `Debug`.
#[derive(Default)]
pub(super) struct Fields {
    values: HashMap<String, Value>,
    /// What is wrong, whatever an endpoint asks for: the field, and with it what.
    problems: BTreeSet<(String, &'static str)>,
}

/// What a field holds. Endpoints know only texts.
pub(super) enum Value {
    /// A text.
    Text(String),
    /// JSON's `null`, which counts as absent.
    Null,
    /// What is no text, for it has no form in UTF-8.
    NotUtf8,
    /// Anything else.
    Other,
}

impl Fields {
    /// Adds a field; one that is there already makes the body invalid.
    pub(super) fn add(&mut self, name: String, value: Value) {
        match self.values.entry(name) {
            Entry::Vacant(place) => {
                place.insert(value);
            }
            Entry::Occupied(earlier) => {
                self.problems.insert((earlier.key().clone(), "appears more than once"));
            }
        }
    }

    /// Adds a field of a form. In the name of a multipart form's a control character cannot stand, and a backslash not
    /// everywhere: one rule for both kinds of form.
    pub(super) fn add_of_form(&mut self, name: &str, value: Value) {
        if name.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\') {
            self.problems
                .insert(("body".to_owned(), "must have field names without control characters and backslashes"));
        } else {
            self.add(name.to_owned(), value);
        }
    }

    /// What a field holds.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Reads the fields one after the other, and gathers every problem.
    pub(super) fn reader(self) -> Reader {
        let problems = self.problems.iter().map(|(name, text)| problem(name, text)).collect();
        Reader { fields: self, problems }
    }
}

/// Takes what an endpoint needs out of the fields.
pub(super) struct Reader {
    fields: Fields,
    problems: Vec<Problem>,
}

impl Reader {
    /// A text that must be there. Without it, the empty text and a problem.
    pub(super) fn required(&mut self, name: &str) -> String {
        match self.fields.values.remove(name) {
            Some(Value::Text(text)) => return text,
            Some(Value::Null | Value::Other) => self.note(name, "must be a string"),
            Some(Value::NotUtf8) => self.note(name, "must be valid Unicode text"),
            None => self.note(name, "is required"),
        }
        String::new()
    }

    /// A text that may be there.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        match self.fields.values.remove(name) {
            Some(Value::Text(text)) => return Some(text),
            Some(Value::Other) => self.note(name, "must be a string or null"),
            Some(Value::NotUtf8) => self.note(name, "must be valid Unicode text"),
            Some(Value::Null) | None => {}
        }
        None
    }

    /// A value that may be there and has rules.
    pub(super) fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<Option<T>, E>,
    ) -> Option<T> {
        let text = self.optional(name)?;
        parse(&text).unwrap_or_else(|error| {
            self.note(name, &error.to_string());
            None
        })
    }

    /// `request`, if no problem was found.
    pub(super) fn finish<T>(mut self, request: T) -> Result<T, ApiError> {
        // With another key in the query, any text may stand here, and nothing else.
        self.optional("apiKey");
        if self.problems.is_empty() { Ok(request) } else { Err(ApiError::ValidationFailed(self.problems)) }
    }

    fn note(&mut self, name: &str, text: &str) {
        self.problems.push(problem(name, text));
    }
}

/// A problem with a field. Its name is the caller's own text, and is not repeated at any length, nor when it may be a secret.
pub(super) fn problem(field: &str, problem: &str) -> Problem {
    let field = if may_be_secret(field) { "…".to_owned() } else { field.chars().take(64).collect() };
    Problem { field, problem: problem.to_owned() }
}

/// From a JSON object. What no endpoint asks for is not looked into, but the whole text must be valid JSON.
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            fields.add(name, Value::of_json(value));
        }
        Ok(fields)
    }
}

impl Value {
    /// What a JSON value holds. A text may name half of a character (`\ud83d`), such as a program leaves that cuts texts.
    fn of_json(value: &RawValue) -> Self {
        match value.get() {
            "null" => Self::Null,
            text if text.starts_with('"') => serde_json::from_str(text).map_or(Self::NotUtf8, Self::Text),
            _ => Self::Other,
        }
    }
}
