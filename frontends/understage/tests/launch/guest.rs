//! A guest of a few instructions, in every shape in which a command line may want one, and what else lies about in a
//! directory from which machines are started.

use std::path::Path;

/// What the guest writes to the serial port before it turns the machine off.
pub(super) const SAYS: &str = "ok\n";

/// "ok\n" to the PL011 at 0x900_0000, then PSCI SYSTEM_OFF: by SMC at EL2, by HVC at EL1. It runs wherever it stands.
const CODE: [u32; 17] = [
    0xd2a1_2001, // movz x1, #0x900, lsl #16
    0x5280_0de2, // movz w2, #'o'
    0xb900_0022, // str w2, [x1]
    0x5280_0d62, // movz w2, #'k'
    0xb900_0022, // str w2, [x1]
    0x5280_0142, // movz w2, #'\n'
    0xb900_0022, // str w2, [x1]
    0xd538_4243, // mrs x3, CurrentEL
    0xd280_0100, // movz x0, #8
    0xf2b0_8000, // movk x0, #0x8400, lsl #16
    0xf100_207f, // cmp x3, #8
    0x5400_0060, // b.eq 1f
    0xd400_0002, // hvc #0
    0x1400_0000, // b .
    0xd400_0003, // 1: smc #0
    0x1400_0000, // b .
    0xd503_201f, // nop
];

/// The instructions as bytes.
fn code() -> Vec<u8> {
    CODE.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// As an arm64 `Image` (the Linux kernel's booting.rst): a branch over the header, then the code.
fn image() -> Vec<u8> {
    let mut header = vec![0; 64];
    header[0..4].copy_from_slice(&0x1400_0010u32.to_le_bytes());
    header[8..16].copy_from_slice(&0u64.to_le_bytes());
    header[16..24].copy_from_slice(&0x1_0000u64.to_le_bytes());
    header[24..32].copy_from_slice(&0xau64.to_le_bytes());
    header[56..60].copy_from_slice(b"ARM\x64");
    [header, code()].concat()
}

/// As an ELF program at `address`: the file's header, one segment.
fn elf(address: u64) -> Vec<u8> {
    let mut e = b"\x7fELF\x02\x01\x01".to_vec();
    e.resize(16, 0);
    e.extend(2u16.to_le_bytes()); // ET_EXEC
    e.extend(183u16.to_le_bytes()); // EM_AARCH64
    e.extend(1u32.to_le_bytes());
    e.extend(address.to_le_bytes());
    e.extend(64u64.to_le_bytes()); // program headers
    e.extend(0u64.to_le_bytes());
    e.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        e.extend(half.to_le_bytes());
    }
    let code = code();
    e.extend(1u32.to_le_bytes()); // PT_LOAD
    e.extend(5u32.to_le_bytes());
    for word in [0x1000, address, address, code.len() as u64, code.len() as u64, 0x1000] {
        e.extend(word.to_le_bytes());
    }
    e.resize(0x1000, 0);
    e.extend(code);
    e
}

/// An empty qcow2 image (version 3) of 1 MiB: header, reference counts of four clusters, an L1 table.
fn qcow2() -> Vec<u8> {
    const CLUSTER: usize = 0x1_0000;
    let mut q = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| q[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &3u32.to_be_bytes());
    put(20, &16u32.to_be_bytes()); // cluster bits
    put(24, &(1u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes()); // L1 entries
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes()); // reference count table
    put(56, &1u32.to_be_bytes());
    put(96, &4u32.to_be_bytes()); // 16-bit reference counts
    put(100, &104u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for n in 0..4 {
        put(2 * CLUSTER + 2 * n, &1u16.to_be_bytes());
    }
    q
}

/// Makes the files that `line` names.
pub(super) fn populate(dir: &Path, line: &str) {
    let named = |name: &str| line.contains(name.rsplit('/').next().unwrap_or(name));
    let put = |name: &str, bytes: &[u8]| {
        if named(name) {
            std::fs::write(dir.join(name), bytes).unwrap();
        }
    };
    for directory in ["firmware", "pages"] {
        std::fs::create_dir(dir.join(directory)).unwrap();
    }
    for name in ["Image", "xen", "linux.bin", "Image-guest", "hafnium.bin"] {
        put(name, &image());
    }
    for name in ["kernel.bin", "zephyr.bin", "jailhouse.bin", "loader.bin", "xvisor.bin", "bao.bin"] {
        put(name, &code());
    }
    put("kernel.elf", &elf(0x4008_0000));
    put("zephyr.elf", &elf(0x4000_0000));
    put("sel4.elf", &elf(0x6000_0000));
    put("test.flat", &image());
    for name in ["u-boot.bin", "bl1.bin"] {
        put(name, &code());
    }
    for name in ["QEMU_EFI.fd", "QEMU_VARS.fd", "flash.bin", "flash0.img", "flash1.img"] {
        put(name, &code());
        if named(name) {
            std::fs::File::options().write(true).open(dir.join(name)).unwrap().set_len(64 << 20).unwrap();
        }
    }
    for name in ["initrd.img", "rootfs.cpio.gz", "modules.bin", "key.bin", "payload.bin"] {
        put(name, &[0xa5; 5000]);
    }
    for name in ["disk.img", "root.ext4", "seed.iso", "cloud.raw"] {
        put(name, &vec![0; 1 << 20]);
    }
    put("disk.qcow2", &qcow2());
    put("firmware/edk2-aarch64-code.fd", &code());
}
