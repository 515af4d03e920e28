//! Random schedules of faults and deaths: whatever happens, document and statements agree in the end, and no answer was a
//! lie.

use super::*;
use crate::{
    delegation::Status,
    entropy::{OsEntropy, random_bytes},
    service::{
        journal::{Step, crashing_at, reconcile},
        testing::Fault,
    },
};

/// How many schedules are run, unless the variable says otherwise.
const SCHEDULES: u64 = 200;
const COUNT: &str = "HOUSEKEY_CRASH_SCHEDULES";
/// The variable that repeats a run.
const SEED: &str = "HOUSEKEY_CRASH_SEED";
/// Schedules that share a server: making one costs more than a schedule does.
const PER_WORLD: u64 = 25;
/// Changes in one schedule: fewer than the directory takes in an hour.
const CHANGES: usize = 2;

const STEPS: [Step; 4] = [Step::Prepared, Step::Posted, Step::Sent, Step::Applied];
const FAULTS: [Fault; 6] =
    [Fault::Refuse, Fault::HangUp, Fault::AcceptThenHangUp, Fault::AcceptThenFail, Fault::Fail, Fault::RateLimit];

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    Pending,
    Nothing,
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a failed run is repeated by its seed")]
async fn after_any_schedule_of_faults_and_deaths_document_and_statements_agree() {
    #[expect(
        clippy::disallowed_methods,
        reason = "longer runs are asked for from outside, and a failed one is repeated"
    )]
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let count = asked(COUNT).unwrap_or(SCHEDULES);
    let seed = asked(SEED).unwrap_or_else(|| u64::from(u32::from_le_bytes(random_bytes(&OsEntropy))));
    println!("{count} schedules ({COUNT}) from seed {seed} ({SEED})");
    let mut world = World::new().await;
    for number in 0..count {
        if number > 0 && number % PER_WORLD == 0 {
            world = World::new().await;
        }
        println!("schedule {number}: {SEED}={}", seed + number);
        world = Schedule::begin(world, number, seed + number).await.run().await;
    }
}

struct Schedule {
    alice: Alice,
    dice: Dice,
    /// How many keys were made.
    keys: u64,
    /// The key that the id names; none when it names none.
    current: Option<DelegateSigningKey>,
    /// The latest key that it named.
    latest: Option<DelegateSigningKey>,
    /// The statements that were sent, and what was said of them.
    sent: Vec<(Statement, Told)>,
}

impl Schedule {
    async fn begin(world: World, number: u64, seed: u64) -> Self {
        let made = world.signed_up(&format!("user{number}")).await;
        let (jwt, refresh) = (made.tokens.access_jwt, made.tokens.refresh_jwt);
        let alice = Alice { account: made.account, jwt, refresh, world, id: DelegationId::default() };
        Self { alice, dice: Dice(seed), keys: 0, current: None, latest: None, sent: Vec::new() }
    }

    async fn run(mut self) -> World {
        for _ in 0..CHANGES {
            let wanted = self.change().await;
            if self.dice.roll(3) == 0 {
                self.alice = restarted(self.alice).await;
            }
            self.settle().await;
            self.check(wanted).await;
            // So that the same change made again has another statement.
            self.alice.world.clock.advance(Duration::from_mins(1));
        }
        self.alice.world
    }

    /// One change with faults, a death, both or neither; gives what the id names if it comes about.
    async fn change(&mut self) -> Option<DelegateSigningKey> {
        let next = key(self.dice.pick(&TYPES), self.keys);
        self.keys += 1;
        let ends = self.current.is_some() && self.dice.roll(5) == 0;
        let (method, wanted) = match (&self.current, ends) {
            (Some(_), true) => (DELETE, None),
            (Some(_), false) => (UPDATE, Some(next)),
            (None, _) => (CREATE, Some(next)),
        };
        let draft = self.alice.draft(wanted.as_ref());
        let statement = draft.sign(wanted.as_ref(), self.latest.as_ref()).unwrap();
        let mut input = json!({ "statement": statement.to_json() });
        if self.latest.is_none() {
            input["token"] = json!(self.alice.code(&input).await);
        }
        for _ in 0..self.dice.roll(3) {
            self.alice.world.directory.fail_next(self.dice.pick(&FAULTS));
        }
        let (dies, step) = (self.dice.roll(2) == 0, self.dice.pick(&STEPS));
        let call = self.alice.post(method, &input);
        let answer = if dies { crashing_at(step, call).await } else { call.await };
        let told = match (answer.status, answer.json["state"].as_str()) {
            (200, Some("pending")) => Told::Pending,
            (200, _) => Told::Done,
            _ => Told::Nothing,
        };
        if told == Told::Done {
            assert_eq!(self.alice.named(), wanted.as_ref().map(did_key), "done is done");
        }
        self.sent.push((statement, told));
        if self.dice.roll(2) == 0 {
            self.alice.world.directory.mend();
        }
        wanted
    }

    /// Until nothing is open.
    async fn settle(&self) {
        for _ in 0..20 {
            if reconcile(&self.alice.world.server).await.unwrap().open == 0 {
                // What was left is not for the next change.
                return self.alice.world.directory.mend();
            }
            self.alice.world.clock.advance(Duration::from_secs(61));
        }
        panic!("a change is open for ever");
    }

    async fn check(&mut self, wanted: Option<DelegateSigningKey>) {
        let alice = &self.alice;
        let named = alice.named();
        if named == wanted.as_ref().map(did_key) && named != self.current.as_ref().map(did_key) {
            self.latest = wanted.clone().or_else(|| self.latest.take());
            self.current = wanted;
        }
        assert_eq!(named, self.current.as_ref().map(did_key), "what was not asked for did not happen");

        let records = alice.records().await;
        for (statement, told) in &self.sent {
            let is_here = records.iter().any(|uri| uri.ends_with(statement.record_key().as_str()));
            match told {
                Told::Done => assert!(is_here, "what is done has its statement"),
                Told::Nothing => assert!(!is_here, "what was refused left nothing"),
                Told::Pending => {}
            }
        }
        let log = alice.world.directory.log(&alice.account.did);
        assert_eq!(log.len(), records.len() + 1, "each change was taken once, and has its one statement");
        if self.latest.is_none() {
            assert_eq!(alice.get("getDelegation").await.error(), (404, "DelegationNotFound"));
            return;
        }
        let found = alice.get("getDelegation").await.ok();
        let state = if named.is_some() { "active" } else { "ended" };
        assert_eq!((found["state"].as_str(), found["key"].as_str()), (Some(state), named.as_deref()));
        let verdict = alice.assess().await.verdict;
        let status = if named.is_some() { Status::Verified } else { Status::Ended };
        assert_eq!((verdict.status, verdict.complete, verdict.resets.len()), (status, true, 0));
    }
}

async fn restarted(alice: Alice) -> Alice {
    let Alice { world, account, jwt, refresh, id } = alice;
    Alice { world: world.restart().await, account, jwt, refresh, id }
}
