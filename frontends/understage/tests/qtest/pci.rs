//! The PCI bus as software sees it: functions, capabilities, BARs.

use super::client::Machine;

/// Where configuration space is on the board, and where BARs may be.
const ECAM: u64 = 0x40_1000_0000;
const WINDOW: u64 = 0x1000_0000;

/// A function on bus 0 whose BARs have addresses.
pub(crate) struct Function {
    config: u64,
    /// The address of each BAR; 0 for none.
    pub(crate) bars: [u64; 6],
}

impl Function {
    /// The first function with this vendor and device ID, with its memory BARs placed and bus mastering on.
    pub(crate) fn find(m: &mut Machine, vendor: u64, device: u64) -> Self {
        let slot = (0..32).find(|slot| m.read('l', ECAM + (slot << 15)) == device << 16 | vendor);
        let slot = slot.unwrap_or_else(|| panic!("there is no function {vendor:04x}:{device:04x}"));
        let mut function = Self { config: ECAM + (slot << 15), bars: [0; 6] };
        function.place(m, WINDOW + (slot << 20));
        // Memory space, bus master.
        m.write('w', function.config + 4, 6);
        function
    }

    fn place(&mut self, m: &mut Machine, mut next: u64) {
        let mut n = 0;
        while n < 6 {
            let at = self.config + 0x10 + 4 * n;
            m.write('l', at, 0xffff_ffff);
            let mask = m.read('l', at);
            let is_wide = mask & 7 == 4;
            if mask != 0 && mask & 1 == 0 {
                let size = (!(mask & !15) & 0xffff_ffff) + 1;
                next = next.next_multiple_of(size);
                m.write('l', at, next);
                if is_wide {
                    m.write('l', at + 4, 0);
                }
                self.bars[n as usize] = next;
                next += size;
            }
            n += if is_wide { 2 } else { 1 };
        }
    }

    /// Offsets of the capabilities with this ID.
    pub(crate) fn capabilities(&self, m: &mut Machine, id: u64) -> Vec<u64> {
        let (mut at, mut found) = (m.read('b', self.config + 0x34), Vec::new());
        while at != 0 {
            if m.read('b', self.config + at) == id {
                found.push(at);
            }
            at = m.read('b', self.config + at + 1);
        }
        found
    }

    /// Reads configuration space.
    pub(crate) fn read(&self, m: &mut Machine, size: char, at: u64) -> u64 {
        m.read(size, self.config + at)
    }
}
