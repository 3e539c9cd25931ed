//! PL061 GPIO (Arm DDI 0190, r1p0): eight lines, each an input or an output, with edge and level interrupts.

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::irq::{IrqLine, IrqSink};
use emu_core::lifecycle::{Component, RestoreError, Saved};
use emu_core::metrics::Counters;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::registers::Access::{ReadOnly, ReadWrite, WriteOnly};
use crate::registers::{Register, RegisterBank, RegisterMap, primecell, row};

const DIR: u64 = 0x400;
const IS: u64 = 0x404;
const IBE: u64 = 0x408;
const IEV: u64 = 0x40c;
const IE: u64 = 0x410;
const RIS: u64 = 0x414;
const MIS: u64 = 0x418;
const IC: u64 = 0x41c;
const AFSEL: u64 = 0x420;

/// The registers (DDI 0190, table 3-1). Bits 9:2 of a GPIODATA address are the mask of the lines that it means.
pub static MAP: RegisterMap = RegisterMap {
    specification: "Arm DDI 0190 (PL061)",
    rows: &[
        Register { offset: 0, length: 0x400, name: "GPIODATA", access: ReadWrite, reset: 0 },
        row(DIR, "GPIODIR", ReadWrite, 0),
        row(IS, "GPIOIS", ReadWrite, 0),
        row(IBE, "GPIOIBE", ReadWrite, 0),
        row(IEV, "GPIOIEV", ReadWrite, 0),
        row(IE, "GPIOIE", ReadWrite, 0),
        row(RIS, "GPIORIS", ReadOnly, 0),
        row(MIS, "GPIOMIS", ReadOnly, 0),
        row(IC, "GPIOIC", WriteOnly, 0),
        row(AFSEL, "GPIOAFSEL", ReadWrite, 0),
    ],
    primecell: primecell(0x61, 0),
};

/// The line of the power key on the `virt` board.
pub const POWER_KEY: u32 = 3;

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
    bank: RegisterBank,
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

    fn read_word(&self, offset: u64) -> u32 {
        let s = self.state.lock();
        let value = match offset {
            0..0x400 => s.levels() & (offset >> 2) as u8,
            DIR => s.dir,
            IS => s.is,
            IBE => s.ibe,
            IEV => s.iev,
            IE => s.ie,
            RIS => s.raw(),
            MIS => s.raw() & s.ie,
            AFSEL => s.afsel,
            _ => 0,
        };
        value.into()
    }

    fn write_word(&self, offset: u64, value: u32) {
        let v = value as u8;
        self.with(|s| match offset {
            0..0x400 => {
                let mask = (offset >> 2) as u8 & s.dir;
                s.output = s.output & !mask | v & mask;
            }
            DIR => {
                let before = s.levels();
                s.dir = v;
                s.edge(before);
            }
            IS => s.is = v,
            IBE => s.ibe = v,
            IEV => s.iev = v,
            IE => s.ie = v,
            IC => s.edges &= !v,
            AFSEL => s.afsel = v,
            _ => {}
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
        Ok(self.bank.read(offset, size, |o| self.read_word(o)))
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        self.bank.write(offset, size, value, |o, v| self.write_word(o, v));
        Ok(())
    }
}

impl Component for Pl061 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn reset(&self) {
        self.with(|s| *s = State { input: s.input, ..State::default() });
    }
    fn save(&self) -> Saved {
        Saved::new(self.bank.name(), 1, &*self.state.lock())
    }
    fn restore(&self, saved: &Saved) -> Result<(), RestoreError> {
        let state = saved.get(1)?;
        self.with(|s| *s = state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Wires(AtomicU32);
    impl IrqSink for Wires {
        fn set_level(&self, line: u32, level: bool) {
            let bit = 1 << line;
            if level {
                self.0.fetch_or(bit, Ordering::SeqCst)
            } else {
                self.0.fetch_and(!bit, Ordering::SeqCst)
            };
        }
    }
    fn gpio() -> (Arc<Pl061>, Arc<Wires>) {
        let wires = Arc::new(Wires::default());
        let outputs = std::array::from_fn(|i| Some(IrqLine::new(wires.clone(), 8 + i as u32)));
        (Pl061::new("pl061", IrqLine::new(wires.clone(), 0), outputs, &Arc::default()), wires)
    }
    fn rd(g: &Pl061, o: u64) -> u32 {
        MmioDevice::read(g, o, Size::B4, Requester::Cpu(0)).unwrap() as u32
    }
    fn wr(g: &Pl061, o: u64, v: u32) {
        MmioDevice::write(g, o, Size::B4, v.into(), Requester::Cpu(0)).unwrap();
    }

    #[test]
    fn power_key_raises_an_edge_interrupt() {
        let (g, wires) = gpio();
        wr(&g, IBE, 8);
        wr(&g, IE, 8);
        IrqLine::new(g.clone(), POWER_KEY).pulse();
        assert_eq!((rd(&g, RIS), rd(&g, MIS), wires.0.load(Ordering::SeqCst)), (8, 8, 1));
        wr(&g, IC, 8);
        assert_eq!((rd(&g, MIS), wires.0.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn masked_data_and_outputs() {
        let (g, wires) = gpio();
        wr(&g, DIR, 0x0f);
        wr(&g, 0x3fc, 0xff);
        assert_eq!(rd(&g, 0x3fc), 0x0f);
        assert_eq!(wires.0.load(Ordering::SeqCst), 0x0f00);
        wr(&g, 0x02 << 2, 0);
        assert_eq!((rd(&g, 0x3fc), rd(&g, 0x06 << 2)), (0x0d, 0x04));
        g.set_level(7, true);
        assert_eq!(rd(&g, 0x80 << 2), 0x80);
        assert_eq!(rd(&g, 0xfe0), 0x61);
    }

    #[test]
    fn level_interrupts_follow_the_line() {
        let (g, wires) = gpio();
        wr(&g, IS, 1);
        wr(&g, IEV, 1);
        wr(&g, IE, 1);
        g.set_level(0, true);
        wr(&g, IC, 1);
        assert_eq!(wires.0.load(Ordering::SeqCst), 1);
        g.set_level(0, false);
        assert_eq!(wires.0.load(Ordering::SeqCst), 0);
        // Falling edges only.
        wr(&g, IS, 0);
        wr(&g, IEV, 0);
        g.set_level(0, true);
        assert_eq!(rd(&g, RIS), 0);
        g.set_level(0, false);
        assert_eq!(rd(&g, RIS), 1);
    }

    #[test]
    fn save_and_restore() {
        let (g, _) = gpio();
        wr(&g, IBE, 8);
        wr(&g, IE, 8);
        g.set_level(3, true);
        let (h, wires) = gpio();
        h.restore(&g.save()).unwrap();
        assert_eq!(h.save(), g.save());
        assert_eq!(wires.0.load(Ordering::SeqCst), 1);
        h.reset();
        assert_eq!((rd(&h, IE), wires.0.load(Ordering::SeqCst)), (0, 0));
    }
}
