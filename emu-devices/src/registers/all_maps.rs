//! All register maps of the crate, and the devices that answer for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use emu_core::bus::{Bus, MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::DirectPorts;
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::registers::{AnyMap, Listed, Shown};

use crate::accelerator::{self, Accelerator};
use crate::ahci::AhciFunction;
use crate::block::MemoryDisk;
use crate::flash::Programming;
use crate::flash::cfi::{CfiFlash, SECTOR};
use crate::fwcfg::FwCfg;
use crate::gic::{GicConfig, Gicv3};
use crate::gicv2::{self, Gicv2};
use crate::gicv2m::Gicv2m;
use crate::gpio::pl061::Pl061;
use crate::net::{E1000e, MacAddress};
use crate::nvme::{Nvme, NvmeOptions};
use crate::pci::{
    DEFAULT_DMA_MASK, Edu, IommuTestDevice, PciFunction, RootPort, RootPortOptions, TestDevice,
};
use crate::pl330::{self, Pl330};
use crate::rtc::pl031::Pl031;
use crate::test_master::{self, TestMaster};
use crate::uart::pl011::{CharBackend, Pl011};
use crate::virtio::{Blk, BlkOptions, Interfaces, VirtioDevice, VirtioMmio, VirtioOptions, VirtioPci};

const CPU: Requester = Requester::Cpu(0);

fn maps() -> Vec<&'static dyn AnyMap> {
    let platform: [&dyn AnyMap; 9] = [
        &crate::uart::pl011::MAP,
        &crate::rtc::pl031::MAP,
        &crate::gpio::pl061::MAP,
        &crate::fwcfg::MAP,
        &crate::gicv2m::MAP,
        &crate::test_master::MAP,
        &crate::nvme::MAP,
        &crate::pl330::MAP,
        &crate::accelerator::MAP,
    ];
    let parts = [
        crate::ahci::MAPS,
        crate::gic::MAPS,
        crate::gicv2::MAPS,
        crate::pci::MAPS,
        crate::virtio::MAPS,
        crate::flash::MAPS,
        crate::net::MAPS,
    ];
    platform.into_iter().chain(parts.into_iter().flatten().copied()).collect()
}

struct Nobody;

impl CharBackend for Nobody {
    fn transmit(&self, _: u8) -> bool {
        true
    }
}

fn ports() -> DirectPorts {
    DirectPorts(Arc::new(Bus::new()))
}

fn line() -> IrqLine {
    IrqLine::new(Arc::new(Unconnected), 0)
}

fn platform_devices() -> Vec<Arc<dyn MmioDevice>> {
    let (clock, counters) = (Clock::new(Mode::Counted), Arc::default());
    let bus = Arc::new(Bus::new());
    let config = GicConfig { cpus: &[0, 1], spis: 64, its: true, bus, counters: Arc::clone(&counters) };
    let v3 = Gicv3::new(config).unwrap();
    let v2 = Gicv2::new(gicv2::Config { cpus: 2, spis: 64, counters: Arc::clone(&counters) }).unwrap();
    vec![
        Pl011::new("pl011", &clock, line(), Box::new(Nobody), &counters),
        Pl031::new("pl031", &clock, 0, line(), &counters),
        Pl061::new("pl061", line(), [const { None }; 8], &counters),
        FwCfg::new("fw_cfg", &ports(), 0, &counters),
        CfiFlash::new("flash", SECTOR, &[], Programming::Lost, &counters).unwrap(),
        Gicv2m::new(v3.spi_sink(), 0, 32, &counters),
        TestMaster::new(test_master::Config {
            name: "test-master",
            streams: &[1],
            may_stall: true,
            ports: &ports(),
            irq: line(),
            counters: Arc::clone(&counters),
        }),
        Accelerator::new(accelerator::Config {
            name: "accelerator",
            stream: 2,
            may_stall: true,
            ports: &ports(),
            irqs: std::array::from_fn(|_| line()),
            clock: &clock,
            counters: &counters,
        }),
        Pl330::new(pl330::Config {
            name: "pl330",
            stream: 1,
            ports: &ports(),
            irq: line(),
            clock: &clock,
            counters: &counters,
        }),
        v3.distributor(),
        v3.redistributors(0, 2).unwrap(),
        v3.its().unwrap(),
        v2.distributor(),
        v2.cpu_interfaces(),
        v2.virtual_control(),
        v2.virtual_interfaces(),
    ]
}

fn disk() -> Arc<dyn VirtioDevice> {
    let disk = Arc::new(MemoryDisk::new("memory", vec![0; 512]));
    Blk::new(crate::block::DiskQueue::new(disk, 0).unwrap(), "", BlkOptions::default(), &Arc::default())
}

fn nvme() -> NvmeOptions {
    NvmeOptions { serial: String::new(), queues: 1, vectors: 1, mdts: 7, events: 3, inline: true }
}

/// What each device lists after reset.
fn lists() -> Vec<Vec<Listed>> {
    let mut lists: Vec<_> = platform_devices().iter().map(|d| d.registers(CPU)).collect();
    for interfaces in [Interfaces::Modern, Interfaces::Legacy] {
        let options = VirtioOptions { interfaces, ..VirtioOptions::default() };
        let slot =
            VirtioMmio::new("virtio-mmio", Some(disk()), line(), (&ports(), 0), options, &Arc::default());
        lists.push(slot.registers(CPU));
    }
    let options = VirtioOptions { interfaces: Interfaces::Transitional, ..VirtioOptions::default() };
    let virtio: Arc<dyn PciFunction> = VirtioPci::new("virtio-pci", disk(), options, &Arc::default());
    // The vectors of the legacy interface are there while MSI-X is enabled.
    let control = virtio.core().config_registers().into_iter().find(|r| r.name == "Message Control").unwrap();
    let with_msix: Arc<dyn PciFunction> = VirtioPci::new("virtio-pci", disk(), options, &Arc::default());
    let _ = with_msix.config_write(control.offset as u16, emu_core::addr::Size::B2, 0x8000);
    lists.push(with_msix.bar_registers(0));
    let test_device = Arc::new(TestDevice::new("pci-testdev", &Arc::default()));
    let edu = Edu::new("edu", DEFAULT_DMA_MASK, &Arc::default());
    let nic = E1000e::new("e1000e", MacAddress::default(), None, &Clock::new(Mode::Counted), &Arc::default());
    let nvme = Nvme::new("nvme", nvme(), Vec::new(), &Arc::default());
    let iommu_test = IommuTestDevice::new("iommu-testdev", &Arc::default());
    let ahci = AhciFunction::new("ahci", Default::default(), &Clock::new(Mode::Counted), &Arc::default());
    let port = RootPortOptions { slot: 1, port: 2, hotplug: true };
    let root_port = RootPort::new("pcie-root-port", port, &Arc::default());
    for function in [virtio, test_device, edu, nic, nvme, iommu_test, ahci, root_port] {
        lists.push(function.core().config_registers());
        for bar in 0..6 {
            lists.push(function.bar_registers(bar));
            lists.push(function.core().msix_registers(bar));
        }
    }
    lists
}

#[test]
fn no_map_has_a_flaw() {
    for map in maps() {
        assert_eq!(map.flaw(), None, "{}", map.specification());
    }
}

/// What a row says of the value after reset is what the device has then.
#[test]
fn devices_are_after_reset_as_their_maps_say() {
    let mut seen = 0;
    for register in lists().concat() {
        if let (Shown::Value(value), Some(reset)) = (register.value, register.reset) {
            assert_eq!(value, reset, "{} {:?}", register.name, register.number);
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn every_row_is_answered_by_a_device() {
    let lists = lists();
    let listed: BTreeSet<&str> = lists.iter().flatten().map(|l| l.name).collect();
    for map in maps() {
        for name in map.names() {
            assert!(listed.contains(name), "{}: {name}", map.specification());
        }
    }
}
