//! PL061 GPIO (Arm DDI 0190, r1p0): eight lines, each an input or an output, with edge and level interrupts.

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::irq::{IrqLine, IrqSink};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::{Listed, Map, constants, word};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::registers::{PCELL_ID, RegisterBank, WINDOW, periph_id};

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// Data.
    Data,
    /// Direction.
    Dir,
    /// Interrupt sense.
    Is,
    /// Interrupt both edges.
    Ibe,
    /// Interrupt event.
    Iev,
    /// Interrupt mask.
    Ie,
    /// Raw interrupt status.
    Ris,
    /// Masked interrupt status.
    Mis,
    /// Interrupt clear.
    Ic,
    /// Mode control select.
    Afsel,
}

/// The registers (DDI 0190, table 3-1). The number of a GPIODATA, bits 9:2 of its address, is the mask of the lines that it
/// means.
pub static MAP: Map<Reg> = Map {
    specification: "Arm DDI 0190 (PL061)",
    window: WINDOW,
    rows: &[
        // The lines are the outside's.
        word("GPIODATA", 0x000, Reg::Data).array(256).bits(0xff).varies(),
        word("GPIODIR", 0x400, Reg::Dir).bits(0xff),
        word("GPIOIS", 0x404, Reg::Is).bits(0xff),
        word("GPIOIBE", 0x408, Reg::Ibe).bits(0xff),
        word("GPIOIEV", 0x40c, Reg::Iev).bits(0xff),
        word("GPIOIE", 0x410, Reg::Ie).bits(0xff),
        word("GPIORIS", 0x414, Reg::Ris).read_only(0xff),
        word("GPIOMIS", 0x418, Reg::Mis).read_only(0xff),
        word("GPIOIC", 0x41c, Reg::Ic).write_only(0xff),
        word("GPIOAFSEL", 0x420, Reg::Afsel).bits(0xff),
        constants("GPIOPeriphID", 0xfe0, &periph_id(0x61, 0)),
        constants("GPIOPCellID", 0xff0, PCELL_ID),
    ],
};

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct State {
    /// What the outside drives.
    input: u8,
    /// What software wrote for the outputs.
    output: u8,
    dir: u8,
    is: u8,
    ibe: u8,
    iev: u8,
    ie: u8,
    afsel: u8,
    /// Edges seen and not cleared.
    edges: u8,
}

impl SavedState for State {
    const KIND: &'static str = "pl061";
    const VERSION: u32 = 1;
}

impl State {
    /// The level of each line.
    fn levels(&self) -> u8 {
        self.output & self.dir | self.input & !self.dir
    }
    fn raw(&self) -> u8 {
        let active = !(self.levels() ^ self.iev);
        self.is & active & !self.dir | !self.is & self.edges
    }
    /// Notes the edges between two levels of the lines.
    fn edge(&mut self, before: u8) {
        let now = self.levels();
        let (rise, fall) = (now & !before, before & !now);
        let wanted = self.ibe & (rise | fall) | !self.ibe & (self.iev & rise | !self.iev & fall);
        self.edges |= wanted & !self.is & !self.dir;
    }
}

/// The controller. As an [`IrqSink`] it takes its input lines, 0 to 7.
pub struct Pl061 {
    bank: RegisterBank<Reg>,
    state: Mutex<State>,
    irq: IrqLine,
    outputs: [Option<IrqLine>; 8],
}

impl Pl061 {
    /// A controller whose outputs drive `outputs`.
    #[must_use]
    pub fn new(
        name: &str,
        irq: IrqLine,
        outputs: [Option<IrqLine>; 8],
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let bank = RegisterBank::new(name, &MAP, counters);
        Arc::new(Self { bank, state: Mutex::default(), irq, outputs })
    }

    fn with(&self, f: impl FnOnce(&mut State)) {
        let mut s = self.state.lock();
        let before = *s;
        f(&mut s);
        self.irq.set(s.raw() & s.ie != 0);
        let changed = (s.output & s.dir) ^ (before.output & before.dir);
        for (i, line) in self.outputs.iter().enumerate() {
            if let (Some(line), true) = (line, changed >> i & 1 != 0) {
                line.set(s.output & s.dir & 1 << i != 0);
            }
        }
    }

    fn peek(&self, reg: Reg, index: u32) -> u32 {
        let s = self.state.lock();
        let value = match reg {
            Reg::Data => s.levels() & index as u8,
            Reg::Dir => s.dir,
            Reg::Is => s.is,
            Reg::Ibe => s.ibe,
            Reg::Iev => s.iev,
            Reg::Ie => s.ie,
            Reg::Ris => s.raw(),
            Reg::Mis => s.raw() & s.ie,
            Reg::Afsel => s.afsel,
            // Write-only.
            Reg::Ic => 0,
        };
        value.into()
    }

    fn write_word(&self, reg: Reg, index: u32, value: u32) {
        let v = value as u8;
        self.with(|s| match reg {
            Reg::Data => {
                let mask = index as u8 & s.dir;
                s.output = s.output & !mask | v & mask;
            }
            Reg::Dir => {
                let before = s.levels();
                s.dir = v;
                s.edge(before);
            }
            Reg::Is => s.is = v,
            Reg::Ibe => s.ibe = v,
            Reg::Iev => s.iev = v,
            Reg::Ie => s.ie = v,
            Reg::Ic => s.edges &= !v,
            Reg::Afsel => s.afsel = v,
            // Read-only: the map lets no write through.
            Reg::Ris | Reg::Mis => {}
        });
    }
}

impl IrqSink for Pl061 {
    fn set_level(&self, line: u32, level: bool) {
        if line < 8 {
            self.with(|s| {
                let before = s.levels();
                s.input = s.input & !(1 << line) | u8::from(level) << line;
                s.edge(before);
            });
        }
    }
}

impl MmioDevice for Pl061 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        Ok(self.bank.read(offset, size, |reg, index| self.peek(reg, index)))
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        self.bank.write(offset, size, value, |reg, index, v| self.write_word(reg, index, v));
        Ok(())
    }
    /// Of the data registers only the one that means all lines: the others show parts of it.
    fn registers(&self, _: Requester) -> Vec<Listed> {
        let shown = |reg, index| reg != Reg::Data || index == 0xff;
        MAP.list(0, |reg, index| shown(reg, index).then(|| self.peek(reg, index).into()))
    }
}

impl Component for Pl061 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn reset(&self) {
        self.with(|s| *s = State { input: s.input, ..State::default() });
    }
    fn save(&self) -> Payload {
        Payload::new(self.bank.name(), &*self.state.lock())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state = saved.state()?;
        Ok(Restore::new(move || self.with(|s| *s = state)))
    }
}

#[cfg(test)]
mod tests {
    use test_kit::master::{read, write};
    use test_kit::wires::Wires;

    use super::*;

    const DIR: u64 = 0x400;
    const IS: u64 = 0x404;
    const IBE: u64 = 0x408;
    const IEV: u64 = 0x40c;
    const IE: u64 = 0x410;
    const RIS: u64 = 0x414;
    const MIS: u64 = 0x418;
    const IC: u64 = 0x41c;

    fn gpio() -> (Arc<Pl061>, Arc<Wires>) {
        let wires = Arc::new(Wires::default());
        let outputs = std::array::from_fn(|i| Some(IrqLine::new(wires.clone(), 8 + i as u32)));
        (Pl061::new("pl061", IrqLine::new(wires.clone(), 0), outputs, &Arc::default()), wires)
    }

    #[test]
    fn power_key_raises_an_edge_interrupt() {
        let (g, wires) = gpio();
        write(&*g, IBE, 8);
        write(&*g, IE, 8);
        IrqLine::new(g.clone(), 3).pulse();
        assert_eq!((read(&*g, RIS), read(&*g, MIS), wires.levels()), (8, 8, 1));
        write(&*g, IC, 8);
        assert_eq!((read(&*g, MIS), wires.levels()), (0, 0));
    }

    #[test]
    fn masked_data_and_outputs() {
        let (g, wires) = gpio();
        write(&*g, DIR, 0x0f);
        write(&*g, 0x3fc, 0xff);
        assert_eq!(read(&*g, 0x3fc), 0x0f);
        assert_eq!(wires.levels(), 0x0f00);
        write(&*g, 0x02 << 2, 0);
        assert_eq!((read(&*g, 0x3fc), read(&*g, 0x06 << 2)), (0x0d, 0x04));
        g.set_level(7, true);
        assert_eq!(read(&*g, 0x80 << 2), 0x80);
        assert_eq!(read(&*g, 0xfe0), 0x61);
    }

    #[test]
    fn level_interrupts_follow_the_line() {
        let (g, wires) = gpio();
        write(&*g, IS, 1);
        write(&*g, IEV, 1);
        write(&*g, IE, 1);
        g.set_level(0, true);
        write(&*g, IC, 1);
        assert_eq!(wires.levels(), 1);
        g.set_level(0, false);
        assert_eq!(wires.levels(), 0);
        // Falling edges only.
        write(&*g, IS, 0);
        write(&*g, IEV, 0);
        g.set_level(0, true);
        assert_eq!(read(&*g, RIS), 0);
        g.set_level(0, false);
        assert_eq!(read(&*g, RIS), 1);
    }

    #[test]
    fn save_and_restore() {
        let (g, _) = gpio();
        write(&*g, IBE, 8);
        write(&*g, IE, 8);
        g.set_level(3, true);
        let (h, wires) = gpio();
        h.restore(g.save()).unwrap();
        assert_eq!(h.save(), g.save());
        assert_eq!(wires.levels(), 1);
        h.reset();
        assert_eq!((read(&*h, IE), wires.levels()), (0, 0));
    }
}
