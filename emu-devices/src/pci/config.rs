//! Configuration space: 4096 bytes, each bit read-only, writable or cleared by writing one.

use emu_core::addr::Size;
use serde::{Deserialize, Serialize};

use super::capability::Capability;

/// Bytes of configuration space of a PCI Express function.
pub const CONFIG_SIZE: usize = 4096;

/// Offsets and bits of the type 0 header (PCI 3.0, 6.1; PCIe 6.0, 7.5.1).
pub mod reg {
    /// Command register.
    pub const COMMAND: u16 = 0x04;
    /// Command: decode I/O BARs.
    pub const COMMAND_IO: u16 = 1 << 0;
    /// Command: decode memory BARs.
    pub const COMMAND_MEMORY: u16 = 1 << 1;
    /// Command: may make requests.
    pub const COMMAND_MASTER: u16 = 1 << 2;
    /// Command: never drive INTx.
    pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;
    /// Status register.
    pub const STATUS: u16 = 0x06;
    /// Status: an INTx is wanted.
    pub const STATUS_INTERRUPT: u16 = 1 << 3;
    /// Status: there is a capability list.
    pub const STATUS_CAPABILITIES: u16 = 1 << 4;
    /// First base address register.
    pub const BAR0: u16 = 0x10;
    /// First byte behind the base address registers.
    pub const BAR_END: u16 = 0x28;
    /// Offset of the first capability.
    pub const CAPABILITIES: u16 = 0x34;
    /// Which of INTA# (1) to INTD# (4) the function drives; 0 for none.
    pub const INTERRUPT_PIN: u16 = 0x3d;
    /// First byte behind the header.
    pub const HEADER_END: u16 = 0x40;
    /// First byte behind the conventional configuration space.
    pub const CONVENTIONAL_END: u16 = 0x100;
}

/// A register of the header: which of its bits software may change.
struct Field {
    offset: u16,
    bytes: u8,
    rw: u32,
    w1c: u32,
}

/// The type 0 header's registers that are not simply read-only. BARs get their masks from their sizes.
const TYPE0: &[Field] = &[
    // Command: I/O, memory, bus master, parity error response, SERR#, interrupt disable.
    Field { offset: reg::COMMAND, bytes: 2, rw: 0x0547, w1c: 0 },
    // Status: parity and abort bits.
    Field { offset: reg::STATUS, bytes: 2, rw: 0, w1c: 0xf900 },
    // Cache line size: writable for software's sake, without effect in PCI Express.
    Field { offset: 0x0c, bytes: 1, rw: 0xff, w1c: 0 },
    // Interrupt line: software's own note.
    Field { offset: 0x3c, bytes: 1, rw: 0xff, w1c: 0 },
];

/// What a function says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Class code: base class, sub-class, programming interface, as 0x0108_02 for NVMe.
    pub class: u32,
    /// Revision ID.
    pub revision: u8,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID.
    pub subsystem: u16,
}

/// The changes against the state after reset: offset and value of each byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigState(Vec<(u16, u8)>);

/// A configuration space, with its masks as data.
pub struct ConfigSpace {
    value: Vec<u8>,
    reset: Vec<u8>,
    rw: Vec<u8>,
    w1c: Vec<u8>,
    /// Where the next capability goes.
    next_capability: u16,
    /// The byte that points to the next capability.
    last_pointer: u16,
}

impl ConfigSpace {
    /// A type 0 header.
    #[must_use]
    pub fn new(id: Identity) -> Self {
        let zeros = || vec![0; CONFIG_SIZE];
        let mut space = Self {
            value: zeros(),
            reset: zeros(),
            rw: zeros(),
            w1c: zeros(),
            next_capability: reg::HEADER_END,
            last_pointer: reg::CAPABILITIES,
        };
        space.define(0x00, &id.vendor.to_le_bytes());
        space.define(0x02, &id.device.to_le_bytes());
        space.define(0x08, &(id.class << 8 | u32::from(id.revision)).to_le_bytes());
        space.define(0x2c, &id.subsystem_vendor.to_le_bytes());
        space.define(0x2e, &id.subsystem.to_le_bytes());
        for f in TYPE0 {
            let n = usize::from(f.bytes);
            space.allow(f.offset, &f.rw.to_le_bytes()[..n]);
            space.w1c[usize::from(f.offset)..][..n].copy_from_slice(&f.w1c.to_le_bytes()[..n]);
        }
        space
    }

    /// Sets what the bytes from `offset` on are after reset. For constructors: `offset` is inside the space.
    pub fn define(&mut self, offset: u16, bytes: &[u8]) {
        let at = usize::from(offset);
        self.value[at..at + bytes.len()].copy_from_slice(bytes);
        self.reset[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Makes the bits of `mask` writable from `offset` on. For constructors.
    pub fn allow(&mut self, offset: u16, mask: &[u8]) {
        let at = usize::from(offset);
        self.rw[at..at + mask.len()].copy_from_slice(mask);
    }

    /// Appends a capability to the list and gives its offset. For constructors.
    ///
    /// # Panics
    /// If the capabilities do not fit into the conventional configuration space: an error in a device's constructor.
    pub fn add_capability(&mut self, capability: &Capability<'_>) -> u16 {
        let offset = self.next_capability;
        let c = capability.layout();
        assert!(
            usize::from(offset) + c.bytes.len() <= usize::from(reg::CONVENTIONAL_END),
            "capabilities do not fit"
        );
        self.define(offset, &c.bytes);
        self.allow(offset, &c.rw);
        self.w1c[usize::from(offset)..][..c.w1c.len()].copy_from_slice(&c.w1c);
        self.define(self.last_pointer, &[offset as u8]);
        let status = self.get16(reg::STATUS) | reg::STATUS_CAPABILITIES;
        self.define(reg::STATUS, &status.to_le_bytes());
        self.last_pointer = offset + 1;
        self.next_capability = (offset + c.bytes.len() as u16).next_multiple_of(4);
        offset
    }

    /// Reads `size` at `offset`; all ones outside the space.
    #[must_use]
    pub fn read(&self, offset: u16, size: Size) -> u32 {
        let mut v = [0xff; 4];
        let n = (size.bytes() as usize).min(4);
        if let Some(bytes) = self.value.get(usize::from(offset)..usize::from(offset) + n) {
            v = [0; 4];
            v[..n].copy_from_slice(bytes);
        }
        u32::from_le_bytes(v) & size.mask() as u32
    }

    /// Writes `size` at `offset`, as far as the masks let it.
    pub fn write(&mut self, offset: u16, size: Size, value: u32) {
        let n = (size.bytes() as usize).min(4);
        for (i, v) in value.to_le_bytes().into_iter().take(n).enumerate() {
            let at = usize::from(offset) + i;
            if at < CONFIG_SIZE {
                let kept = self.value[at] & !self.rw[at];
                self.value[at] = (kept | v & self.rw[at]) & !(v & self.w1c[at]);
            }
        }
    }

    /// The 16-bit register at `offset`, which is inside the space.
    #[must_use]
    pub fn get16(&self, offset: u16) -> u16 {
        self.read(offset, Size::B2) as u16
    }

    /// The 32-bit register at `offset`, which is inside the space.
    #[must_use]
    pub fn get32(&self, offset: u16) -> u32 {
        self.read(offset, Size::B4)
    }

    /// Changes bits of a 16-bit register from the hardware's side.
    pub fn set16(&mut self, offset: u16, mask: u16, bits: u16) {
        let v = (self.get16(offset) & !mask | bits & mask).to_le_bytes();
        self.value[usize::from(offset)] = v[0];
        self.value[usize::from(offset) + 1] = v[1];
    }

    /// Back to the state after reset.
    pub fn reset(&mut self) {
        self.value.copy_from_slice(&self.reset);
    }

    /// What differs from the state after reset.
    #[must_use]
    pub fn save(&self) -> ConfigState {
        let changed = self.value.iter().zip(&self.reset).enumerate();
        ConfigState(changed.filter(|(_, (v, r))| v != r).map(|(at, (v, _))| (at as u16, *v)).collect())
    }

    /// Takes a saved state.
    pub fn restore(&mut self, state: &ConfigState) {
        self.reset();
        for &(at, v) in &state.0 {
            if let Some(byte) = self.value.get_mut(usize::from(at)) {
                *byte = v;
            }
        }
    }
}
