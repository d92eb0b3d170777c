//! The operations, and how they are made up.

use cvrsd::domain::{Operation, Storage};
use proptest::{prelude::*, sample::select};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::{
    bench::{Bench, Kind, runtime},
    rows::{PEOPLE, Shape},
};

/// What a submit is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub client: usize,
    pub operation: Operation,
    pub shape: Shape,
    pub rows: u32,
    pub seed: u64,
    pub validate_only: bool,
    /// With an idempotency key.
    pub keyed: bool,
    /// Cancels the job so many microseconds after the answer.
    pub cancel_after: Option<u64>,
}

/// When everything is abandoned.
#[derive(Clone, Debug)]
pub enum Crash {
    Now,
    /// While these come in, so many microseconds after they began.
    Amid(Vec<Request>, u64),
    /// That many durable steps from now; whether the last of them is still made.
    At(u32, bool),
}

#[derive(Clone, Debug)]
pub enum Step {
    Submit(Request),
    /// All at once.
    Burst(Vec<Request>),
    /// A keyed request once more.
    Repeat(usize),
    /// The key of a request with another body.
    Clash(usize, u64),
    /// Of the job so many before the newest, as in all that follow.
    Cancel(usize),
    /// So many events back; none for the snapshot.
    Watch(usize, Option<u64>),
    Get(usize),
    List(usize, Option<Operation>),
    Read(u32, Storage),
    /// Microseconds in which jobs run.
    Pause(u64),
    /// Waits for all jobs and compares everything.
    Settle,
    Drain,
    /// All that ended before the job so many before the newest.
    Purge(usize),
    /// And the unfinished job that the next process is asked to cancel before anything else.
    Crash(Crash, Option<usize>),
}

/// What was asked so far.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: Kind,
    /// The requests that had a key; each key is its place.
    pub keyed: Vec<Request>,
}

impl Asked {
    fn note(&mut self, request: &Request) {
        if request.keyed {
            self.keyed.push(request.clone());
        }
    }
}

fn request() -> impl Strategy<Value = Request> {
    let shape = prop_oneof![
        200 => Just(Shape::Text),
        40 => Just(Shape::Zip),
        8 => Just(Shape::Letter),
        1 => Just(Shape::Crowd),
    ];
    let rows = prop_oneof![5 => 0_u32..8, 2 => 8_u32..45];
    let operation = select(&Operation::ALL[..]);
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.3));
    let cancel = prop::option::weighted(0.1, 0_u64..600);
    (0_usize..4, operation, shape, rows, any::<u64>(), flags, cancel).prop_map(
        |(client, operation, shape, rows, seed, (validate_only, keyed), cancel_after)| {
            // Many rows take their time; a few such files do.
            let is_crowd = shape == Shape::Crowd && seed % 8 == 0;
            let shape = if is_crowd || shape != Shape::Crowd { shape } else { Shape::Text };
            Request { client, operation, shape, rows, seed, validate_only, keyed, cancel_after }
        },
    )
}

fn crash() -> impl Strategy<Value = Crash> {
    let amid = (prop::collection::vec(request(), 1..6), 0_u64..2_000);
    prop_oneof![
        1 => Just(Crash::Now),
        2 => amid.prop_map(|(requests, after)| Crash::Amid(requests, after)),
        4 => (0_u32..40, any::<bool>()).prop_map(|(steps, made)| Crash::At(steps, made)),
    ]
}

impl ReferenceStateMachine for Asked {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self { kind: Kind::Memory, keyed: Vec::new() }).boxed()
    }

    fn transitions(asked: &Self) -> BoxedStrategy<Step> {
        let key = 0..asked.keyed.len().max(1);
        let job = || prop_oneof![3 => 0_usize..4, 1 => 0_usize..60];
        let operation = prop::option::of(select(&Operation::ALL[..]));
        prop_oneof![
            30 => request().prop_map(Step::Submit),
            10 => prop::collection::vec(request(), 2..8).prop_map(Step::Burst),
            8 => key.clone().prop_map(Step::Repeat),
            4 => (key, any::<u64>()).prop_map(|(key, seed)| Step::Clash(key, seed)),
            8 => job().prop_map(Step::Cancel),
            8 => (job(), prop::option::of(0_u64..8)).prop_map(|(job, back)| Step::Watch(job, back)),
            8 => job().prop_map(Step::Get),
            3 => (1_usize..30, operation).prop_map(|(size, of)| Step::List(size, of)),
            8 => (0..PEOPLE, select(&Storage::ALL[..])).prop_map(|(who, of)| Step::Read(who, of)),
            3 => (0_u64..2_000).prop_map(Step::Pause),
            4 => Just(Step::Settle),
            2 => Just(Step::Drain),
            2 => job().prop_map(Step::Purge),
            7 => (crash(), prop::option::weighted(0.3, 0_usize..3))
                .prop_map(|(crash, cancel)| Step::Crash(crash, cancel)),
        ]
        .boxed()
    }

    fn preconditions(asked: &Self, step: &Step) -> bool {
        match step {
            Step::Repeat(key) | Step::Clash(key, _) => *key < asked.keyed.len(),
            _ => true,
        }
    }

    fn apply(mut asked: Self, step: &Step) -> Self {
        match step {
            Step::Submit(request) => asked.note(request),
            Step::Burst(requests) | Step::Crash(Crash::Amid(requests, _), _) => {
                for request in requests {
                    asked.note(request);
                }
            }
            _ => {}
        }
        asked
    }
}

pub struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = Bench;
    type Reference = Asked;

    fn init_test(asked: &Asked) -> Bench {
        Bench::new(asked.kind)
    }

    fn apply(mut bench: Bench, asked: &Asked, step: Step) -> Bench {
        runtime().block_on(async {
            bench.perform(asked, step).await;
            bench.look().await;
        });
        bench
    }

    fn teardown(mut bench: Bench, _: Asked) {
        runtime().block_on(bench.settle());
    }
}
