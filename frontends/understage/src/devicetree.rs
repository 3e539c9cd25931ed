//! The devicetree of the `virt` board.

use emu_a64::features::Feat;
use emu_pe::cpu::affinity_of;

use crate::config::{CpuModel, Device, GicVersion, MachineConfig, Msi, Smmuv2, Topology};
use crate::device;
use crate::device::places::{self, Place};
use crate::error::UserError;
use crate::fdt::nodes::interrupt::{EDGE, LEVEL, PPI, SPI};
use crate::fdt::nodes::{at, phandle};
use crate::fdt::tree::{Node, Tree, split};
use crate::map::{self, Range};

/// What the devicetree says about a CPU model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuTraits {
    /// `compatible` of the `cpu` nodes.
    pub compatible: &'static str,
    /// It has FEAT_PMUv3.
    pub pmu: bool,
    /// It has FEAT_VHE and with it the EL2 virtual timer.
    pub vhe: bool,
}

impl CpuTraits {
    /// The traits of `model`.
    #[must_use]
    pub fn of(model: CpuModel) -> Self {
        Self { compatible: model.compatible(), pmu: model.has(Feat::Pmuv3), vhe: model.has(Feat::Vhe) }
    }
}

impl CpuTraits {
    /// The traits of the CPUs of a machine: those of its model, with what was changed in it.
    #[must_use]
    pub fn of_machine(config: &MachineConfig) -> Self {
        let model = Self::of(config.cpu);
        Self { pmu: model.pmu && !config.cpu_changes.without.contains(&Feat::Pmuv3), ..model }
    }
}

/// The order in which QEMU's board has its nodes, by how their names begin. What is not among them comes last.
const ORDER: &[&str] = &[
    "psci",
    "platform-bus",
    "fw-cfg",
    "virtio_mmio",
    "gpio-keys",
    "pl061",
    "smmuv2",
    "smmuv3",
    "pcie",
    "pl031",
    "pl011@9000000",
    "pmu",
    "pl011",
    "intc",
    "flash",
    "cpus",
    "timer",
    "apb-pclk",
    "aliases",
    "chosen",
];

/// The tree of the board that `config` describes, but for what [`crate::fdt::BootInfo`] adds.
pub fn build(config: &MachineConfig, cpu: CpuTraits) -> Result<Tree, UserError> {
    let mut root = Node::new("")
        .cells("interrupt-parent", &[phandle::GIC])
        .flag("dma-coherent")
        .strings("model", &["linux,dummy-virt"])
        .cells("#size-cells", &[2])
        .cells("#address-cells", &[2])
        .strings("compatible", &["linux,dummy-virt"]);
    let (platform, behind) = devices(config)?;
    root.children = platform;
    root.children.extend([psci(config.virt.virtualization), platform_bus(), pcie(config)]);
    root.children.extend((0..map::VIRTIO_MMIO_COUNT).map(|n| virtio_mmio(n, behind.contains(&n))));
    if cpu.pmu {
        root.children.push(pmu(config));
    }
    let mut aliases = Node::new("aliases").strings("serial0", &["/pl011@9000000"]);
    if config.characters.second_serial.is_some() {
        aliases = aliases.strings("serial1", &["/pl011@9040000"]);
    }
    root.children.extend([
        gic(config),
        flash(),
        cpus(config.topology, cpu),
        timer(config, cpu),
        clock(),
        aliases,
        Node::new("chosen").strings("stdout-path", &["/pl011@9000000"]),
    ]);
    let place =
        |node: &Node| ORDER.iter().position(|name| node.name.starts_with(name)).unwrap_or(ORDER.len());
    root.children.sort_by_key(place);
    Ok(Tree { root, ..Tree::default() })
}

/// The nodes of the devices on the system bus, and the virtio-mmio transports whose devices are behind the system MMU.
fn devices(config: &MachineConfig) -> Result<(Vec<Node>, Vec<u32>), UserError> {
    let own = device::of_board(config);
    let devices: Vec<&Device> = own.iter().chain(&config.devices).collect();
    let (mut nodes, mut behind) = (Vec::new(), Vec::new());
    for (device, place) in devices.iter().zip(places::assign(&devices)?) {
        match place {
            Place::Platform(spot) => {
                nodes.extend(device::kind_of(device)?.nodes(&*device.settings, spot.resources, config));
            }
            Place::Mmio(n) if device.access_platform && config.has_system_mmu() => behind.push(n),
            Place::Mmio(_) | Place::Pci(_) => {}
        }
    }
    Ok((nodes, behind))
}

/// PSCI calls are made with the conduit that leaves EL2 free for the guest (DEN0022, 6.9).
fn psci(virtualization: bool) -> Node {
    Node::new("psci")
        .cells("migrate", &[0xc400_0005])
        .cells("cpu_on", &[0xc400_0003])
        .cells("cpu_off", &[0x8400_0002])
        .cells("cpu_suspend", &[0xc400_0001])
        .strings("method", &[if virtualization { "smc" } else { "hvc" }])
        .strings("compatible", &["arm,psci-1.0", "arm,psci-0.2", "arm,psci"])
}

fn platform_bus() -> Node {
    let Range { base, size } = map::PLATFORM_BUS;
    Node::new(format!("platform-bus@{base:x}"))
        .cells("interrupt-parent", &[phandle::GIC])
        .cells("ranges", &[0, (base >> 32) as u32, base as u32, size as u32])
        .cells("#address-cells", &[1])
        .cells("#size-cells", &[1])
        .strings("compatible", &["qemu,platform", "simple-bus"])
}

fn virtio_mmio(n: u32, behind: bool) -> Node {
    let node = at("virtio_mmio", map::virtio_mmio(n))
        .flag("dma-coherent")
        .cells("interrupts", &[SPI, map::VIRTIO_MMIO_SPI + n, EDGE])
        .strings("compatible", &["virtio,mmio"]);
    match behind {
        true => node.cells("iommus", &[phandle::IOMMU, map::VIRTIO_MMIO_STREAM + n]),
        false => node,
    }
}

fn clock() -> Node {
    Node::new("apb-pclk")
        .cells("phandle", &[phandle::CLOCK])
        .strings("clock-output-names", &["clk24mhz"])
        .cells("clock-frequency", &[24_000_000])
        .cells("#clock-cells", &[0])
        .strings("compatible", &["fixed-clock"])
}

/// The ranges of a PCI host bridge: flags, PCI address, CPU address, size (IEEE 1275 PCI binding, 2.2.1).
fn pcie(config: &MachineConfig) -> Node {
    const IO: u32 = 0x0100_0000;
    const MEM32: u32 = 0x0200_0000;
    const MEM64: u32 = 0x0300_0000;
    let mut ranges = Vec::new();
    let mut window = |kind: u32, pci: u64, cpu: Range| {
        ranges.push(kind);
        ranges.extend([pci, cpu.base, cpu.size].into_iter().flat_map(split));
    };
    window(IO, 0, map::PCIE_PIO);
    window(MEM32, map::PCIE_MMIO.base, map::PCIE_MMIO);
    if config.virt.highmem_mmio {
        window(MEM64, map::PCIE_MMIO_HIGH.base, map::PCIE_MMIO_HIGH);
    }
    let ecam = map::ecam(config.virt);
    let last_bus = (ecam.size >> 20) as u32 - 1;
    let mut node = Node::new(format!("pcie@{:x}", map::PCIE_MMIO.base))
        .cells("interrupt-map-mask", &[0x1800, 0, 0, 7])
        .cells("interrupt-map", &intx_map())
        .cells("#interrupt-cells", &[1])
        .cells("ranges", &ranges)
        .wide("reg", &[ecam.base, ecam.size])
        .flag("dma-coherent")
        .cells("bus-range", &[0, last_bus])
        .cells("linux,pci-domain", &[0])
        .cells("#size-cells", &[2])
        .cells("#address-cells", &[3])
        .strings("device_type", &["pci"])
        .strings("compatible", &["pci-host-ecam-generic"]);
    // Requester IDs are StreamIDs and DeviceIDs as they are.
    if let Some(mmu) = config.devices.iter().find(|device| device.is_system_mmu()) {
        // An SMMUv2 does not tell more than 15 bits apart, and the last of these are of other masters.
        let ids = if mmu.told::<Smmuv2>().is_some() { map::MASTER_STREAMS.start } else { 0x1_0000 };
        node = node.cells("iommu-map", &[0, phandle::IOMMU, 0, ids]);
    }
    if config.virt.msi != Msi::Off {
        node = node.cells("msi-map", &[0, phandle::MSI, 0, 0x1_0000]);
    }
    node
}

/// INTx of four devices, rotated by the device number; others repeat.
fn intx_map() -> Vec<u32> {
    let mut map = Vec::new();
    for device in 0..4 {
        for pin in 0..4 {
            let spi = map::PCIE_SPI + (device + pin) % 4;
            map.extend([device << 11, 0, 0, pin + 1, phandle::GIC, 0, 0, SPI, spi, LEVEL]);
        }
    }
    map
}

/// The flags of a level-sensitive PPI. With a GICv2 they also name the CPUs that have it, in bits 15:8.
fn ppi_flags(config: &MachineConfig) -> u32 {
    match config.virt.gic {
        GicVersion::V2 => LEVEL | ((1 << config.topology.cpus().min(8)) - 1) << 8,
        GicVersion::V3 => LEVEL,
    }
}

fn pmu(config: &MachineConfig) -> Node {
    Node::new("pmu")
        .cells("interrupts", &[PPI, emu_core::irq::ppi::PMU - 16, ppi_flags(config)])
        .strings("compatible", &["arm,armv8-pmuv3"])
}

fn gic(config: &MachineConfig) -> Node {
    let virt = config.virt;
    let (compatible, ranges): (&str, &[Range]) = match (virt.gic, virt.virtualization) {
        (GicVersion::V3, _) => ("arm,gic-v3", &[map::GICD, map::GICR]),
        (GicVersion::V2, false) => ("arm,cortex-a15-gic", &[map::GICD, map::GICC]),
        (GicVersion::V2, true) => ("arm,cortex-a15-gic", &[map::GICD, map::GICC, map::GICH, map::GICV]),
    };
    let mut node = Node::new(format!("intc@{:x}", map::GICD.base))
        .cells("phandle", &[phandle::GIC])
        .wide("reg", &ranges.iter().flat_map(|r| [r.base, r.size]).collect::<Vec<_>>())
        .strings("compatible", &[compatible])
        .flag("ranges")
        .cells("#size-cells", &[2])
        .cells("#address-cells", &[2])
        .flag("interrupt-controller")
        .cells("#interrupt-cells", &[3]);
    if virt.gic == GicVersion::V3 {
        node = node.cells("#redistributor-regions", &[1]);
    }
    if virt.virtualization {
        // The maintenance interrupt of the virtual CPU interface.
        node = node.cells("interrupts", &[PPI, emu_core::irq::ppi::MAINTENANCE - 16, LEVEL]);
    }
    match virt.msi {
        Msi::Off => node,
        Msi::Its => node.child(
            at("its", map::ITS)
                .cells("phandle", &[phandle::MSI])
                .cells("#msi-cells", &[1])
                .flag("msi-controller")
                .strings("compatible", &["arm,gic-v3-its"]),
        ),
        Msi::Gicv2m => node.child(
            at("v2m", map::GICV2M)
                .cells("phandle", &[phandle::MSI])
                .flag("msi-controller")
                .strings("compatible", &["arm,gic-v2m-frame"]),
        ),
    }
}

fn flash() -> Node {
    Node::new("flash@0")
        .cells("bank-width", &[4])
        .wide("reg", &[map::FLASH0.base, map::FLASH0.size, map::FLASH1.base, map::FLASH1.size])
        .strings("compatible", &["cfi-flash"])
}

fn timer(config: &MachineConfig, cpu: CpuTraits) -> Node {
    use emu_core::irq::ppi::{HYP_PHYSICAL, HYP_VIRTUAL, PHYSICAL, VIRTUAL};
    /// EL3's physical timer, which the binding lists first; there is no EL3 to use it.
    const SECURE_PHYSICAL: u32 = 29;
    let mut interrupts = vec![SECURE_PHYSICAL, PHYSICAL, VIRTUAL, HYP_PHYSICAL];
    if cpu.vhe {
        interrupts.push(HYP_VIRTUAL);
    }
    let cells: Vec<u32> =
        interrupts.into_iter().flat_map(|intid| [PPI, intid - 16, ppi_flags(config)]).collect();
    Node::new("timer")
        .cells("interrupts", &cells)
        .flag("always-on")
        .strings("compatible", &["arm,armv8-timer", "arm,armv7-timer"])
}

fn cpus(topology: Topology, cpu: CpuTraits) -> Node {
    let mut node =
        Node::new("cpus").cells("#size-cells", &[0]).cells("#address-cells", &[1]).child(cpu_map(topology));
    for n in 0..topology.cpus() {
        let affinity = affinity_of(n as usize) as u32;
        node.children.push(
            Node::new(format!("cpu@{affinity:x}"))
                .cells("phandle", &[phandle::CPU + n])
                .cells("reg", &[affinity])
                .strings("enable-method", &["psci"])
                .strings("compatible", &[cpu.compatible])
                .strings("device_type", &["cpu"]),
        );
    }
    node
}

fn cpu_map(topology: Topology) -> Node {
    let mut handles = phandle::CPU..;
    let mut cluster = |c| {
        let mut node = Node::new(format!("cluster{c}"));
        for (core, handle) in (0..topology.cores).zip(&mut handles) {
            node.children.push(Node::new(format!("core{core}")).cells("cpu", &[handle]));
        }
        node
    };
    let mut map = Node::new("cpu-map");
    for s in 0..topology.sockets {
        let mut socket = Node::new(format!("socket{s}"));
        socket.children.extend((0..topology.clusters).map(&mut cluster));
        map.children.push(socket);
    }
    map
}

#[cfg(test)]
mod tests;
