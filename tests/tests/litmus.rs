//! The memory-model litmus set, in its short form; and tests of the tests.

use std::time::{Duration, Instant};

use emu_pe::model::Model;
use firmware::guest_tests::litmus::{self, Kind, Litmus};
use parking_lot::Mutex;
use understage_tests::litmus::{Accel, check, is_for, run};

/// Rounds of each test as host code. The interpreter runs fewer.
const ROUNDS: u64 = 20_000;
const ROUNDS_INTERPRETED: u64 = 5_000;
/// How long the machine may take to show that its PEs run at the same time, on a host with other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// One machine at a time: PEs that wait for a processor of the host show nothing.
static HOST: Mutex<()> = Mutex::new(());

/// The model with the fewest features that has what the test needs, and the one with all: the latter may be without LSE2.
fn models(test: &Litmus) -> Vec<Model> {
    let names = ["cortex-a72", "neoverse-n1", "max"];
    let mut models: Vec<Model> = names.iter().filter_map(|name| Model::by_name(name)).collect();
    models.retain(|model| is_for(test, model));
    if models.len() > 2 {
        models.remove(1);
    }
    models
}

fn check_family(name: &str) {
    let (_, tests) =
        litmus::FAMILIES.iter().find(|(family, _)| *family == name).expect("there is such a family");
    let _alone = HOST.lock();
    let mut wrong = String::new();
    for test in *tests {
        for model in models(test) {
            for (accel, rounds) in [(Accel::Jit, ROUNDS), (Accel::Interp, ROUNDS_INTERPRETED)] {
                if let Err(text) = check(test, model.clone(), accel, rounds) {
                    wrong.push_str(&text);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

macro_rules! families {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check_family(stringify!($name));
        })*

        #[test]
        fn all_families_are_tested() {
            let names: Vec<_> = litmus::FAMILIES.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

families! {
    message_passing buffering overwriting coherence causality atomics exclusives single_copy translation code
}

fn test(name: &str) -> &'static Litmus {
    litmus::find(name).expect("there is such a test")
}

/// The outcome of store buffering that no interleaving gives needs two PEs that run at the same time, on a host with a
/// store buffer. Then the same program, judged as if it had a barrier, fails, and the report says in what.
fn shows_weak_outcomes(accel: Accel) {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return;
    }
    let _alone = HOST.lock();
    let as_with_barriers = test("SB").judged_by(test("SB+dmb.sys"));
    let begun = Instant::now();
    loop {
        let seen = run(&as_with_barriers, Model::max(), accel, ROUNDS).expect("the program runs");
        if seen.rounds(Kind::Forbidden) > 0 {
            let text = seen.histogram(&as_with_barriers);
            assert!(text.contains("\n  00 ") && text.contains("FORBIDDEN"), "{text}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the PEs do not run at the same time");
    }
}

#[test]
fn host_code_runs_in_parallel_and_a_missing_barrier_is_noticed() {
    shows_weak_outcomes(Accel::Jit);
}

#[test]
fn the_interpreter_runs_in_parallel_and_a_missing_barrier_is_noticed() {
    shows_weak_outcomes(Accel::Interp);
}

/// A lock that is none, an addition that is two accesses: `check` fails.
#[test]
fn lost_additions_are_noticed() {
    let racing = test("CoRW").judged_by(test("CoWR"));
    let _alone = HOST.lock();
    let text = check(&racing, Model::max(), Accel::Jit, ROUNDS).err().expect("CoRW is not CoWR");
    assert!(text.contains("FORBIDDEN") && text.contains("0:X4 x"), "{text}");
}
