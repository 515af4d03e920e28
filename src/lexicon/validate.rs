//! Holding values against schemas, with the words of the reference's `@atproto/lexicon` for what is wrong.

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Catalog, Document, Flaw,
    flaw::Place,
    node::{Node, View},
    schema::{Blob, Body, Definition, Integer, KeyKind, Lengths, List, Object, Record, Reference, Text, Type, Union},
};
use crate::{
    ipld::Value,
    limits::lexicon::{VALIDATION_STEPS, VALUE_MAX_DEPTH},
    syntax::{Nsid, RecordKey, Tid},
};

/// Checks a record against its kind.
///
/// # Errors
/// The [`Flaw`] that was met first.
pub fn check_record(catalog: &dyn Catalog, kind: &Record, record: &Value) -> Result<(), Flaw> {
    Walk::new(catalog).object(&Place::root("Record"), &kind.object, record)
}

/// Checks a record's key against its kind.
///
/// # Errors
/// What the key must be.
pub fn check_record_key(kind: &Record, key: &RecordKey) -> Result<(), String> {
    let key = key.as_str();
    let demand = match &kind.key {
        KeyKind::Any => return Ok(()),
        KeyKind::Tid if key.parse::<Tid>().is_ok() => return Ok(()),
        KeyKind::Nsid if key.parse::<Nsid>().is_ok() => return Ok(()),
        KeyKind::Literal(literal) if key == literal => return Ok(()),
        KeyKind::Tid => "a TID".to_owned(),
        KeyKind::Nsid => "an NSID".to_owned(),
        KeyKind::Literal(literal) => format!("\"{literal}\""),
    };
    Err(format!("it must be {demand}, not \"{key}\""))
}

/// Checks the JSON body of a request.
///
/// # Errors
/// The [`Flaw`] that was met first.
pub fn check_input(catalog: &dyn Catalog, body: &Body, input: &serde_json::Value) -> Result<(), Flaw> {
    check_body(catalog, "Input", body, input)
}

/// Checks the JSON body of an answer.
///
/// # Errors
/// The [`Flaw`] that was met first.
pub fn check_output(catalog: &dyn Catalog, body: &Body, output: &serde_json::Value) -> Result<(), Flaw> {
    check_body(catalog, "Output", body, output)
}

fn check_body(catalog: &dyn Catalog, name: &str, body: &Body, value: &serde_json::Value) -> Result<(), Flaw> {
    body.schema.as_ref().map_or(Ok(()), |schema| Walk::new(catalog).check(&Place::root(name), schema, value))
}

/// One validation.
pub(super) struct Walk<'c> {
    catalog: &'c dyn Catalog,
    steps: usize,
}

impl<'c> Walk<'c> {
    pub(super) fn new(catalog: &'c dyn Catalog) -> Self {
        Self { catalog, steps: VALIDATION_STEPS }
    }

    pub(super) fn check<N: Node>(&mut self, at: &Place<'_>, schema: &Type, value: &N) -> Result<(), Flaw> {
        self.spend(at, 1)?;
        match schema {
            Type::Null => demand(matches!(value.view(), View::Null), at, "must be null"),
            Type::Boolean(constant) => boolean(at, *constant, value),
            Type::Integer(schema) => self.integer(at, schema, value),
            Type::Text(schema) => self.text(at, schema, value),
            Type::Bytes(lengths) => bytes(at, *lengths, value),
            Type::Link => demand(matches!(value.view(), View::Link), at, "must be a CID"),
            Type::Blob(schema) => self.blob(at, schema, value),
            Type::List(schema) => self.list(at, schema, value),
            Type::Object(schema) => self.object(at, schema, value),
            Type::Token(name) => {
                let fits = matches!(value.view(), View::Text(text) if text == name);
                demand(fits, at, format_args!("must be {name}"))
            }
            Type::Reference(reference) => self.reference(at, reference, value),
            Type::Union(schema) => self.union(at, schema, value),
            Type::Unknown => demand(matches!(value.view(), View::Map), at, "must be an object"),
        }
    }

    fn spend(&mut self, at: &Place<'_>, steps: usize) -> Result<(), Flaw> {
        if at.depth > VALUE_MAX_DEPTH {
            return Err(Flaw::Invalid(format!("the value is nested more than {VALUE_MAX_DEPTH} levels deep")));
        }
        self.steps = self.steps.checked_sub(steps).ok_or_else(|| {
            Flaw::Invalid(format!("checking the value against its schema takes more than {VALIDATION_STEPS} steps"))
        })?;
        Ok(())
    }

    pub(super) fn object<N: Node>(&mut self, at: &Place<'_>, schema: &Object, value: &N) -> Result<(), Flaw> {
        demand(matches!(value.view(), View::Map), at, "must be an object")?;
        self.spend(at, schema.properties.len())?;
        for property in &schema.properties {
            let Some(found) = value.entry(&property.name) else {
                if property.required && !property.has_default {
                    return Err(Flaw::at(at, format_args!("must have the property \"{}\"", property.name)));
                }
                continue;
            };
            if property.nullable && matches!(found.view(), View::Null) {
                continue;
            }
            self.check(&at.property(&property.name), &property.schema, found)?;
        }
        Ok(())
    }

    fn list<N: Node>(&mut self, at: &Place<'_>, schema: &List, value: &N) -> Result<(), Flaw> {
        let View::List(items) = value.view() else { return Err(Flaw::at(at, "must be an array")) };
        if let Some(max) = schema.lengths.max.filter(|&max| items.len() > max) {
            return Err(Flaw::at(at, format_args!("must not have more than {max} elements")));
        }
        if let Some(min) = schema.lengths.min.filter(|&min| items.len() < min) {
            return Err(Flaw::at(at, format_args!("must not have fewer than {min} elements")));
        }
        items.iter().enumerate().try_for_each(|(index, item)| self.check(&at.item(index), &schema.items, item))
    }

    fn integer<N: Node>(&mut self, at: &Place<'_>, schema: &Integer, value: &N) -> Result<(), Flaw> {
        let View::Int(n) = value.view() else { return Err(Flaw::at(at, "must be an integer")) };
        if let Some(constant) = schema.constant.filter(|&constant| constant != n) {
            return Err(Flaw::at(at, format_args!("must be {constant}")));
        }
        if let Some(allowed) = &schema.one_of {
            self.spend(at, allowed.len())?;
            demand(allowed.contains(&n), at, format_args!("must be one of ({})", Joined(allowed, "|")))?;
        }
        if let Some(maximum) = schema.maximum.filter(|&maximum| n > maximum) {
            return Err(Flaw::at(at, format_args!("can not be greater than {maximum}")));
        }
        if let Some(minimum) = schema.minimum.filter(|&minimum| n < minimum) {
            return Err(Flaw::at(at, format_args!("can not be less than {minimum}")));
        }
        Ok(())
    }

    fn text<N: Node>(&mut self, at: &Place<'_>, schema: &Text, value: &N) -> Result<(), Flaw> {
        let View::Text(text) = value.view() else { return Err(Flaw::at(at, "must be a string")) };
        if let Some(constant) = schema.constant.as_ref().filter(|&constant| constant != text) {
            return Err(Flaw::at(at, format_args!("must be {constant}")));
        }
        if let Some(allowed) = &schema.one_of {
            self.spend(at, allowed.len())?;
            let fits = allowed.iter().any(|one| one == text);
            demand(fits, at, format_args!("must be one of ({})", Joined(allowed, "|")))?;
        }
        if let Some(max) = schema.bytes.max.filter(|&max| text.len() > max) {
            return Err(Flaw::at(at, format_args!("must not be longer than {max} characters")));
        }
        if let Some(min) = schema.bytes.min.filter(|&min| text.len() < min) {
            return Err(Flaw::at(at, format_args!("must not be shorter than {min} characters")));
        }
        graphemes(at, schema.graphemes, text)?;
        match schema.format {
            Some(format) => demand(format.fits(text), at, format.demand()),
            None => Ok(()),
        }
    }

    fn blob<N: Node>(&mut self, at: &Place<'_>, schema: &Blob, value: &N) -> Result<(), Flaw> {
        let View::Blob { mime_type, size } = value.view() else { return Err(Flaw::at(at, "should be a blob ref")) };
        if let Some(accept) = &schema.accept {
            self.spend(at, accept.len())?;
            let fits = accept.iter().any(|pattern| is_media_type(pattern, mime_type));
            let what = format_args!("must have a mimeType that is one of ({})", Joined(accept, "|"));
            demand(fits, at, what)?;
        }
        match schema.max_size.filter(|&max| size > max) {
            Some(max) => Err(Flaw::at(at, format_args!("must not be larger than {max} bytes"))),
            None => Ok(()),
        }
    }

    fn union<N: Node>(&mut self, at: &Place<'_>, schema: &Union, value: &N) -> Result<(), Flaw> {
        let (View::Map, Some(View::Text(type_name))) = (value.view(), value.entry("$type").map(Node::view)) else {
            return Err(Flaw::at(at, "must be an object which includes the \"$type\" property"));
        };
        self.spend(at, schema.references.len())?;
        match schema.references.iter().find(|reference| reference.is(type_name)) {
            Some(reference) => self.reference(at, reference, value),
            None if schema.closed => {
                let names: Vec<String> = schema.references.iter().map(|one| format!("lex:{one}")).collect();
                Err(Flaw::at(at, format_args!("$type must be one of {}", names.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// Named definitions are no references themselves, so each hop ends at a type that looks at the value.
    fn reference<N: Node>(&mut self, at: &Place<'_>, reference: &Reference, value: &N) -> Result<(), Flaw> {
        let unknown = || Flaw::Unknown(reference.to_string());
        let document = self.catalog.document(&reference.nsid).ok_or_else(unknown)?;
        match definition(&document, reference).ok_or_else(unknown)? {
            Definition::Type(schema) => self.check(at, schema, value),
            Definition::Record(record) => self.object(at, &record.object, value),
            Definition::Method(_) | Definition::PermissionSet => Err(unknown()),
        }
    }
}

fn definition<'d>(document: &'d Document, reference: &Reference) -> Option<&'d Definition> {
    document.definition(&reference.name)
}

fn demand(fits: bool, at: &Place<'_>, what: impl std::fmt::Display) -> Result<(), Flaw> {
    if fits { Ok(()) } else { Err(Flaw::at(at, what)) }
}

fn boolean<N: Node>(at: &Place<'_>, constant: Option<bool>, value: &N) -> Result<(), Flaw> {
    let View::Bool(found) = value.view() else { return Err(Flaw::at(at, "must be a boolean")) };
    match constant {
        Some(constant) => demand(constant == found, at, format_args!("must be {constant}")),
        None => Ok(()),
    }
}

fn bytes<N: Node>(at: &Place<'_>, lengths: Lengths, value: &N) -> Result<(), Flaw> {
    let View::Bytes(count) = value.view() else { return Err(Flaw::at(at, "must be a byte array")) };
    if let Some(max) = lengths.max.filter(|&max| count > max) {
        return Err(Flaw::at(at, format_args!("must not be larger than {max} bytes")));
    }
    match lengths.min.filter(|&min| count < min) {
        Some(min) => Err(Flaw::at(at, format_args!("must not be smaller than {min} bytes"))),
        None => Ok(()),
    }
}

/// Clusters are counted only where their number is not plain from the number of bytes, and no further than needed.
fn graphemes(at: &Place<'_>, lengths: Lengths, text: &str) -> Result<(), Flaw> {
    let counted = |most: usize| text.graphemes(true).take(most).count();
    if let Some(max) = lengths.max.filter(|&max| text.len() > max && counted(max.saturating_add(1)) > max) {
        return Err(Flaw::at(at, format_args!("must not be longer than {max} graphemes")));
    }
    match lengths.min.filter(|&min| text.len() < min || counted(min) < min) {
        Some(min) => Err(Flaw::at(at, format_args!("must not be shorter than {min} graphemes"))),
        None => Ok(()),
    }
}

/// Whether a media type is what a pattern allows: `*/*`, `image/*` or the type itself.
fn is_media_type(pattern: &str, mime_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("*/") => true,
        Some(family) if family.ends_with('/') => mime_type.starts_with(family),
        _ => pattern == mime_type,
    }
}

/// Items with something between them.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: std::fmt::Display> std::fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}
