//! What the machine counted, as a table.

use emu_core::metrics::{Counters, Metric};

use super::build::Board;

/// Digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// One line for each thing that was counted at all, summed over the CPUs and the devices.
#[must_use]
pub fn table(board: &Board) -> String {
    let sets: Vec<&Counters> =
        board.cpu_counters.iter().map(|c| &**c).chain(std::iter::once(&*board.counters)).collect();
    let mut out = String::new();
    for m in Metric::ALL {
        let sum: u64 = sets.iter().map(|s| s.get(*m)).fold(0, u64::wrapping_add);
        if sum != 0 {
            out.push_str(&format!("{:>20}  {}\n", grouped(sum), m.name()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
