//! The bodies of the fuzz targets over good inputs, and over those with bytes changed.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{delegation::fuzzing, ipld::Map};

fn seeds() -> Vec<Vec<u8>> {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    world.entries = vec![
        world.entry("com.example.chat", Some(Map::new()), &key(2)),
        world.entry(DOMAIN_APP, Some([("domain", "keys.test")].into_iter().collect()), &key(2)),
    ];
    let statements: Vec<_> = world.statements.iter().map(Statement::to_json).collect();
    let entries: Vec<_> = world.entries.iter().map(AppData::to_json).collect();
    let body = WellKnown::active(world.did.clone(), world.id.clone(), None, world.entries.clone());
    let whole = json!({
        "did": world.did, "id": world.id, "log": world.log, "statements": statements, "entries": entries,
        "pin": world.pin(), "document": key(1).public().to_string(), "serverKeys": [key(9).public().to_string()],
        "now": world.now.as_micros(),
    });
    let mut web = whole.clone();
    web["did"] = "did:web:alice.test".into();
    let mut seeds: Vec<_> = [whole, web, body.to_json()].iter().map(|json| json.to_string().into_bytes()).collect();
    seeds.extend(statements.iter().chain(&entries).map(|json| json.to_string().into_bytes()));
    seeds
}

fn run(data: &[u8]) {
    fuzzing::statement(data);
    fuzzing::app_data(data);
    fuzzing::verdict(data);
}

#[test]
fn good_inputs_come_out_as_they_went_in() {
    for seed in seeds() {
        run(&seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn changed_inputs_do_not_panic(which in 0usize..7, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let seeds = seeds();
        let mut data = seeds[which % seeds.len()].clone();
        for (index, byte) in changes {
            let at = index.index(data.len());
            data[at] = byte;
        }
        run(&data);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        run(&data);
    }
}
