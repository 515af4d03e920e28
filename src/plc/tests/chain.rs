//! Which operation may follow which, in directories and in logs.

use super::*;
use crate::interop;

/// The logs of one directory of the interop vectors, each parsed and verified.
fn judge(directory: &str) -> Vec<(String, bool)> {
    let Some(root) = interop::dir() else { return Vec::new() };
    let mut files: Vec<_> = std::fs::read_dir(root.join(directory)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let judged = files.iter().map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let verified = serde_json::from_str::<Vec<Entry>>(&text)
            .map_err(|cause| cause.to_string())
            .and_then(|log| verify_log(&log[0].did, &log).map_err(|cause| cause.to_string()));
        (format!("{}: {verified:?}", path.display()), verified.is_ok())
    });
    judged.collect()
}

#[test]
fn every_valid_interop_log_verifies() {
    for (what, verified) in judge("plc/valid") {
        assert!(verified, "{what}");
    }
}

#[test]
fn no_invalid_interop_log_verifies() {
    for (what, verified) in judge("plc/invalid") {
        assert!(!verified, "{what}");
    }
}

#[test]
fn interop_logs_are_written_back_as_they_were_read() {
    for file in ["log_legacy_dholms", "log_bskyapp", "log_tombstone", "log_nullification"] {
        let Some(json) = interop::json(&format!("plc/valid/{file}.json")) else { return };
        let log: Vec<Entry> = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&log).unwrap(), json);
    }
}

#[test]
fn a_genesis_makes_its_did_and_verifies() {
    let directory = Directory::new();
    assert!(directory.did.is_plc());
    let state = directory.verify().unwrap();
    assert_eq!(state.head, directory.cid(0));
    assert_eq!(state.data, Some(unsigned()));
}

#[test]
fn a_genesis_for_another_did_is_refused() {
    let genesis = unsigned().sign(&key(1));
    let did: Did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
    let refusal = directory::accept(&did, &[], &genesis, NOW).unwrap_err();
    let expected = genesis.did_for_genesis();
    assert_eq!(refusal, directory::Refusal::Rule(RuleError::GenesisHash { expected }));
    assert_eq!(refusal.status(), 400);
}

#[test]
fn a_genesis_signed_by_a_stranger_is_refused() {
    let genesis = unsigned().sign(&key(7));
    let refusal = directory::accept(&genesis.did_for_genesis(), &[], &genesis, NOW).unwrap_err();
    assert_eq!(refusal, directory::Refusal::Rule(RuleError::Signature { cid: genesis.cid() }));
}

#[test]
fn any_rotation_key_of_the_operation_before_may_sign_the_next() {
    for signer in 0..3 {
        let mut directory = Directory::new();
        let update = directory.update(0, "bob", signer);
        assert_eq!(directory.post(&update, after(1)), Ok(0));
        assert_eq!(directory.verify().unwrap().data.unwrap().handle(), Some("bob.test"));
    }
    let mut directory = Directory::new();
    let update = directory.update(0, "bob", 9);
    assert_eq!(rule(directory.post(&update, after(1))), RuleError::Signature { cid: update.cid() });
}

#[test]
fn keys_that_an_update_removed_may_not_sign_any_more() {
    let mut directory = Directory::new();
    let mut next = unsigned();
    next.rotation_keys = vec![did_key(0)];
    next.prev = Some(directory.cid(0));
    directory.post(&next.sign(&key(1)), after(1)).unwrap();
    let update = directory.update(1, "bob", 1);
    assert_eq!(rule(directory.post(&update, after(2))), RuleError::Signature { cid: update.cid() });
}

#[test]
fn a_stronger_key_rewrites_what_a_weaker_one_signed() {
    let mut directory = Directory::new();
    directory.post(&directory.update(0, "thief", 2), after(1)).unwrap();
    directory.post(&directory.update(1, "thief2", 2), after(2)).unwrap();
    assert_eq!(directory.post(&directory.update(0, "alice", 1), after(3)), Ok(2));
    let flags: Vec<_> = directory.log.iter().map(|entry| entry.nullified).collect();
    assert_eq!(flags, [false, true, true, false]);
    let state = directory.verify().unwrap();
    assert_eq!((state.head, state.data.unwrap().handle()), (directory.cid(3), Some("alice.test")));
}

#[test]
fn the_same_or_a_weaker_key_may_not_rewrite() {
    for signer in [1, 2] {
        let mut directory = Directory::new();
        directory.post(&directory.update(0, "first", 1), after(1)).unwrap();
        let rewrite = directory.update(0, "second", signer);
        assert_eq!(rule(directory.post(&rewrite, after(2))), RuleError::Signature { cid: rewrite.cid() });
    }
}

#[test]
fn the_recovery_window_ends_after_exactly_72_hours() {
    let mut directory = Directory::new();
    directory.post(&directory.update(0, "thief", 2), after(0).plus(Duration::from_millis(1))).unwrap();
    let disputed = directory.log[1].created_at;
    let rewrite = directory.update(0, "alice", 0);
    let end = disputed.plus(Duration::from_hours(72));
    let late = rule(directory.post(&rewrite, end.plus(Duration::from_millis(1))));
    assert_eq!(late, RuleError::LateRecovery { elapsed_ms: 72 * 3_600_000 + 1 });
    assert_eq!(directory.post(&rewrite, end), Ok(1));
    directory.verify().unwrap();
}

#[test]
fn a_clock_that_stands_or_steps_back_does_not_disorder_a_log() {
    let mut directory = Directory::new();
    directory.post(&directory.update(0, "thief", 2), NOW).unwrap();
    assert_eq!(directory.post(&directory.update(0, "alice", 1), NOW.minus(Duration::from_secs(9))), Ok(1));
    directory.verify().unwrap();
}

#[test]
fn nothing_follows_a_tombstone_but_a_recovery() {
    let mut directory = Directory::new();
    directory.post(&Operation::tombstone(directory.cid(0), &key(1)), after(1)).unwrap();
    let state = directory.verify().unwrap();
    assert_eq!((state.head, state.data), (directory.cid(1), None));
    let refusal = directory::current(&directory.did, &directory.log).unwrap_err();
    assert_eq!(refusal.status(), 410);
    let update = directory.update(1, "bob", 0);
    assert_eq!(rule(directory.post(&update, after(2))), RuleError::Misordered);
    assert_eq!(directory.post(&directory.update(0, "bob", 0), after(2)), Ok(1));
    assert_eq!(directory::current(&directory.did, &directory.log).unwrap().handle(), Some("bob.test"));
    directory.verify().unwrap();
}

#[test]
fn an_unknown_or_nullified_prev_is_refused() {
    let mut directory = Directory::new();
    let mut stray = unsigned();
    stray.prev = Some(crate::ipld::Cid::of_cbor(b"elsewhere"));
    assert_eq!(rule(directory.post(&stray.sign(&key(0)), after(1))), RuleError::Misordered);
    assert_eq!(rule(directory.post(&unsigned().sign(&key(1)), after(1))), RuleError::Misordered, "a second genesis");
    directory.post(&directory.update(0, "thief", 2), after(1)).unwrap();
    directory.post(&directory.update(0, "alice", 1), after(2)).unwrap();
    let on_nullified = directory.update(1, "thief", 2);
    assert_eq!(rule(directory.post(&on_nullified, after(3))), RuleError::Misordered);
}

#[test]
fn a_changed_log_does_not_verify() {
    let mut good = Directory::new();
    good.post(&good.update(0, "thief", 2), after(1)).unwrap();
    good.post(&good.update(0, "alice", 1), after(2)).unwrap();
    let broken = |change: fn(&mut Vec<Entry>)| {
        let mut log = good.log.clone();
        change(&mut log);
        verify_log(&good.did, &log).unwrap_err()
    };
    assert_eq!(broken(Vec::clear), LogError::Empty);
    assert_eq!(broken(|log| log[1].nullified = false), LogError::Nullified { index: 1 });
    assert_eq!(broken(|log| log[2].nullified = true), LogError::Nullified { index: 2 });
    assert_eq!(broken(|log| log[2].cid = log[1].cid), LogError::Cid { index: 2 });
    assert_eq!(broken(|log| log[2].created_at = Timestamp::EPOCH), LogError::Time { index: 2 });
    assert_eq!(
        broken(|log| log[1].did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap()),
        LogError::OtherDid { index: 1 }
    );
    assert!(matches!(broken(|log| drop(log.remove(0))), LogError::Rule { index: 0, .. }));
    assert!(matches!(broken(|log| log.swap(1, 2)), LogError::Time { .. }));
    let forged = |log: &mut Vec<Entry>| {
        let Operation::Operation(operation) = &mut log[2].operation else { panic!("an update was made") };
        operation.unsigned.also_known_as.clear();
        log[2].cid = log[2].operation.cid();
    };
    assert!(matches!(broken(forged), LogError::Rule { index: 2, cause: RuleError::Signature { .. } }));
}

#[test]
fn hiding_the_end_of_a_log_is_seen_by_its_nullified_entries() {
    let mut directory = Directory::new();
    directory.post(&directory.update(0, "thief", 2), after(1)).unwrap();
    directory.post(&directory.update(0, "alice", 1), after(2)).unwrap();
    directory.log.pop();
    assert_eq!(directory.verify(), Err(LogError::Nullified { index: 1 }));
}

#[test]
fn the_rate_is_ten_an_hour_thirty_a_day_and_a_hundred_a_week() {
    let mut directory = Directory::new();
    let entry = directory.log.pop().unwrap();
    let log = |spans: &[(usize, Duration)]| {
        let mut log = Vec::new();
        for (count, ago) in spans {
            let created_at = after(1000).minus(*ago);
            log.extend(std::iter::repeat_n(Entry { created_at, ..entry.clone() }, *count));
        }
        log
    };
    let (minute, hours, days) = (Duration::from_mins(1), Duration::from_hours(5), Duration::from_hours(72));
    let period = |log: &[Entry]| match directory::check_rate(log, after(1000)) {
        Ok(()) => "",
        Err(directory::Refusal::Rate { period, .. }) => period,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(period(&log(&[(9, minute), (20, hours), (70, days)])), "");
    assert_eq!(period(&log(&[(10, minute)])), "hour");
    assert_eq!(period(&log(&[(10, Duration::from_hours(1))])), "", "an hour ago is not within the last hour");
    assert_eq!(period(&log(&[(9, minute), (21, hours)])), "day");
    assert_eq!(period(&log(&[(9, minute), (20, hours), (71, days)])), "week");
    let mut nullified = log(&[(10, minute)]);
    nullified[0].nullified = true;
    assert_eq!(period(&nullified), "", "what is nullified does not count");
}

#[test]
fn a_did_without_operations_is_not_registered() {
    let did: Did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
    let refusal = directory::current(&did, &[]).unwrap_err();
    assert_eq!(refusal.status(), 404);
    assert_eq!(refusal.to_string(), "DID not registered: did:plc:aaaaaaaaaaaaaaaaaaaaaaaa");
}
