use super::*;
use crate::config::{Bus, CharBackend, Smmu, SmmuProfile, Smmuv2Profile};
use crate::fdt::read;
use crate::fdt::{BootInfo, Seeds};

fn config() -> MachineConfig {
    MachineConfig { topology: Topology::flat(2), memory: 4 << 30, ..MachineConfig::default() }
}

/// The tree as a guest would see it: written, and read back.
fn tree(config: &MachineConfig) -> Node {
    // The facts are those of a board whose CPUs have a PMU.
    let mut tree = build(config, CpuTraits { pmu: true, ..CpuTraits::of(config.cpu) }).unwrap();
    let memory = Range { base: map::RAM_BASE, size: config.memory };
    let seeds = Seeds { rng: [1; 32], kaslr: 2 };
    BootInfo { memory, bootargs: None, initrd: None, modules: Vec::new(), seeds: Some(seeds) }
        .apply(&mut tree)
        .unwrap();
    read::read(&tree.to_blob().unwrap()).unwrap().root
}

fn cells(root: &Node, path: &str, name: &str) -> Vec<u32> {
    let node = root.find(path).unwrap_or_else(|| panic!("no node {path}"));
    node.get_cells(name).unwrap_or_else(|| panic!("no {name} in {path}"))
}

/// Node, property and cells, as the board that we follow has them.
const FACTS: &[(&str, &str, &[u32])] = &[
    ("memory@40000000", "reg", &[0, 0x4000_0000, 1, 0]),
    ("psci", "cpu_on", &[0xc400_0003]),
    ("psci", "cpu_off", &[0x8400_0002]),
    ("platform-bus@c000000", "ranges", &[0, 0, 0x0c00_0000, 0x0200_0000]),
    ("fw-cfg@9020000", "reg", &[0, 0x0902_0000, 0, 0x18]),
    ("virtio_mmio@a000000", "interrupts", &[0, 0x10, 1]),
    ("virtio_mmio@a000000", "reg", &[0, 0x0a00_0000, 0, 0x200]),
    ("virtio_mmio@a003e00", "interrupts", &[0, 0x2f, 1]),
    ("pl061@9030000", "interrupts", &[0, 7, 4]),
    ("pl061@9030000", "reg", &[0, 0x0903_0000, 0, 0x1000]),
    ("pl031@9010000", "interrupts", &[0, 2, 4]),
    ("pl031@9010000", "reg", &[0, 0x0901_0000, 0, 0x1000]),
    ("pl011@9000000", "interrupts", &[0, 1, 4]),
    ("pl011@9000000", "reg", &[0, 0x0900_0000, 0, 0x1000]),
    ("pcie@10000000", "reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]),
    ("pcie@10000000", "bus-range", &[0, 0xff]),
    ("pcie@10000000", "interrupt-map-mask", &[0x1800, 0, 0, 7]),
    (
        "pcie@10000000",
        "ranges",
        &[
            0x0100_0000,
            0,
            0,
            0,
            0x3eff_0000,
            0,
            0x1_0000,
            0x0200_0000,
            0,
            0x1000_0000,
            0,
            0x1000_0000,
            0,
            0x2eff_0000,
            0x0300_0000,
            0x80,
            0,
            0x80,
            0,
            0x80,
            0,
        ],
    ),
    ("pmu", "interrupts", &[1, 7, 4]),
    ("intc@8000000", "interrupts", &[1, 9, 4]),
    ("intc@8000000", "reg", &[0, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0xf6_0000]),
    ("intc@8000000/its@8080000", "reg", &[0, 0x0808_0000, 0, 0x2_0000]),
    ("flash@0", "reg", &[0, 0, 0, 0x0400_0000, 0, 0x0400_0000, 0, 0x0400_0000]),
    ("cpus/cpu@1", "reg", &[1]),
    ("timer", "interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4, 1, 12, 4]),
    ("apb-pclk", "clock-frequency", &[24_000_000]),
    ("gpio-keys/poweroff", "linux,code", &[0x74]),
];

#[test]
fn addresses_and_interrupts() {
    let root = tree(&config());
    for (path, name, expected) in FACTS {
        assert_eq!(cells(&root, path, name), *expected, "{path} {name}");
    }
    let chosen = root.find("chosen").unwrap();
    assert_eq!(chosen.get_str("stdout-path"), Some("/pl011@9000000"));
    assert_eq!(root.find("aliases").unwrap().get_str("serial0"), Some("/pl011@9000000"));
    assert!(chosen.get("rng-seed").is_some() && chosen.get("kaslr-seed").is_some());
    let transports = root.children.iter().filter(|n| n.name.starts_with("virtio_mmio@"));
    assert_eq!(transports.count(), 32);
}

#[test]
fn handles_lead_where_they_should() {
    let root = tree(&config());
    let handle = |path: &str| cells(&root, path, "phandle")[0];
    let gic = handle("intc@8000000");
    assert_eq!(cells(&root, "", "interrupt-parent"), [gic]);
    assert_eq!(cells(&root, "pcie@10000000", "msi-map")[1], handle("intc@8000000/its@8080000"));
    assert_eq!(cells(&root, "pl011@9000000", "clocks"), [handle("apb-pclk"); 2]);
    assert_eq!(cells(&root, "gpio-keys/poweroff", "gpios"), [handle("pl061@9030000"), 3, 0]);
    assert_eq!(cells(&root, "cpus/cpu-map/socket0/cluster0/core1", "cpu"), [handle("cpus/cpu@1")]);
    // Device 1, INTB is SPI 5.
    let rows = cells(&root, "pcie@10000000", "interrupt-map");
    assert_eq!(rows.len(), 160);
    assert_eq!(rows[50..60], [0x800, 0, 0, 2, gic, 0, 0, 0, 5, 4]);
}

/// What differs with a GICv2, for two CPUs with EL2.
const GICV2_FACTS: &[(&str, &str, &[u32])] = &[
    (
        "intc@8000000",
        "reg",
        &[
            0,
            0x0800_0000,
            0,
            0x1_0000,
            0,
            0x0801_0000,
            0,
            0x1_0000,
            0,
            0x0803_0000,
            0,
            0x1_0000,
            0,
            0x0804_0000,
            0,
            0x1_0000,
        ],
    ),
    ("intc@8000000", "interrupts", &[1, 9, 4]),
    ("intc@8000000", "#interrupt-cells", &[3]),
    ("intc@8000000/v2m@8020000", "reg", &[0, 0x0802_0000, 0, 0x1000]),
    ("timer", "interrupts", &[1, 13, 0x304, 1, 14, 0x304, 1, 11, 0x304, 1, 10, 0x304, 1, 12, 0x304]),
    ("pmu", "interrupts", &[1, 7, 0x304]),
    ("virtio_mmio@a000000", "interrupts", &[0, 0x10, 1]),
];

#[test]
fn a_gicv2() {
    let mut config = config();
    config.virt.gic = GicVersion::V2;
    config.virt.msi = Msi::Gicv2m;
    let root = tree(&config);
    for (path, name, expected) in GICV2_FACTS {
        assert_eq!(cells(&root, path, name), *expected, "{path} {name}");
    }
    let gic = root.find("intc@8000000").unwrap();
    assert_eq!(gic.get_str("compatible"), Some("arm,cortex-a15-gic"));
    assert!(gic.get("#redistributor-regions").is_none() && root.find("intc@8000000/its@8080000").is_none());
    let frame = root.find("intc@8000000/v2m@8020000").unwrap();
    assert_eq!(frame.get_str("compatible"), Some("arm,gic-v2m-frame"));
    assert!(frame.get("msi-controller").is_some());
    let msi = cells(&root, "intc@8000000/v2m@8020000", "phandle")[0];
    assert_eq!(cells(&root, "pcie@10000000", "msi-map"), [0, msi, 0, 0x1_0000]);
    config.virt.virtualization = false;
    config.virt.msi = Msi::Off;
    let root = tree(&config);
    let gic = root.find("intc@8000000").unwrap();
    assert_eq!(gic.get_cells("reg").unwrap(), [0, 0x0800_0000, 0, 0x1_0000, 0, 0x0801_0000, 0, 0x1_0000]);
    assert!(gic.get("interrupts").is_none() && gic.children.is_empty());
    // The frame goes with a GICv3 as well.
    config.virt.gic = GicVersion::V3;
    config.virt.msi = Msi::Gicv2m;
    assert!(tree(&config).find("intc@8000000/v2m@8020000").is_some());
}

/// The SMMU of the board as QEMU has it there, and the one that is added.
#[test]
fn a_system_mmu() {
    let root = tree(&config());
    assert!(root.find("pcie@10000000").unwrap().get("iommu-map").is_none());
    let of_board = Smmu::of_board(SmmuProfile::Qemu);
    for (smmu, path, reg, first) in [
        (of_board, "smmuv3@9050000", [0, 0x0905_0000, 0, 0x2_0000], 74),
        (Smmu::default(), "smmuv3@c000000", [0, 0x0c00_0000, 0, 0x2_0000], 112),
    ] {
        let mut config = config();
        config.devices.push(Device::new(smmu, Bus::Platform));
        let root = tree(&config);
        assert_eq!(cells(&root, path, "reg"), reg);
        let spis = [0, 1, 2, 3].map(|n| [0, first + n, 1]);
        assert_eq!(cells(&root, path, "interrupts"), spis.concat());
        assert_eq!(cells(&root, path, "#iommu-cells"), [1]);
        let node = root.find(path).unwrap();
        assert_eq!(node.get_str("compatible"), Some("arm,smmu-v3"));
        let names = node.get("interrupt-names").unwrap();
        assert_eq!(names, b"eventq\0priq\0cmdq-sync\0gerror\0");
        assert!(node.get("dma-coherent").is_some());
        assert!(node.get("msi-parent").is_none(), "it sends none");
        let handle = cells(&root, path, "phandle")[0];
        assert_eq!(cells(&root, "pcie@10000000", "iommu-map"), [0, handle, 0, 0x1_0000]);
        let others = root.children.iter().filter_map(|n| n.get_cells("phandle"));
        assert_eq!(others.filter(|h| *h == [handle]).count(), 1);
        let place = |name: &str| root.children.iter().position(|n| n.name.starts_with(name));
        assert_eq!(
            (place("smmuv3"), place("pl061")),
            (place("pcie").map(|n| n - 1), place("pcie").map(|n| n - 2))
        );
    }
}

/// An SMMUv2 as Linux's binding has it, at the place of its profile.
#[test]
fn an_smmuv2() {
    for (profile, compatible, size, banks) in [
        (Smmuv2Profile::Mmu500, "arm,mmu-500", 0x4_0000, 32),
        (Smmuv2Profile::Full, "arm,smmu-v2", 0x80_0000, 64),
    ] {
        let mut config = config();
        config.devices.push(Device::new(Smmuv2 { profile, ..Smmuv2::default() }, Bus::Platform));
        let root = tree(&config);
        let path = "smmuv2@b000000";
        let node = root.find(path).unwrap();
        assert_eq!(node.get_str("compatible"), Some(compatible));
        assert_eq!(cells(&root, path, "reg"), [0, 0x0b00_0000, 0, size]);
        assert_eq!(
            (cells(&root, path, "#iommu-cells"), cells(&root, path, "#global-interrupts")),
            (vec![1], vec![1])
        );
        // One of global faults, and one for each context bank: levels.
        let interrupts: Vec<u32> = (176..=176 + banks).flat_map(|spi| [0, spi, 4]).collect();
        assert_eq!(cells(&root, path, "interrupts"), interrupts);
        assert!(node.get("dma-coherent").is_some());
        let handle = cells(&root, path, "phandle")[0];
        assert_eq!(cells(&root, "pcie@10000000", "iommu-map"), [0, handle, 0, 0x7f00]);
        let place = |name: &str| root.children.iter().position(|n| n.name.starts_with(name));
        assert_eq!(place("smmuv2"), place("pcie").map(|n| n - 1));
    }
}

/// Masters on the system bus are behind either, if they ask for it.
#[test]
fn masters_on_the_system_bus_have_streams_of_the_system_mmu() {
    let smmuv2 = Device::new(Smmuv2 { profile: Smmuv2Profile::Mmu500, ..Smmuv2::default() }, Bus::Platform);
    let smmuv3 = Device::new(Smmu::of_board(SmmuProfile::Qemu), Bus::Platform);
    let master = || Device::new(device::test_master::Master::default(), Bus::Platform);
    let disk = |access_platform| {
        let settings = device::entropy::Entropy::default();
        Device { access_platform, ..Device::new(settings, Bus::MMIO) }
    };
    for mmu in [Some(smmuv2), Some(smmuv3), None] {
        let mut config = config();
        config.devices.extend([disk(true), disk(false), master(), master()]);
        config.devices.push(Device::new(device::pl330::DmaController, Bus::Platform));
        let there = mmu.is_some();
        config.devices.extend(mmu);
        let root = tree(&config);
        let iommus = |path: &str| root.find(path).unwrap().get_cells("iommus");
        let with =
            |ids: &[u32]| there.then(|| ids.iter().flat_map(|id| [phandle::IOMMU, *id]).collect::<Vec<_>>());
        assert_eq!(iommus("virtio_mmio@a003e00"), with(&[0x7f1f]));
        assert_eq!(iommus("virtio_mmio@a003c00"), None, "it does not ask for it");
        assert_eq!(iommus("virtio_mmio@a000000"), None, "nothing is there");
        assert_eq!(iommus("test-master@c100000"), with(&[0x7f40, 0x7f41, 0x7f42, 0x7f43]));
        assert_eq!(iommus("test-master@c102000"), with(&[0x7f44, 0x7f45, 0x7f46, 0x7f47]));
        let path = "accelerator@c200000";
        for can_stall in [false, true] {
            let text = if can_stall { "stall=on" } else { "stall=off" };
            let mut config = config.clone();
            config.devices.push(Device::new(device::accelerator::Queues::new(can_stall), Bus::Platform));
            let root = tree(&config);
            let node = root.find(path).unwrap();
            let streams = there.then(|| vec![phandle::IOMMU, 0x7f58]);
            assert_eq!(node.get_cells("iommus"), streams);
            let says =
                [node.get("dma-can-stall").is_some(), node.get_cells("pasid-num-bits") == Some(vec![20])];
            assert_eq!(says, [there && can_stall; 2], "{text}");
            assert_eq!(node.get_cells("interrupts").map(|cells| cells.len()), Some(24));
        }
        let path = "pl330@c110000";
        assert_eq!(iommus(path), with(&[0x7f50]));
        assert_eq!(cells(&root, path, "interrupts"), [0, 128, 4]);
        let node = root.find(path).unwrap();
        assert_eq!(node.get_str("compatible"), Some("arm,pl330"));
        assert_eq!(cells(&root, path, "clocks"), [phandle::CLOCK]);
        let path = "test-master@c102000";
        assert_eq!(cells(&root, path, "interrupts"), [0, 117, 4]);
        assert_eq!(cells(&root, path, "reg"), [0, 0x0c10_2000, 0, 0x2000]);
        let node = root.find(path).unwrap();
        assert_eq!(node.get_str("compatible"), Some("understage,test-master"));
        assert!(node.get("dma-can-stall").is_none());
    }
}

/// One that sends messages says where they go, and which DeviceID it has there.
#[test]
fn a_system_mmu_that_sends_messages() {
    let mut config = config();
    config.devices.push(Device::new(Smmu::of_board(SmmuProfile::Full), Bus::Platform));
    let parent = |config: &MachineConfig| {
        let root = tree(config);
        root.find("smmuv3@9050000").unwrap().get_cells("msi-parent")
    };
    assert_eq!(parent(&config), Some(vec![phandle::MSI, 0xffff]));
    config.virt.msi = Msi::Gicv2m;
    assert_eq!(parent(&config), Some(vec![phandle::MSI]));
    config.virt.msi = Msi::Off;
    assert_eq!(parent(&config), None);
}

/// Linux's binding (`arm,smmu-v3-pmcg.yaml`): two pages, an edge, and a DeviceID of its own.
#[test]
fn a_system_mmu_with_counters() {
    let mut config = config();
    config.devices.push(Device::new(Smmu::of_board(SmmuProfile::Full), Bus::Platform));
    let root = tree(&config);
    let path = "pmu@90e0000";
    assert_eq!(cells(&root, path, "reg"), [0, 0x090e_0000, 0, 0x1000, 0, 0x090f_0000, 0, 0x1000]);
    assert_eq!(cells(&root, path, "interrupts"), [0, 120, 1]);
    assert_eq!(cells(&root, path, "msi-parent"), [phandle::MSI, 0xfffe]);
    assert_eq!(root.find(path).unwrap().get_str("compatible"), Some("arm,smmu-v3-pmcg"));
    for (profile, compatible) in
        [(SmmuProfile::Mmu600, Some(&b"arm,mmu-600-pmcg\0arm,smmu-v3-pmcg\0"[..])), (SmmuProfile::Qemu, None)]
    {
        config.devices.clear();
        config.devices.push(Device::new(Smmu::of_board(profile), Bus::Platform));
        let root = tree(&config);
        assert_eq!(root.find(path).and_then(|node| node.get("compatible")), compatible);
    }
}

#[test]
fn options_show() {
    let root = tree(&config());
    assert_eq!(root.find("psci").unwrap().get_str("method"), Some("smc"));
    let mut without = config();
    without.virt.virtualization = false;
    without.virt.msi = Msi::Off;
    without.virt.highmem_ecam = false;
    without.virt.highmem_mmio = false;
    without.cpu = CpuModel::from_name("cortex-a72").unwrap();
    without.topology = Topology { sockets: 2, clusters: 1, cores: 2 };
    let root = tree(&without);
    assert_eq!(root.find("psci").unwrap().get_str("method"), Some("hvc"));
    assert!(root.find("intc@8000000/its@8080000").is_none());
    assert!(root.find("intc@8000000").unwrap().get("interrupts").is_none());
    let pcie = root.find("pcie@10000000").unwrap();
    assert!(pcie.get("msi-map").is_none());
    assert_eq!(pcie.get_cells("reg").unwrap(), [0, 0x3f00_0000, 0, 0x100_0000]);
    assert_eq!(pcie.get_cells("bus-range").unwrap(), [0, 15]);
    assert_eq!(pcie.get_cells("ranges").unwrap().len(), 14);
    assert_eq!(cells(&root, "timer", "interrupts").len(), 12);
    assert_eq!(root.find("cpus/cpu@0").unwrap().get_str("compatible"), Some("arm,cortex-a72"));
    let last = cells(&root, "cpus/cpu-map/socket1/cluster0/core1", "cpu");
    assert_eq!(last, cells(&root, "cpus/cpu@3", "phandle"));
    let no_pmu = build(&config(), CpuTraits { pmu: false, ..CpuTraits::of(CpuModel::max()) }).unwrap();
    assert!(no_pmu.root.find("pmu").is_none());
}

/// If there is a devicetree compiler on this host, it has nothing to say about the tree.
#[test]
fn dtc_has_no_complaint() {
    use std::process::Command;
    if Command::new("dtc").arg("--version").output().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("virt.dtb");
    std::fs::write(&path, build(&config(), CpuTraits::of(CpuModel::max())).unwrap().to_blob().unwrap())
        .unwrap();
    let out =
        Command::new("dtc").args(["-I", "dtb", "-O", "dts", "-o", "/dev/null"]).arg(&path).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && !errors.contains("ERROR"), "{errors}");
}

#[test]
fn nodes_are_in_the_order_of_the_board_that_we_follow() {
    let mut config = config();
    config.characters.second_serial = Some(CharBackend::Null);
    let tree = build(&config, CpuTraits { pmu: true, ..CpuTraits::of(config.cpu) }).unwrap();
    let mut names: Vec<&str> = tree.root.children.iter().map(|n| n.name.split('@').next().unwrap()).collect();
    names.dedup();
    let expected = [
        "psci",
        "platform-bus",
        "fw-cfg",
        "virtio_mmio",
        "gpio-keys",
        "pl061",
        "pcie",
        "pl031",
        "pl011",
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
    assert_eq!(names, expected);
}
