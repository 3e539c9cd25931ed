//! What the benchmarks' program says, line by line (`tests/bench/main.c`).

/// One line of it.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// The named benchmark's first rounds begin.
    Try(String),
    /// Its measured rounds begin.
    Start(String),
    /// They are over.
    Bench {
        /// Of the benchmark.
        name: String,
        /// By the guest's monotonic clock.
        ns_per_round: f64,
        /// How many were measured.
        rounds: u64,
        /// What the rounds computed: the same on every machine that runs the same binary.
        check: u64,
    },
    /// The named benchmark is not there for this processor.
    Skip(String),
    /// Something could not be done.
    Fail(String),
    /// All is done.
    Done,
}

/// Understands a line; none is what a kernel or an emulator says.
pub(crate) fn parse(line: &str) -> Option<Said> {
    let (keyword, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
    match keyword {
        "TRY" => Some(Said::Try(one_word(rest)?)),
        "START" => Some(Said::Start(one_word(rest)?)),
        "SKIP" => Some(Said::Skip(one_word(rest)?)),
        "BENCH" => bench(rest),
        "FAIL" => Some(Said::Fail(rest.to_owned())),
        "DONE" if rest.is_empty() => Some(Said::Done),
        _ => None,
    }
}

fn one_word(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let word = words.next()?;
    words.next().is_none().then(|| word.to_owned())
}

fn bench(text: &str) -> Option<Said> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, ns, rounds, check] = words[..] else { return None };
    let ns_per_round = ns.parse().ok().filter(|ns: &f64| ns.is_finite() && *ns >= 0.0)?;
    let rounds = rounds.parse().ok().filter(|rounds| *rounds > 0)?;
    let check = u64::from_str_radix(check, 16).ok()?;
    Some(Said::Bench { name: name.to_owned(), ns_per_round, rounds, check })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_program() {
        // A serial line ends with CR LF.
        assert_eq!(parse("TRY sieve\r"), Some(Said::Try("sieve".into())));
        assert_eq!(parse("START sieve"), Some(Said::Start("sieve".into())));
        assert_eq!(parse("SKIP codegen"), Some(Said::Skip("codegen".into())));
        assert_eq!(parse("FAIL no memory"), Some(Said::Fail("no memory".into())));
        assert_eq!(parse("DONE\r"), Some(Said::Done));
        let bench = Said::Bench { name: "fib".into(), ns_per_round: 1250.5, rounds: 40, check: 0x452f };
        assert_eq!(parse("BENCH fib 1250.50 40 000000000000452f\r"), Some(bench));
    }

    #[test]
    fn everything_else() {
        for line in [
            "",
            "[    0.0] Booting Linux",
            "BENCH fib 12",
            "BENCH fib nan 1 0",
            "BENCH fib 1.0 0 0",
            "BENCH fib 1.0 1 xyz",
            "START",
            "START a b",
            "DONE already",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
