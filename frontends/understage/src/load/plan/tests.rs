use super::*;
use crate::config::{CpuModel, Given};
use crate::fdt::{Node, read};
use crate::load::elf::tests::elf;
use crate::load::image::tests::{gzip, image};
use crate::load::uimage::tests::uimage;
use emu_core::bus::Requester;
use std::path::PathBuf;
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn add(&self, option: &'static str, name: &str, bytes: &[u8]) -> HostFile {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        HostFile::new(option, path)
    }
    fn kernel(&self, bytes: &[u8]) -> Option<Kernel> {
        Some(Kernel { file: self.add("--kernel", "Image", bytes), raw_allowed: false })
    }
    fn flash(&self, bytes: &[u8]) -> Option<Flash> {
        Some(Flash { file: self.add("--firmware", "flash", bytes), readonly: false, snapshot: true })
    }
}

fn make(config: &MachineConfig) -> Result<Plan, String> {
    let seeds = Seeds { rng: [0; 32], kaslr: 0 };
    plan(config, CpuTraits::of(CpuModel::max()), seeds).map_err(|e| e.to_string())
}

fn segment<'a>(plan: &'a Plan, what: &str) -> &'a Segment {
    plan.segments.iter().find(|s| s.what.contains(what)).unwrap()
}

fn tree(plan: &Plan) -> Node {
    read::read(&plan.dtb).unwrap().root
}

#[test]
fn linux_with_a_ram_disk() {
    let files = Files::new();
    let config = MachineConfig {
        kernel: files.kernel(&gzip(&image(0, 40 * MIB, 8192))),
        initrd: Some(files.add("--initrd", "cpio", &[9; 5000])),
        append: Some(Given::new("--append", "quiet")),
        ..MachineConfig::default()
    };
    let plan = make(&config).unwrap();
    let kernel = segment(&plan, "the kernel");
    assert_eq!((kernel.address, kernel.size, kernel.bytes.len()), (0x4020_0000, 40 * MIB, 8192));
    let initrd = segment(&plan, "RAM disk");
    assert_eq!((initrd.address, &initrd.bytes[..]), (0x4800_0000, &[9; 5000][..]));
    let dtb = segment(&plan, "devicetree");
    assert_eq!(dtb.address, 0x4820_0000);
    let boot = Boot { entry_pc: 0x4020_0000, x0: 0x4820_0000, el: El::El2 };
    assert_eq!(plan.boot, Some(boot));
    let root = tree(&plan);
    let chosen = root.find("chosen").unwrap();
    assert_eq!(chosen.get_str("bootargs"), Some("quiet"));
    assert_eq!(chosen.get_cells("linux,initrd-end"), Some(vec![0, 0x4800_0000 + 5000]));

    let ram = GuestRam::new(config.memory).unwrap();
    plan.fill(ram).unwrap();
    let mut got = [0; 4];
    ram.read(0x0820_0000, &mut got).unwrap();
    assert_eq!(got, [0xd0, 0x0d, 0xfe, 0xed]);
}

#[test]
fn a_big_kernel_moves_the_rest() {
    let files = Files::new();
    let config = MachineConfig {
        kernel: files.kernel(&image(0x8_0000, 100 * MIB, 64)),
        initrd: Some(files.add("--initrd", "cpio", &[1; 100])),
        memory: 128 * MIB,
        ..MachineConfig::default()
    };
    let plan = make(&config).unwrap();
    assert_eq!(segment(&plan, "the kernel").address, 0x4008_0000);
    // Half of RAM is inside the kernel: after it instead.
    assert_eq!(segment(&plan, "RAM disk").address, 0x4008_0000 + 100 * MIB);
    let small = MachineConfig { memory: 64 * MIB, ..config };
    let e = make(&small).unwrap_err();
    assert!(e.contains("'--") || e.contains("the kernel '"), "{e}");
    assert!(e.contains("beyond the 64 MiB of RAM"), "{e}");
}

#[test]
fn too_big_a_ram_disk() {
    let files = Files::new();
    let config = MachineConfig {
        kernel: files.kernel(&image(0, 2 * MIB, 64)),
        initrd: Some(files.add("--initrd", "cpio", &vec![0; 6 << 20])),
        memory: 8 * MIB,
        ..MachineConfig::default()
    };
    let e = make(&config).unwrap_err();
    assert!(e.starts_with("the 8 MiB of RAM cannot hold the initial RAM disk '"), "{e}");
    let e = make(&MachineConfig { memory: 4 * MIB, ..config }).unwrap_err();
    assert!(e.ends_with("given with --initrd is larger than the RAM (4 MiB)"), "{e}");
}

#[test]
fn elf_kernels_and_programs() {
    let files = Files::new();
    let bytes = elf(0x4010_0004, &[(0x4010_0000, 0x4010_0000, b"12345678", 0x2000)]);
    let config = MachineConfig { kernel: files.kernel(&bytes), ..MachineConfig::default() };
    let plan = make(&config).unwrap();
    let boot = Boot { entry_pc: 0x4010_0004, x0: 0, el: El::El2 };
    assert_eq!(plan.boot, Some(boot));
    assert_eq!(segment(&plan, "devicetree").address, map::RAM_BASE);

    let file = files.add("--load", "p.elf", &bytes);
    let mut config = MachineConfig {
        blobs: vec![Blob::Elf { file, run: true }],
        memory: 2 * MIB,
        ..MachineConfig::default()
    };
    config.virt.virtualization = false;
    let plan = make(&config).unwrap();
    let boot = Boot { entry_pc: 0x4010_0004, x0: 0, el: El::El1 };
    assert_eq!(plan.boot, Some(boot));
    config.entry = Some(0x4010_0000);
    assert_eq!(make(&config).unwrap().boot.unwrap().entry_pc, 0x4010_0000);
}

#[test]
fn blobs_are_in_nobodys_way() {
    let files = Files::new();
    let blob = |name: &str, address| Blob::Raw { file: files.add("--load", name, &[3; 4096]), address };
    let mut config = MachineConfig {
        kernel: files.kernel(&image(0, MIB, 64)),
        blobs: vec![blob("a.bin", 0x4800_0000), Blob::Data { bytes: vec![1, 2], address: 0x5000_0000 }],
        ..MachineConfig::default()
    };
    let plan = make(&config).unwrap();
    assert_eq!(segment(&plan, "devicetree").address, 0x4801_0000);
    config.blobs.push(blob("b.bin", 0x4020_0800));
    let e = make(&config).unwrap_err();
    assert!(e.contains("would overlap '") && e.contains("b.bin"), "{e}");
    config.blobs[2] = blob("b.bin", 0x900_0000);
    assert!(make(&config).unwrap_err().contains("would be at 0x9000000, which is not RAM"));
}

#[test]
fn a_program_at_the_start_of_ram_moves_the_devicetree() {
    let files = Files::new();
    let bytes = elf(0x4000_0000, &[(0x4000_0000, 0x4000_0000, b"code", 0x8_0000)]);
    let plan = make(&MachineConfig { kernel: files.kernel(&bytes), ..MachineConfig::default() }).unwrap();
    assert_eq!(segment(&plan, "devicetree").address, 0x4008_0000);
    assert_eq!(plan.boot.map(|b| (b.entry_pc, b.x0)), Some((0x4000_0000, 0)));
}

#[test]
fn a_program_may_be_in_flash() {
    let files = Files::new();
    let bytes =
        elf(0x10, &[(0x10, 0x10, b"code", 8), (0, 0x400_0000, b"vars", 4), (0, 0x4010_0000, b"data", 4)]);
    let config = MachineConfig { kernel: files.kernel(&bytes), ..MachineConfig::default() };
    let plan = make(&config).unwrap();
    let mut bank = vec![0xff; 0x10];
    bank.extend(b"code\0\0\0\0");
    assert_eq!(plan.flash, [Some(bank), Some(b"vars".to_vec())]);
    assert_eq!(plan.segments.len(), 2, "the rest and the devicetree");
    assert_eq!(plan.boot.map(|b| (b.entry_pc, b.x0)), Some((0x10, 0)));

    let file = files.add("--load", "p.elf", &bytes);
    let flash = [None, files.flash(&[1; 8])];
    let blobs = vec![Blob::Elf { file, run: true }];
    let e = make(&MachineConfig { blobs, flash, ..MachineConfig::default() }).unwrap_err();
    assert!(e.contains("would be in flash bank 1, whose contents are '"), "{e}");
}

#[test]
fn uboot_images_are_loaded_where_they_say() {
    let files = Files::new();
    let linux = |gz: u8, data: &[u8]| uimage(0x4020_0000, 0x4020_0000, [5, 22, 2, gz], data);
    let kernel = image(0, 40 * MIB, 8192);
    for bytes in [linux(0, &kernel), linux(1, &gzip(&kernel))] {
        let config = MachineConfig { kernel: files.kernel(&bytes), ..MachineConfig::default() };
        let plan = make(&config).unwrap();
        let loaded = segment(&plan, "the kernel");
        assert_eq!((loaded.address, loaded.size, &loaded.bytes[..]), (0x4020_0000, 40 * MIB, &kernel[..]));
        assert_eq!(plan.boot.map(|b| (b.entry_pc, b.x0)), Some((0x4020_0000, 0x4800_0000)));
    }
    // Another system's program, which can be anywhere.
    let bytes = uimage(0, 0x40, [17, 22, 14, 0], &[1; 128]);
    let plan = make(&MachineConfig { kernel: files.kernel(&bytes), ..MachineConfig::default() }).unwrap();
    assert_eq!(segment(&plan, "the kernel").address, 0x4200_0000);
    assert_eq!(plan.boot.map(|b| (b.entry_pc, b.x0)), Some((0x4200_0040, 0)));
    let mut config = MachineConfig {
        kernel: files.kernel(&uimage(0, 0, [5, 2, 2, 0], b"32 bit")),
        ..MachineConfig::default()
    };
    config.kernel.as_mut().unwrap().raw_allowed = true;
    assert!(make(&config).unwrap_err().contains("is for another architecture than arm64"));
}

/// What a program leaves behind is not what it finds when it starts again.
#[test]
fn memory_behind_what_is_loaded_is_zero_again_after_a_reset() {
    let files = Files::new();
    let bytes = elf(0x4010_0000, &[(0, 0x4010_0000, b"code", 0x2_0000)]);
    let config = MachineConfig { kernel: files.kernel(&bytes), memory: 2 * MIB, ..MachineConfig::default() };
    let plan = make(&config).unwrap();
    let ram = GuestRam::new(config.memory).unwrap();
    plan.fill(ram).unwrap();
    ram.write(0x10_0000, &[9; 0x3_0000]).unwrap();
    let (_, code) = ram.place(0x10_0000).unwrap().page().watch(Requester::Cpu(0));
    plan.refill(ram).unwrap();
    assert!(!code.holds(), "what was translated is out of date");
    let mut now = vec![1; 0x3_0000];
    ram.read(0x10_0000, &mut now).unwrap();
    assert_eq!(now[..5], *b"code\0");
    assert!(now[4..0x2_0000].iter().all(|b| *b == 0));
    assert!(now[0x2_0000..].iter().all(|b| *b == 9), "the rest of RAM keeps its contents");
}

#[test]
fn flash_that_is_written_is_a_file() {
    let files = Files::new();
    let fifo = files.0.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let flash = Flash { file: HostFile::new("--flash1", fifo), readonly: false, snapshot: false };
    let config = MachineConfig { flash: [None, Some(flash)], entry: Some(0), ..MachineConfig::default() };
    assert!(make(&config).unwrap_err().contains("given with --flash1: it is a FIFO"));
}

#[test]
fn firmware_gets_the_kernel_by_fw_cfg() {
    let files = Files::new();
    let kernel = image(0, 0x1000, 100);
    let config = MachineConfig {
        flash: [files.flash(&[5; 1000]), None],
        kernel: files.kernel(&gzip(&kernel)),
        initrd: Some(files.add("--initrd", "cpio", b"disk")),
        append: Some(Given::new("--append", "a b")),
        ..MachineConfig::default()
    };
    let plan = make(&config).unwrap();
    assert_eq!(plan.flash[0].as_deref(), Some(&[5; 1000][..]));
    assert_eq!(plan.boot, Some(Boot { entry_pc: 0, x0: 0, el: El::El2 }));
    assert_eq!(plan.segments.len(), 1);
    assert_eq!(segment(&plan, "devicetree").address, map::RAM_BASE);
    let item = |key| plan.fw_cfg.iter().find(|i| i.key == key).map(|i| &i.bytes[..]);
    assert_eq!(item(0x05), Some(&[1, 0][..]));
    assert_eq!(item(0x08), Some(&100u32.to_le_bytes()[..]));
    assert_eq!(item(0x11), Some(&kernel[..]));
    assert_eq!(item(0x0b), Some(&[4, 0, 0, 0][..]));
    assert_eq!(item(0x12), Some(&b"disk"[..]));
    assert_eq!(item(0x14), Some(&[4, 0, 0, 0][..]));
    assert_eq!(item(0x15), Some(&b"a b\0"[..]));
    let chosen = tree(&plan);
    let chosen = chosen.find("chosen").unwrap();
    assert_eq!(chosen.get_str("bootargs"), Some("a b"));
    assert!(chosen.get("linux,initrd-start").is_none());

    let too_big = files.add("--firmware", "big", b"");
    std::fs::File::options().write(true).open(&too_big.value).unwrap().set_len((64 << 20) + 1).unwrap();
    let flash = Flash { file: too_big, readonly: false, snapshot: true };
    let e = make(&MachineConfig { flash: [Some(flash), None], ..config }).unwrap_err();
    assert!(e.ends_with("given with --firmware is larger than a flash bank (64 MiB)"), "{e}");
}

#[test]
fn given_devicetrees() {
    let files = Files::new();
    let root =
        Node::new("").cells("#address-cells", &[2]).cells("#size-cells", &[2]).child(Node::new("mine"));
    let blob = Tree { root, ..Tree::default() }.to_blob().unwrap();
    let config = MachineConfig {
        kernel: files.kernel(&image(0, MIB, 64)),
        dtb: Some(files.add("--dtb", "my.dtb", &blob)),
        ..MachineConfig::default()
    };
    let root = tree(&make(&config).unwrap());
    assert!(root.find("mine").is_some() && root.find("memory@40000000").is_some());
    let dtb = Some(files.add("--dtb", "bad.dtb", b"not a tree"));
    let e = make(&MachineConfig { dtb, ..config }).unwrap_err();
    assert!(e.ends_with("cannot be used: it does not begin with the devicetree's magic number"), "{e}");
    assert!(e.contains("bad.dtb' given with --dtb"), "{e}");
}

#[test]
fn kernels_that_are_none() {
    let files = Files::new();
    let mut config = MachineConfig { kernel: files.kernel(b"#!/bin/sh"), ..MachineConfig::default() };
    assert!(make(&config).unwrap_err().contains("is neither an arm64 Image nor an ELF file"));
    config.kernel.as_mut().unwrap().raw_allowed = true;
    assert_eq!(make(&config).unwrap().boot.unwrap().entry_pc, 0x4008_0000);
    config.kernel = files.kernel(&image(u64::MAX - 1, 1, 64));
    assert!(make(&config).unwrap_err().contains("asks for a place beyond all memory"));
}

#[test]
fn nothing_to_run_is_a_plan_without_a_start() {
    assert_eq!(make(&MachineConfig::default()).unwrap().boot, None);
}
