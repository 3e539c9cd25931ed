//! What a block's values are used for: the facts that placement ([`super::predecode`]) needs.

use emu_a64::ir::{Acc, BinOp, Block, MemSize, Op, Order, Register, Term, Ty, Val};

/// Uses of one value.
#[derive(Clone, Copy, Default)]
pub(super) struct Use {
    /// How many.
    pub count: u16,
    /// Index of the last operation that needs it (the terminator is the number of operations); `None` if dead.
    pub last: Option<u16>,
    /// Not computed where it stands, but as part of its only user.
    pub deferred: bool,
}

/// Uses of every value, and which operations do nothing.
pub(super) struct Liveness {
    pub uses: Vec<Use>,
    /// The operation must be executed.
    pub live: Vec<bool>,
}

/// The constant that `v` is, if it is one.
pub(super) fn constant(block: &Block, v: Val) -> Option<u64> {
    match block.insts.get(v.0 as usize)?.op {
        Op::Const(_, c) => Some(c),
        _ => None,
    }
}

/// True for accesses that the interpreter's fast loads and stores make.
pub(super) fn is_plain(acc: &Acc) -> bool {
    acc.order == Order::Plain && !acc.unpriv
}

impl Liveness {
    pub(super) fn new(block: &Block) -> Self {
        let n = block.insts.len();
        let mut this = Self { uses: vec![Use::default(); n], live: vec![false; n] };
        let users = this.count(block);
        this.defer(block, &users);
        this.backward(block);
        this
    }

    /// Counts uses; gives the last user of each value.
    fn count(&mut self, block: &Block) -> Vec<usize> {
        let n = block.insts.len();
        let mut users = vec![usize::MAX; n];
        let mut note = |v: Val, user: usize| {
            self.uses[v.0 as usize].count += 1;
            users[v.0 as usize] = user;
        };
        for (i, inst) in block.insts.iter().enumerate() {
            inst.op.args().into_iter().filter(|v| v.is_some()).for_each(|v| note(v, i));
        }
        if let Some((v, _)) = block.term.operand() {
            note(v, n);
        }
        users
    }

    /// Marks the values that their only user computes: conditions, shifted operands, address offsets.
    fn defer(&mut self, block: &Block, users: &[usize]) {
        let n = block.insts.len();
        for (i, inst) in block.insts.iter().enumerate() {
            if self.uses[i].count != 1 {
                continue;
            }
            let user = users[i];
            let user_op = block.insts.get(user).filter(|u| u.insn == inst.insn).map(|u| &u.op);
            let me = Val(i as u16);
            let by_if = user == n && matches!(block.term, Term::If { .. });
            self.uses[i].deferred = match inst.op {
                Op::Test(..) => {
                    by_if
                        || matches!(user_op, Some(Op::Select(_, c, a, b)) if *c == me && *a != me && *b != me)
                }
                Op::IsZero(..) | Op::NonZero(..) | Op::NotI1(_) => by_if,
                Op::Bit(..) => {
                    by_if || matches!(user_op, Some(Op::NotI1(_))) && self.only_branch(block, users, user)
                }
                Op::VFromPair(..) => {
                    matches!(user_op, Some(Op::Store { size: MemSize::B16, acc, .. }) if is_plain(acc) && acc.elem_align == Some(MemSize::B8))
                }
                Op::Bin(BinOp::Shl, Ty::I64, _, n) => {
                    constant(block, n).is_some() && matches!(user_op, Some(Op::Bin(BinOp::Add, Ty::I64, ..)))
                }
                Op::Bin(BinOp::Add, Ty::I64, a, c) => {
                    let offset = constant(block, c).is_some_and(|c| i32::try_from(c as i64).is_ok());
                    let base = constant(block, a).is_none() && !self.uses[a.0 as usize].deferred;
                    let by_access = match user_op {
                        Some(Op::Load { acc, addr, .. }) => is_plain(acc) && *addr == me,
                        Some(Op::Store { acc, addr, .. }) => is_plain(acc) && *addr == me,
                        _ => false,
                    };
                    offset && base && by_access
                }
                _ => false,
            };
        }
    }

    /// True if the only use of value `i` is the condition of the block's branch.
    fn only_branch(&self, block: &Block, users: &[usize], i: usize) -> bool {
        self.uses[i].count == 1 && users[i] == block.insts.len() && matches!(block.term, Term::If { .. })
    }

    /// Last uses and liveness, from the end; a flag write that the next flag write hides is dead.
    fn backward(&mut self, block: &Block) {
        let n = block.insts.len() as u16;
        if let Some((v, _)) = block.term.operand() {
            self.uses[v.0 as usize].last = Some(n);
        }
        let mut flags_hidden = false;
        for (i, inst) in block.insts.iter().enumerate().rev() {
            let (op, facts) = (&inst.op, inst.op.facts());
            let used = self.uses[i].last.is_some();
            let live = match facts.writes {
                Some(Register::Nzcv) => !std::mem::replace(&mut flags_hidden, true),
                _ => used || facts.has_effect,
            };
            self.live[i] = live;
            if !live {
                continue;
            }
            if facts.reads == Some(Register::Nzcv) || facts.can_fault {
                flags_hidden = false;
            }
            let at = if self.uses[i].deferred { self.uses[i].last } else { Some(i as u16) };
            for v in op.args().into_iter().filter(|v| v.is_some()) {
                let last = &mut self.uses[v.0 as usize].last;
                *last = (*last).max(at);
            }
        }
    }
}
