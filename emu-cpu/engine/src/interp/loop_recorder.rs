//! Records loops, to compile each as one unit: some rounds of a hot loop are interpreted, to see which blocks it has and which
//! edges control takes between them.
//!
//! A unit has all that was recorded of rounds that came back to the loop's head: branches that join again, inner loops, and
//! calls of functions with what they do, in whichever page. A round that returns from the function of the head has left
//! the loop: else the code around a loop would become a part of it.

/// Limits of a loop: what is longer gains little by being compiled as one unit.
const MAX_LOOP_BLOCKS: usize = 32;
const MAX_LOOP_UOPS: usize = 500;
/// The most blocks that one round runs.
const MAX_ROUND_BLOCKS: usize = 100;
/// How often one block may run in a round. An inner loop that goes round more often is better off as a unit of its own, with
/// registers for what it uses.
const MAX_RUNS_IN_ROUND: usize = 6;
/// A short loop is unrolled so many times, at most, and to so many operations.
const MAX_UNROLL: usize = 4;
const MAX_UNROLLED_UOPS: usize = 32;
/// Rounds in a row that add no edge, after which the recording is complete.
const STABLE_ROUNDS: usize = 12;
/// The most rounds that are recorded.
const MAX_ROUNDS: usize = 100;
/// Rounds that do not come back to the head, after which the recording ends if none has come back, and in any case.
const MAX_LOST_IF_NONE_CLOSED: usize = 5;
const MAX_LOST: usize = 50;

/// The most targets of an indirect branch that are compared with.
pub(super) const TARGETS: usize = 3;
/// In place of the number of an exit: an indirect branch.
pub(super) const INDIRECT: usize = 2;

/// Control went from one block to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Edge {
    from: u32,
    /// The exit, or [`INDIRECT`].
    n: usize,
    to: u32,
    /// How often it was taken.
    times: u32,
}

/// A block of a recorded loop. They are in the order in which they are compiled, and name each other by their places in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LoopBlock {
    pub block: u32,
    /// Virtual page of its code.
    pub page: u64,
    /// Where its exits lead; `None`: out of the loop.
    pub successors: [Option<usize>; 2],
    /// Where an indirect branch at its end leads, the most frequent successor first.
    pub indirect_successors: [Option<usize>; TARGETS],
    /// How often it ran.
    pub frequency: u32,
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
pub(super) struct LoopRecorder {
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
    /// Rounds since the last one that added an edge.
    stable: usize,
    /// Rounds that did not come back to the head.
    lost: usize,
    /// Rounds that came back, but would have made the loop too long, or had a branch with too many targets.
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

impl LoopRecorder {
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
            stable: 0,
            lost: 0,
            refused: 0,
            depth: 0,
        }
    }

    /// True between two rounds, until control is at the head again.
    pub(super) fn is_between_rounds(&self) -> bool {
        self.steps.is_empty()
    }

    /// True if this block, which is in this page and not the head, may be the next one of the round.
    pub(super) fn accepts(&self, block: u32, page: u64) -> bool {
        let mut times = 0;
        let one_page = self.steps.iter().filter(|s| s.block == block).all(|s| {
            times += 1;
            s.page == page
        });
        // Context and pages of the other half of the address space are others.
        let half = |page: u64| page >> 55 & 1;
        !self.steps.is_empty()
            && self.depth >= 0
            && self.steps.len() < MAX_ROUND_BLOCKS
            && one_page
            && times < MAX_RUNS_IN_ROUND
            && half(page) == half(self.page)
    }

    /// A block in a page has run, with so many operations, and was left by exit `n` or an indirect branch. `last` is its
    /// last instruction.
    pub(super) fn record(&mut self, (block, page): (u32, u64), n: usize, uops: usize, last: u32) {
        self.steps.push(Step { block, page, n, uops });
        self.depth += depth_after(last);
    }

    /// True if the function has been returned from that the head is in: the head, if that comes next, is another one.
    pub(super) fn has_returned(&self) -> bool {
        self.depth < 0
    }

    /// Ends a round, which came back to the head if it `closes`. True if the recording is complete.
    pub(super) fn end_round(&mut self, closes: bool) -> bool {
        let steps = std::mem::take(&mut self.steps);
        self.depth = 0;
        self.rounds += 1;
        if closes {
            let known = self.edges.len();
            self.add(&steps);
            self.stable = if self.edges.len() == known { self.stable + 1 } else { 0 };
        } else {
            self.lost += 1;
        }
        self.stable >= STABLE_ROUNDS
            || self.rounds >= MAX_ROUNDS
            || self.lost >= if self.edges.is_empty() { MAX_LOST_IF_NONE_CLOSED } else { MAX_LOST }
    }

    fn knows(&self, block: u32) -> bool {
        self.edges.iter().any(|e| e.from == block)
    }

    /// Adds the edges of a round, unless the loop would become too long.
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
        let too_long = self.pages.len() + fresh.len() > MAX_LOOP_BLOCKS || uops > MAX_LOOP_UOPS;
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

    /// The blocks of the loop in reverse postorder: the head first, each before its successors but for back edges. Empty if no
    /// round came back, or many that did were refused: such a loop would be left all the time.
    pub(super) fn loop_blocks(&self) -> Vec<LoopBlock> {
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
        let member = |block: &u32| LoopBlock {
            block: *block,
            page: page(*block),
            successors: [exit(*block, 0), exit(*block, 1)],
            indirect_successors: targets(*block),
            frequency: self.edges.iter().filter(|e| e.from == *block).map(|e| e.times).sum(),
        };
        unrolled(order.iter().map(member).collect(), self.uops)
    }

    /// Depth first, in postorder. The most frequent successor is visited last, so that it comes next in the code.
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

/// Unrolls a short loop: what a unit does once in a round, as the poll for requests, it then does once in several rounds of
/// the guest's.
fn unrolled(once: Vec<LoopBlock>, uops: usize) -> Vec<LoopBlock> {
    let copies = (MAX_UNROLLED_UOPS / uops.max(1)).min(MAX_UNROLL);
    if copies < 2 {
        return once;
    }
    let n = once.len();
    let copy = |i: usize| {
        let place = move |to: Option<usize>| match to {
            Some(0) => Some((i + 1) % copies * n),
            to => to.map(|to| i * n + to),
        };
        once.iter().map(move |m| LoopBlock {
            successors: m.successors.map(place),
            indirect_successors: m.indirect_successors.map(place),
            ..*m
        })
    };
    (0..copies).flat_map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(recorder: &mut LoopRecorder, steps: &[(u32, usize)]) -> bool {
        steps.iter().for_each(|(block, n)| recorder.record((*block, 0), *n, 10, 0));
        recorder.end_round(true)
    }

    #[test]
    fn branches_that_join_are_one_loop() {
        let mut r = LoopRecorder::new(1, 0);
        let (often, seldom) = ([(1, 0), (2, 0), (4, 0)], [(1, 1), (3, 0), (4, 0)]);
        while !(round(&mut r, &often) || round(&mut r, &seldom) || round(&mut r, &often)) {}
        let members = r.loop_blocks();
        assert_eq!(members.iter().map(|m| m.block).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(members[0].successors, [Some(1), Some(2)]);
        assert_eq!((members[1].successors, members[2].successors), ([Some(3), None], [Some(3), None]));
        assert_eq!(members[3].successors, [Some(0), None], "back to the head");
        assert_eq!(members[0].frequency, members[1].frequency + members[2].frequency);
    }

    #[test]
    fn a_loop_inside_is_a_part_of_it() {
        let mut r = LoopRecorder::new(1, 0);
        while !round(&mut r, &[(1, 0), (2, 0), (2, 0), (2, 1), (5, 0)]) {}
        let members = r.loop_blocks();
        assert_eq!(members.iter().map(|m| m.block).collect::<Vec<_>>(), [1, 2, 5]);
        assert_eq!(members[1].successors, [Some(1), Some(2)]);
    }

    #[test]
    fn a_function_returns_to_where_it_was_called_from() {
        let mut r = LoopRecorder::new(1, 0x1000);
        let mut over = false;
        while !over {
            let call = [(0x1000, 0, 0x9400_0001), (0x5000, INDIRECT, 0xd65f_03c0)];
            for (block, (page, n, last)) in [1, 7, 2, 7].into_iter().zip(call.into_iter().cycle()) {
                assert!(r.is_between_rounds() || r.accepts(block, page));
                r.record((block, page), n, 10, last);
            }
            r.record((3, 0x1000), 0, 10, 0);
            over = r.end_round(true);
        }
        assert!(!r.accepts(7, 0x6000), "between two rounds");
        let members = r.loop_blocks();
        let function = members.iter().find(|m| m.block == 7).unwrap();
        assert_eq!((function.page, function.successors), (0x5000, [None; 2]));
        let mut back: Vec<u32> =
            function.indirect_successors.iter().flatten().map(|n| members[*n].block).collect();
        back.sort_unstable();
        assert_eq!(back, [2, 3]);
    }

    #[test]
    fn a_branch_with_many_targets_has_few() {
        let mut r = LoopRecorder::new(1, 0);
        let to = |r: &mut LoopRecorder, target: u32| {
            r.record((1, 0), INDIRECT, 10, 0);
            r.record((target, 0), 0, 10, 0);
            r.end_round(true);
        };
        (2..=2 + TARGETS as u32).for_each(|target| to(&mut r, target));
        assert_eq!(r.loop_blocks().len(), 1 + TARGETS, "it hardly ever goes elsewhere");
        (6..20).for_each(|target| to(&mut r, target));
        assert!(r.loop_blocks().is_empty(), "it does");
    }

    #[test]
    fn depth_of_calls() {
        let (blr, blraaz, ret, retaa, br) = (0xd63f_0020, 0xd63f_083f, 0xd65f_03c0, 0xd65f_0bff, 0xd61f_0020);
        assert_eq!(
            [0x9400_0000, 0x97ff_ffff, blr, blraaz, ret, retaa, br, 0x1400_0000].map(depth_after),
            [1, 1, 1, 1, -1, -1, 0, 0]
        );
        let mut r = LoopRecorder::new(1, 0);
        r.record((1, 0), 0, 10, blr);
        r.record((2, 0), INDIRECT, 10, ret);
        assert!(r.accepts(3, 0));
        r.record((3, 0), INDIRECT, 10, ret);
        assert!(r.has_returned() && !r.accepts(4, 0));
    }

    #[test]
    fn rounds_that_do_not_come_back_are_given_up() {
        let mut r = LoopRecorder::new(1, 0);
        for n in 1..=MAX_LOST_IF_NONE_CLOSED {
            r.record((1, 0), 0, 10, 0);
            assert_eq!(r.end_round(false), n == MAX_LOST_IF_NONE_CLOSED);
        }
        assert!(r.loop_blocks().is_empty());
    }

    #[test]
    fn what_makes_a_loop_too_long_is_left_out() {
        let mut r = LoopRecorder::new(1, 0);
        assert!(!round(&mut r, &[(1, 0), (2, 0)]));
        r.record((1, 0), 1, 10, 0);
        r.record((3, 0), 0, MAX_LOOP_UOPS, 0);
        assert!(!r.end_round(true));
        for _ in 0..2 {
            assert!(!round(&mut r, &[(1, 0), (2, 0)]));
        }
        assert_eq!(r.loop_blocks().len(), 2);
        assert_eq!(r.loop_blocks()[0].successors, [Some(1), None]);
    }

    #[test]
    fn a_short_loop_is_there_several_times() {
        let edges =
            |members: &[LoopBlock]| members.iter().map(|m| (m.block, m.successors)).collect::<Vec<_>>();
        let mut one = LoopRecorder::new(1, 0);
        one.record((1, 0), 1, 10, 0);
        one.end_round(true);
        let places = [[None, Some(1)], [None, Some(2)], [None, Some(0)]];
        assert_eq!(edges(&one.loop_blocks()), places.map(|to| (1, to)));
        let mut two = LoopRecorder::new(1, 0);
        [(1, 0), (2, 1)].into_iter().for_each(|(block, n)| two.record((block, 0), n, 8, 0));
        two.end_round(true);
        let places = [[Some(1), None], [None, Some(2)], [Some(3), None], [None, Some(0)]];
        let blocks = [1, 2, 1, 2];
        assert_eq!(edges(&two.loop_blocks()), blocks.into_iter().zip(places).collect::<Vec<_>>());
        let mut long = LoopRecorder::new(1, 0);
        long.record((1, 0), 1, 17, 0);
        long.end_round(true);
        assert_eq!(edges(&long.loop_blocks()), [(1, [None, Some(0)])]);
    }
}
