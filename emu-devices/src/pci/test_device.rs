//! A function for tests of a guest's PCI code, which asks for accesses and counts them: what QEMU calls `pci-testdev`
//! (QEMU, docs/specs/pci-testdev).
//!
//! Each of its two BARs, one of memory and one of I/O ports, begins with the same registers, little-endian:
//!
//! | offset | bytes | access | meaning |
//! |---|---|---|---|
//! | 0 | 1 | write | number of the test that begins |
//! | 1 | 1 | read | width in bytes of the accesses that it wants; 0: there is no such test |
//! | 4 | 4 | read | offset in the BAR for them |
//! | 8 | 4 | read | the value that they write |
//! | 12 | 4 | read | such writes since the test began |
//! | 16 | 16 | read | its name, ended by zeros |

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::dma::Stalls;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::{Listed, Map, Sizes, Target, byte, word};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{BarKind, FunctionBuilder, FunctionCore, FunctionState, Identity, OTHER_FUNCTION, PciFunction};

const IDENTITY: Identity = Identity {
    vendor: 0x1b36,
    device: 0x0005,
    class: 0xff_0000,
    revision: 0,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
};

/// Bytes of the BARs: memory, I/O ports.
const MEMORY: u64 = 4096;
const PORTS: u64 = 256;

/// Bytes of all registers; the accesses that are asked for go behind them.
const HEADER: u64 = 32;
/// Bytes of the name.
const NAME_SIZE: u32 = 16;

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reg {
    Test,
    Width,
    Offset,
    Data,
    Count,
    Name,
}

/// See the module's head. A read may have any size and go over several registers.
pub(super) static MAP: Map<Reg> = Map {
    specification: "QEMU docs/specs/pci-testdev",
    window: HEADER,
    rows: &[
        byte("Test", 0, Reg::Test).takes(Sizes::ANY).write_only(0xff),
        byte("Width", 1, Reg::Width).read_only(0xff).varies(),
        word("Offset", 4, Reg::Offset).read_only(0xffff_ffff).varies(),
        word("Data", 8, Reg::Data).read_only(0xffff_ffff).varies(),
        word("Count", 12, Reg::Count).read_only(0xffff_ffff),
        byte("Name", 16, Reg::Name).array(NAME_SIZE).read_only(0xff).varies(),
    ],
};

/// What a test asks for.
struct Test {
    name: &'static str,
    size: Size,
    offset: u64,
    data: u64,
}

const TESTS: &[Test] = &[
    Test { name: "byte", size: Size::B1, offset: 0x40, data: 0xfa },
    Test { name: "halfword", size: Size::B2, offset: 0x48, data: 0xfa5a },
    Test { name: "word", size: Size::B4, offset: 0x50, data: 0xfa5a_c33c },
];

/// What a BAR remembers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Progress {
    test: u8,
    count: u32,
}

impl Progress {
    fn test(self) -> Option<&'static Test> {
        TESTS.get(usize::from(self.test))
    }

    /// All of them are zero if there is no such test.
    fn peek(self, reg: Reg, index: u32) -> u64 {
        let Some(test) = self.test() else { return 0 };
        match reg {
            Reg::Width => test.size.bytes(),
            Reg::Offset => test.offset,
            Reg::Data => test.data,
            Reg::Count => self.count.into(),
            Reg::Name => test.name.as_bytes().get(index as usize).copied().unwrap_or(0).into(),
            // Write-only.
            Reg::Test => 0,
        }
    }

    fn read(self, offset: u64, size: Size) -> u64 {
        let byte = |at| MAP.at(at).map_or(0, |hit| hit.read(Size::B1, |reg| self.peek(reg, hit.index)));
        (0..size.bytes()).rev().fold(0, |value, i| value << 8 | byte(offset + i))
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        if let Some(Target::Register(Reg::Test)) = MAP.at(offset).map(|hit| hit.target()) {
            *self = Self { test: value as u8, count: 0 };
        } else if let Some(test) = self.test()
            && (offset, size, value & size.mask()) == (test.offset, test.size, test.data)
        {
            self.count = self.count.wrapping_add(1);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    function: FunctionState,
    bars: [Progress; 2],
}

impl SavedState for State {
    const KIND: &'static str = "pci-testdev";
    const VERSION: u32 = 1;
}

/// The function.
pub struct TestDevice {
    name: String,
    core: FunctionCore,
    /// BAR 0, memory, and BAR 1, I/O ports.
    bars: Mutex<[Progress; 2]>,
}

impl TestDevice {
    /// The function, with nothing written to it.
    #[must_use]
    pub fn new(name: &str, counters: &Arc<Counters>) -> Self {
        let builder = FunctionBuilder::new(IDENTITY).bar(0, BarKind::Memory32, MEMORY);
        let name = name.to_owned();
        Self { name, core: builder.bar(1, BarKind::Io, PORTS).build(counters), bars: Mutex::default() }
    }
}

impl PciFunction for TestDevice {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Never
    }
    fn bar_read(&self, bar: u8, offset: u64, size: Size) -> u64 {
        self.bars.lock().get(usize::from(bar)).map_or(size.mask(), |b| b.read(offset, size))
    }
    fn bar_write(&self, bar: u8, offset: u64, size: Size, value: u64) {
        if let Some(b) = self.bars.lock().get_mut(usize::from(bar)) {
            b.write(offset, size, value);
        }
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        let bars = self.bars.lock();
        let list = |b: &Progress| MAP.list(0, |reg, index| Some(b.peek(reg, index)));
        bars.get(usize::from(bar)).map(list).unwrap_or_default()
    }
}

impl Component for TestDevice {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        self.core.reset();
        *self.bars.lock() = Default::default();
    }
    fn save(&self) -> Payload {
        Payload::new(self.name(), &State { function: self.core.save(), bars: *self.bars.lock() })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { function, bars } = saved.state()?;
        if !self.core.fits(&function) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || {
            self.core.restore(&function);
            *self.bars.lock() = bars;
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: u64 = 0;
    const WIDTH: u64 = 1;
    const OFFSET: u64 = 4;
    const DATA: u64 = 8;
    const COUNT: u64 = 12;
    const NAME: u64 = 16;

    fn name(device: &TestDevice, bar: u8) -> String {
        let byte = |i| device.bar_read(bar, NAME + i, Size::B1) as u8;
        (0..16).map(byte).take_while(|b| *b != 0).map(char::from).collect()
    }

    /// What a guest does: tests from 0 on, until there is none; each write that is asked for is counted.
    #[test]
    fn accesses_that_are_asked_for_are_counted_in_each_bar() {
        let device = TestDevice::new("pci-testdev", &Arc::default());
        for bar in 0..2 {
            for (number, test) in TESTS.iter().enumerate() {
                device.bar_write(bar, TEST, Size::B1, number as u64);
                let read = |at, size| device.bar_read(bar, at, size);
                assert_eq!(read(WIDTH, Size::B1), test.size.bytes());
                assert_eq!(name(&device, bar), test.name);
                let (at, data) = (read(OFFSET, Size::B4), read(DATA, Size::B4));
                assert!((HEADER..PORTS).contains(&at));
                for count in 1..=16 {
                    device.bar_write(bar, at, test.size, data);
                    assert_eq!(read(COUNT, Size::B4), count);
                }
                // Another value, another width, another place.
                device.bar_write(bar, at, test.size, !data);
                device.bar_write(bar, at, Size::B8, data);
                device.bar_write(bar, at + 4, test.size, data);
                assert_eq!(read(COUNT, Size::B4), 16);
            }
            device.bar_write(bar, TEST, Size::B1, TESTS.len() as u64);
            assert_eq!(device.bar_read(bar, 0, Size::B8), 0, "there is no such test");
        }
    }

    #[test]
    fn a_reset_begins_again_and_a_saved_state_comes_back() {
        let device = TestDevice::new("pci-testdev", &Arc::default());
        device.bar_write(1, TEST, Size::B1, 2);
        device.bar_write(1, TESTS[2].offset, Size::B4, TESTS[2].data);
        let saved = device.save();
        device.reset();
        assert_eq!(device.bar_read(1, COUNT, Size::B4), 0);
        device.restore(saved).unwrap();
        assert_eq!((device.bar_read(1, COUNT, Size::B4), name(&device, 1)), (1, "word".to_owned()));
    }
}
