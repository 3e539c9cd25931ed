//! Loops in the making: some rounds are interpreted, to see which blocks a loop has and how control goes from one to the
//! next.
//!
//! What is compiled is all that was seen of rounds that came back to the head, inside one page: a loop may have branches
//! that join again, and loops inside.

/// The most blocks of a loop, and operations in them: what is longer gains little by being compiled as one.
const LONGEST_LOOP: (usize, usize) = (32, 500);
/// The most blocks that one round runs.
const LONGEST_ROUND: usize = 100;
/// How often one block may run in a round. A loop inside that goes round more often is better off as a unit of its own, with
/// registers for what it uses.
const REPEATS: usize = 6;
/// Rounds that show nothing new, after which no more are looked at.
const QUIET: usize = 12;
/// The most rounds that are looked at.
const ROUNDS: usize = 100;
/// Rounds that do not come back, after which a loop is given up if no others were seen.
const LOST: usize = 5;

/// A way from a block to another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Edge {
    from: u32,
    n: usize,
    to: u32,
    /// How often it was taken.
    times: u32,
}

/// A block of a loop, in the order in which they are compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub block: u32,
    /// Where its exits lead: places in that order. `None`: out of the loop.
    pub to: [Option<usize>; 2],
    /// How often it ran.
    pub weight: u32,
}

/// See the module's head.
pub(super) struct Round {
    /// The block where rounds begin.
    pub head: u32,
    /// Virtual page of its code.
    pub page: u64,
    /// The current round so far: blocks, each with the exit by which it was left, and how many operations it has.
    steps: Vec<(u32, usize, usize)>,
    edges: Vec<Edge>,
    /// Operations in all blocks of `edges`.
    uops: usize,
    rounds: usize,
    /// Rounds that showed nothing new, since one did.
    quiet: usize,
    /// Rounds that did not come back.
    lost: usize,
}

impl Round {
    /// At the block `head`, in the virtual page `page`.
    pub(super) fn new(head: u32, page: u64) -> Self {
        Self { head, page, steps: Vec::new(), edges: Vec::new(), uops: 0, rounds: 0, quiet: 0, lost: 0 }
    }

    /// True between two rounds, on the way to the head.
    pub(super) fn is_between(&self) -> bool {
        self.steps.is_empty()
    }

    /// True if the round may go on with a block that is not the head, and is in this page.
    pub(super) fn goes_on_with(&self, block: u32, page: u64) -> bool {
        let times = || self.steps.iter().filter(|s| s.0 == block).count();
        page == self.page && !self.steps.is_empty() && self.steps.len() < LONGEST_ROUND && times() < REPEATS
    }

    /// A block has run, with so many operations, and was left by exit `n`.
    pub(super) fn step(&mut self, block: u32, n: usize, uops: usize) {
        self.steps.push((block, n & 1, uops));
    }

    /// A round is over; true if nothing more has to be seen.
    pub(super) fn over(&mut self, closes: bool) -> bool {
        let steps = std::mem::take(&mut self.steps);
        self.rounds += 1;
        if closes {
            let known = self.edges.len();
            self.add(&steps);
            self.quiet = if self.edges.len() == known { self.quiet + 1 } else { 0 };
        } else {
            self.lost += 1;
        }
        self.quiet >= QUIET || self.rounds >= ROUNDS || self.lost >= LOST && self.lost * 2 > self.rounds
    }

    fn knows(&self, block: u32) -> bool {
        self.edges.iter().any(|e| e.from == block)
    }

    /// Adds what was new in a round, unless the loop would become too long.
    fn add(&mut self, steps: &[(u32, usize, usize)]) {
        let mut fresh: Vec<(u32, usize)> =
            steps.iter().filter(|s| !self.knows(s.0)).map(|s| (s.0, s.2)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let uops = self.uops + fresh.iter().map(|b| b.1).sum::<usize>();
        let mut blocks: Vec<u32> =
            self.edges.iter().map(|e| e.from).chain(fresh.iter().map(|b| b.0)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        if blocks.len() > LONGEST_LOOP.0 || uops > LONGEST_LOOP.1 {
            return;
        }
        self.uops = uops;
        let targets = steps.iter().skip(1).map(|s| s.0).chain([self.head]);
        for ((from, n, _), to) in steps.iter().copied().zip(targets) {
            match self.edges.iter_mut().find(|e| (e.from, e.n, e.to) == (from, n, to)) {
                Some(edge) => edge.times += 1,
                None => self.edges.push(Edge { from, n, to, times: 1 }),
            }
        }
    }

    /// The blocks of the loop, its head first, each before those that it leads to but for jumps back. Empty if no round
    /// came back.
    pub(super) fn members(&self) -> Vec<Member> {
        let mut order = Vec::new();
        if self.knows(self.head) {
            self.visit(self.head, &mut Vec::new(), &mut order);
        }
        order.reverse();
        let place = |block: u32| order.iter().position(|b| *b == block);
        let exit = |from: u32, n: usize| {
            self.edges.iter().find(|e| (e.from, e.n) == (from, n)).and_then(|e| place(e.to))
        };
        let member = |block: &u32| Member {
            block: *block,
            to: [exit(*block, 0), exit(*block, 1)],
            weight: self.edges.iter().filter(|e| e.from == *block).map(|e| e.times).sum(),
        };
        order.iter().map(member).collect()
    }

    /// Depth first; what is behind a block comes before it in `order`, and the way that is taken most often last.
    fn visit(&self, block: u32, seen: &mut Vec<u32>, order: &mut Vec<u32>) {
        seen.push(block);
        let mut edges: Vec<&Edge> = self.edges.iter().filter(|e| e.from == block).collect();
        edges.sort_by_key(|e| e.times);
        for edge in edges {
            if !seen.contains(&edge.to) {
                self.visit(edge.to, seen, order);
            }
        }
        order.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(round: &mut Round, steps: &[(u32, usize)]) -> bool {
        steps.iter().for_each(|(block, n)| round.step(*block, *n, 10));
        round.over(true)
    }

    #[test]
    fn branches_that_join_are_one_loop() {
        let mut r = Round::new(1, 0);
        let (often, seldom) = ([(1, 0), (2, 0), (4, 0)], [(1, 1), (3, 0), (4, 0)]);
        while !(round(&mut r, &often) || round(&mut r, &seldom) || round(&mut r, &often)) {}
        let members = r.members();
        assert_eq!(members.iter().map(|m| m.block).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(members[0].to, [Some(1), Some(2)]);
        assert_eq!((members[1].to, members[2].to), ([Some(3), None], [Some(3), None]));
        assert_eq!(members[3].to, [Some(0), None], "back to the head");
        assert_eq!(members[0].weight, members[1].weight + members[2].weight);
    }

    #[test]
    fn a_loop_inside_is_a_part_of_it() {
        let mut r = Round::new(1, 0);
        while !round(&mut r, &[(1, 0), (2, 0), (2, 0), (2, 1), (5, 0)]) {}
        let members = r.members();
        assert_eq!(members.iter().map(|m| m.block).collect::<Vec<_>>(), [1, 2, 5]);
        assert_eq!(members[1].to, [Some(1), Some(2)]);
    }

    #[test]
    fn rounds_that_do_not_come_back_are_given_up() {
        let mut r = Round::new(1, 0);
        for n in 1..=LOST {
            r.step(1, 0, 10);
            assert_eq!(r.over(false), n == LOST);
        }
        assert!(r.members().is_empty());
    }

    #[test]
    fn what_makes_a_loop_too_long_is_left_out() {
        let mut r = Round::new(1, 0);
        assert!(!round(&mut r, &[(1, 0), (2, 0)]));
        r.step(1, 1, 10);
        r.step(3, 0, LONGEST_LOOP.1);
        assert!(!r.over(true));
        assert_eq!(r.members().len(), 2);
        assert_eq!(r.members()[0].to, [Some(1), None]);
    }
}
