//! The devicetree of the `virt` board.

use emu_a64::features::Feat;

use super::tree::{Node, Tree, split};
use crate::config::{CpuModel, GicVersion, MachineConfig, Msi, Topology};
use crate::map::{self, Range};

/// Handles by which nodes refer to each other.
mod phandle {
    pub(super) const CLOCK: u32 = 0x8000;
    pub(super) const GIC: u32 = 0x8001;
    /// The ITS, or the GICv2m frame.
    pub(super) const MSI: u32 = 0x8002;
    pub(super) const GPIO: u32 = 0x8003;
    /// The first CPU's; the others follow.
    pub(super) const CPU: u32 = 0x8010;
}

/// Cells of a GIC interrupt specifier (Devicetree bindings of the GIC).
mod interrupt {
    pub(super) const SPI: u32 = 0;
    pub(super) const PPI: u32 = 1;
    pub(super) const EDGE: u32 = 1;
    pub(super) const LEVEL: u32 = 4;
}
use interrupt::{EDGE, LEVEL, PPI, SPI};

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

/// The tree of the board that `config` describes, but for what [`super::BootInfo`] adds.
#[must_use]
pub fn build(config: &MachineConfig, cpu: CpuTraits) -> Tree {
    let mut root = Node::new("")
        .cells("interrupt-parent", &[phandle::GIC])
        .flag("dma-coherent")
        .strings("model", &["linux,dummy-virt"])
        .cells("#size-cells", &[2])
        .cells("#address-cells", &[2])
        .strings("compatible", &["linux,dummy-virt"])
        .child(psci(config.virt.virtualization))
        .child(platform_bus())
        .child(fw_cfg());
    root.children.extend((0..map::VIRTIO_MMIO_COUNT).map(virtio_mmio));
    root.children.extend([power_button(), gpio(), pcie(config), rtc(), uart(map::UART, map::UART_SPI)]);
    if cpu.pmu {
        root.children.push(pmu(config));
    }
    let mut aliases = Node::new("aliases").strings("serial0", &["/pl011@9000000"]);
    if config.characters.second_serial.is_some() {
        root.children.push(uart(map::UART1, map::UART1_SPI));
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
    Tree { root, ..Tree::default() }
}

/// A node named by its address, with `reg`.
fn at(name: &str, range: Range) -> Node {
    Node::new(format!("{name}@{:x}", range.base)).wide("reg", &[range.base, range.size])
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

fn fw_cfg() -> Node {
    at("fw-cfg", map::FW_CFG).flag("dma-coherent").strings("compatible", &["qemu,fw-cfg-mmio"])
}

fn virtio_mmio(n: u32) -> Node {
    let size = map::VIRTIO_MMIO_STRIDE;
    let base = map::VIRTIO_MMIO.base + u64::from(n) * size;
    at("virtio_mmio", Range { base, size })
        .flag("dma-coherent")
        .cells("interrupts", &[SPI, map::VIRTIO_MMIO_SPI + n, EDGE])
        .strings("compatible", &["virtio,mmio"])
}

fn power_button() -> Node {
    const KEY_POWER: u32 = 116;
    Node::new("gpio-keys").strings("compatible", &["gpio-keys"]).child(
        Node::new("poweroff")
            .cells("gpios", &[phandle::GPIO, map::POWER_BUTTON_PIN, 0])
            .cells("linux,code", &[KEY_POWER])
            .strings("label", &["GPIO Key Poweroff"]),
    )
}

/// A PrimeCell: its clocks are the fixed one.
fn primecell(name: &str, range: Range, spi: u32, clocks: &[&str]) -> Node {
    at(name, range)
        .strings("clock-names", clocks)
        .cells("clocks", &vec![phandle::CLOCK; clocks.len()])
        .cells("interrupts", &[SPI, spi, LEVEL])
        .strings("compatible", &[&format!("arm,{name}"), "arm,primecell"])
}

fn gpio() -> Node {
    primecell("pl061", map::GPIO, map::GPIO_SPI, &["apb_pclk"])
        .flag("gpio-controller")
        .cells("#gpio-cells", &[2])
        .cells("phandle", &[phandle::GPIO])
}

fn rtc() -> Node {
    primecell("pl031", map::RTC, map::RTC_SPI, &["apb_pclk"])
}

fn uart(range: Range, spi: u32) -> Node {
    primecell("pl011", range, spi, &["uartclk", "apb_pclk"])
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
        let mpidr = map::mpidr(n) as u32;
        node.children.push(
            Node::new(format!("cpu@{mpidr:x}"))
                .cells("phandle", &[phandle::CPU + n])
                .cells("reg", &[mpidr])
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
#[path = "virt_tests.rs"]
mod tests;
