//! A datetime in the protocol's subset of RFC 3339. Spec: <https://atproto.com/specs/lexicon#datetime>.
use super::{SyntaxError, text_type};
use crate::{clock::Timestamp, limits::syntax::DATETIME_MAX_BYTES};

/// 0000-01-01T00:00:00Z in seconds of the Unix epoch: no instant before it has a datetime.
const YEAR_ZERO_SECS: i64 = -62_167_219_200;
/// 9999-12-30T22:00:00Z in microseconds of the Unix epoch: the last instant that prints in every offset.
const LAST_MICROS: i64 = 253_402_207_200_000_000;

text_type! {
    /// A datetime in the protocol's subset of RFC 3339; the text stays as it was written.
    Datetime, "datetime", check
}

impl Datetime {
    /// The instant that it names; digits below the microsecond are cut off.
    pub fn timestamp(&self) -> Timestamp {
        parse(&self.0).unwrap_or_default()
    }
}

/// In the preferred form, with milliseconds and `Z`; instants before the year 0 or after 9999-12-30 become the nearest inside.
impl From<Timestamp> for Datetime {
    fn from(at: Timestamp) -> Self {
        let micros = at.as_micros().clamp(YEAR_ZERO_SECS * 1_000_000, LAST_MICROS);
        Self(Timestamp::from_micros(micros).to_rfc3339_millis())
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<Timestamp, &'static str> {
    const SHAPE: &str = "it must have the form YYYY-MM-DDTHH:mm:ss.sssZ, or an offset such as +01:00 for Z";
    if text.len() > DATETIME_MAX_BYTES {
        return Err("it is longer than 64 characters");
    }
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4).ok_or(SHAPE)?;
    let month = after(&mut rest, b'-').ok_or(SHAPE)?;
    let day = after(&mut rest, b'-').ok_or(SHAPE)?;
    let hour = after(&mut rest, b'T').ok_or(SHAPE)?;
    let minute = after(&mut rest, b':').ok_or(SHAPE)?;
    let second = after(&mut rest, b':').ok_or(SHAPE)?;
    let micros = fraction(&mut rest).ok_or(SHAPE)?;
    let offset_minutes = offset(rest).ok_or(SHAPE)?;

    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err("there is no such day");
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err("there is no such time of day");
    }
    let secs = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_minutes * 60;
    if secs < YEAR_ZERO_SECS {
        return Err("it lies before the year zero");
    }
    Ok(Timestamp::from_micros(secs * 1_000_000 + micros))
}

/// Exactly `count` decimal digits from the front.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (front, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    front.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// Two digits behind one separator.
fn after(rest: &mut &[u8], separator: u8) -> Option<i64> {
    *rest = rest.strip_prefix(&[separator])?;
    digits(rest, 2)
}

/// The optional fraction (1 to 20 digits) in microseconds.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some(tail) = rest.strip_prefix(b".") else { return Some(0) };
    let count = tail.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, tail) = tail.split_at_checked(count)?;
    *rest = tail;
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    matches!(count, 1..=20).then(|| padded.fold(0, |n, b| n * 10 + i64::from(b - b'0')))
}

/// The offset from UTC in minutes; `-00:00` is RFC 3339's word for "unknown" and not allowed.
fn offset(text: &[u8]) -> Option<i64> {
    let (&sign, mut rest) = text.split_first()?;
    if sign == b'Z' {
        return rest.is_empty().then_some(0);
    }
    let hours = digits(&mut rest, 2)?;
    let minutes = after(&mut rest, b':')?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    match (sign, hours * 60 + minutes) {
        (b'+', minutes) => Some(minutes),
        (b'-', minutes @ 1..) => Some(-minutes),
        _ => None,
    }
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is last.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}
