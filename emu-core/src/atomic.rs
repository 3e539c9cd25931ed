//! Atomic accesses of masters: memory reads, changes and writes a word in one action.

/// What becomes of the word that is there. This is what a PCI Express function (AtomicOps; PCIe 6.0, 6.15) and a master of an AMBA
/// interconnect (AtomicLoad with ADD, AtomicSwap, AtomicCompare) can both ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation<T> {
    /// This is added to it. A carry out of it is lost.
    FetchAdd(T),
    /// This replaces it.
    Swap(T),
    /// `new` replaces it, if it is `expected`.
    CompareAndSwap {
        /// What must be there.
        expected: T,
        /// What is there afterwards.
        new: T,
    },
}

impl<T: Copy + PartialEq> Operation<T> {
    /// What is written over `old`, if anything is.
    pub(crate) fn over(self, old: T, add: impl FnOnce(T, T) -> T) -> Option<T> {
        match self {
            Self::FetchAdd(value) => Some(add(old, value)),
            Self::Swap(new) => Some(new),
            Self::CompareAndSwap { expected, new } => (old == expected).then_some(new),
        }
    }
}

/// An atomic access to little-endian bytes. They are naturally aligned, or there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Atomic {
    /// Of 4 bytes.
    Word(Operation<u32>),
    /// Of 8 bytes.
    Doubleword(Operation<u64>),
}

impl Atomic {
    /// How many bytes it is of.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Word(_) => 4,
            Self::Doubleword(_) => 8,
        }
    }

    /// Whether it can be made at an address.
    #[must_use]
    pub const fn is_aligned(self, addr: u64) -> bool {
        addr.is_multiple_of(self.bytes() as u64)
    }
}
