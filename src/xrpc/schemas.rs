//! Parameters and bodies held against the schema of the method that is called, in the reference's words.

use super::XrpcError;
use crate::lexicon::{Flaw, Method, check_input, check_params, published};

/// Methods that hold their body against its schema themselves: the contract (docs/delegation.md) names other errors for a
/// malformed statement or entry.
const OWN_ERRORS: &str = "dev.housekey.delegation.";

/// Checks the query of a call. A method without a schema takes anything here.
pub(super) fn check_query(nsid: &str, query: &str) -> Result<(), XrpcError> {
    let Some(params) = method(nsid).and_then(|method| method.params.as_ref()) else { return Ok(()) };
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    check_params(published(), params, &pairs).map_err(|flaw| refused(&flaw, "Error: "))
}

/// Checks the JSON body of a call.
pub(super) fn check_body(nsid: &str, input: &serde_json::Value) -> Result<(), XrpcError> {
    if nsid.starts_with(OWN_ERRORS) {
        return Ok(());
    }
    let Some(body) = method(nsid).and_then(|method| method.input.as_ref()) else { return Ok(()) };
    check_input(published(), body, input).map_err(|flaw| refused(&flaw, ""))
}

fn method(nsid: &str) -> Option<&'static Method> {
    published().get(nsid)?.method()
}

fn refused(flaw: &Flaw, before: &str) -> XrpcError {
    match flaw {
        Flaw::Invalid(why) => XrpcError::invalid(format!("{before}{why}")),
        // A test makes sure that what the program carries refers to nothing else.
        Flaw::Unknown(_) => XrpcError::internal(flaw),
    }
}
