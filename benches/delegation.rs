//! How long a peer takes to verify a log of 100 operations and the 100 statements in it.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use housekey::{
    crypto::{DelegateSigningKey, KeyType},
    delegation::{
        Status,
        testing::{World, delegate},
    },
};

/// A DID whose key was rotated a hundred times, each time endorsed.
fn world(kind: KeyType) -> World {
    let mut world = World::new(1);
    let mut before: Option<DelegateSigningKey> = None;
    for n in 0..100 {
        world.pass(Duration::from_hours(24));
        let key = delegate(kind, n);
        world.delegate(&key, before.as_ref());
        before = Some(key);
    }
    world
}

fn verify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify 100 statements and 100 PLC operations");
    for kind in KeyType::ALL {
        let world = world(kind);
        let seen = world.assess();
        assert!(seen.verdict.status == Status::Verified && seen.verdict.resets.is_empty());
        group.bench_function(kind.name(), |bencher| bencher.iter(|| black_box(&world).assess()));
    }
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
