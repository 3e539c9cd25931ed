//! Two loads on two CPUs against one on one: what `--scaling` measures. The guest's program runs a benchmark in two
//! processes, a CPU each, if its name has "*2" behind it (`tests/bench/main.c`); their rounds count together. So twice as
//! fast is perfect, if the host has two processors for it.

use serde_json::{Value, json};

use super::report::{NONE, Row, duration, times};
use super::results::Results;
use super::statistics::{geometric_mean, ratio};
use super::suite::Benchmark;
use crate::process::Failure;

/// Loads that have nothing to do with each other when two run, and the names of the two.
const LOADS: [(&str, &str); 14] = [
    ("sieve", "sieve*2"),
    ("qsort", "qsort*2"),
    ("sha256", "sha256*2"),
    ("bytecode", "bytecode*2"),
    ("fib", "fib*2"),
    ("indirect", "indirect*2"),
    ("mandelbrot", "mandelbrot*2"),
    ("matmul", "matmul*2"),
    ("simd8", "simd8*2"),
    ("strings", "strings*2"),
    ("atomics", "atomics*2"),
    ("syscall", "syscall*2"),
    ("pagefault", "pagefault*2"),
    ("codegen", "codegen*2"),
];

fn two_of(name: &str) -> Option<&'static str> {
    LOADS.iter().find(|(one, _)| *one == name).map(|(_, two)| *two)
}

/// Those of the suite that are loads here, each alone and then twice.
pub(super) fn pairs(suite: &[Benchmark]) -> Result<Vec<Benchmark>, Failure> {
    let pair = |b: &Benchmark| Some([*b, Benchmark { name: two_of(b.name)?, ..*b }]);
    let pairs: Vec<_> = suite.iter().filter_map(pair).flatten().collect();
    match pairs.is_empty() {
        false => Ok(pairs),
        true => {
            let names: Vec<_> = LOADS.iter().map(|(one, _)| *one).collect();
            Err(format!("nothing that is given with --only is a load for --scaling ({})", names.join(" ")))
        }
    }
}

/// How many times as fast two are, by time.
fn scaling(results: &Results, machine: &'static str, name: &str) -> Option<f64> {
    let ns = |name| results.figures(machine, name).map(|f| f.ns);
    ratio(ns(name), ns(two_of(name)?))
}

/// How much more processor time a round takes when two run.
fn dearer(results: &Results, machine: &'static str, name: &str) -> Option<f64> {
    let cpu = |name| results.figures(machine, name).map(|f| f.cpu_ns);
    ratio(cpu(two_of(name)?), cpu(name))
}

fn loads(suite: &[Benchmark]) -> impl Iterator<Item = &Benchmark> {
    suite.iter().filter(|b| two_of(b.name).is_some())
}

/// The columns.
pub(super) fn header(machines: &[&'static str]) -> Row {
    let mut row = vec!["load".to_owned()];
    for machine in machines {
        row.extend([format!("{machine}: one"), "two".into(), "scaling".into(), "CPU of a round".into()]);
    }
    row
}

/// A line for each load, and the geometric means.
pub(super) fn rows(suite: &[Benchmark], machines: &[&'static str], results: &Results) -> Vec<Row> {
    let time = |m, name| results.figures(m, name).map_or(NONE.to_owned(), |f| duration(f.ns));
    let load = |b: &Benchmark| {
        let mut row = vec![b.name.to_owned()];
        for m in machines {
            row.extend([time(m, b.name), two_of(b.name).map_or(NONE.to_owned(), |two| time(m, two))]);
            row.extend([times(scaling(results, m, b.name)), times(dearer(results, m, b.name))]);
        }
        row
    };
    let mut rows: Vec<Row> = loads(suite).map(load).collect();
    let mut last = vec!["mean of all".to_owned()];
    for m in machines {
        let mean = |of: fn(&Results, &'static str, &str) -> Option<f64>| {
            times(geometric_mean(loads(suite).filter_map(|b| of(results, m, b.name))))
        };
        last.extend([String::new(), String::new(), mean(scaling), mean(dearer)]);
    }
    rows.push(last);
    rows
}

/// The same for programs.
pub(super) fn json(suite: &[Benchmark], machines: &[&'static str], results: &Results) -> Value {
    let of_load = |b: &Benchmark| {
        let of_machine = |m: &&'static str| {
            let figures = json!({ "time": scaling(results, m, b.name), "cpu": dearer(results, m, b.name) });
            ((*m).to_owned(), figures)
        };
        (b.name.to_owned(), Value::Object(machines.iter().map(of_machine).collect()))
    };
    Value::Object(loads(suite).map(of_load).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cpu_time::CpuTime;
    use crate::bench::measure::{Outcome, Sample};
    use crate::bench::suite;

    #[test]
    fn every_load_is_a_benchmark() {
        let all = suite::all();
        for (one, two) in LOADS {
            assert!(all.iter().any(|b| b.name == one), "{one}");
            assert_eq!(two, format!("{one}*2"));
        }
        let pairs = pairs(&all).unwrap();
        assert_eq!(pairs.len(), 2 * LOADS.len());
        assert_eq!((pairs[0].name, pairs[1].name, pairs[1].group), ("sieve", "sieve*2", "integer"));
        assert!(super::pairs(&suite::select(&["fork".into()]).unwrap()).unwrap_err().contains("--scaling"));
    }

    #[test]
    fn twice_as_fast_is_two() {
        let suite = pairs(&suite::select(&["fib".into(), "sieve".into()]).unwrap()).unwrap();
        let mut results = Results::default();
        for (name, ns, user) in
            [("fib", 100.0, 100.0), ("fib*2", 50.0, 125.0), ("sieve", 80.0, 80.0), ("sieve*2", 80.0, 80.0)]
        {
            let cpu = CpuTime { user, system: 0.0 };
            results.add("ours", name, Outcome::Measured(Sample { ns, cpu, rounds: 1, check: 1 }));
        }
        let rows = rows(&suite, &["ours"], &results);
        assert_eq!(rows[0], ["sieve", "80.0 ns", "80.0 ns", "1.00x", "1.00x"]);
        assert_eq!(rows[1], ["fib", "100 ns", "50.0 ns", "2.00x", "1.25x"]);
        assert_eq!(rows[2], ["mean of all", "", "", "1.41x", "1.12x"]);
        assert!(rows.iter().all(|row| row.len() == header(&["ours"]).len()));
        assert_eq!(json(&suite, &["ours"], &results)["fib"]["ours"]["time"], 2.0);
    }
}
