//! The options of the `virt` board, and its interrupt controller.

use emu_a64::level::{El, Levels};

use crate::error::{UserError, user_error};

/// Version of the interrupt controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GicVersion {
    /// GICv2: CPU interfaces in memory.
    V2,
    /// GICv3: CPU interfaces as system registers.
    V3,
}

/// What makes interrupts of the messages that PCIe functions send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Msi {
    /// Nothing: functions have their INTx wires only.
    Off,
    /// The ITS of a GICv3.
    Its,
    /// A GICv2m frame, which makes SPIs of them.
    Gicv2m,
}

impl Msi {
    /// What a board with this interrupt controller has: `its` and `chosen` are what was asked for, if anything.
    pub fn of(gic: GicVersion, its: Option<bool>, chosen: Option<Self>) -> Result<Self, UserError> {
        match (gic, its, chosen) {
            (GicVersion::V2, Some(true), _) | (GicVersion::V2, _, Some(Self::Its)) => {
                Err(user_error!("a GICv2 has no ITS: messages go to a GICv2m frame"))
            }
            (_, Some(false), Some(Self::Its)) => Err(user_error!("messages cannot go to an ITS that is off")),
            (_, Some(true), Some(Self::Off | Self::Gicv2m)) => {
                Err(user_error!("there can be an ITS or another destination of messages, not both"))
            }
            (_, _, Some(chosen)) => Ok(chosen),
            (GicVersion::V2, _, None) => Ok(Self::Gicv2m),
            (GicVersion::V3, Some(false), None) => Ok(Self::Off),
            (GicVersion::V3, _, None) => Ok(Self::Its),
        }
    }
}

/// The options of the `virt` board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Virt {
    /// The CPUs have EL2.
    pub virtualization: bool,
    /// The interrupt controller.
    pub gic: GicVersion,
    /// What messages of PCIe functions go to.
    pub msi: Msi,
    /// The PCIe configuration space is the large one above 4 GiB.
    pub highmem_ecam: bool,
    /// There is a PCIe memory window above 4 GiB.
    pub highmem_mmio: bool,
    /// The virtio-mmio transports have the interface of the drafts before virtio 1.0.
    pub legacy_mmio: bool,
}

impl Virt {
    /// The Exception levels of the CPUs.
    #[must_use]
    pub fn levels(&self) -> Levels {
        if self.virtualization { Levels::BASE.with(El::El2) } else { Levels::BASE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_messages_go() {
        use GicVersion::{V2, V3};
        let of = |gic, its, chosen| Msi::of(gic, its, chosen).map_err(|e| e.to_string());
        assert_eq!([of(V2, None, None), of(V2, Some(false), None)], [Ok(Msi::Gicv2m), Ok(Msi::Gicv2m)]);
        assert_eq!([of(V3, None, None), of(V3, Some(false), None)], [Ok(Msi::Its), Ok(Msi::Off)]);
        assert_eq!(of(V3, None, Some(Msi::Gicv2m)), Ok(Msi::Gicv2m));
        assert_eq!(
            [of(V2, None, Some(Msi::Off)), of(V3, None, Some(Msi::Off))],
            [Ok(Msi::Off), Ok(Msi::Off)]
        );
        for refused in [
            of(V2, Some(true), None),
            of(V2, None, Some(Msi::Its)),
            of(V3, Some(false), Some(Msi::Its)),
            of(V3, Some(true), Some(Msi::Gicv2m)),
        ] {
            assert!(refused.is_err());
        }
    }
}
