//! LPIs and the ITS.

use super::*;

/// Places of the tables in guest RAM.
const QUEUE: u64 = RAM;
const DEVICES: u64 = RAM + 0x1_0000;
const LEVEL2: u64 = RAM + 0x2_0000;
const COLLECTIONS: u64 = RAM + 0x3_0000;
const ITT: u64 = RAM + 0x4_0000;
const CONFIG: u64 = RAM + 0x10_0000;
const PENDING: u64 = RAM + 0x20_0000;

const VALID: u64 = 1 << 63;
const INDIRECT: u64 = 1 << 62;
const DEVICE: u32 = 0x18;

impl Rig {
    fn gits(&self, offset: u64, value: u64) {
        self.its.write(offset, Size::B8, value, CPU).unwrap();
    }
    fn gits_read(&self, offset: u64) -> u64 {
        self.its.read(offset, Size::B8, CPU).unwrap()
    }
    fn poke(&self, pa: u64, value: u64) {
        self.bus.write(Pa(pa), Size::B8, value, CPU).unwrap();
    }
    /// Writes an LPI's configuration byte.
    fn configure(&self, intid: u32, byte: u8) {
        self.bus.write(Pa(CONFIG + u64::from(intid - 8192)), Size::B1, byte.into(), CPU).unwrap();
    }
    /// Puts a command into the queue and rings.
    fn command(&self, dw: [u64; 4]) {
        let at = self.gits_read(0x88);
        for (i, d) in dw.into_iter().enumerate() {
            self.poke(QUEUE + at + 8 * i as u64, d);
        }
        let next = (at + 32) % 0x1000;
        self.gits(0x88, next);
        assert_eq!(self.gits_read(0x90), next, "the command is done");
    }
    fn mapd(&self, device: u32, itt: u64, bits: u64) {
        self.command([u64::from(device) << 32 | 0x08, bits - 1, VALID | itt, 0]);
    }
    fn mapc(&self, collection: u64, pe: u64) {
        self.command([0x09, 0, VALID | pe << 16 | collection, 0]);
    }
    fn mapti(&self, device: u32, event: u64, intid: u64, collection: u64) {
        self.command([u64::from(device) << 32 | 0x0a, intid << 32 | event, collection, 0]);
    }
    /// A command with DeviceID, EventID and collection.
    fn event(&self, number: u64, event: u64, collection: u64) {
        self.command([u64::from(DEVICE) << 32 | number, event, collection, 0]);
    }
    fn msi(&self, device: u32, event: u64) {
        self.its.write(0x1_0040, Size::B4, event, Requester::Device(device)).unwrap();
    }

    /// LPIs on, an ITS with flat tables, two collections for two PEs, one device with 32 events.
    fn with_its(indirect: bool) -> Self {
        let rig = Self::warm(&[0, 1]);
        for pe in 0..2 {
            rig.gicr64(pe, 0x70, CONFIG | 15);
            rig.gicr64(pe, 0x78, PENDING + pe as u64 * 0x1_0000);
            rig.gicr(pe, 0x0, 1);
        }
        rig.gits(0x100, VALID | if indirect { INDIRECT | DEVICES } else { DEVICES | 15 });
        rig.gits(0x108, VALID | COLLECTIONS);
        rig.gits(0x80, VALID | QUEUE);
        rig.its.write(0x0, Size::B4, 1, CPU).unwrap();
        if indirect {
            rig.poke(DEVICES, VALID | LEVEL2);
        }
        rig.mapd(DEVICE, ITT, 5);
        rig.mapc(0, 0);
        rig.mapc(1, 1);
        rig.mapti(DEVICE, 3, 8200, 0);
        rig.configure(8200, 0xa0 | 1);
        rig.forget_kicks();
        rig
    }
}

#[test]
fn registers() {
    let rig = Rig::with_its(false);
    assert_eq!(
        rig.gits_read(0x8),
        0x1ef71,
        "16 bits of DeviceID and EventID, 8-byte ITT entries, physical LPIs"
    );
    assert_eq!(rig.gits_read(0x100), VALID | 1 << 56 | 7 << 48 | DEVICES | 15);
    assert_eq!(rig.gits_read(0x108), VALID | 4 << 56 | 7 << 48 | COLLECTIONS);
    assert_eq!(rig.gits_read(0x110), 0);
    assert_eq!(rig.its.read(0x0, Size::B4, CPU), Ok(1));
    rig.gits(0x108, 0);
    assert_eq!((rig.gits_read(0x108) >> 63, rig.anomalies()), (1, 1), "not while enabled");
    rig.its.write(0x0, Size::B4, 0, CPU).unwrap();
    assert_eq!(rig.its.read(0x0, Size::B4, CPU), Ok(1 << 31), "quiescent");
    rig.gits(0x108, INDIRECT);
    assert_eq!(rig.gits_read(0x108), 4 << 56 | 7 << 48, "collections are flat");
    assert_eq!(rig.gicr_read(0, 0x0, Size::B4), 0b111, "EnableLPIs, CES, IR");
}

#[test]
fn an_msi_becomes_an_lpi() {
    for indirect in [false, true] {
        let rig = Rig::with_its(indirect);
        rig.msi(DEVICE, 3);
        assert_eq!(rig.pending(0), Some(Pending { intid: 8200, priority: 0xa0, group: Group::G1 }));
        assert_eq!((rig.kicked(0), rig.kicked(1)), (1, 0));
        assert!(rig.ports[0].acknowledge(8200));
        assert!(!rig.ports[0].acknowledge(8200));
        assert_eq!(rig.intid(0), None);
        rig.ports[0].deactivate(8200);
        rig.msi(DEVICE, 3);
        assert_eq!(rig.intid(0), Some(8200), "again, from the cache");
        assert_eq!((rig.counters.get(Metric::Msis), rig.anomalies()), (2, 0));
    }
}

#[test]
fn unmapped_messages_are_dropped() {
    let rig = Rig::with_its(false);
    rig.msi(DEVICE, 4);
    rig.msi(DEVICE, 32);
    rig.msi(DEVICE + 1, 3);
    rig.msi(0x12_3456, 3);
    rig.its.write(0x1_0040, Size::B4, 3, CPU).unwrap();
    rig.its.write(0x0, Size::B4, 0, CPU).unwrap();
    rig.msi(DEVICE, 3);
    assert_eq!((rig.intid(0), rig.intid(1), rig.anomalies()), (None, None, 6));
}

#[test]
fn configuration_is_read_again_when_invalidated() {
    let rig = Rig::with_its(false);
    rig.configure(8200, 0xa0);
    rig.msi(DEVICE, 3);
    assert_eq!(rig.intid(0), None, "disabled");
    rig.configure(8200, 0x41);
    assert_eq!(rig.intid(0), None, "cached");
    rig.event(0x0c, 3, 0);
    assert_eq!(rig.pending(0).map(|p| (p.intid, p.priority)), Some((8200, 0x40)), "INV");
    rig.configure(8200, 0x81);
    rig.command([0x0d, 0, 0, 0]);
    assert_eq!(rig.pending(0).map(|p| p.priority), Some(0x80), "INVALL");
    rig.configure(8200, 0x21);
    rig.gicr64(0, 0xa0, 8200);
    assert_eq!(rig.pending(0).map(|p| p.priority), Some(0x20), "GICR_INVLPIR");
    rig.configure(8200, 0);
    rig.gicr64(0, 0xb0, 0);
    assert_eq!(rig.intid(0), None, "GICR_INVALLR");
    assert_eq!(rig.gicr_read(0, 0xc0, Size::B4), 0);
}

#[test]
fn int_clear_discard() {
    let rig = Rig::with_its(false);
    rig.event(0x03, 3, 0);
    assert_eq!(rig.intid(0), Some(8200));
    rig.event(0x04, 3, 0);
    assert_eq!(rig.intid(0), None);
    rig.event(0x03, 3, 0);
    rig.event(0x0f, 3, 0);
    assert_eq!(rig.intid(0), None, "DISCARD takes the pending state");
    rig.msi(DEVICE, 3);
    assert_eq!((rig.intid(0), rig.anomalies()), (None, 1), "and the mapping");
}

#[test]
fn moving() {
    let rig = Rig::with_its(false);
    rig.msi(DEVICE, 3);
    rig.forget_kicks();
    rig.event(0x01, 3, 1);
    assert_eq!((rig.intid(0), rig.intid(1)), (None, Some(8200)), "MOVI takes the pending state along");
    assert_eq!((rig.kicked(0), rig.kicked(1)), (1, 1));
    assert!(rig.ports[1].acknowledge(8200));
    rig.msi(DEVICE, 3);
    assert_eq!((rig.intid(0), rig.intid(1)), (None, Some(8200)));
    rig.command([0x0e, 0, 1 << 16, 0]);
    assert_eq!((rig.intid(0), rig.intid(1)), (Some(8200), None), "MOVALL");
    rig.mapc(1, 0);
    assert!(rig.ports[0].acknowledge(8200));
    rig.msi(DEVICE, 3);
    assert_eq!((rig.intid(0), rig.intid(1)), (Some(8200), None), "the collection is with PE 0 now");
}

#[test]
fn lpis_by_priority() {
    let rig = Rig::with_its(false);
    for (event, config) in [(10, 0x81), (11, 0x41), (12, 0x41)] {
        rig.mapti(DEVICE, event, 8192 + event, 0);
        rig.configure(8192 + event as u32, config);
        rig.msi(DEVICE, event);
    }
    for want in [8203, 8204, 8202] {
        assert_eq!(rig.intid(0), Some(want));
        assert!(rig.ports[0].acknowledge(want));
    }
    assert_eq!(rig.intid(0), None);
}

#[test]
fn mapi_and_unmapping() {
    let rig = Rig::with_its(false);
    rig.mapd(DEVICE, ITT, 16);
    rig.command([u64::from(DEVICE) << 32 | 0x0b, 8300, 1, 0]);
    rig.configure(8300, 1);
    rig.msi(DEVICE, 8300);
    assert_eq!(rig.intid(1), Some(8300), "MAPI: the EventID is the INTID");
    assert!(rig.ports[1].acknowledge(8300));
    rig.command([u64::from(DEVICE) << 32 | 0x08, 0, 0, 0]);
    rig.msi(DEVICE, 8300);
    assert_eq!((rig.intid(1), rig.anomalies()), (None, 1));
}

#[test]
fn wrong_commands_are_skipped() {
    let rig = Rig::with_its(false);
    let wrong = [
        [0xff, 0, 0, 0],
        [u64::from(DEVICE) << 32 | 0x0a, 8191 << 32, 0, 0],
        [u64::from(DEVICE) << 32 | 0x0a, 0x1_0000 << 32, 0, 0],
        [u64::from(DEVICE) << 32 | 0x0a, 8200 << 32 | 32, 0, 0],
        [9 << 32 | 0x0a, 8200 << 32, 0, 0],
        [u64::from(DEVICE) << 32 | 0x0c, 7, 0, 0],
        [0x1_0000 << 32 | 0x08, 4, VALID | ITT, 0],
        [7 << 32 | 0x08, 31, VALID | ITT, 0],
        [0x09, 0, VALID | 2 << 16, 0],
        [0x09, 0, VALID | 512, 0],
        [0x0d, 0, 77, 0],
        [0x0e, 0, 9 << 16, 0],
    ];
    for (i, dw) in wrong.into_iter().enumerate() {
        rig.command(dw);
        assert_eq!(rig.anomalies(), i as u64 + 1, "{dw:x?}");
    }
    rig.msi(DEVICE, 3);
    assert_eq!(rig.intid(0), Some(8200), "all is as before");
}

#[test]
fn tables_over_the_gics_own_registers_do_not_deadlock() {
    let rig = Rig::with_its(false);
    rig.bus.map(Pa(0x0808_0000), ITS_SIZE, Backing::Mmio(rig.its.clone())).unwrap();
    rig.mapd(9, 0x0808_0000, 5);
    rig.mapti(9, 0, 8200, 0);
    assert_eq!(rig.anomalies(), 1);
    rig.its.write(0x0, Size::B4, 0, CPU).unwrap();
    rig.gits(0x80, VALID | 0x0808_0000 | 0xff);
    rig.its.write(0x0, Size::B4, 1, CPU).unwrap();
    rig.gits(0x88, 0xf_ffe0);
    assert_eq!(rig.gits_read(0x90), 0xf_ffe0, "the whole queue was skipped");
}

#[test]
fn a_write_pointer_outside_of_the_queue_executes_nothing() {
    let rig = Rig::with_its(false);
    let before = rig.gits_read(0x90);
    rig.gits(0x88, 0x1000);
    assert_eq!((rig.gits_read(0x90), rig.anomalies()), (before, 1));
}

#[test]
fn the_pending_table_is_read_and_written() {
    let rig = Rig::with_its(false);
    rig.msi(DEVICE, 3);
    rig.gicr(0, 0x0, 0);
    assert_eq!(rig.intid(0), None);
    let byte = || rig.bus.read(Pa(PENDING + 8200 / 8), Size::B1, CPU).unwrap();
    assert_eq!(byte(), 1);
    rig.gicr(0, 0x0, 1);
    assert_eq!(rig.intid(0), Some(8200));
    rig.gicr64(0, 0x78, 0);
    assert_eq!(rig.gicr_read(0, 0x78, Size::B8), PENDING, "fixed while LPIs are enabled");
    rig.gicr(0, 0x0, 0);
    rig.gicr64(0, 0x78, 1 << 62 | PENDING);
    assert_eq!(rig.gicr_read(0, 0x78, Size::B8), PENDING, "PTZ is write-only");
    rig.gicr(0, 0x0, 1);
    assert_eq!(rig.intid(0), None, "PTZ: nothing is read");
    rig.gicr(0, 0x0, 0);
    rig.gicr64(0, 0x70, CONFIG | 12);
    rig.gicr(0, 0x0, 1);
    rig.msi(DEVICE, 3);
    assert_eq!(rig.intid(0), None, "13 bits of INTID: no LPIs");
}
