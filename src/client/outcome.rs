//! What a verdict means to whoever runs a command: its exit code.

use crate::delegation::{Status, Verdict, VsPin, verdict::Declaration, verdict::LogKind};

/// The exit code where nothing is known.
pub const UNAVAILABLE: u8 = 3;

/// The exit code of a verdict. The first that applies: 3 unavailable, 2 unproven or mismatch, 4 none or ended,
/// 1 resets, an interruption, a rollback, or something nullified; else 0, also for a key that is only recent.
pub const fn exit_code(verdict: &Verdict) -> u8 {
    match verdict.status {
        Status::Unavailable => UNAVAILABLE,
        Status::Unproven | Status::Mismatch => 2,
        Status::None | Status::Ended => 4,
        Status::Verified => {
            let warns = !verdict.resets.is_empty() || !verdict.nullified.is_empty() || interrupts(verdict.vs_pin);
            if warns { 1 } else { 0 }
        }
    }
}

/// Whether what was remembered does not lead to the present key by endorsements alone.
pub const fn interrupts(vs_pin: VsPin) -> bool {
    match vs_pin {
        VsPin::Interrupted | VsPin::Reset | VsPin::Rollback => true,
        VsPin::None | VsPin::Same | VsPin::Successor => false,
    }
}

/// The verdict where not even the DID could be had.
pub const fn unavailable() -> Verdict {
    Verdict {
        status: Status::Unavailable,
        log: LogKind::None,
        complete: false,
        resets: Vec::new(),
        nullified: Vec::new(),
        recent: false,
        vs_pin: VsPin::None,
        declaration: Declaration::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delegation::verdict::{VerdictNullified, VerdictReset},
        ipld::Cid,
    };

    fn with(status: Status) -> Verdict {
        Verdict { status, ..unavailable() }
    }

    fn reset() -> VerdictReset {
        VerdictReset { key: "b".into(), previous: "a".into(), operation: None, at: None }
    }

    fn nullified() -> VerdictNullified {
        VerdictNullified { key: None, operation: Cid::of_cbor(b"a"), at: "2026-01-01T00:00:00.000Z".into() }
    }

    #[test]
    fn the_status_decides_before_everything_else() {
        let codes = [
            (Status::Unavailable, 3),
            (Status::Unproven, 2),
            (Status::Mismatch, 2),
            (Status::None, 4),
            (Status::Ended, 4),
            (Status::Verified, 0),
        ];
        for (status, code) in codes {
            assert_eq!(exit_code(&with(status)), code, "{status:?}");
            if status != Status::Verified {
                let loud = Verdict { resets: vec![reset()], vs_pin: VsPin::Rollback, ..with(status) };
                assert_eq!(exit_code(&loud), code, "{status:?}");
            }
        }
    }

    #[test]
    fn a_verified_key_warns_of_resets_and_of_what_was_nullified() {
        let verified = || with(Status::Verified);
        assert_eq!(exit_code(&Verdict { resets: vec![reset()], ..verified() }), 1);
        assert_eq!(exit_code(&Verdict { nullified: vec![nullified()], ..verified() }), 1);
    }

    #[test]
    fn a_verified_key_warns_when_it_does_not_follow_from_what_was_remembered() {
        for (vs_pin, code) in [
            (VsPin::None, 0),
            (VsPin::Same, 0),
            (VsPin::Successor, 0),
            (VsPin::Interrupted, 1),
            (VsPin::Reset, 1),
            (VsPin::Rollback, 1),
        ] {
            assert_eq!(exit_code(&Verdict { vs_pin, ..with(Status::Verified) }), code, "{vs_pin:?}");
        }
    }

    #[test]
    fn a_recent_key_or_an_incomplete_history_alone_is_no_failure() {
        assert_eq!(exit_code(&Verdict { recent: true, complete: false, ..with(Status::Verified) }), 0);
    }
}
