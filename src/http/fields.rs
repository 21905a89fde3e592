//! The fields of a request body, whatever form it came in, and how an endpoint reads them.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::fmt;

use foldhash::HashMap;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::reply::{ApiError, Problem};

/// A body as names and values, each name once. It may hold secrets and has no `Debug`.
#[derive(Default)]
pub(super) struct Fields {
    values: HashMap<String, Value>,
    repeated: BTreeSet<String>,
}

/// What a field holds. Endpoints know only texts.
pub(super) enum Value {
    /// A text.
    Text(String),
    /// JSON's `null`, which counts as absent.
    Null,
    /// What is no text, for its bytes are not UTF-8. (JSON has none of it.)
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
                self.repeated.insert(earlier.key().clone());
            }
        }
    }

    /// What a field holds.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Reads the fields one after the other, and gathers every problem.
    pub(super) fn reader(self) -> Reader {
        let problems = self.repeated.iter().map(|name| problem(name, "appears more than once")).collect();
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
            Some(Value::NotUtf8) => self.note(name, "must be UTF-8"),
            None => self.note(name, "is required"),
        }
        String::new()
    }

    /// A text that may be there.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        match self.fields.values.remove(name) {
            Some(Value::Text(text)) => return Some(text),
            Some(Value::Other) => self.note(name, "must be a string or null"),
            Some(Value::NotUtf8) => self.note(name, "must be UTF-8"),
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
    pub(super) fn finish<T>(self, request: T) -> Result<T, ApiError> {
        if self.problems.is_empty() { Ok(request) } else { Err(ApiError::ValidationFailed(self.problems)) }
    }

    fn note(&mut self, name: &str, text: &str) {
        self.problems.push(problem(name, text));
    }
}

/// A problem with a field. Its name is the caller's own text, and is not repeated at any length.
pub(super) fn problem(field: &str, problem: &str) -> Problem {
    Problem { field: field.chars().take(64).collect(), problem: problem.to_owned() }
}

/// From a JSON object. Its values are not looked into, but the whole text must be valid JSON.
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
        while let Some((name, value)) = map.next_entry()? {
            fields.add(name, value);
        }
        Ok(fields)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}
