//! The regions of the GICv2 on the bus: they differ in their registers only.

use std::marker::PhantomData;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::registers::{Hit, Listed, Map, Target};

use super::{Gicv2, State};

/// The registers of a region, banked by the PE that asks.
pub(super) trait Block: Send + Sync + 'static {
    /// What its registers are.
    type Reg: Copy;
    /// The region's name in the map of the bus.
    const NAME: &'static str;
    /// What one of them is called.
    const REGISTER: &'static str;
    /// The registers.
    const MAP: &'static Map<Self::Reg>;

    /// The value of a register whose reading changes nothing; none if there is no such element.
    fn peek(state: &State, cpu: usize, reg: Self::Reg, index: u32) -> Option<u32>;
    /// Reads a register whose reading changes something.
    fn take(_: &mut State, _cpu: usize, _: Self::Reg) -> u32 {
        0
    }
    /// A write, of `value` in those bytes that the access reaches; false if it is not allowed.
    fn write(state: &mut State, cpu: usize, write: &Write<'_, Self::Reg>) -> bool;
    /// Counts what a write asks for.
    fn count(_: &Gicv2, _: Self::Reg) {}
}

/// A write of a register.
pub(super) struct Write<'a, R: 'static> {
    /// The register.
    pub(super) reg: R,
    /// Where in it.
    pub(super) hit: &'a Hit<R>,
    /// How much of it.
    pub(super) size: Size,
    /// What is written, from bit 0 on, without bits that the register does not have.
    pub(super) value: u32,
}

/// One region.
pub(super) struct Frame<B> {
    gic: Arc<Gicv2>,
    block: PhantomData<B>,
}

impl<B: Block> Frame<B> {
    pub(super) fn new(gic: Arc<Gicv2>) -> Self {
        Self { gic, block: PhantomData }
    }
}

impl<B: Block> MmioDevice for Frame<B> {
    fn name(&self) -> &str {
        B::NAME
    }

    fn read(&self, offset: u64, size: Size, from: Requester) -> Result<u64, BusFault> {
        let cpu = self.gic.accessor(from)?;
        let Some(hit) = B::MAP.find(offset, size) else {
            self.gic.anomaly(&format!("read of no {}", B::REGISTER), offset);
            return Ok(0);
        };
        let value = hit.read(size, |reg| {
            let value = if hit.row.read_has_effect {
                self.gic.change(|s| B::take(s, cpu, reg))
            } else {
                B::peek(&self.gic.state.lock(), cpu, reg, hit.index).unwrap_or(0)
            };
            value.into()
        });
        Ok(value)
    }

    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        let cpu = self.gic.accessor(from)?;
        let Some(hit) = B::MAP.find(offset, size) else {
            self.gic.anomaly(&format!("write of no {}", B::REGISTER), offset);
            return Ok(());
        };
        let accepted = match hit.target() {
            Target::Register(reg) => {
                B::count(&self.gic, reg);
                let value = (hit.written(size, value) >> (8 * hit.byte)) as u32;
                self.gic.change(|s| B::write(s, cpu, &Write { reg, hit: &hit, size, value }))
            }
            Target::ReadOnly => false,
            Target::Ignored => true,
        };
        if !accepted {
            self.gic.anomaly(hit.row.name, value);
        }
        Ok(())
    }

    fn registers(&self, from: Requester) -> Vec<Listed> {
        let Ok(cpu) = self.gic.accessor(from) else { return Vec::new() };
        let state = self.gic.state.lock();
        B::MAP.list(0, |reg, index| B::peek(&state, cpu, reg, index).map(u64::from))
    }
}
