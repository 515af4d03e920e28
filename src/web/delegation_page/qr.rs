//! QR codes as one SVG path.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code: readers need four.
const QUIET: usize = 4;

/// A code to draw in a square of `size` units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Qr {
    /// What it holds, for those who do not see it.
    pub(super) label: String,
    /// Width and height, the light border included.
    pub(super) size: usize,
    /// The dark modules as an SVG path.
    pub(super) path: String,
}

impl Qr {
    /// The code of a text; none when it is too long for one.
    pub(super) fn of(text: &str, label: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let mut path = Vec::new();
        for (y, row) in code.to_colors().chunks(width).enumerate() {
            let mut x = 0;
            // Neighbours of one colour are one rectangle.
            for run in row.chunk_by(|one, other| one == other) {
                if run.first() == Some(&Color::Dark) {
                    let (x, y, length) = (x + QUIET, y + QUIET, run.len());
                    path.push(format!("M{x} {y}h{length}v1h-{length}z"));
                }
                x += run.len();
            }
        }
        Some(Self { label: label.to_owned(), size: width + 2 * QUIET, path: path.concat() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_begins_with_its_finder_behind_the_border() {
        let qr = Qr::of("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", "a key").unwrap();
        assert!(qr.path.starts_with("M4 4h7v1h-7z"), "{}", qr.path);
        assert_eq!((qr.size - 8) % 4, 1, "versions are 21, 25, 29… modules wide");
    }

    #[test]
    fn what_is_too_long_has_no_code() {
        assert_eq!(Qr::of(&"x".repeat(5000), "too long"), None);
    }
}
