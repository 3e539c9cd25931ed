//! What a row of the table of operations ([`super::op`]) says, and what is made of it.
//!
//! | in a row | is |
//! |---|---|
//! | `size: MemSize` | a part of the operation that is known when code is translated |
//! | `a: [I64]`, `a: [ty]`, `a: [Int]` | an operand, and the type that it has: a constant, that of another part, one of several ([`Want`]) |
//! | `args: [V; 3]` | up to three operands, unused ones [`Val::NONE`] |
//! | `r: Xn`, `r: Vn` | the number of a register |
//! | `-> ty` | the type of the result; without it there is none |
//! | `"adc {a}, {b}, {carry}"` | the text, for printing and reading; `all ? "sev" : "sevl"` has two forms |
//! | what follows | the facts: methods of [`Facts`] |

use std::fmt;

use super::value::{Ty, Val};

/// The type that an operand must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// This one.
    Is(Ty),
    /// I32 or I64.
    Int,
    /// Any.
    Any,
}

impl Want {
    /// True if a value of type `ty` may be used.
    #[must_use]
    pub fn admits(self, ty: Ty) -> bool {
        match self {
            Self::Is(wanted) => ty == wanted,
            Self::Int => matches!(ty, Ty::I32 | Ty::I64),
            Self::Any => ty != Ty::None,
        }
    }
}

impl From<Ty> for Want {
    fn from(ty: Ty) -> Self {
        Self::Is(ty)
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(ty) => write!(f, "{ty:?}"),
            Self::Int => f.write_str("an integer"),
            Self::Any => f.write_str("a value"),
        }
    }
}

/// The operands of an operation in their order; unused places hold [`Val::NONE`].
#[derive(Clone, Copy)]
pub(super) struct Operands {
    list: [(Val, Want); 3],
    used: usize,
}

impl Operands {
    pub(super) const NONE: Self = Self { list: [(Val::NONE, Want::Any); 3], used: 0 };

    /// One more.
    pub(super) fn and(mut self, v: Val, want: impl Into<Want>) -> Self {
        self.list[self.used] = (v, want.into());
        self.used += 1;
        self
    }

    pub(super) fn list(self) -> [(Val, Want); 3] {
        self.list
    }
}

/// The same without their types.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub(super) list: [Val; 3],
    used: usize,
}

impl Arguments {
    pub(super) const NONE: Self = Self { list: [Val::NONE; 3], used: 0 };

    /// One more.
    pub(super) const fn and(mut self, v: Val) -> Self {
        self.list[self.used] = v;
        self.used += 1;
        self
    }
}

/// A register of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// X0..X30, or 31 for the current SP.
    X(u8),
    /// V0..V31.
    V(u8),
    /// PSTATE.NZCV.
    Nzcv,
}

/// What an operation has to do with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// Nothing.
    None,
    /// It reads or writes what its operands name.
    Access,
    /// The same, and it opens or uses the exclusive monitor.
    Exclusive,
    /// It clears the exclusive monitor.
    ClearsMonitor,
    /// It may write memory, as DC ZVA among the operations of SYS.
    MayAccess,
}

/// What is known of an operation beside its operands and its result. By default: nothing but a value comes of it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// It can raise a synchronous exception.
    pub can_fault: bool,
    /// It must be executed even if nobody needs its value.
    pub has_effect: bool,
    /// What it has to do with memory.
    pub memory: Memory,
    /// The guest register whose value it is.
    pub reads: Option<Register>,
    /// The guest register that it gives a value to, its only operand.
    pub writes: Option<Register>,
}

/// The words of which the facts of a row are made.
impl Facts {
    /// See the type.
    pub(super) const DEFAULT: Self =
        Self { can_fault: false, has_effect: false, memory: Memory::None, reads: None, writes: None };

    /// It can raise a synchronous exception.
    pub(super) const fn faults(self) -> Self {
        Self { can_fault: true, has_effect: true, ..self }
    }
    /// It does something beside making a value.
    pub(super) const fn effect(self) -> Self {
        Self { has_effect: true, ..self }
    }
    /// [`Memory::Access`].
    pub(super) const fn accesses(self) -> Self {
        Self { memory: Memory::Access, ..self }
    }
    /// [`Memory::Exclusive`].
    pub(super) const fn exclusive(self) -> Self {
        Self { memory: Memory::Exclusive, ..self }
    }
    /// [`Memory::ClearsMonitor`].
    pub(super) const fn clears_monitor(self) -> Self {
        Self { memory: Memory::ClearsMonitor, ..self }
    }
    /// [`Memory::MayAccess`].
    pub(super) const fn may_access(self) -> Self {
        Self { memory: Memory::MayAccess, ..self }
    }
    /// Its value is that of a guest register.
    pub(super) const fn reads(self, register: Register) -> Self {
        Self { reads: Some(register), ..self }
    }
    /// It writes its operand to a guest register.
    pub(super) const fn writes(self, register: Register) -> Self {
        Self { writes: Some(register), has_effect: true, ..self }
    }
}

/// Makes the enum of operations, and all that is known about them, of the rows.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $name:ident $( ($($tuple:ident: $tuple_kind:tt),*) )? $( {$($field:ident: $kind:tt),*} )?
            $( -> $ty:expr )?, $( $choice:ident ? )? $text:literal $( : $other:literal )?
            $( , $fact:ident $( ($register:expr) )? )*;
    )+) => {
        /// An operation.
        #[derive(Clone, Copy, PartialEq, Debug)]
        #[allow(missing_docs, reason = "the rows of the table describe their parts")]
        pub enum Op {
            $(
                $(#[$doc])*
                $name $( ($(part_type!($tuple_kind)),*) )? $( {$($field: part_type!($kind)),*} )?,
            )+
        }

        #[allow(unused_variables, reason = "each row names all of its parts")]
        impl Op {
            /// The type of the value that the operation makes.
            #[inline]
            #[must_use]
            pub const fn ty(&self) -> Ty {
                use Ty::{Flags, I1, I32, I64, V};
                match *self {
                    $( Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => result_type!($($ty)?), )+
                }
            }

            /// What is known of the operation beside its operands and its result.
            #[inline]
            #[must_use]
            pub const fn facts(&self) -> Facts {
                use Register::{Nzcv, V, X};
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            Facts::DEFAULT $( .$fact($($register)?) )*
                        }
                    )+
                }
            }

            /// The values that the operation uses, with the types that they must have; unused places hold
            /// [`Val::NONE`].
            #[must_use]
            pub fn operands(&self) -> [(Val, Want); 3] {
                use Ty::{Flags, I1, I32, I64, V};
                use Want::{Any, Int};
                let operands = Operands::NONE;
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            $( $( operand!(operands, $tuple, $tuple_kind); )* )?
                            $( $( operand!(operands, $field, $kind); )* )?
                            operands.list()
                        }
                    )+
                }
            }

            /// The values that the operation uses; unused places hold [`Val::NONE`]. All code that is translated is asked for
            /// them several times.
            #[inline]
            #[must_use]
            pub const fn args(&self) -> [Val; 3] {
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            let args = Arguments::NONE;
                            $( $( argument!(args, $tuple, $tuple_kind); )* )?
                            $( $( argument!(args, $field, $kind); )* )?
                            args.list
                        }
                    )+
                }
            }

            /// From its text and the type of its value; `None` if no operation has this text.
            pub(super) fn read(text: &str, ty: Ty) -> Option<Self> {
                $(
                    for form in forms!($($choice)?, $text $(, $other)?) {
                        let read = || {
                            let parts = Parts::of(form, text, ty)?;
                            Some(Self::$name
                                $( ($(part!(parts, $tuple, $tuple_kind)),*) )?
                                $( {$($field: part!(parts, $field, $kind)),*} )?)
                        };
                        if let Some(op) = read().filter(|op| op.ty() == ty) {
                            return Some(op);
                        }
                    }
                )+
                None
            }
        }

        impl fmt::Display for Op {
            #[allow(unused_variables, reason = "the type of the result is printed before it")]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(
                        Self::$name $( ($($tuple),*) )? $( {$($field),*} )? => {
                            let form = choice!($($choice)?);
                            $( $( let $tuple = Shown(as_written!($tuple, $tuple_kind)); )* )?
                            $( $( let $field = Shown(as_written!($field, $kind)); )* )?
                            written!(f, form, $text $(, $other)?)
                        }
                    )+
                }
            }
        }
    };
}

/// The Rust type of a part.
macro_rules! part_type {
    (Xn) => {
        u8
    };
    (Vn) => {
        u8
    };
    ([$want:expr; 3]) => {
        [Val; 3]
    };
    ([$want:expr]) => {
        Val
    };
    ($type:ident) => {
        $type
    };
}

/// The type of the result.
macro_rules! result_type {
    () => {
        Ty::None
    };
    ($ty:expr) => {
        $ty
    };
}

/// A part, if it is an operand, after those that `operands` has.
macro_rules! operand {
    ($operands:ident, $part:ident, [$want:expr; 3]) => {
        let $operands = $part.into_iter().fold($operands, |operands, v| operands.and(v, $want));
    };
    ($operands:ident, $part:ident, [$want:expr]) => {
        let $operands = $operands.and($part, $want);
    };
    ($operands:ident, $part:ident, $type:ident) => {};
}

/// The same without its type.
macro_rules! argument {
    ($args:ident, $part:ident, [$want:expr; 3]) => {
        let $args = $args.and($part[0]).and($part[1]).and($part[2]);
    };
    ($args:ident, $part:ident, [$want:expr]) => {
        let $args = $args.and($part);
    };
    ($args:ident, $part:ident, $type:ident) => {};
}

/// A part of the line that is read.
macro_rules! part {
    ($parts:ident, $part:ident, Xn) => {
        $parts.get::<XReg>(stringify!($part))?.0
    };
    ($parts:ident, $part:ident, Vn) => {
        $parts.get::<VReg>(stringify!($part))?.0
    };
    ($parts:ident, $part:ident, Ty) => {
        $parts.ty(stringify!($part))?
    };
    ($parts:ident, $part:ident, $kind:tt) => {
        $parts.get(stringify!($part))?
    };
}

/// A part as it is written.
macro_rules! as_written {
    ($part:ident, Xn) => {
        XReg($part)
    };
    ($part:ident, Vn) => {
        VReg($part)
    };
    ($part:ident, $kind:tt) => {
        $part
    };
}

/// The forms that a text can have, each with the part that chooses it.
macro_rules! forms {
    (, $text:literal) => {
        [($text, None)]
    };
    ($choice:ident, $text:literal, $other:literal) => {
        [($text, Some((stringify!($choice), "true"))), ($other, Some((stringify!($choice), "false")))]
    };
}

/// True if it is the first one.
macro_rules! choice {
    () => {
        true
    };
    ($choice:ident) => {
        $choice
    };
}

/// Writes it.
macro_rules! written {
    ($f:ident, $form:ident, $text:literal) => {
        write!($f, $text)
    };
    ($f:ident, $form:ident, $text:literal, $other:literal) => {
        if $form { write!($f, $text) } else { write!($f, $other) }
    };
}

pub(super) use {
    argument, as_written, choice, forms, operand, operations, part, part_type, result_type, written,
};
