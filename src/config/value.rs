//! Values as they are written, and what a kind of value is.

use serde_json::Value;
use toml::de::DeValue;

/// A value before it is parsed.
#[derive(Clone)]
pub(super) enum Raw {
    /// From a variable, a flag, a secret's file or a default: the text of whatever type is needed.
    Plain(String),
    /// A text in quotes.
    Text(String),
    /// A whole number, as decimal digits.
    Number(String),
    /// `true` or `false`.
    Flag(bool),
    /// An array of texts.
    List(Vec<String>),
    /// What no setting is.
    Other(&'static str),
}

/// The TOML type of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Flag,
}

/// A value was refused, with a reason where one says more than the kind's `EXPECTED`.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Option<String>);

impl<E: std::error::Error> From<E> for Refused {
    fn from(cause: E) -> Self {
        Self(Some(cause.to_string()))
    }
}

/// A kind of value: how it is read and shown.
pub(super) trait Kind {
    /// The final type.
    type Value;
    /// Whether it is shown as `***`, never named in an error, and may be kept in a file of its own.
    const SECRET: bool;
    /// What is needed, with an article.
    fn expected() -> String;
    /// # Errors
    /// When it is not what is needed. For secrets, the reason repeats nothing of the value.
    fn from_raw(raw: &Raw) -> Result<Self::Value, Refused>;
    /// As JSON, the way it would be written in the file.
    fn show(value: &Self::Value) -> Value;
}

/// A kind of one value, parsed from text.
pub(super) trait Scalar {
    type Value;
    const EXPECTED: &'static str;
    const SHAPE: Shape = Shape::Text;
    const SECRET: bool = false;
    /// # Errors
    /// When the text is not what `EXPECTED` says.
    fn parse(text: &str) -> Result<Self::Value, Refused>;
    fn show(value: &Self::Value) -> Value;
}

impl<S: Scalar> Kind for S {
    type Value = S::Value;
    const SECRET: bool = S::SECRET;

    fn expected() -> String {
        S::EXPECTED.to_owned()
    }

    fn from_raw(raw: &Raw) -> Result<S::Value, Refused> {
        match (raw, S::SHAPE) {
            (Raw::Plain(text), _) | (Raw::Text(text), Shape::Text) | (Raw::Number(text), Shape::Number) => {
                S::parse(text)
            }
            (Raw::Flag(flag), Shape::Flag) => S::parse(if *flag { "true" } else { "false" }),
            (Raw::Text(_), _) => Err(Refused(Some("without quotes".to_owned()))),
            (Raw::Number(_) | Raw::Flag(_), Shape::Text) => Err(Refused(Some("in quotes".to_owned()))),
            (Raw::Number(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other(_), _) => Err(Refused(None)),
        }
    }

    fn show(value: &S::Value) -> Value {
        S::show(value)
    }
}

/// Any number of values: an array in the file, separated by commas in the environment.
pub(super) struct List<S>(std::marker::PhantomData<S>);

impl<S: Scalar> Kind for List<S> {
    type Value = Vec<S::Value>;
    const SECRET: bool = S::SECRET;

    fn expected() -> String {
        format!(
            "a list (in the file [\"…\", \"…\"], in the environment separated by commas), of which each is {}",
            S::EXPECTED
        )
    }

    fn from_raw(raw: &Raw) -> Result<Vec<S::Value>, Refused> {
        match raw {
            Raw::Plain(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(S::parse).collect(),
            Raw::List(items) => items.iter().map(|item| S::parse(item)).collect(),
            Raw::Text(_) | Raw::Number(_) | Raw::Flag(_) | Raw::Other(_) => Err(Refused(None)),
        }
    }

    fn show(values: &Vec<S::Value>) -> Value {
        values.iter().map(S::show).collect()
    }
}

impl Raw {
    pub(super) fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or(Self::Other("a number that is too large"), |number| Self::Number(number.to_string())),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or(Self::Other("an array with something else than texts"), Self::List)
            }
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Table(_) => Self::Other("a table"),
        }
    }

    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) | Self::Text(text) => Some(text),
            Self::Number(_) | Self::Flag(_) | Self::List(_) | Self::Other(_) => None,
        }
    }

    /// "is …", for an error.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Plain(text) | Self::Text(text) => format!("is {:?}", without_credentials(text)),
            Self::Number(number) => format!("is {number}"),
            Self::Flag(flag) => format!("is {flag}"),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(|item| without_credentials(item)).collect();
                format!("is {items:?}")
            }
            Self::Other(what) => format!("is {what}"),
        }
    }
}

/// A URL's name and password are a secret, also where they do not belong.
fn without_credentials(text: &str) -> String {
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://***@{host}"),
        None => text.to_owned(),
    }
}
