//! The board's interrupt controller, of either version, and what messages of PCIe functions go to.

use std::sync::Arc;

use emu_core::bus::{Bus, MmioDevice};
use emu_core::irq::{GicConnection, IrqSink, Kick};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_devices::gic::{GicConfig, Gicv3, REDISTRIBUTOR_STRIDE};
use emu_devices::gicv2::{self, Gicv2};
use emu_devices::gicv2m::Gicv2m;
use emu_pe::cpu::affinity_of;

use crate::config::{GicVersion, MachineConfig, Msi};
use crate::error::{UserError, user_error};
use crate::map::{self, Range};

/// SPIs of the board.
const SPIS: u32 = 256;

/// See the module's head.
pub(super) enum Gic {
    V2(Arc<Gicv2>),
    V3(Arc<Gicv3>),
}

impl Gic {
    pub(super) fn new(
        config: &MachineConfig,
        bus: &Arc<Bus>,
        counters: &Arc<Counters>,
    ) -> Result<Self, UserError> {
        let cpus = config.topology.cpus();
        match config.virt.gic {
            GicVersion::V2 => {
                let config = gicv2::Config { cpus: cpus as usize, spis: SPIS, counters: counters.clone() };
                Gicv2::new(config).map(Self::V2).map_err(|e| user_error!("{e}"))
            }
            GicVersion::V3 => {
                let affinities: Vec<u64> = (0..cpus as usize).map(affinity_of).collect();
                let config = GicConfig {
                    cpus: &affinities,
                    spis: SPIS,
                    its: config.virt.msi == Msi::Its,
                    bus: bus.clone(),
                    counters: counters.clone(),
                };
                Gicv3::new(config).map(Self::V3).map_err(|e| user_error!("{e}"))
            }
        }
    }

    pub(super) fn component(&self) -> Arc<dyn Component> {
        match self {
            Self::V2(gic) => gic.clone(),
            Self::V3(gic) => gic.clone(),
        }
    }

    /// Where the wires of devices end.
    pub(super) fn spis(&self) -> Arc<dyn IrqSink> {
        match self {
            Self::V2(gic) => gic.spi_sink(),
            Self::V3(gic) => gic.spi_sink(),
        }
    }

    /// Connects a CPU, which `kick` wakes.
    pub(super) fn connect(&self, cpu: usize, kick: Arc<dyn Kick>) -> Result<GicConnection, UserError> {
        let connection = match self {
            Self::V2(gic) => {
                gic.set_kick(cpu, kick);
                gic.wires(cpu).map(GicConnection::Wires)
            }
            Self::V3(gic) => {
                gic.set_kick(cpu, kick);
                gic.port(cpu).map(GicConnection::SystemRegisters)
            }
        };
        connection.ok_or_else(|| user_error!("the GIC has no connection for CPU {cpu}"))
    }

    /// Its registers, and where they are on the board.
    pub(super) fn regions(
        &self,
        config: &MachineConfig,
        counters: &Arc<Counters>,
    ) -> Vec<(Range, Arc<dyn MmioDevice>)> {
        let mut regions: Vec<(Range, Arc<dyn MmioDevice>)> = Vec::new();
        match self {
            Self::V2(gic) => {
                regions.push((map::GICD, gic.distributor()));
                regions.push((map::GICC, gic.cpu_interfaces()));
                if config.virt.virtualization {
                    regions.push((map::GICH, gic.virtual_control()));
                    regions.push((map::GICV, gic.virtual_interfaces()));
                }
            }
            Self::V3(gic) => {
                regions.push((map::GICD, gic.distributor()));
                let size = REDISTRIBUTOR_STRIDE * gic.cpus() as u64;
                let redistributors = gic.redistributors(0, gic.cpus());
                regions.extend(redistributors.map(|r| (Range { base: map::GICR.base, size }, r)));
                regions.extend(gic.its().map(|its| (map::ITS, its)));
            }
        }
        if config.virt.msi == Msi::Gicv2m {
            let frame = Gicv2m::new(self.spis(), map::GICV2M_SPI, map::GICV2M_SPIS, counters);
            regions.push((map::GICV2M, frame));
        }
        regions
    }
}
