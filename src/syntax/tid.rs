//! Timestamp identifiers. Spec: <https://atproto.com/specs/tid>.
use super::{SyntaxError, text_serde};
use crate::clock::Timestamp;

/// The alphabet: base32 whose characters sort as their values do.
const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
const CLOCK_ID_BITS: u32 = 10;
const CLOCK_ID_MASK: u64 = (1 << CLOCK_ID_BITS) - 1;
/// The greatest time part, in microseconds: the year 2255.
const MAX_MICROS: u64 = (1 << 53) - 1;

/// A timestamp identifier: 53 bits of microseconds, 10 bits of clock id; 13 characters as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(u64);

impl Tid {
    /// From a time and a clock id (10 bits; the rest is cut off). Times before 1970 or after 2255 become the nearest
    /// that fits.
    pub fn new(at: Timestamp, clock_id: u16) -> Self {
        let micros = u64::try_from(at.as_micros()).unwrap_or(0).min(MAX_MICROS);
        Self(micros << CLOCK_ID_BITS | u64::from(clock_id) & CLOCK_ID_MASK)
    }

    /// The first TID for `now` that is greater than `last`: monotonic even if the clock steps back.
    ///
    /// Nothing is greater than the last TID of the year 2255, which comes back unchanged.
    pub fn after(last: Option<Self>, now: Timestamp, clock_id: u16) -> Self {
        let fresh = Self::new(now, clock_id);
        match last {
            Some(last) if last >= fresh => {
                let stepped = Self::new(Timestamp::from_micros(last.timestamp().as_micros() + 1), clock_id);
                // Past the last microsecond only the clock id can still grow.
                if stepped > last { stepped } else { Self((last.0 + 1).min(u64::MAX >> 1)) }
            }
            _ => fresh,
        }
    }

    /// The integer form; the top bit is zero.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From the integer form, when the top bit is zero.
    pub fn from_u64(n: u64) -> Option<Self> {
        (n >> 63 == 0).then_some(Self(n))
    }

    /// The time part.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.0 >> CLOCK_ID_BITS).unwrap_or(0))
    }

    /// The clock id, below 1,024.
    pub fn clock_id(self) -> u16 {
        u16::try_from(self.0 & CLOCK_ID_MASK).unwrap_or(0)
    }
}

impl std::str::FromStr for Tid {
    type Err = SyntaxError;
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let refuse = |why| SyntaxError { what: "TID", why };
        if text.len() != 13 {
            return Err(refuse("it must have 13 characters"));
        }
        let mut n: u128 = 0;
        for byte in text.bytes() {
            let value = match byte {
                b'2'..=b'7' => byte - b'2',
                b'a'..=b'z' => byte - b'a' + 6,
                _ => return Err(refuse("only the characters 2-7 and a-z are allowed")),
            };
            n = n << 5 | u128::from(value);
        }
        u64::try_from(n).ok().and_then(Self::from_u64).ok_or_else(|| refuse("its time is too far in the future"))
    }
}

impl std::fmt::Display for Tid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = [b'2'; 13];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            // The remainder is below 32, so there always is a character.
            *place = usize::try_from(rest % 32).ok().and_then(|i| ALPHABET.get(i)).copied().unwrap_or(b'2');
            rest /= 32;
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

text_serde!(Tid);
