//! Loops in the making: some rounds are interpreted, to see which blocks a loop has and how control goes from one to the
//! next.
//!
//! What is compiled is all that was seen of rounds that came back to the head: a loop may have branches that join again,
//! loops inside, and calls of functions with what they do, in whichever page they are. A round that returns from the
//! function which its head is in has left the loop: else what is around a loop would become a part of it.

/// The most blocks of a loop, and operations in them: what is longer gains little by being compiled as one.
const LONGEST_LOOP: (usize, usize) = (32, 500);
/// The most blocks that one round runs.
const LONGEST_ROUND: usize = 100;
/// How often one block may run in a round. A loop inside that goes round more often is better off as a unit of its own, with
/// registers for what it uses.
const REPEATS: usize = 6;
/// How often a short loop is repeated, at most, and how many operations that may make.
const REPEATED: (usize, usize) = (4, 32);
/// Rounds that show nothing new, after which no more are looked at.
const QUIET: usize = 12;
/// The most rounds that are looked at.
const ROUNDS: usize = 100;
/// Rounds that do not come back, after which a loop is given up if no others were seen, and in any case.
const LOST: (usize, usize) = (5, 50);

/// The most targets of an indirect branch that are compared with.
pub(super) const TARGETS: usize = 3;
/// In place of the number of an exit: an indirect branch.
pub(super) const INDIRECT: usize = 2;

/// A way from a block to another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Edge {
    from: u32,
    /// The exit, or [`INDIRECT`].
    n: usize,
    to: u32,
    /// How often it was taken.
    times: u32,
}

/// A block of a loop, in the order in which they are compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub block: u32,
    /// Virtual page of its code.
    pub page: u64,
    /// Where its exits lead: places in that order. `None`: out of the loop.
    pub to: [Option<usize>; 2],
    /// Where it leads by an indirect branch, the way that is taken most often first.
    pub targets: [Option<usize>; TARGETS],
    /// How often it ran.
    pub weight: u32,
}

/// A block that has run.
#[derive(Clone, Copy)]
struct Step {
    block: u32,
    page: u64,
    /// The exit by which it was left, or [`INDIRECT`].
    n: usize,
    /// How many operations it has.
    uops: usize,
}

/// See the module's head.
pub(super) struct Round {
    /// The block where rounds begin.
    pub head: u32,
    /// Virtual page of its code.
    pub page: u64,
    /// The current round so far.
    steps: Vec<Step>,
    edges: Vec<Edge>,
    /// Virtual pages of the blocks in `edges`.
    pages: Vec<(u32, u64)>,
    /// Operations in all blocks of `edges`.
    uops: usize,
    rounds: usize,
    /// Rounds that showed nothing new, since one did.
    quiet: usize,
    /// Rounds that did not come back.
    lost: usize,
    /// Rounds that came back, but were left out.
    refused: usize,
    /// Calls of the current round that have not returned; below zero if it has returned from the head's function.
    depth: i32,
}

/// What the last instruction of a block does to the depth of calls.
fn depth_after(word: u32) -> i32 {
    let is_bl = word & 0xfc00_0000 == 0x9400_0000;
    match word & 0xfeff_f000 {
        // BL; BLR, BLRAA and so on; RET, RETAA and so on.
        _ if is_bl => 1,
        0xd63f_0000 => 1,
        0xd65f_0000 => -1,
        _ => 0,
    }
}

impl Round {
    /// At the block `head`, in the virtual page `page`.
    pub(super) fn new(head: u32, page: u64) -> Self {
        Self {
            head,
            page,
            steps: Vec::new(),
            edges: Vec::new(),
            pages: Vec::new(),
            uops: 0,
            rounds: 0,
            quiet: 0,
            lost: 0,
            refused: 0,
            depth: 0,
        }
    }

    /// True between two rounds, on the way to the head.
    pub(super) fn is_between(&self) -> bool {
        self.steps.is_empty()
    }

    /// True if the round may go on with a block that is not the head, and is in this page.
    pub(super) fn goes_on_with(&self, block: u32, page: u64) -> bool {
        let mut times = 0;
        let one_page = self.steps.iter().filter(|s| s.block == block).all(|s| {
            times += 1;
            s.page == page
        });
        // Context and pages of the other half of the address space are others.
        let half = |page: u64| page >> 55 & 1;
        !self.steps.is_empty()
            && self.depth >= 0
            && self.steps.len() < LONGEST_ROUND
            && one_page
            && times < REPEATS
            && half(page) == half(self.page)
    }

    /// A block in a page has run, with so many operations, and was left by exit `n` or an indirect branch. `last` is its
    /// last instruction.
    pub(super) fn step(&mut self, (block, page): (u32, u64), n: usize, uops: usize, last: u32) {
        self.steps.push(Step { block, page, n, uops });
        self.depth += depth_after(last);
    }

    /// True if the function has been returned from that the head is in: the head, if that comes next, is another one.
    pub(super) fn has_returned(&self) -> bool {
        self.depth < 0
    }

    /// A round is over; true if nothing more has to be seen.
    pub(super) fn over(&mut self, closes: bool) -> bool {
        let steps = std::mem::take(&mut self.steps);
        self.depth = 0;
        self.rounds += 1;
        if closes {
            let known = self.edges.len();
            self.add(&steps);
            self.quiet = if self.edges.len() == known { self.quiet + 1 } else { 0 };
        } else {
            self.lost += 1;
        }
        self.quiet >= QUIET
            || self.rounds >= ROUNDS
            || self.lost >= if self.edges.is_empty() { LOST.0 } else { LOST.1 }
    }

    fn knows(&self, block: u32) -> bool {
        self.edges.iter().any(|e| e.from == block)
    }

    /// Adds what was new in a round, unless the loop would become too long.
    fn add(&mut self, steps: &[Step]) {
        let mut fresh: Vec<&Step> = steps.iter().filter(|s| !self.knows(s.block)).collect();
        fresh.sort_unstable_by_key(|s| s.block);
        fresh.dedup_by_key(|s| s.block);
        let uops = self.uops + fresh.iter().map(|s| s.uops).sum::<usize>();
        let moved = |s: &Step| self.pages.iter().any(|p| p.0 == s.block && p.1 != s.page);
        // A branch with many targets is not compared with a few of them.
        let mut targets: Vec<(u32, u32)> =
            self.edges.iter().filter(|e| e.n == INDIRECT).map(|e| (e.from, e.to)).collect();
        let next = steps.iter().skip(1).map(|s| s.block).chain([self.head]);
        targets.extend(steps.iter().zip(next).filter(|(s, _)| s.n == INDIRECT).map(|(s, to)| (s.block, to)));
        targets.sort_unstable();
        targets.dedup();
        let too_many = targets.chunk_by(|a, b| a.0 == b.0).any(|of_one| of_one.len() > TARGETS);
        let too_long = self.pages.len() + fresh.len() > LONGEST_LOOP.0 || uops > LONGEST_LOOP.1;
        if too_long || too_many || steps.iter().any(moved) {
            self.refused += 1;
            return;
        }
        self.uops = uops;
        self.pages.extend(fresh.iter().map(|s| (s.block, s.page)));
        let targets = steps.iter().skip(1).map(|s| s.block).chain([self.head]);
        for (Step { block: from, n, .. }, to) in steps.iter().copied().zip(targets) {
            match self.edges.iter_mut().find(|e| (e.from, e.n, e.to) == (from, n, to)) {
                Some(edge) => edge.times += 1,
                None => self.edges.push(Edge { from, n, to, times: 1 }),
            }
        }
    }

    /// The blocks of the loop, its head first, each before those that it leads to but for jumps back. Empty if no round
    /// came back, or many that did were left out: such a loop would be left all the time.
    pub(super) fn members(&self) -> Vec<Member> {
        let mut order = Vec::new();
        let closed = self.rounds - self.lost;
        if self.knows(self.head) && self.refused * 4 <= closed {
            self.visit(self.head, &mut Vec::new(), &mut order);
        }
        order.reverse();
        let place = |block: u32| order.iter().position(|b| *b == block);
        let exit = |from: u32, n: usize| {
            self.edges.iter().find(|e| (e.from, e.n) == (from, n)).and_then(|e| place(e.to))
        };
        let targets = |from: u32| {
            let mut edges: Vec<&Edge> =
                self.edges.iter().filter(|e| (e.from, e.n) == (from, INDIRECT)).collect();
            edges.sort_by_key(|e| std::cmp::Reverse(e.times));
            let mut places = edges.into_iter().filter_map(|e| place(e.to));
            [places.next(), places.next(), places.next()]
        };
        let page = |block: u32| self.pages.iter().find(|p| p.0 == block).map_or(self.page, |p| p.1);
        let member = |block: &u32| Member {
            block: *block,
            page: page(*block),
            to: [exit(*block, 0), exit(*block, 1)],
            targets: targets(*block),
            weight: self.edges.iter().filter(|e| e.from == *block).map(|e| e.times).sum(),
        };
        repeated(order.iter().map(member).collect(), self.uops)
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

/// A short loop several times in a row: what there is once in a round of a unit, as the look for requests, is then there once in
/// several rounds of the guest's.
fn repeated(once: Vec<Member>, uops: usize) -> Vec<Member> {
    let copies = (REPEATED.1 / uops.max(1)).min(REPEATED.0);
    if copies < 2 {
        return once;
    }
    let n = once.len();
    let copy = |i: usize| {
        let place = move |to: Option<usize>| match to {
            Some(0) => Some((i + 1) % copies * n),
            to => to.map(|to| i * n + to),
        };
        once.iter().map(move |m| Member { to: m.to.map(place), targets: m.targets.map(place), ..*m })
    };
    (0..copies).flat_map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(round: &mut Round, steps: &[(u32, usize)]) -> bool {
        steps.iter().for_each(|(block, n)| round.step((*block, 0), *n, 10, 0));
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
    fn a_function_returns_to_where_it_was_called_from() {
        let mut r = Round::new(1, 0x1000);
        let mut over = false;
        while !over {
            let call = [(0x1000, 0, 0x9400_0001), (0x5000, INDIRECT, 0xd65f_03c0)];
            for (block, (page, n, last)) in [1, 7, 2, 7].into_iter().zip(call.into_iter().cycle()) {
                assert!(r.is_between() || r.goes_on_with(block, page));
                r.step((block, page), n, 10, last);
            }
            r.step((3, 0x1000), 0, 10, 0);
            over = r.over(true);
        }
        assert!(!r.goes_on_with(7, 0x6000), "between two rounds");
        let members = r.members();
        let function = members.iter().find(|m| m.block == 7).unwrap();
        assert_eq!((function.page, function.to), (0x5000, [None; 2]));
        let mut back: Vec<u32> = function.targets.iter().flatten().map(|n| members[*n].block).collect();
        back.sort_unstable();
        assert_eq!(back, [2, 3]);
    }

    #[test]
    fn a_branch_with_many_targets_has_few() {
        let mut r = Round::new(1, 0);
        let to = |r: &mut Round, target: u32| {
            r.step((1, 0), INDIRECT, 10, 0);
            r.step((target, 0), 0, 10, 0);
            r.over(true);
        };
        (2..=2 + TARGETS as u32).for_each(|target| to(&mut r, target));
        assert_eq!(r.members().len(), 1 + TARGETS, "it hardly ever goes elsewhere");
        (6..20).for_each(|target| to(&mut r, target));
        assert!(r.members().is_empty(), "it does");
    }

    #[test]
    fn depth_of_calls() {
        let (blr, blraaz, ret, retaa, br) = (0xd63f_0020, 0xd63f_083f, 0xd65f_03c0, 0xd65f_0bff, 0xd61f_0020);
        assert_eq!(
            [0x9400_0000, 0x97ff_ffff, blr, blraaz, ret, retaa, br, 0x1400_0000].map(depth_after),
            [1, 1, 1, 1, -1, -1, 0, 0]
        );
        let mut r = Round::new(1, 0);
        r.step((1, 0), 0, 10, blr);
        r.step((2, 0), INDIRECT, 10, ret);
        assert!(r.goes_on_with(3, 0));
        r.step((3, 0), INDIRECT, 10, ret);
        assert!(r.has_returned() && !r.goes_on_with(4, 0));
    }

    #[test]
    fn rounds_that_do_not_come_back_are_given_up() {
        let mut r = Round::new(1, 0);
        for n in 1..=LOST.0 {
            r.step((1, 0), 0, 10, 0);
            assert_eq!(r.over(false), n == LOST.0);
        }
        assert!(r.members().is_empty());
    }

    #[test]
    fn what_makes_a_loop_too_long_is_left_out() {
        let mut r = Round::new(1, 0);
        assert!(!round(&mut r, &[(1, 0), (2, 0)]));
        r.step((1, 0), 1, 10, 0);
        r.step((3, 0), 0, LONGEST_LOOP.1, 0);
        assert!(!r.over(true));
        for _ in 0..2 {
            assert!(!round(&mut r, &[(1, 0), (2, 0)]));
        }
        assert_eq!(r.members().len(), 2);
        assert_eq!(r.members()[0].to, [Some(1), None]);
    }

    #[test]
    fn a_short_loop_is_there_several_times() {
        let ways = |members: &[Member]| members.iter().map(|m| (m.block, m.to)).collect::<Vec<_>>();
        let mut one = Round::new(1, 0);
        one.step((1, 0), 1, 10, 0);
        one.over(true);
        let places = [[None, Some(1)], [None, Some(2)], [None, Some(0)]];
        assert_eq!(ways(&one.members()), places.map(|to| (1, to)));
        let mut two = Round::new(1, 0);
        [(1, 0), (2, 1)].into_iter().for_each(|(block, n)| two.step((block, 0), n, 8, 0));
        two.over(true);
        let places = [[Some(1), None], [None, Some(2)], [Some(3), None], [None, Some(0)]];
        let blocks = [1, 2, 1, 2];
        assert_eq!(ways(&two.members()), blocks.into_iter().zip(places).collect::<Vec<_>>());
        let mut long = Round::new(1, 0);
        long.step((1, 0), 1, 17, 0);
        long.over(true);
        assert_eq!(ways(&long.members()), [(1, [None, Some(0)])]);
    }
}
