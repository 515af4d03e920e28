//! Query parameters: text that stands for booleans, integers and lists.

use std::borrow::Cow;

use super::{
    Catalog, Flaw,
    flaw::Place,
    node::{Node, View},
    schema::{Object, Property, Type},
    validate::Walk,
};

/// Checks decoded query parameters against a method's. One with an empty value counts as absent; those that the schema does
/// not name are not looked at, and neither are several values where one is meant: what takes them apart says so.
///
/// # Errors
/// The [`Flaw`] that was met first.
pub fn check_params(
    catalog: &dyn Catalog,
    params: &Object,
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
) -> Result<(), Flaw> {
    let mut walk = Walk::new(catalog);
    for property in &params.properties {
        let mut values =
            pairs.iter().filter(|(name, value)| *name == property.name && !value.is_empty()).map(|(_, value)| &**value);
        let Some(first) = values.next() else {
            if property.required && !property.has_default {
                return Err(Flaw::at(
                    &Place::root("Params"),
                    format_args!("must have the property \"{}\"", property.name),
                ));
            }
            continue;
        };
        check(&mut walk, property, first, values)?;
    }
    Ok(())
}

fn check<'v>(
    walk: &mut Walk<'_>,
    property: &Property,
    first: &'v str,
    mut more: impl Iterator<Item = &'v str>,
) -> Result<(), Flaw> {
    let at = Place::root(&property.name);
    if let Type::List(list) = &property.schema {
        let items = std::iter::once(first).chain(more).map(|value| Param::read(&list.items, value)).collect();
        return walk.check(&at, &property.schema, &Param::List(items));
    }
    if more.next().is_some() || matches!(property.schema, Type::Unknown) {
        return Ok(());
    }
    walk.check(&at, &property.schema, &Param::read(&property.schema, first))
}

/// A parameter as what its text stands for.
enum Param<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
    List(Vec<Self>),
}

impl<'a> Param<'a> {
    fn read(schema: &Type, text: &'a str) -> Self {
        if matches!(schema, Type::Boolean(_)) {
            text.parse().map_or(Self::Text(text), Self::Bool)
        } else if matches!(schema, Type::Integer(_)) {
            text.parse().map_or(Self::Text(text), Self::Int)
        } else {
            Self::Text(text)
        }
    }
}

impl Node for Param<'_> {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Bool(b) => View::Bool(*b),
            Self::Int(n) => View::Int(*n),
            Self::Text(text) => View::Text(text),
            Self::List(items) => View::List(items),
        }
    }

    fn entry(&self, _key: &str) -> Option<&Self> {
        None
    }
}
