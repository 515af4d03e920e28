//! Randomness as an argument: the one place that reads the operating system's random source.

use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// A source of random bytes, good enough for keys unless it is the seeded one.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the operating system gives no randomness: no key may be made then, so the process must not go on.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the random source")]
    #[expect(clippy::panic, reason = "a server without randomness must stop rather than make guessable keys")]
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(cause) = getrandom::fill(buffer) {
            panic!("the operating system gave no random bytes: {cause}");
        }
    }
}

/// A repeatable stream for tests and `dev --seed`: SHA-256 over seed and counter. Never for real accounts.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    // A mutex because `fill` takes `&self`; it is held for one block of hashing and never over an await.
    counter: Mutex<u64>,
}

impl SeededEntropy {
    /// The stream that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: Mutex::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut counter = self.counter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(b"housekey seeded entropy")
                .chain_update(self.seed.to_be_bytes())
                .chain_update(counter.to_be_bytes())
                .finalize();
            for (to, from) in chunk.iter_mut().zip(block.iter()) {
                *to = *from;
            }
            *counter += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_seed_another() {
        let (a, b, c) = (SeededEntropy::new(7), SeededEntropy::new(7), SeededEntropy::new(8));
        assert_eq!(random_bytes::<48>(&a), random_bytes::<48>(&b));
        assert_ne!(random_bytes::<48>(&a), random_bytes::<48>(&c));
    }

    #[test]
    fn a_stream_does_not_repeat_itself() {
        let entropy = SeededEntropy::new(1);
        assert_ne!(random_bytes::<32>(&entropy), random_bytes::<32>(&entropy));
    }

    #[test]
    fn the_system_gives_different_bytes_each_time() {
        assert_ne!(random_bytes::<32>(&OsEntropy), random_bytes::<32>(&OsEntropy));
    }
}
