//! The PHY behind MDIC: the registers of IEEE 802.3, 22.2.4, and the status register that Marvell's and Intel's PHYs add. Its
//! partner offers everything, and agreeing with it takes no time.

use serde::{Deserialize, Serialize};

/// Numbers of registers.
mod reg {
    pub(super) const CONTROL: usize = 0;
    pub(super) const STATUS: usize = 1;
    pub(super) const PAGE: usize = 22;
    pub(super) const SPECIFIC_STATUS: usize = 17;
    pub(super) const PARTNER: usize = 5;
    pub(super) const GIGABIT_STATUS: usize = 10;
}

/// Control: reset, which ends at once.
const RESET: u16 = 0x8000;
/// Control: what is sent comes back.
const LOOPBACK: u16 = 0x4000;
/// Control: power down, or isolate.
const SILENT: u16 = 0x0c00;
/// Control: restart the negotiation, which ends at once.
const RESTART: u16 = 0x0200;
/// MDIC: a write, a read.
const WRITE: u32 = 1;
const READ: u32 = 2;
/// MDIC: it is done; it went wrong.
const READY: u32 = 1 << 28;
const ERROR: u32 = 1 << 30;

/// Registers 0 to 31 of page 0 after reset, without the identifier: number and value.
const AFTER_RESET: &[(usize, u16)] = &[
    (reg::CONTROL, 0x1140),
    // 10 and 100 Mb/s in both duplexes, and more in register 15; it can negotiate.
    (reg::STATUS, 0x7949),
    (4, 0x0de1),
    (reg::PARTNER, 0xcde1),
    (6, 0x000f),
    (9, 0x0e00),
    (reg::GIGABIT_STATUS, 0x7c00),
    (15, 0x3000),
    (16, 0x0360),
];

/// Registers that software can write.
const WRITABLE: u32 = 1 << reg::CONTROL
    | 1 << 4
    | 1 << 7
    | 1 << 9
    | 1 << 16
    | 1 << 18
    | 1 << 20
    | 1 << reg::PAGE
    | 1 << 24
    | 1 << 25
    | 1 << 26;

/// Its registers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Phy {
    registers: [u16; 32],
    identifier: u32,
}

impl Phy {
    /// A PHY with this identifier (registers 2 and 3).
    pub(crate) fn new(identifier: u32) -> Self {
        let mut registers = [0; 32];
        for (at, value) in AFTER_RESET {
            registers[*at] = *value;
        }
        registers[2] = (identifier >> 16) as u16;
        registers[3] = identifier as u16;
        Self { registers, identifier }
    }

    /// Back to the state after power-on.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.identifier);
    }

    /// Whether it listens to its partner, or to itself.
    pub(crate) fn is_awake(&self) -> bool {
        self.registers[reg::CONTROL] & SILENT == 0
    }

    /// Whether what is sent comes back.
    pub(crate) fn loops(&self) -> bool {
        self.registers[reg::CONTROL] & LOOPBACK != 0
    }

    fn get(&self, at: usize, link: bool) -> u16 {
        let value = self.registers.get(at).copied().unwrap_or(u16::MAX);
        match at {
            // Other pages are empty.
            _ if self.registers[reg::PAGE] != 0 && at != reg::PAGE => 0,
            // Negotiated, and there is a link.
            reg::STATUS if link => value | 0x24,
            // 1000 Mb/s, full duplex, resolved, link.
            reg::SPECIFIC_STATUS if link => 0xac00,
            reg::PARTNER | reg::GIGABIT_STATUS if !link => 0,
            _ => value,
        }
    }

    fn set(&mut self, at: usize, value: u16) {
        let page = self.registers[reg::PAGE];
        if at >= 32 || WRITABLE >> at & 1 == 0 || page != 0 && at != reg::PAGE {
            return;
        }
        match at {
            reg::CONTROL if value & RESET != 0 => self.reset(),
            reg::CONTROL => self.registers[at] = value & !RESTART,
            _ => self.registers[at] = value,
        }
    }

    /// What MDIC is after a write of `command`. The PHY is at address 1.
    pub(crate) fn command(&mut self, command: u32, link: bool) -> u32 {
        let at = (command >> 16 & 31) as usize;
        let kept = command & 0x2fff_0000 & !READY;
        match (command >> 21 & 31, command >> 26 & 3) {
            (1, READ) => kept | READY | u32::from(self.get(at, link)),
            (1, WRITE) => {
                self.set(at, command as u16);
                kept | READY | command & 0xffff
            }
            // Nobody drives the wires.
            _ => kept | READY | ERROR | 0xffff,
        }
    }
}
