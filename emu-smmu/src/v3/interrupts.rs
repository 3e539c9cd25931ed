//! Interrupts (Arm IHI 0070, 3.18): an edge on a wire, and a message if software has said where to.

use std::sync::Arc;

use emu_core::dma::{DmaAttrs, DmaFault, DmaPort};
use emu_core::irq::IrqLine;
use serde::{Deserialize, Serialize};

use super::gerror::Error;

/// What interrupts, and by which of the four wires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(super) enum Source {
    /// The event queue is no longer empty.
    Eventq = 0,
    /// The PRI queue is no longer empty, or a last request has come.
    Priq = 1,
    /// A CMD_SYNC is complete.
    CmdSync = 2,
    /// A global error is active.
    Gerror = 3,
}

impl Source {
    /// The error that a message of the source makes that is aborted.
    pub(super) const fn msi_error(self) -> Error {
        match self {
            Self::Eventq => Error::MsiEventqAbort,
            Self::Priq => Error::MsiPriqAbort,
            Self::CmdSync => Error::MsiCmdqAbort,
            Self::Gerror => Error::MsiGerrorAbort,
        }
    }
}

/// SMMU_*_IRQ_CFG0, 1 and 2: a message and its attributes, of which none has an effect in a machine whose memory is coherent. What
/// SMMU_PRIQ_IRQ_CFG2 has beside them is there, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Msi {
    pub(super) address: u64,
    pub(super) data: u32,
    pub(super) attributes: u32,
}

impl Msi {
    /// Sends it. An address of zero asks for no message.
    pub(super) fn send(&self, port: &dyn DmaPort, output_bits: u8) -> Result<(), DmaFault> {
        if self.address == 0 {
            return Ok(());
        }
        let address = self.address & ((1 << output_bits) - 1);
        port.write(DmaAttrs::default(), address, &self.data.to_le_bytes())
    }
}

/// The ways out.
pub(super) struct Interrupts {
    wires: [IrqLine; 4],
    port: Arc<dyn DmaPort>,
    /// IDR0.MSI.
    msi: bool,
    output_bits: u8,
}

impl Interrupts {
    pub(super) fn new(wires: [IrqLine; 4], port: Arc<dyn DmaPort>, msi: bool, output_bits: u8) -> Self {
        Self { wires, port, msi, output_bits }
    }

    /// Tells software. The wire has its edge in any case.
    pub(super) fn raise(&self, source: Source, message: &Msi) -> Result<(), DmaFault> {
        self.wires[source as usize].pulse();
        if self.msi { message.send(&*self.port, self.output_bits) } else { Ok(()) }
    }
}
