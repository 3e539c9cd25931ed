//! What a row of the table of micro-operations ([`super::Uop`]) says, and what is made of it.
//!
//! | in a row | is |
//! |---|---|
//! | `d: Out`, `a: In` | a slot of the integer file that is written, or read |
//! | `f: Flags` | one that holds N, Z, C, V, of which a condition or the carry is asked |
//! | `d: VOut`, `a: VIn` | a slot of the vector file |
//! | `d: [Out by vector]` | a slot of the vector file if the part `vector` says so, else of the integer file |
//! | `imm: u64` | anything else is a constant |
//! | what follows | the facts: methods of [`Facts`]; `plain(a, off, B8, B4, LoadWords { d })` is a [`PlainAccess`] |

use emu_a64::ir::{BarrierKind, ExcOp, LeaveKind, MemSize, PstateField, SysEnc};

/// A slot as an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operand {
    /// Of the integer file, read.
    Reads(u8),
    /// Of the integer file, read as flags.
    ReadsFlags(u8),
    /// Of the integer file, written.
    Writes(u8),
    /// Of the vector file, read.
    ReadsVector(u8),
    /// Of the vector file, written.
    WritesVector(u8),
}

/// The operands of an operation, those that are read first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands {
    list: [Operand; 4],
    used: usize,
}

impl Operands {
    pub(super) const NONE: Self = Self { list: [Operand::Reads(0); 4], used: 0 };

    /// One more.
    #[inline]
    pub(super) const fn and(mut self, operand: Operand) -> Self {
        self.list[self.used] = operand;
        self.used += 1;
        self
    }
}

impl IntoIterator for Operands {
    type Item = Operand;
    type IntoIter = std::iter::Take<std::array::IntoIter<Operand, 4>>;
    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().take(self.used)
    }
}

/// How a loaded integer is extended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extension {
    /// With zeros.
    Zero,
    /// With its sign to 32 bits, with zeros above.
    Sign32,
    /// With its sign to 64 bits.
    Sign64,
}

/// What goes from memory to which slots, or the other way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transfer {
    /// To an integer slot.
    Load {
        /// The slot.
        d: u8,
        /// How it is extended.
        extend: Extension,
    },
    /// Two words to one integer slot.
    LoadWords {
        /// The slot.
        d: u8,
    },
    /// Two doublewords to integer slots.
    LoadPair {
        /// The first one.
        d: u8,
        /// The second one.
        e: u8,
    },
    /// To a vector slot, with zeros above.
    LoadVector {
        /// The slot.
        d: u8,
    },
    /// From an integer slot.
    Store {
        /// The slot.
        b: u8,
    },
    /// Two words from one integer slot.
    StoreWords {
        /// The slot.
        b: u8,
    },
    /// Two doublewords from integer slots.
    StorePair {
        /// The first one.
        b: u8,
        /// The second one.
        c: u8,
    },
    /// From a vector slot.
    StoreVector {
        /// The slot.
        b: u8,
    },
}

impl Transfer {
    /// True if memory is written.
    pub(crate) const fn is_store(self) -> bool {
        match self {
            Self::Load { .. } | Self::LoadWords { .. } | Self::LoadPair { .. } | Self::LoadVector { .. } => {
                false
            }
            Self::Store { .. }
            | Self::StoreWords { .. }
            | Self::StorePair { .. }
            | Self::StoreVector { .. } => true,
        }
    }
}

/// An access that is neither ordered nor unprivileged nor exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlainAccess {
    /// The slot that its address is relative to.
    pub base: u8,
    /// Added to that.
    pub off: i32,
    /// Bytes.
    pub size: MemSize,
    /// What must be aligned when alignment is checked, and what is single-copy atomic.
    pub elem: MemSize,
    /// From where to where.
    pub transfer: Transfer,
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ends {
    /// At exit 0.
    Jump,
    /// At exit 0 if its condition holds, else at exit 1.
    Branch,
    /// At an address in a slot, with this PSTATE.BTYPE.
    Indirect(u8),
    /// With an exception.
    Exception(ExcOp),
    /// With handing over to the machine.
    Leave(LeaveKind),
}

/// What it takes to do an operation a second time with the same result, after registers and memory are put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeat {
    /// Nothing: it depends on nothing but registers and memory, and changes nothing else.
    Always,
    /// It cannot be.
    Never,
    /// As the system register says that is read.
    Read(SysEnc),
    /// As the system register says that is written, or the system instruction.
    Write(SysEnc),
    /// As the field of PSTATE says that is written.
    Field(PstateField),
    /// As the barrier says.
    Barrier(BarrierKind),
}

impl Repeat {
    /// The system register or system instruction that the operation names.
    pub(crate) const fn register(self) -> Option<SysEnc> {
        match self {
            Self::Read(enc) | Self::Write(enc) => Some(enc),
            Self::Always | Self::Never | Self::Field(_) | Self::Barrier(_) => None,
        }
    }
}

/// What is known of an operation beside its operands. By default: it computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// It can raise a synchronous exception.
    pub can_fault: bool,
    /// It makes an access to memory, of which it looks up the page.
    pub accesses: bool,
    /// That access, if it is a plain one.
    pub plain: Option<PlainAccess>,
    /// It runs code of the PE that may look at its registers, or tells others of something.
    pub observable: bool,
    /// It ends the block, in this way.
    pub ends: Option<Ends>,
    /// What it takes to do it again.
    pub repeat: Repeat,
}

/// The words of which the facts of a row are made.
impl Facts {
    /// See the type.
    pub(super) const DEFAULT: Self = Self {
        can_fault: false,
        accesses: false,
        plain: None,
        observable: false,
        ends: None,
        repeat: Repeat::Always,
    };

    /// It can raise a synchronous exception.
    #[inline]
    pub(super) const fn faults(self) -> Self {
        Self { can_fault: true, ..self }
    }
    /// It makes an access to memory, which can fault.
    #[inline]
    pub(super) const fn access(self) -> Self {
        Self { accesses: true, can_fault: true, ..self }
    }
    /// It makes a plain access: relative to `base` plus `off`, of `size` bytes made of elements of `elem`.
    #[inline]
    pub(super) const fn plain(
        self,
        base: u8,
        off: i32,
        size: MemSize,
        elem: MemSize,
        transfer: Transfer,
    ) -> Self {
        Self { plain: Some(PlainAccess { base, off, size, elem, transfer }), ..self }.access()
    }
    /// It is seen outside of registers and memory.
    #[inline]
    pub(super) const fn observable(self) -> Self {
        Self { observable: true, ..self }
    }
    /// It ends the block.
    #[inline]
    pub(super) const fn ends(self, how: Ends) -> Self {
        Self { ends: Some(how), ..self }
    }
    /// It cannot always be done again.
    #[inline]
    pub(super) const fn repeat(self, if_: Repeat) -> Self {
        Self { repeat: if_, ..self }
    }
}

/// Makes the enum of micro-operations, and all that is known about them, of the rows.
macro_rules! micro_operations {
    ($(
        $(#[$doc:meta])*
        $name:ident $( ($($tuple:ident: $tuple_kind:tt),*) )? $( {$($field:ident: $kind:tt),*} )?
            $( , $fact:ident $( ($($argument:tt)*) )? )*;
    )+) => {
        /// One operation. `d` is the destination slot, `a`, `b`, `c` are operand slots.
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs, reason = "each is the operation of the IR with its operands placed")]
        pub enum Uop {
            $(
                $(#[$doc])*
                $name $( ($(part_type!($tuple_kind)),*) )? $( {$($field: part_type!($kind)),*} )?,
            )+
        }

        #[allow(unused_variables, reason = "each row names all of its parts")]
        impl Uop {
            /// What it is called.
            pub(crate) const fn name(&self) -> &'static str {
                match self {
                    $( Self::$name { .. } => stringify!($name), )+
                }
            }

            /// The slots that it reads and writes.
            pub(crate) const fn operands(&self) -> Operands {
                let operands = Operands::NONE;
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            $( $( read!(operands, $field, $kind); )* )?
                            $( $( written!(operands, $field, $kind); )* )?
                            operands
                        }
                    )+
                }
            }

            /// True if it reads this slot of the integer file. (What [`Uop::operands`] says, too, but much is asked of each
            /// operation that is compiled.)
            pub(crate) const fn reads(&self, slot: u8) -> bool {
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            false $( $( || is_read!(slot, $field, $kind) )* )?
                        }
                    )+
                }
            }

            /// True if it writes this slot of the integer file.
            pub(crate) const fn writes(&self, slot: u8) -> bool {
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            false $( $( || is_written!(slot, $field, $kind) )* )?
                        }
                    )+
                }
            }

            /// What is known of it beside its operands.
            #[inline]
            pub(crate) const fn facts(&self) -> Facts {
                use Extension::{Sign32, Sign64, Zero};
                use MemSize::{B1, B2, B4, B8, B16};
                use Transfer::*;
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            Facts::DEFAULT $( .$fact($($($argument)*)?) )*
                        }
                    )+
                }
            }

            /// One of each, no two slots the same.
            #[cfg(test)]
            pub(crate) fn samples() -> Vec<Self> {
                vec![$( {
                    #[allow(unused_mut, reason = "some have no parts")]
                    let mut numbers = FIRST_TEMP..;
                    Self::$name
                        $( ($( { let $tuple = Sample::next(&mut numbers); $tuple } ),*) )?
                        $( {$($field: Sample::next(&mut numbers)),*} )?
                } ),+]
            }

            /// Base and offset of a plain access, to change them.
            pub(crate) const fn base_and_offset(&mut self) -> Option<(&mut u8, &mut i32)> {
                match self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            base_and_offset!($($fact $( ($($argument)*) )?),*)
                        }
                    )+
                }
            }
        }
    };
}

/// The Rust type of a part.
macro_rules! part_type {
    (In) => {
        u8
    };
    (Out) => {
        u8
    };
    (Flags) => {
        u8
    };
    (VIn) => {
        u8
    };
    (VOut) => {
        u8
    };
    ([$($slot:tt)*]) => {
        u8
    };
    ($type:ident) => {
        $type
    };
}

/// A part, if it is a slot that is read, after those that `operands` has.
macro_rules! read {
    ($operands:ident, $part:ident, In) => {
        let $operands = $operands.and(Operand::Reads($part));
    };
    ($operands:ident, $part:ident, Flags) => {
        let $operands = $operands.and(Operand::ReadsFlags($part));
    };
    ($operands:ident, $part:ident, VIn) => {
        let $operands = $operands.and(Operand::ReadsVector($part));
    };
    ($operands:ident, $part:ident, [In by $vector:ident]) => {
        let $operands =
            $operands.and(if $vector { Operand::ReadsVector($part) } else { Operand::Reads($part) });
    };
    ($operands:ident, $part:ident, $other:tt) => {};
}

/// The same, if it is a slot that is written.
macro_rules! written {
    ($operands:ident, $part:ident, Out) => {
        let $operands = $operands.and(Operand::Writes($part));
    };
    ($operands:ident, $part:ident, VOut) => {
        let $operands = $operands.and(Operand::WritesVector($part));
    };
    ($operands:ident, $part:ident, [Out by $vector:ident]) => {
        let $operands =
            $operands.and(if $vector { Operand::WritesVector($part) } else { Operand::Writes($part) });
    };
    ($operands:ident, $part:ident, $other:tt) => {};
}

/// Whether a part is this slot of the integer file, read.
macro_rules! is_read {
    ($slot:ident, $part:ident, In) => {
        $part == $slot
    };
    ($slot:ident, $part:ident, Flags) => {
        $part == $slot
    };
    ($slot:ident, $part:ident, [In by $vector:ident]) => {
        !$vector && $part == $slot
    };
    ($slot:ident, $part:ident, $other:tt) => {
        false
    };
}

/// The same, written.
macro_rules! is_written {
    ($slot:ident, $part:ident, Out) => {
        $part == $slot
    };
    ($slot:ident, $part:ident, [Out by $vector:ident]) => {
        !$vector && $part == $slot
    };
    ($slot:ident, $part:ident, $other:tt) => {
        false
    };
}

/// Base and offset of a row whose facts begin with a plain access.
macro_rules! base_and_offset {
    (plain($base:ident, $off:ident, $($rest:tt)*)) => {
        Some(($base, $off))
    };
    ($($other:tt)*) => {
        None
    };
}

pub(super) use {base_and_offset, is_read, is_written, micro_operations, part_type, read, written};
