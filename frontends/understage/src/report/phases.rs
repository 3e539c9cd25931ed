//! The ways in a ledger's file: its phases.

use super::{Report, VERSION, Way, costs};
use crate::config::HostFile;
use crate::error::{UserError, user_error};
use crate::ledger::{self, Closed, Phase, START};

/// A mark of this name ends what is measured, and begins nothing.
const END: &str = "end";
/// The most ways that a report has beside each other.
const MOST: usize = 12;

/// The report of a ledger.
pub(super) fn report(file: &HostFile) -> Result<Report, UserError> {
    let ways = ways(&ledger::read(file)?);
    match ways.len() {
        0 => Err(user_error!(
            "{} has no phases to compare: its guest has made no mark (docs/ledger.md says how)",
            file.describe()
        )),
        n if n > MOST => Err(user_error!("{} has {n} phases, and a report shows {MOST}", file.describe())),
        _ => Ok(Report { version: VERSION, time: None, ways }),
    }
}

fn ways(closed: &Closed) -> Vec<Way> {
    closed.phases.iter().filter(|phase| phase.name != START && phase.name != END).map(way).collect()
}

/// A phase whose name is `NAME/OPERATIONS/UNIT`, or the first of these parts.
fn way(phase: &Phase) -> Way {
    let mut parts = phase.name.splitn(3, '/');
    let title = parts.next().unwrap_or_default().to_owned();
    let operations = parts.next().and_then(|n| n.parse().ok()).filter(|n| *n != 0).unwrap_or(1);
    let unit = parts.next().unwrap_or("phase").to_owned();
    let costs = costs::of(&phase.done);
    let name = phase.name.clone();
    Way { title, name, unit, operations, payload_bytes: 0, costs, ledger: phase.done.clone() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ledger::Statement;

    fn phase(name: &str, hvc: u64) -> Phase {
        let counts = BTreeMap::from([("to_el2_ec_0x16".to_owned(), hvc)]);
        let accounts = BTreeMap::from([("cpu0".to_owned(), counts.clone()), ("cpu1".to_owned(), counts)]);
        Phase { name: name.to_owned(), begin_ns: 0, done: Statement { ns: 7, accounts } }
    }

    #[test]
    fn marks_say_how_many_operations_there_are_of_what() {
        let phases =
            vec![phase("start", 1), phase("virtio/100/4 KiB read", 50), phase("nvme", 2), phase("end", 9)];
        let closed = Closed { phases, whole: Statement::default() };
        let ways = ways(&closed);
        let said: Vec<_> = ways.iter().map(|w| (w.title.as_str(), w.operations, w.unit.as_str())).collect();
        assert_eq!(said, [("virtio", 100, "4 KiB read"), ("nvme", 1, "phase")]);
        // Both CPUs together.
        let hvc = ways[0].costs.iter().find(|cost| cost.key == "exits_hvc").unwrap();
        assert_eq!(hvc.count, 100);
    }
}
