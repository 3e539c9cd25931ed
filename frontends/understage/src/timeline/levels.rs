//! What exceptions and returns begin and end on a CPU's track.
//!
//! A slice lasts from an exception to the return from it. Software need not return from each, in order: it may switch to another
//! thread, or another guest, in between. What is sure is the level: below a level nothing of it goes on.

/// Slices of one level, one in the other: more are not begun.
const DEEPEST: usize = 16;

/// What changes on the track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// The innermost slice ends.
    End,
    /// One begins.
    Begin(String),
}

/// The slices that go on: the level that each is at, from the outermost on. They do not get lower.
#[derive(Default)]
pub(super) struct Levels(Vec<u64>);

impl Levels {
    /// An exception was taken to level `to`.
    pub(super) fn entered(&mut self, to: u64, name: String) -> Vec<Change> {
        let mut changes = self.leave(|level| level > to);
        if self.0.iter().filter(|level| **level == to).count() >= DEEPEST {
            self.0.pop();
            changes.push(Change::End);
        }
        self.0.push(to);
        changes.push(Change::Begin(name));
        changes
    }

    /// An exception return has come to level `to`.
    pub(super) fn returned(&mut self, to: u64) -> Vec<Change> {
        let changes = self.leave(|level| level > to);
        if !changes.is_empty() || self.0.last() != Some(&to) {
            return changes;
        }
        // From a level to itself.
        self.0.pop();
        vec![Change::End]
    }

    /// All of them end; gives how many.
    pub(super) fn end(&mut self) -> usize {
        self.leave(|_| true).len()
    }

    fn leave(&mut self, ends: impl Fn(u64) -> bool) -> Vec<Change> {
        let stay = self.0.iter().position(|level| ends(*level)).unwrap_or(self.0.len());
        let left = self.0.len() - stay;
        self.0.truncate(stay);
        vec![Change::End; left]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(name: &str) -> Change {
        Change::Begin(name.to_owned())
    }

    #[test]
    fn a_system_call_with_an_exit_in_it() {
        let mut levels = Levels::default();
        assert_eq!(levels.returned(0), [], "a first process is returned to, and nothing was entered");
        assert_eq!(levels.entered(1, "SVC".into()), [begin("SVC")]);
        assert_eq!(levels.entered(2, "HVC".into()), [begin("HVC")]);
        assert_eq!(levels.returned(1), [Change::End]);
        assert_eq!(levels.entered(1, "IRQ".into()), [begin("IRQ")]);
        assert_eq!(levels.returned(1), [Change::End], "the IRQ's");
        assert_eq!(levels.returned(0), [Change::End], "the SVC's");
    }

    #[test]
    fn a_return_to_another_guest_ends_what_was_above_it() {
        let mut levels = Levels::default();
        levels.entered(1, "SVC".into());
        levels.entered(2, "IRQ".into());
        assert_eq!(levels.returned(0), [Change::End, Change::End]);
        assert_eq!(levels.end(), 0);
    }

    #[test]
    fn exceptions_that_nobody_returns_from_do_not_pile_up() {
        let mut levels = Levels::default();
        let begun =
            (0..1000).filter(|n| levels.entered(1, n.to_string()).contains(&begin(&n.to_string()))).count();
        assert_eq!((begun, levels.end()), (1000, DEEPEST));
    }
}
