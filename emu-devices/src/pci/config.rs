//! Configuration space: 4096 bytes, each bit read-only, writable or cleared by writing one.

use emu_core::addr::Size;
use emu_core::registers::{Content, Listed, Map, Shown, byte, half, word};
use serde::{Deserialize, Serialize};

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
    /// Header type.
    pub const HEADER_TYPE: u16 = 0x0e;
    /// Header type: the device may have more functions than this one.
    pub const MULTIFUNCTION: u8 = 1 << 7;
    /// Offset of the first capability.
    pub const CAPABILITIES: u16 = 0x34;
    /// Which of INTA# (1) to INTD# (4) the function drives; 0 for none.
    pub const INTERRUPT_PIN: u16 = 0x3d;
    /// First byte behind the header.
    pub const HEADER_END: u16 = 0x40;
    /// First byte behind the conventional configuration space.
    pub const CONVENTIONAL_END: u16 = 0x100;
}

/// The registers of the type 0 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Header {
    VendorId,
    DeviceId,
    Command,
    Status,
    RevisionId,
    ProgrammingInterface,
    SubClass,
    BaseClass,
    CacheLineSize,
    Type,
    BaseAddress,
    SubsystemVendorId,
    SubsystemId,
    CapabilitiesPointer,
    InterruptLine,
    InterruptPin,
}

/// The type 0 header. Base address registers get their masks from their sizes.
pub(super) static HEADER: Map<Header> = Map {
    specification: "PCI 3.0, 6.1 (type 0 configuration space header)",
    window: reg::HEADER_END as u64,
    rows: &[
        half("Vendor ID", 0x00, Header::VendorId).read_only(0xffff).varies(),
        half("Device ID", 0x02, Header::DeviceId).read_only(0xffff).varies(),
        // I/O, memory, bus master, parity error response, SERR#, interrupt disable.
        half("Command", reg::COMMAND as u32, Header::Command).bits(0x0547),
        // Parity and abort bits.
        half("Status", reg::STATUS as u32, Header::Status).read_only(0xffff).cleared_by_one(0xf900),
        byte("Revision ID", 0x08, Header::RevisionId).read_only(0xff).varies(),
        byte("Programming Interface", 0x09, Header::ProgrammingInterface).read_only(0xff).varies(),
        byte("Sub-Class", 0x0a, Header::SubClass).read_only(0xff).varies(),
        byte("Base Class", 0x0b, Header::BaseClass).read_only(0xff).varies(),
        // Writable for software's sake, without effect in PCI Express.
        byte("Cache Line Size", 0x0c, Header::CacheLineSize),
        byte("Header Type", reg::HEADER_TYPE as u32, Header::Type).read_only(0xff),
        word("Base Address", reg::BAR0 as u32, Header::BaseAddress).array(6).read_only(0xffff_ffff),
        half("Subsystem Vendor ID", 0x2c, Header::SubsystemVendorId).read_only(0xffff).varies(),
        half("Subsystem ID", 0x2e, Header::SubsystemId).read_only(0xffff).varies(),
        byte("Capabilities Pointer", reg::CAPABILITIES as u32, Header::CapabilitiesPointer).read_only(0xff),
        // Software's own note.
        byte("Interrupt Line", 0x3c, Header::InterruptLine),
        byte("Interrupt Pin", reg::INTERRUPT_PIN as u32, Header::InterruptPin).read_only(0xff),
    ],
};

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
    /// Name and number, offset, bytes of each register, for a monitor.
    registers: Vec<(&'static str, Option<u32>, u16, u32)>,
    /// Where the next capability goes.
    next_capability: u16,
    /// The byte that points to the next capability.
    last_pointer: u16,
}

impl ConfigSpace {
    /// A type 0 header.
    #[must_use]
    pub fn new(id: Identity) -> Self {
        let [programming_interface, sub_class, base_class, _] = id.class.to_le_bytes();
        Self::with(&HEADER, |register| match register {
            Header::VendorId => id.vendor.into(),
            Header::DeviceId => id.device.into(),
            Header::RevisionId => id.revision.into(),
            Header::ProgrammingInterface => programming_interface.into(),
            Header::SubClass => sub_class.into(),
            Header::BaseClass => base_class.into(),
            Header::SubsystemVendorId => id.subsystem_vendor.into(),
            Header::SubsystemId => id.subsystem.into(),
            // The map says what they are after reset.
            Header::Command | Header::Status | Header::CacheLineSize | Header::Type => 0,
            Header::BaseAddress | Header::CapabilitiesPointer => 0,
            Header::InterruptLine | Header::InterruptPin => 0,
        })
    }

    /// With the header of which `map` has the registers; `value` tells what those are after reset of which the map does not
    /// say it.
    pub(super) fn with<R: Copy>(map: &'static Map<R>, value: impl Fn(R) -> u64) -> Self {
        let zeros = || vec![0; CONFIG_SIZE];
        let mut space = Self {
            value: zeros(),
            reset: zeros(),
            rw: zeros(),
            w1c: zeros(),
            registers: Vec::new(),
            next_capability: reg::HEADER_END,
            last_pointer: reg::CAPABILITIES,
        };
        space.install(0, map, value);
        space
    }

    /// Puts the registers of `map` at `base`; `value` tells what those are after reset of which the map does not say it.
    fn install<R: Copy>(&mut self, base: u16, map: &'static Map<R>, value: impl Fn(R) -> u64) {
        for row in map.rows {
            let Content::Register(register) = row.content else { continue };
            let n = row.bytes as usize;
            for index in 0..row.count {
                let offset = base + (row.offset + index * row.stride) as u16;
                self.define(offset, &row.reset.unwrap_or_else(|| value(register)).to_le_bytes()[..n]);
                self.allow(offset, &row.writable.to_le_bytes()[..n]);
                self.w1c[usize::from(offset)..][..n].copy_from_slice(&row.cleared.to_le_bytes()[..n]);
                let number = (row.count > 1).then_some(row.first + index);
                self.registers.push((row.name, number, offset, row.bytes));
            }
        }
    }

    /// The registers that have a name, with their values.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let one = |&(name, number, offset, bytes): &(&'static str, Option<u32>, u16, u32)| {
            let size = Size::from_bytes(bytes.into()).unwrap_or(Size::B4);
            let value = Shown::Value(self.read(offset, size).into());
            let reset = self.reset[usize::from(offset)..][..bytes as usize].iter().rev();
            let reset = Some(reset.fold(0, |v, b| v << 8 | u64::from(*b)));
            Listed { name, number, offset: offset.into(), bytes, value, reset }
        };
        self.registers.iter().map(one).collect()
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

    /// Appends the capability of which `map` has the registers and the size, and gives its offset; `value` as for the
    /// header. For constructors.
    ///
    /// # Panics
    /// If the capabilities do not fit into the conventional configuration space: an error in a device's constructor.
    pub fn add_capability<R: Copy>(&mut self, map: &'static Map<R>, value: impl Fn(R) -> u64) -> u16 {
        let offset = self.next_capability;
        let end = u64::from(offset) + map.window;
        assert!(end <= u64::from(reg::CONVENTIONAL_END), "capabilities do not fit");
        self.install(offset, map, value);
        self.define(self.last_pointer, &[offset as u8]);
        let status = self.get16(reg::STATUS) | reg::STATUS_CAPABILITIES;
        self.define(reg::STATUS, &status.to_le_bytes());
        self.last_pointer = offset + 1;
        self.next_capability = (end as u16).next_multiple_of(4);
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

    /// True if a saved state is one of a space like this: what cannot change has not changed.
    #[must_use]
    pub fn fits(&self, state: &ConfigState) -> bool {
        state.0.iter().all(|&(at, _)| usize::from(at) < CONFIG_SIZE) && state.0.is_sorted_by(|a, b| a.0 < b.0)
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
