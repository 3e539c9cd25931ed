//! The distributor: which interrupts are pending for which PE (IHI 0048B, chapters 3 and 4.3).

use emu_core::irq::Pending;
use emu_core::metrics::Metric;
use emu_core::registers::Map;
use serde::{Deserialize, Serialize};

use super::frame::{Block, Write};
use super::regs::{DISTRIBUTOR, Dist, ENABLE_GRP0, ENABLE_GRP1};
use super::{Gicv2, State};
use crate::gic::bank::{Bank, Groups};
use crate::gic::regs::BankReg;

/// The SGIs, as bits of the first word of each array.
const SGIS: u32 = 0xffff;
/// The first SPI.
const FIRST_SPI: u32 = 32;

/// SGIs and PPIs of a PE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Private {
    bank: Bank,
    /// From which PEs each SGI is pending: a bit for each (GICD_SPENDSGIR).
    sources: [u8; 16],
}

/// The state of the distributor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Distributor {
    /// GICD_CTLR.
    ctlr: u32,
    private: Vec<Private>,
    spis: Bank,
    /// GICD_ITARGETSR of each SPI.
    targets: Vec<u8>,
}

impl Distributor {
    pub(super) fn new(cpus: usize, spis: u32) -> Self {
        let private = Private { bank: Bank::new(0, 32, SGIS), sources: [0; 16] };
        let mut distributor = Self {
            ctlr: 0,
            private: vec![private; cpus],
            spis: Bank::new(FIRST_SPI, spis, 0),
            targets: vec![0; spis as usize],
        };
        distributor.reset();
        distributor
    }

    /// The state after reset. The wires keep their levels: they belong to the devices.
    pub(super) fn reset(&mut self) {
        self.ctlr = 0;
        for private in &mut self.private {
            private.bank.reset();
            private.bank.write_bits(BankReg::SetEnable, 0, SGIS);
            private.sources = [0; 16];
        }
        self.spis.reset();
        // With one PE there is nothing to choose, and the registers are RAZ/WI (4.3.12).
        let only = u8::from(self.is_alone());
        self.targets.fill(only);
    }

    /// True if `other` is of a GIC with the same interrupts and PEs.
    pub(super) fn same_shape(&self, other: &Self) -> bool {
        let banks = self.private.iter().zip(&other.private).all(|(a, b)| a.bank.same_shape(&b.bank));
        banks
            && self.private.len() == other.private.len()
            && self.spis.same_shape(&other.spis)
            && self.targets.len() == other.targets.len()
    }

    fn is_alone(&self) -> bool {
        self.private.len() == 1
    }

    /// A bit for each PE.
    fn all_cpus(&self) -> u8 {
        (0xff_u16 >> (8 - self.private.len())) as u8
    }

    /// The wire of a PPI is at `level` now.
    pub(super) fn set_ppi(&mut self, cpu: usize, intid: u32, level: bool) {
        self.private[cpu].bank.set_level(intid, level);
    }

    /// The wire of an SPI, counted from 0, is at `level` now. True if that is a change.
    pub(super) fn set_spi(&mut self, line: u32, level: bool) -> bool {
        line < self.targets.len() as u32 && self.spis.set_level(FIRST_SPI + line, level)
    }

    /// The highest-priority pending interrupt of a PE in those groups that its CPU interface has enabled; of equals, the
    /// lowest INTID. An SPI with several targets is pending for each until the first one acknowledges it (1.4.3).
    pub(super) fn candidate(&self, cpu: usize, enabled: Groups) -> Option<Pending> {
        let groups = Groups {
            g0: enabled.g0 && self.ctlr & ENABLE_GRP0 != 0,
            g1: enabled.g1 && self.ctlr & ENABLE_GRP1 != 0,
        };
        let mut best: Option<Pending> = None;
        let mut offer = |p: Pending| {
            if best.is_none_or(|b| (p.priority, p.intid) < (b.priority, b.intid)) {
                best = Some(p);
            }
        };
        self.private[cpu].bank.for_each_ready(groups, &mut offer);
        self.spis.for_each_ready(groups, |p| {
            if self.targets[(p.intid - FIRST_SPI) as usize] >> cpu & 1 != 0 {
                offer(p);
            }
        });
        best
    }

    /// The PE that sent a pending SGI, of several the lowest; 0 for other interrupts.
    pub(super) fn source(&self, cpu: usize, intid: u32) -> u32 {
        self.private[cpu].sources.get(intid as usize).map_or(0, |s| s.trailing_zeros() & 7)
    }

    /// Pending to active. Gives the PE that sent an SGI; the same SGI from others stays pending.
    pub(super) fn acknowledge(&mut self, cpu: usize, intid: u32) -> u32 {
        const BOTH: Groups = Groups { g0: true, g1: true };
        let source = self.source(cpu, intid);
        if intid >= FIRST_SPI {
            self.spis.acknowledge(intid, BOTH);
            return source;
        }
        let private = &mut self.private[cpu];
        private.bank.acknowledge(intid, BOTH);
        if let Some(sources) = private.sources.get_mut(intid as usize) {
            *sources &= sources.wrapping_sub(1);
            if *sources != 0 {
                private.bank.trigger(intid);
            }
        }
        source
    }

    /// Active to inactive.
    pub(super) fn deactivate(&mut self, cpu: usize, intid: u32) {
        if intid >= FIRST_SPI {
            self.spis.deactivate(intid);
        } else {
            self.private[cpu].bank.deactivate(intid);
        }
    }

    /// GICD_SGIR: TargetListFilter\[25:24\], CPUTargetList\[23:16\], SGIINTID\[3:0\].
    fn send_sgi(&mut self, from: usize, value: u32) {
        let me = 1_u8 << from;
        let targets = match value >> 24 & 3 {
            0 => (value >> 16) as u8,
            1 => !me,
            2 => me,
            _ => 0,
        };
        for cpu in (0..self.private.len()).filter(|cpu| targets >> cpu & 1 != 0) {
            self.add_sources(cpu, (value & 15) as usize, me);
        }
    }

    fn add_sources(&mut self, cpu: usize, sgi: usize, sources: u8) {
        let sources = sources & self.all_cpus();
        let private = &mut self.private[cpu];
        private.sources[sgi] |= sources;
        if sources != 0 {
            private.bank.trigger(sgi as u32);
        }
    }

    fn remove_sources(&mut self, cpu: usize, sgi: usize, sources: u8) {
        let private = &mut self.private[cpu];
        private.sources[sgi] &= !sources;
        if private.sources[sgi] == 0 {
            private.bank.write_bits(BankReg::ClearPending, 0, 1 << sgi);
        }
    }

    /// GICD_TYPER: ITLinesNumber, CPUNumber; SecurityExtn and LSPI are 0.
    fn typer(&self) -> u32 {
        (self.targets.len() as u32 / 32) | (self.private.len() as u32 - 1) << 5
    }

    /// GICD_ITARGETSR: of SGIs and PPIs, the PE that asks.
    fn read_targets(&self, cpu: usize, first: usize) -> u32 {
        let target = |n: usize| match n.checked_sub(FIRST_SPI as usize) {
            _ if self.is_alone() => 0,
            None => 1 << cpu,
            Some(spi) => self.targets.get(spi).copied().unwrap_or(0),
        };
        (0..4).fold(0, |v, i| v | u32::from(target(first + i)) << (8 * i))
    }

    fn write_targets(&mut self, at: usize, bytes: usize, value: u32) {
        let all = self.all_cpus();
        if self.is_alone() {
            return;
        }
        let Some(first) = at.checked_sub(FIRST_SPI as usize) else { return };
        for (i, target) in self.targets.iter_mut().skip(first).take(bytes).enumerate() {
            *target = (value >> (8 * i)) as u8 & all;
        }
    }

    /// True if the registers of an array are those of an interrupt that there is.
    fn is_there(&self, reg: Dist, index: u32) -> bool {
        let interrupts = match reg {
            Dist::Bits(_) => 32,
            Dist::Priority | Dist::Target => 4,
            Dist::Config => 16,
            Dist::Ctlr | Dist::Typer | Dist::Sgir | Dist::ClearSgi | Dist::SetSgi => return true,
        };
        index * interrupts < FIRST_SPI + self.targets.len() as u32
    }

    fn peek(&self, cpu: usize, reg: Dist, index: u32) -> u32 {
        let (private, n) = (&self.private[cpu], index as usize);
        match reg {
            Dist::Ctlr => self.ctlr,
            Dist::Typer => self.typer(),
            Dist::Bits(reg) => match n.checked_sub(1) {
                None => private.bank.read_bits(reg, 0),
                Some(n) => self.spis.read_bits(reg, n),
            },
            Dist::Priority => match n.checked_sub(8) {
                None => private.bank.read_priority(4 * n, 4),
                Some(n) => self.spis.read_priority(4 * n, 4),
            },
            Dist::Target => self.read_targets(cpu, 4 * n),
            Dist::Config => match n.checked_sub(2) {
                None => private.bank.read_config(n),
                Some(n) => self.spis.read_config(n),
            },
            Dist::ClearSgi | Dist::SetSgi => {
                let sources = private.sources.iter().skip(4 * n).take(4).enumerate();
                sources.fold(0, |v, (i, &s)| v | u32::from(s) << (8 * i))
            }
            // Write-only.
            Dist::Sgir => 0,
        }
    }

    fn write(&mut self, cpu: usize, write: &Write<'_, Dist>) {
        let (n, at) = (write.hit.index as usize, write.hit.at() as usize);
        let (value, bytes) = (write.value, write.size.bytes() as usize);
        let byte = |i: usize| (value >> (8 * i)) as u8;
        match write.reg {
            Dist::Ctlr => self.ctlr = value,
            Dist::Bits(reg) => match n.checked_sub(1) {
                None => self.private[cpu].bank.write_bits(reg, 0, value & private_writable(reg)),
                Some(n) => self.spis.write_bits(reg, n, value),
            },
            Dist::Priority => match at.checked_sub(32) {
                None => self.private[cpu].bank.write_priority(at, bytes, value),
                Some(at) => self.spis.write_priority(at, bytes, value),
            },
            Dist::Target => self.write_targets(at, bytes, value),
            Dist::Config => match n.checked_sub(2) {
                None => self.private[cpu].bank.write_config(n, value),
                Some(n) => self.spis.write_config(n, value),
            },
            Dist::Sgir => self.send_sgi(cpu, value),
            Dist::ClearSgi => (0..bytes).for_each(|i| self.remove_sources(cpu, at + i, byte(i))),
            Dist::SetSgi => (0..bytes).for_each(|i| self.add_sources(cpu, at + i, byte(i))),
            // Read-only: the map lets no write through.
            Dist::Typer => {}
        }
    }
}

/// What a write of the first word of an array reaches: SGIs are always enabled, and their pending bits are read-only
/// (4.3.5 to 4.3.8).
fn private_writable(reg: BankReg) -> u32 {
    match reg {
        BankReg::ClearEnable | BankReg::SetPending | BankReg::ClearPending => !SGIS,
        _ => !0,
    }
}

/// The distributor on the bus.
pub(super) struct Registers;

impl Block for Registers {
    type Reg = Dist;
    const NAME: &'static str = "gicv2-distributor";
    const REGISTER: &'static str = "distributor register";
    const MAP: &'static Map<Dist> = &DISTRIBUTOR;

    fn peek(state: &State, cpu: usize, reg: Dist, index: u32) -> Option<u32> {
        let distributor = &state.distributor;
        distributor.is_there(reg, index).then(|| distributor.peek(cpu, reg, index))
    }

    fn write(state: &mut State, cpu: usize, write: &Write<'_, Dist>) -> bool {
        state.distributor.write(cpu, write);
        true
    }

    fn count(gic: &Gicv2, reg: Dist) {
        if reg == Dist::Sgir {
            gic.counters.add(Metric::Sgis, 1);
        }
    }
}
