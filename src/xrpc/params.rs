//! Query parameters: text to types, with an error that names the parameter.

use super::{XrpcError, schemas::check_query};
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Holds the parameters of a call against the method's schema, then reads them.
pub(super) fn read<T: DeserializeOwned>(nsid: &str, query: Option<&str>) -> Result<T, XrpcError> {
    check_query(nsid, query.unwrap_or(""))?;
    parse(query)
}

/// Reads parameters. Repeated keys make a list, unknown ones are ignored, and one with an empty value
/// counts as absent, as it always has.
fn parse<T: DeserializeOwned>(query: Option<&str>) -> Result<T, XrpcError> {
    let query = without_empty_values(query.unwrap_or(""));
    serde_html_form::from_str(&query).map_err(|error| explain::<T>(&query, &error.to_string()))
}

fn without_empty_values(query: &str) -> Cow<'_, str> {
    let is_empty = |pair: &str| pair.split_once('=').is_none_or(|(_, value)| value.is_empty());
    if query.is_empty() || !query.split('&').any(is_empty) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.split('&').filter(|pair| !is_empty(pair)).collect::<Vec<_>>().join("&"))
}

/// The deserializer does not say which value it stumbled over: reading each key alone finds it.
fn explain<T: DeserializeOwned>(query: &str, error: &str) -> XrpcError {
    if let Some(name) = missing(error) {
        return XrpcError::invalid(format!("Params must have the property \"{name}\""));
    }
    let key_of = |pair: &str| pair.split('=').next().unwrap_or("").to_owned();
    let mut seen: Vec<String> = Vec::new();
    for pair in query.split('&') {
        let key = key_of(pair);
        if seen.contains(&key) {
            continue;
        }
        // Few keys differ in practice; a query of a thousand different ones is not worth a better message.
        if seen.len() >= crate::limits::http::EXPLAINED_PARAMETERS {
            break;
        }
        let alone = query.split('&').filter(|other| key_of(other) == key).collect::<Vec<_>>().join("&");
        if let Err(cause) = serde_html_form::from_str::<T>(&alone) {
            let cause = cause.to_string();
            if missing(&cause).is_none() {
                return XrpcError::invalid(format!("The parameter \"{key}\" is not valid: {}", in_words(&cause)));
            }
        }
        seen.push(key);
    }
    XrpcError::invalid(format!("The parameters are not valid: {error}"))
}

/// The libraries' words for what happens most, said for who reads them.
fn in_words(cause: &str) -> &str {
    match cause {
        "unsupported value" => "it may be given only once",
        "invalid digit found in string" => "it must be an integer",
        "number too large to fit in target type" | "number too small to fit in target type" => "it is out of range",
        other => other,
    }
}

fn missing(error: &str) -> Option<&str> {
    error.strip_prefix("missing field `")?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Params {
        repo: String,
        limit: Option<u32>,
        reverse: Option<bool>,
        #[serde(default)]
        cids: Vec<String>,
    }

    #[test]
    fn numbers_booleans_and_lists_are_text() {
        assert_eq!(
            parse::<Params>(Some("repo=did%3Aplc%3Aabc&limit=7&reverse=true&cids=a&cids=b&other=1")),
            Ok(Params {
                repo: "did:plc:abc".to_owned(),
                limit: Some(7),
                reverse: Some(true),
                cids: vec!["a".to_owned(), "b".to_owned()],
            })
        );
    }

    #[test]
    fn one_value_is_a_list_of_one() {
        assert_eq!(parse::<Params>(Some("repo=x&cids=a")).unwrap().cids, ["a"]);
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        assert_eq!(parse::<Params>(Some("repo=x&limit=&reverse")).unwrap().limit, None);
        assert_eq!(parse::<Params>(Some("repo=")).unwrap_err().message, "Params must have the property \"repo\"");
    }

    #[test]
    fn an_error_names_the_parameter() {
        for (query, name) in [
            ("repo=x&limit=seven", "\"limit\" is not valid: it must be an integer"),
            ("limit=-1", "\"limit\" is not valid: it must be an integer"),
            ("limit=99999999999999999999", "\"limit\" is not valid: it is out of range"),
            ("repo=x&reverse=maybe", "\"reverse\""),
            ("repo=x&repo=y", "\"repo\" is not valid: it may be given only once"),
            ("limit=1", "\"repo\""),
        ] {
            let error = parse::<Params>(Some(query)).unwrap_err();
            assert_eq!((error.status.as_u16(), error.name.as_ref()), (400, "InvalidRequest"), "{query}");
            assert!(error.message.contains(name), "{query}: {}", error.message);
        }
        assert!(parse::<Params>(None).is_err());
    }

    #[test]
    fn broken_percent_escapes_do_not_panic() {
        for query in ["repo=%", "repo=%F", "repo=%FF%FE", "=&=&&==", "%=%", "repo=+"] {
            drop(parse::<Params>(Some(query)));
        }
    }
}
