//! What is recorded of a fault: by a context bank (CBn_FSR, FSYNR0, FAR, IPAFAR, CBFRSYNRAn), or globally (sGFSR, GFSYNR0,
//! GFSYNR1, GFAR).

use crate::guest_tests::test_master::{Dma, attributes};

/// CBn_FSR.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod fsr {
    pub const TF: u64 = 1 << 1;
    pub const AFF: u64 = 1 << 2;
    pub const PF: u64 = 1 << 3;
    pub const EF: u64 = 1 << 4;
    pub const ASF: u64 = 1 << 7;
    pub const FORMAT: u64 = 3 << 9;
    /// FORMAT: tables of AArch64.
    pub const AARCH64: u64 = 2 << 9;
    pub const SS: u64 = 1 << 30;
    pub const MULTI: u64 = 1 << 31;
}

/// sGFSR.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod gfsr {
    pub const ICF: u64 = 1 << 0;
    pub const USF: u64 = 1 << 1;
    pub const SMCF: u64 = 1 << 2;
    pub const UCBF: u64 = 1 << 3;
    pub const MULTI: u64 = 1 << 31;
}

/// WNR, PNU and IND of a transaction, and NSATTR, from a bit on.
const fn how(dma: &Dma, wnr: u32) -> u64 {
    let bits = dma.attributes as u64;
    // They are in the same order as the master has them.
    const _: () =
        assert!(attributes::WRITE == 1 && attributes::PRIVILEGED == 2 && attributes::INSTRUCTION == 4);
    (bits & 7) << wnr | 1 << (wnr + 4)
}

/// A fault of a context bank.
#[derive(Clone, Copy, Debug)]
pub struct ContextFault {
    /// The bank.
    pub bank: u32,
    /// FSR.
    pub fsr: u64,
    /// FSYNR0.
    pub fsynr0: u64,
    /// FAR.
    pub far: u64,
    /// The page of IPAFAR, of a fault of stage 2.
    pub ipa: Option<u64>,
    /// CBFRSYNRA.StreamID.
    pub stream: u32,
}

impl ContextFault {
    /// Of this kind (see [`fsr`]), at a level of the tables.
    #[must_use]
    pub const fn of(bank: u32, kind: u64, level: u64, dma: &Dma) -> Self {
        Self {
            bank,
            fsr: fsr::AARCH64 | kind,
            fsynr0: level | how(dma, 4),
            far: dma.address,
            ipa: None,
            stream: dma.stream,
        }
    }

    /// Of stage 2, at an IPA.
    #[must_use]
    pub const fn at(mut self, ipa: u64) -> Self {
        self.ipa = Some(ipa & !0xfff);
        self
    }

    /// In a nested context: S1CBNDX is the bank of stage 1.
    #[must_use]
    pub const fn through(mut self, bank1: u32) -> Self {
        self.fsynr0 |= (bank1 as u64) << 16;
        self
    }

    /// PTWF: it was an access to a table.
    #[must_use]
    pub const fn on_a_walk(mut self) -> Self {
        self.fsynr0 |= 1 << 10;
        self
    }

    /// The transaction waits.
    #[must_use]
    pub const fn stalled(mut self) -> Self {
        self.fsr |= fsr::SS;
        self
    }

    /// Another one came while it was recorded.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.fsr |= fsr::MULTI;
        self
    }
}

/// A global fault.
#[derive(Clone, Copy, Debug)]
pub struct GlobalFault {
    /// sGFSR.
    pub gfsr: u64,
    /// sGFSYNR0.
    pub gfsynr0: u64,
    /// sGFSYNR1: the StreamID.
    pub stream: u32,
    /// sGFAR.
    pub gfar: u64,
}

impl GlobalFault {
    /// Of this kind (see [`gfsr`]).
    #[must_use]
    pub const fn of(kind: u64, dma: &Dma) -> Self {
        Self { gfsr: kind, gfsynr0: how(dma, 1), stream: dma.stream, gfar: dma.address }
    }

    /// Nested: it was the context that led to it.
    #[must_use]
    pub const fn nested(mut self) -> Self {
        self.gfsynr0 |= 1;
        self
    }

    /// Another one came while it was recorded.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.gfsr |= gfsr::MULTI;
        self
    }
}
