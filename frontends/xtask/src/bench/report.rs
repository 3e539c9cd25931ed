//! The report: a table for the terminal, the same in Markdown, and everything in JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::dma;
use super::host::Host;
use super::results::{Figures, Results};
use super::scaling;
use super::statistics::{geometric_mean, ratio};
use super::suite::Benchmark;
use crate::process::Failure;

/// All that is reported.
pub(crate) struct Report<'a> {
    /// Where and when.
    pub(crate) host: Host,
    /// Whether all was run that was wanted.
    pub(crate) complete: bool,
    /// Whether it is about two loads against one, and not about machines against each other.
    pub(crate) scaling: bool,
    /// Model of the guest's CPU.
    pub(crate) cpu: &'a str,
    /// How many of them there are.
    pub(crate) cpus: u32,
    /// Measurements of each benchmark on each machine.
    pub(crate) rounds: u32,
    /// Milliseconds for each.
    pub(crate) ms: u32,
    /// What the emulators say about themselves.
    pub(crate) versions: Vec<(&'static str, String)>,
    /// What the compilers of the benchmarks say about themselves.
    pub(crate) compilers: Vec<String>,
    /// Names of the machines.
    pub(crate) machines: Vec<&'static str>,
    /// The benchmarks.
    pub(crate) suite: &'a [Benchmark],
    /// The measurements.
    pub(crate) results: &'a Results,
}

/// A ratio in the report: how many times as long `slow` takes as `fast`.
struct Comparison {
    title: &'static str,
    slow: &'static str,
    fast: &'static str,
}

/// The comparisons: above 1 is good in the first, 1 would be perfect in the others.
const COMPARISONS: [Comparison; 3] = [
    Comparison { title: "peer/ours", slow: "peer", fast: "ours" },
    Comparison { title: "ours/native", slow: "ours", fast: "native" },
    Comparison { title: "peer/native", slow: "peer", fast: "native" },
];

/// A line of the table.
pub(super) type Row = Vec<String>;

/// What stands where there is nothing.
pub(super) const NONE: &str = "-";

impl Report<'_> {
    /// The comparisons for which both machines are there.
    fn comparisons(&self) -> impl Iterator<Item = &'static Comparison> {
        COMPARISONS.iter().filter(|c| self.machines.contains(&c.slow) && self.machines.contains(&c.fast))
    }

    /// By time and by processor time.
    fn ratios(&self, c: &Comparison, name: &str) -> [Option<f64>; 2] {
        let figures = |machine| self.results.figures(machine, name);
        let both = |of: fn(Figures) -> f64| ratio(figures(c.slow).map(of), figures(c.fast).map(of));
        [both(|f| f.ns), both(|f| f.cpu_ns)]
    }

    /// The groups in the order of the benchmarks.
    fn groups(&self) -> Vec<&'static str> {
        let mut groups: Vec<&'static str> = self.suite.iter().map(|b| b.group).collect();
        groups.dedup();
        groups
    }

    /// Geometric means, by time and by processor time, over benchmarks that have both ratios.
    fn means(&self, c: &Comparison, group: Option<&str>) -> [Option<f64>; 2] {
        let members = self.suite.iter().filter(|b| group.is_none_or(|g| b.group == g));
        let ratios: Vec<_> = members.map(|b| self.ratios(c, b.name)).collect();
        [0, 1].map(|i| geometric_mean(ratios.iter().filter_map(|both| both[i])))
    }

    fn header(&self) -> Row {
        if self.scaling {
            return scaling::header(&self.machines);
        }
        let mut row = vec!["benchmark".to_owned()];
        row.extend(self.machines.iter().map(|m| (*m).to_owned()));
        for c in self.comparisons() {
            row.extend([c.title.to_owned(), "by CPU".to_owned()]);
        }
        row
    }

    /// A line for each benchmark, then one for each group of several and for all.
    fn rows(&self) -> Vec<Row> {
        if self.scaling {
            return scaling::rows(self.suite, &self.machines, self.results);
        }
        let benchmark = |b: &Benchmark| {
            let mut row = vec![b.name.to_owned()];
            let time = |m| self.results.figures(m, b.name).map_or(NONE.to_owned(), |f| duration(f.ns));
            row.extend(self.machines.iter().map(|m| time(m)));
            row.extend(self.comparisons().flat_map(|c| self.ratios(c, b.name)).map(times));
            row
        };
        let mean = |title: String, group: Option<&str>| {
            let mut row = vec![title];
            row.extend(self.machines.iter().map(|_| String::new()));
            row.extend(self.comparisons().flat_map(|c| self.means(c, group)).map(times));
            row
        };
        let mut rows: Vec<Row> = self.suite.iter().map(benchmark).collect();
        if self.comparisons().next().is_some() {
            let size = |g: &str| self.suite.iter().filter(|b| b.group == g).count();
            let several = self.groups().into_iter().filter(|g| size(g) > 1);
            rows.extend(several.map(|g| mean(format!("mean of {g}"), Some(g))));
            rows.push(mean("mean of all".to_owned(), None));
        }
        rows.extend(dma::shares(self.suite, &self.machines, self.results, self.header().len()));
        rows
    }

    /// What a reader must know, a line each.
    fn circumstances(&self) -> Vec<String> {
        let h = &self.host;
        let mut lines = vec![
            format!(
                "{}, commit {}; {} x {}, load {:.1} before",
                h.date, h.commit, h.processors, h.processor, h.load
            ),
            format!(
                "{} x CPU model {}, {} rounds of {} ms, medians",
                self.cpus, self.cpu, self.rounds, self.ms
            ),
        ];
        lines.extend(self.versions.iter().map(|(machine, version)| format!("{machine}: {version}")));
        lines.push(format!("compiled by: {}", self.compilers.join("; ")));
        if !self.complete {
            lines.push("the run was not complete".to_owned());
        }
        lines
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for line in self.circumstances() {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
        let mut rows = self.rows();
        rows.insert(0, self.header());
        let columns = rows[0].len();
        let width = |i: usize| rows.iter().map(|r| r[i].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &rows {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                let _ = write!(line, "  {cell:>width$}");
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
        for wrong in self.results.wrongs() {
            let _ = writeln!(out, "\n{wrong}");
        }
        out
    }

    /// For a document.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        for line in self.circumstances() {
            let _ = writeln!(out, "- {line}");
        }
        let line = |row: &Row| format!("| {} |\n", row.join(" | "));
        let header = self.header();
        let _ = write!(out, "\n{}|---|{}\n", line(&header), "--:|".repeat(header.len() - 1));
        for row in self.rows() {
            out.push_str(&line(&row));
        }
        for wrong in self.results.wrongs() {
            let _ = write!(out, "\n```\n{wrong}\n```\n");
        }
        out
    }

    /// Every measurement, for programs.
    pub(crate) fn json(&self) -> Result<String, Failure> {
        let benchmark = |b: &Benchmark| {
            let machines: serde_json::Map<String, Value> =
                self.machines.iter().map(|m| ((*m).to_owned(), self.cell_json(m, b.name))).collect();
            json!({ "group": b.group, "name": b.name, "what": b.what, "machines": machines })
        };
        let means = |group: Option<&str>| {
            let all = self.comparisons().map(|c| {
                let [time, cpu] = self.means(c, group);
                (c.title.to_owned(), json!({ "time": time, "cpu": cpu }))
            });
            Value::Object(all.collect())
        };
        let groups: serde_json::Map<String, Value> =
            self.groups().into_iter().map(|g| (g.to_owned(), means(Some(g)))).collect();
        let versions: serde_json::Map<String, Value> =
            self.versions.iter().map(|(m, v)| ((*m).to_owned(), v.clone().into())).collect();
        let all = json!({
            "host": self.host, "complete": self.complete, "cpu": self.cpu, "cpus": self.cpus,
            "rounds": self.rounds, "ms": self.ms,
            "versions": versions, "compilers": self.compilers, "wrongs": self.results.wrongs(),
            "benchmarks": self.suite.iter().map(benchmark).collect::<Vec<_>>(),
            "means": { "groups": groups, "all": means(None) },
            "scaling": if self.scaling { scaling::json(self.suite, &self.machines, self.results) } else { Value::Null },
        });
        let text = serde_json::to_string_pretty(&all).map_err(|e| format!("cannot write the report: {e}"))?;
        Ok(text + "\n")
    }

    fn cell_json(&self, machine: &'static str, name: &str) -> Value {
        let samples = self.results.cell(machine, name).map_or(&[][..], |cell| &cell.samples);
        let sample = |s: &super::measure::Sample| {
            json!({
                "ns_per_round": s.ns, "user_ns_per_round": s.cpu.user, "system_ns_per_round": s.cpu.system,
                "rounds": s.rounds, "check": format!("{:016x}", s.check),
            })
        };
        let figures = self.results.figures(machine, name);
        json!({
            "median_ns": figures.map(|f| f.ns), "median_cpu_ns": figures.map(|f| f.cpu_ns),
            "samples": samples.iter().map(sample).collect::<Vec<_>>(),
        })
    }
}

/// Three digits and a unit.
pub(super) fn duration(ns: f64) -> String {
    let (value, unit) = match ns {
        _ if ns < 1e3 => (ns, "ns"),
        _ if ns < 1e6 => (ns / 1e3, "us"),
        _ if ns < 1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

pub(super) fn times(ratio: Option<f64>) -> String {
    ratio.map_or(NONE.to_owned(), |r| format!("{}x", digits(r)))
}

/// About three digits that count.
fn digits(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cpu_time::CpuTime;
    use crate::bench::measure::{Outcome, Sample};

    #[test]
    fn three_digits() {
        assert_eq!(duration(12.345), "12.3 ns");
        assert_eq!(duration(4_567_000.0), "4.57 ms");
        assert_eq!(duration(2.5e9), "2.50 s");
        assert_eq!(times(Some(193.7)), "194x");
        assert_eq!(times(None), "-");
    }

    #[test]
    fn the_same_figures_in_three_forms() {
        let suite = [
            Benchmark { group: "g", name: "a", what: "first" },
            Benchmark { group: "g", name: "b", what: "second" },
        ];
        let mut results = Results::default();
        let mut add = |machine, name: &str, ns: f64| {
            let cpu = CpuTime { user: ns, system: 0.0 };
            results.add(machine, name, Outcome::Measured(Sample { ns, cpu, rounds: 1, check: 1 }));
        };
        add("ours", "a", 1000.0);
        add("peer", "a", 2000.0);
        add("ours", "b", 1000.0);
        add("peer", "b", 8000.0);
        let host = Host {
            date: "2026-01-02".into(),
            commit: "abc".into(),
            processor: "P".into(),
            processors: 2,
            load: 0.5,
        };
        let report = Report {
            host,
            complete: true,
            scaling: false,
            cpu: "max",
            cpus: 1,
            rounds: 1,
            ms: 500,
            versions: vec![("ours", "understage 1".into())],
            compilers: vec!["cc 1".into()],
            machines: vec!["ours", "peer"],
            suite: &suite,
            results: &results,
        };
        let text = report.text();
        assert!(text.contains("\na            1.00 us  2.00 us      2.00x   2.00x\n"), "{text}");
        assert!(text.contains("\nmean of all                        4.00x   4.00x\n"), "{text}");
        let markdown = report.markdown();
        assert!(
            markdown.contains("| benchmark | ours | peer | peer/ours | by CPU |\n|---|--:|--:|--:|--:|\n")
        );
        assert!(markdown.contains("| b | 1.00 us | 8.00 us | 8.00x | 8.00x |\n"));
        let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["benchmarks"][1]["machines"]["peer"]["median_ns"], 8000.0);
        assert!((json["means"]["all"]["peer/ours"]["time"].as_f64().unwrap() - 4.0).abs() < 1e-9);
    }
}
