//! Tests of delegations as a whole: honest ones, lying servers, and what a server refuses.

mod app_data;
mod check;
mod fuzzed;
mod hiding;
mod lexicons;
mod lying;
mod statement;
mod vectors;
mod verdict;
mod web;

use std::time::Duration;

use super::{
    testing::{World, delegate},
    *,
};
use crate::crypto::{DelegateSigningKey, KeyType};

fn key(n: u64) -> DelegateSigningKey {
    // All three types take part.
    let index = usize::try_from(n % 3).unwrap();
    delegate(KeyType::ALL[index], n)
}

fn hours(n: u64) -> Duration {
    Duration::from_hours(n)
}

/// A world whose id names key 1, honestly, since long.
fn world() -> World {
    let mut world = World::new(1);
    world.pass(hours(100));
    world.delegate(&key(1), None);
    world.pass(hours(100));
    world
}
