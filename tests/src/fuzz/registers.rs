//! Accesses to the registers of every device of the board.

use emu_core::addr::Size;
use understage::map;

use super::board::{self, RAM_SIZE, Running};
use super::source::Source;

const SIZES: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];
/// Most steps of an input.
const STEPS: usize = 400;

/// An address in a region: near the start of a device of it, often aligned.
fn offset(s: &mut Source, base: u64, size: u64, access: Size) -> u64 {
    let at = match s.u8() % 8 {
        0 => s.below(size),
        // ECAM: a function of bus 0; redistributors: one of the frames.
        1 if base == map::PCIE_ECAM_HIGH.base => {
            s.below(8) << 15 | s.below(8) << 12 & 0x7000 | s.below(0x200)
        }
        2 => s.below(size) & !0xffff | s.below(0x100),
        3 => size.wrapping_sub(u64::from(s.u8() % 32)),
        _ => s.below(size.min(0x1000)),
    };
    if s.one_in(8) { at } else { at & !(access.bytes() - 1) }
}

/// RAM addresses, those of devices, and no address.
fn pointer(s: &mut Source, regions: &[(u64, u64)]) -> u64 {
    match s.u8() % 8 {
        0 => s.value(),
        1 => {
            let (base, size) = s.pick(regions);
            base + s.below(size.min(0x1000))
        }
        2 => map::RAM_BASE + RAM_SIZE - u64::from(s.u8()),
        _ => map::RAM_BASE + s.below(RAM_SIZE),
    }
}

/// A request to fw_cfg with any descriptor.
fn fw_cfg_dma(s: &mut Source, b: &Running, regions: &[(u64, u64)]) {
    let at = pointer(s, regions);
    let any = s.u16();
    let key = s.pick(&[0, 1, 0x19, 0x11, 0x5, any]);
    let control = u32::from(key) << 16 | u32::from(s.u8());
    let length = if s.one_in(4) { s.u32() } else { s.u16().into() };
    let target = pointer(s, regions);
    b.write(at, Size::B4, control.swap_bytes().into());
    b.write(at.wrapping_add(4), Size::B4, length.swap_bytes().into());
    b.write(at.wrapping_add(8), Size::B8, target.swap_bytes());
    b.write(map::FW_CFG.range.base + 16, Size::B8, at.swap_bytes());
}

/// A virtio-mmio transport with a queue of garbage.
fn virtio_mmio(s: &mut Source, b: &Running, regions: &[(u64, u64)]) {
    let slot = map::VIRTIO_MMIO.base + (map::VIRTIO_MMIO_COUNT as u64 - 1 - s.below(4)) * 0x200;
    let set = |offset: u64, value: u64| b.write(slot + offset, Size::B4, value & 0xffff_ffff);
    for step in [0, 1, 3] {
        set(0x70, step);
    }
    for half in 0..2 {
        set(0x14, half);
        let offered = b.read(slot + 0x10, Size::B4);
        set(0x24, half);
        set(0x20, if s.one_in(4) { s.value() } else { offered });
    }
    set(0x70, 11);
    set(0x30, s.below(3));
    set(0x38, s.pick(&[1, 2, 8, 16, 256, 1024, 0x8000, 0xffff, 3]));
    for offset in [0x80, 0x90, 0xa0] {
        let at = pointer(s, regions);
        let at = if s.one_in(8) { at } else { at & !0xf };
        set(offset, at);
        set(offset + 4, at >> 32);
        for i in 0..s.below(12) {
            // Descriptors, or rings, as they come.
            b.write(at.wrapping_add(16 * i), Size::B8, pointer(s, regions));
            b.write(at.wrapping_add(16 * i + 8), Size::B8, u64::from(s.u16()) | u64::from(s.u32()) << 32);
        }
    }
    set(0x44, 1);
    set(0x70, 15);
    set(0x50, s.below(3));
}

/// Decoding and bus mastering on, BARs somewhere.
fn pci(s: &mut Source, b: &Running) {
    let device = s.below(5);
    for bar in [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24] {
        let value = match s.u8() % 4 {
            0 => s.value(),
            1 => 0x80 + s.below(0x80),
            _ => map::PCIE_MMIO.base + (s.below(64) << 14),
        };
        b.write(b.config(device, bar), Size::B4, value & 0xffff_ffff);
    }
    b.write(b.config(device, 4), Size::B2, u64::from(s.u8() & 7));
}

/// Commands of flash chips (CFI), in the right order often enough.
fn flash(s: &mut Source, b: &Running) {
    let base = s.pick(&[map::FLASH0.base, map::FLASH1.base]);
    // Not too many different pages: each one that is programmed stays in the host's memory.
    let at = base + (s.below(64) << 12) + u64::from(s.u8());
    let commands = [0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff, 0x01, 0x2f];
    for _ in 0..1 + s.below(6) {
        let value = if s.one_in(2) { s.pick(&commands) } else { s.u8().into() };
        let value = if s.one_in(2) { value } else { value * 0x1_0001 };
        b.write(at, s.pick(&SIZES), value);
    }
}

/// Steps of all kinds, one after the other.
pub(super) fn run(data: &[u8]) {
    board::with(|b| {
        let s = &mut Source::new(data);
        let regions = b.regions();
        for _ in 0..STEPS {
            if s.is_empty() {
                break;
            }
            match s.u8() % 16 {
                0 => fw_cfg_dma(s, b, &regions),
                1 => virtio_mmio(s, b, &regions),
                2 => pci(s, b),
                3 => flash(s, b),
                n => {
                    let (base, size) = s.pick(&regions);
                    let access = s.pick(&SIZES);
                    let at = base.wrapping_add(offset(s, base, size, access));
                    if n < 8 {
                        b.read(at, access);
                    } else {
                        let value = if s.one_in(4) { pointer(s, &regions) } else { s.value() };
                        b.write(at, access, value);
                    }
                }
            }
        }
        b.save_and_restore();
    });
}
