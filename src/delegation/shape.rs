//! Reading closed maps: exactly the fields that belong there, each of its kind.

use crate::{
    ipld::{Map, Value},
    limits::delegation::SIGNATURE_MAX_BYTES,
    syntax::Datetime,
};

/// What is wrong with a map, as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(pub(super) String);

impl ShapeError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The fields of a map as they are taken out; what is left over at the end was not known.
pub(super) struct Fields<'a> {
    map: &'a Map,
    taken: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of a map with this `$type`.
    pub(super) fn of(map: &'a Map, type_name: &str) -> Result<Self, ShapeError> {
        let mut fields = Self { map, taken: Vec::with_capacity(map.len()) };
        if fields.text("$type")? == type_name {
            Ok(fields)
        } else {
            Err(ShapeError::new(format!("$type must be {type_name}")))
        }
    }

    /// A field that may be absent.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.map.get(name)
    }

    fn required(&mut self, name: &'static str) -> Result<&'a Value, ShapeError> {
        self.optional(name).ok_or_else(|| ShapeError::new(format!("{name} is missing")))
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<&'a str, ShapeError> {
        self.required(name)?.as_text().ok_or_else(|| ShapeError::new(format!("{name} must be a text")))
    }

    /// A text that parses.
    pub(super) fn parsed<T>(&mut self, name: &'static str) -> Result<T, ShapeError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text(name)?.parse().map_err(|cause: T::Err| ShapeError::new(cause.to_string()))
    }

    /// A text or null.
    pub(super) fn text_or_null(&mut self, name: &'static str) -> Result<Option<&'a str>, ShapeError> {
        let value = self.required(name)?;
        if value.is_null() {
            return Ok(None);
        }
        value.as_text().map(Some).ok_or_else(|| ShapeError::new(format!("{name} must be a text or null")))
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<bool, ShapeError> {
        self.required(name)?.as_bool().ok_or_else(|| ShapeError::new(format!("{name} must be true or false")))
    }

    /// A time in the one form that signed maps have.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Datetime, ShapeError> {
        exact_time(self.text(name)?)
            .ok_or_else(|| ShapeError::new(format!("{name} must be a time of the form YYYY-MM-DDTHH:mm:ss.sssZ")))
    }

    /// The bytes of a signature, where there are any; their exact length is looked at when it is verified.
    pub(super) fn signature(&mut self, name: &'static str) -> Result<Option<Vec<u8>>, ShapeError> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let bytes = value.as_bytes().ok_or_else(|| ShapeError::new(format!("{name} must be bytes, and never null")))?;
        if bytes.len() > SIGNATURE_MAX_BYTES {
            return Err(ShapeError::new(format!("{name} is longer than {SIGNATURE_MAX_BYTES} bytes")));
        }
        Ok(Some(bytes.to_vec()))
    }

    /// That nothing else is there.
    pub(super) fn done(self) -> Result<(), ShapeError> {
        match self.map.iter().find(|(name, _)| !self.taken.contains(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                Err(ShapeError::new(format!("the field {name:?} is not known")))
            }
        }
    }
}

fn exact_time(text: &str) -> Option<Datetime> {
    let exact = text.len() == 24 && text.as_bytes().get(19) == Some(&b'.') && text.ends_with('Z');
    if exact { text.parse().ok() } else { None }
}

/// A signed map as a record: a record's `$type` names its collection, a signed map's its own kind.
pub(super) fn wrap_record(signed: Map, collection: &str, field: &str) -> Map {
    let mut record = Map::new();
    record.insert("$type", collection);
    record.insert(field, signed);
    record
}

/// The signed map in a record. A map that is stored bare is taken too: what it says is signed in any case.
pub(super) fn unwrap_record<'a>(record: &'a Map, collection: &str, field: &str) -> Result<&'a Map, ShapeError> {
    if record.get("$type").and_then(Value::as_text) != Some(collection) {
        return Ok(record);
    }
    match record.get(field).and_then(Value::as_map) {
        Some(signed) if record.len() == 2 => Ok(signed),
        _ => Err(ShapeError::new(format!("a record of {collection} has {field} and nothing else"))),
    }
}
