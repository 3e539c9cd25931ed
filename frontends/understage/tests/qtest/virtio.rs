//! A driver of virtio-blk, for each transport and interface.

use super::client::Machine;
use super::pci::Function;

/// Where the queue and the buffers are in RAM.
const RING: u64 = 0x4010_0000;
const HEADER: u64 = 0x4020_0000;
const DATA: u64 = 0x4020_1000;
const STATUS: u64 = 0x4020_2000;
/// Descriptors of the queue.
const SIZE: u64 = 8;
/// The parts of a queue, as the legacy interface places them (virtio 1.2, 2.7.2).
const AVAILABLE: u64 = RING + 16 * SIZE;
const USED: u64 = RING + 0x1000;

/// Device status bits (virtio 1.2, 2.1).
const ACKNOWLEDGE_DRIVER: u64 = 3;
const FEATURES_OK: u64 = 8;
const DRIVER_OK: u64 = 4;
/// VIRTIO_F_VERSION_1, in the second word of features.
const VERSION_1: u64 = 1;

/// How the driver reaches its device.
pub(crate) enum Transport {
    /// Modern, by PCI: the common configuration, and where queue 0 is notified.
    Pci { common: u64, notify: u64 },
    /// Registers at this address, of the version that is there.
    Mmio { base: u64, legacy: bool },
}

impl Transport {
    /// The disk on the PCI bus.
    pub(crate) fn on_pci(m: &mut Machine) -> Self {
        let function = Function::find(m, 0x1af4, 0x1042);
        let mut parts = [0; 5];
        let mut multiplier = 0;
        for at in function.capabilities(m, 9) {
            let kind = function.read(m, 'b', at + 3) as usize;
            let bar = function.read(m, 'b', at + 4) as usize;
            if kind < parts.len() && bar < 6 && parts[kind] == 0 {
                parts[kind] = function.bars[bar] + function.read(m, 'l', at + 8);
            }
            if kind == 2 {
                multiplier = function.read(m, 'l', at + 16);
            }
        }
        let [_, common, notify, ..] = parts;
        m.write('w', common + 22, 0);
        let notify = notify + m.read('w', common + 30) * multiplier;
        Self::Pci { common, notify }
    }

    /// The disk on a transport of the board's.
    pub(crate) fn on_mmio(m: &mut Machine) -> Self {
        let base = (0..32).map(|n| 0x0a00_0000 + n * 0x200).find(|base| m.read('l', base + 8) == 2);
        let base = base.expect("there is a disk");
        assert_eq!(m.read('l', base), 0x7472_6976);
        Self::Mmio { base, legacy: m.read('l', base + 4) == 1 }
    }

    /// From reset to a queue that can be used.
    pub(crate) fn begin(&self, m: &mut Machine) {
        match *self {
            Self::Pci { common, .. } => {
                m.write('b', common + 20, 0);
                m.write('b', common + 20, ACKNOWLEDGE_DRIVER);
                m.write('l', common + 8, 1);
                m.write('l', common + 12, VERSION_1);
                m.write('b', common + 20, ACKNOWLEDGE_DRIVER | FEATURES_OK);
                assert_ne!(m.read('b', common + 20) & FEATURES_OK, 0);
                m.write('w', common + 22, 0);
                m.write('w', common + 24, SIZE);
                for (at, address) in [(32, RING), (40, AVAILABLE), (48, USED)] {
                    m.write('q', common + at, address);
                }
                m.write('w', common + 28, 1);
                m.write('b', common + 20, ACKNOWLEDGE_DRIVER | FEATURES_OK | DRIVER_OK);
            }
            Self::Mmio { base, legacy: true } => {
                m.write('l', base + 0x70, 0);
                m.write('l', base + 0x70, ACKNOWLEDGE_DRIVER);
                m.write('l', base + 0x20, 0);
                m.write('l', base + 0x28, 0x1000);
                m.write('l', base + 0x30, 0);
                m.write('l', base + 0x38, SIZE);
                m.write('l', base + 0x3c, 0x1000);
                m.write('l', base + 0x40, RING >> 12);
                m.write('l', base + 0x70, ACKNOWLEDGE_DRIVER | DRIVER_OK);
            }
            Self::Mmio { base, legacy: false } => {
                m.write('l', base + 0x70, 0);
                m.write('l', base + 0x70, ACKNOWLEDGE_DRIVER);
                m.write('l', base + 0x24, 1);
                m.write('l', base + 0x20, VERSION_1);
                m.write('l', base + 0x70, ACKNOWLEDGE_DRIVER | FEATURES_OK);
                assert_ne!(m.read('l', base + 0x70) & FEATURES_OK, 0);
                m.write('l', base + 0x30, 0);
                m.write('l', base + 0x38, SIZE);
                for (at, address) in [(0x80, RING), (0x90, AVAILABLE), (0xa0, USED)] {
                    m.write('l', base + at, address);
                    m.write('l', base + at + 4, 0);
                }
                m.write('l', base + 0x44, 1);
                m.write('l', base + 0x70, ACKNOWLEDGE_DRIVER | FEATURES_OK | DRIVER_OK);
            }
        }
    }

    fn notify(&self, m: &mut Machine) {
        match *self {
            Self::Pci { notify, .. } => m.write('w', notify, 0),
            Self::Mmio { base, .. } => m.write('l', base + 0x50, 0),
        }
    }

    /// Request number `n` since the beginning, of this type (virtio 1.2, 5.2.6); its status byte, when it is done.
    fn request(&self, m: &mut Machine, n: u64, kind: u64, sector: u64, len: u64) -> u8 {
        m.write('l', HEADER, kind);
        m.write('q', HEADER + 8, sector);
        m.write('b', STATUS, 0xff);
        // NEXT, and WRITE where it is the device that writes.
        let reads = u64::from(kind == 0) * 2;
        for (index, (address, len, flags, next)) in
            [(HEADER, 16, 1, 1), (DATA, len, 1 | reads, 2), (STATUS, 1, 2, 0)].into_iter().enumerate()
        {
            let at = RING + 16 * index as u64;
            m.write('q', at, address);
            m.write('q', at + 8, len | flags << 32 | next << 48);
        }
        m.write('w', AVAILABLE + 4 + 2 * (n % SIZE), 0);
        m.write('w', AVAILABLE + 2, n + 1);
        self.notify(m);
        m.until("the end of a request", |m| m.read('w', USED + 2) == n + 1);
        m.read('b', STATUS) as u8
    }

    /// Writes to the disk and reads it again.
    pub(crate) fn works(&self, m: &mut Machine) {
        self.begin(m);
        assert_eq!(self.request(m, 0, 0, 3, 512), 0);
        assert_eq!(m.bytes(DATA, 512), [3; 512], "as the image has it");
        m.set_bytes(DATA, &[0xa5; 1024]);
        assert_eq!(self.request(m, 1, 1, 5, 1024), 0);
        m.ok(&format!("memset {DATA:#x} 1024 0"));
        assert_eq!(self.request(m, 2, 0, 6, 512), 0);
        assert_eq!(m.bytes(DATA, 512), [0xa5; 512]);
        assert_eq!(self.request(m, 3, 0, 1 << 40, 512), 1, "beyond the end of the disk");
    }
}
