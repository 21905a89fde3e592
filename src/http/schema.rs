//! The pieces of the description that no derive can say.

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::Refusal;

/// A text that is one of `values`.
pub(super) fn one_of(values: impl IntoIterator<Item = &'static str>, description: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).description(Some(description)).build()
}

/// `body` as a form says it, where every field is a text: without `null`, and without control characters
/// and backslashes in the names.
pub(super) fn as_form<Body: PartialSchema>() -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut form)) = Body::schema() else { return Body::schema() };
    for property in form.properties.values_mut() {
        match property {
            RefOr::T(Schema::Object(object)) => object.schema_type = SchemaType::Type(Type::String),
            RefOr::T(Schema::AnyOf(any)) => any.items.retain(|item| !is_null(item)),
            _ => {}
        }
    }
    let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[^\x00-\x1F\x7F\\]*$"));
    form.property_names = Some(Box::new(name.into()));
    let text = ObjectBuilder::new().schema_type(Type::String);
    form.additional_properties = Some(Box::new(AdditionalProperties::RefOr(text.into())));
    RefOr::T(Schema::Object(form))
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

/// An IPv4 or IPv6 address.
pub(super) fn ip_addresses() -> AnyOfBuilder {
    let of = |format| ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)));
    AnyOfBuilder::new().item(of(KnownFormat::Ipv4)).item(of(KnownFormat::Ipv6))
}

/// Whole seconds, as [`super::retry_after_seconds`] gives them.
pub(super) struct RetryAfter;

impl PartialSchema for RetryAfter {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).into()
    }
}

impl ToSchema for RetryAfter {}

/// `E001` to `E007`, with what they mean.
pub(super) fn refusal_codes() -> Object {
    let meanings = Refusal::ALL.map(|refusal| format!("- `{}`: {}", refusal.code(), refusal.message()));
    one_of(Refusal::ALL.map(Refusal::code), &meanings.join("\n"))
}

/// The documented messages.
pub(super) fn refusal_messages() -> Object {
    one_of(Refusal::ALL.map(Refusal::message), "The documented message of the code.")
}

/// A boolean that is always the same: what tells the variants of an answer apart.
#[derive(Debug)]
pub(super) struct Always<const VALUE: bool>;

impl<const VALUE: bool> Serialize for Always<VALUE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(VALUE)
    }
}

impl<const VALUE: bool> PartialSchema for Always<VALUE> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([VALUE])).into()
    }
}

impl<const VALUE: bool> ToSchema for Always<VALUE> {}
