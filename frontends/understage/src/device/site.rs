//! What a board offers to the devices that are built for it.

use std::sync::Arc;

use emu_core::bus::{Bus, MmioDevice};
use emu_core::clock::Clock;
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::ledger::Account;
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_devices::net::{MacAddress, NetBackend};
use emu_mmu::Features;
use emu_pe::mem::shared::Shared;

use super::disks::Disks;
use super::fw_cfg::Contents;
use super::system_mmu::SystemMmu;
use crate::character::Port;
use crate::config::CharBackend;
use crate::error::UserError;
use crate::map::Range;

/// See the module's head.
pub trait Site {
    /// A name for a device of this kind in the place that it gets: no other device of the machine has it.
    fn name(&self, kind: &str) -> String;
    /// Where what devices do is counted.
    fn counters(&self) -> &Arc<Counters>;
    /// Where it is written what a device of this kind, at this place, does; `None` if the machine keeps no ledger.
    fn account(&self, kind: &str) -> Option<Arc<Account>>;
    /// The machine's time.
    fn clock(&self) -> &Arc<Clock>;
    /// The wire of an interrupt, an SPI.
    fn line(&self, spi: u32) -> IrqLine;
    /// The ways to memory of masters on the system bus, which nothing stands in.
    fn ports(&self) -> &dyn Ports;
    /// Those of masters that the system MMU is in front of, if there is one; else the same.
    fn translated_ports(&self) -> &dyn Ports;
    /// From now on PCI functions, and masters that ask for it, get their ways from a system MMU, which monitors show.
    fn stand_before_masters(&mut self, smmu: SystemMmu);
    /// The bus, for who reads tables in memory.
    fn bus(&self) -> &Arc<Bus>;
    /// What the CPUs share: it tells who listens of their TLB maintenance, and wakes them from WFE.
    fn cpus(&self) -> &Arc<Shared>;
    /// How the CPUs translate.
    fn translation(&self) -> Features;
    /// What the loaders hand over in fw_cfg.
    fn handed_over(&self) -> Contents<'_>;
    /// Opens the other end of a serial port or console, which is called `label`.
    fn open(&mut self, backend: &CharBackend, label: &str) -> Result<Arc<Port>, UserError>;
    /// The images that are in use.
    fn disks(&self) -> &Arc<Disks>;
    /// The other end of a network cable, by its name.
    fn network(&mut self, id: &str) -> Result<Arc<dyn NetBackend>, UserError>;
    /// An Ethernet address for a device that was given none.
    fn station(&mut self) -> MacAddress;
    /// Puts a device's registers on the bus.
    fn map(&mut self, range: Range, device: Arc<dyn MmioDevice>) -> Result<(), UserError>;
    /// The board has this component; those that come first start first.
    fn add(&mut self, component: Arc<dyn Component>);
    /// The wire of the board's power key ends here.
    fn power_key(&mut self, line: IrqLine);
}
