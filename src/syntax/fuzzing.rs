//! Bodies of fuzz targets: no input may panic, and what parses must print a text that parses to the same value.
use std::{fmt::Debug, fmt::Display, str::FromStr};

use super::{AtIdentifier, AtUri, CidText, Datetime, Did, Handle, Language, Nsid, RecordKey, SyntaxError, Tid, Uri};

/// Every parser of this layer on one input.
pub fn syntax(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    round_trip::<AtIdentifier>(text);
    round_trip::<AtUri>(text);
    round_trip::<CidText>(text);
    round_trip::<Language>(text);
    round_trip::<Uri>(text);
    round_trip::<RecordKey>(text);
    round_trip::<Tid>(text);
    if let Some(datetime) = round_trip::<Datetime>(text) {
        let at = datetime.timestamp();
        let again = Datetime::from(at).timestamp();
        // Made datetimes hold milliseconds and stop a day before the year 10000.
        assert!(at.since(again).as_micros() < 1000 || datetime.as_str().starts_with("9999-12-3"), "{text}");
    }
    if let Some(did) = round_trip::<Did>(text) {
        assert_eq!(format!("did:{}:{}", did.method(), did.identifier()), text);
        assert!(!(did.is_plc() && did.is_web()));
    }
    if let Some(handle) = round_trip::<Handle>(text) {
        assert_eq!(format!("{}.{}", handle.first_label(), handle.parent()), text.to_ascii_lowercase());
    }
    if let Some(nsid) = round_trip::<Nsid>(text) {
        assert_eq!(format!("{}.{}", nsid.prefix(), nsid.name()), text);
        assert_eq!(nsid.authority().len(), nsid.prefix().len());
    }
}

fn round_trip<T: FromStr<Err = SyntaxError> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let value = text.parse::<T>().ok()?;
    let printed = value.to_string();
    assert!(printed.eq_ignore_ascii_case(text), "{text} became {printed}");
    assert_eq!(printed.parse::<T>().as_ref(), Ok(&value));
    Some(value)
}
