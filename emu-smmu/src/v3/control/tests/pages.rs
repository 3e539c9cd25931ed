//! The PRI queue (chapter 8, 6.3.33 to 6.3.36).

use emu_core::dma::ats::{PageRequest, Pasid};

use super::*;
use crate::v3::event::Queued;

const PRIQ: u64 = RAM + 0x4000;
const PRIQ_MSI: u64 = DOORBELL + 0x40;
/// PRIQ_PROD and PRIQ_CONS.
const PROD: u64 = 0x1_00c8;
const CONS: u64 = 0x1_00cc;
const OVERFLOW: u64 = 1 << 31;
/// PRIQ_ABT_ERR.
const ABORT: u64 = 1 << 3;

const PAGE: PageRequest =
    PageRequest { address: 0x7000, read: true, write: true, last: true, group: 3, pasid: None };
const FIRST: PageRequest = PageRequest { last: false, ..PAGE };

/// A queue of four, with its interrupt by wire and message.
fn rig(cfg2: u64) -> Rig {
    let rig = Rig::running(Profile::FULL);
    rig.w64(0xc0, 1 << 62 | PRIQ | 2);
    rig.w(0x50, 5);
    rig.w64(0xd0, PRIQ_MSI);
    rig.w(0xd8, 0x9a);
    rig.w(0xdc, cfg2);
    rig.w(0x50, 7);
    rig.w(0x20, 0xf);
    rig
}

impl Rig {
    fn page(&self, request: &PageRequest) -> Queued {
        self.interface.page_request(0x18, request)
    }

    /// Whether there was a message since the last time, and edges of the wire.
    fn told(&self) -> (bool, u32) {
        let message = self.ram.load_u32(PRIQ_MSI - RAM).unwrap();
        self.ram.store_u32(PRIQ_MSI - RAM, 0).unwrap();
        (message == 0x9a, self.edges()[1])
    }
}

#[test]
fn requests_are_recorded_and_the_first_one_interrupts() {
    let rig = rig(0);
    let pasid = Some(Pasid { id: 0xabcde, privileged: true, execute: false });
    assert_eq!(rig.page(&PageRequest { pasid, ..PAGE }), Queued::Recorded);
    assert_eq!((rig.told(), rig.r(PROD), rig.r(0xc8)), ((true, 1), 1, 1));
    let word = |n: u64| rig.ram.load_u64(PRIQ - RAM + 8 * n).unwrap();
    assert_eq!((word(0), word(1)), (0x18 | 0xabcde << 32 | 1 << 58 | 0xf << 60, 0x7003));
    assert_eq!((rig.page(&FIRST), rig.told()), (Queued::Recorded, (false, 0)));
    assert_eq!((word(2), word(3)), (0x18 | 3 << 60, 0x7003));
}

/// PRIQ_IRQ_CFG2.LO.
#[test]
fn the_last_of_a_group_interrupts_where_it_is_so_configured() {
    let rig = rig(1 << 31);
    assert_eq!((rig.page(&FIRST), rig.told()), (Queued::Recorded, (false, 0)));
    for _ in 0..2 {
        assert_eq!((rig.page(&PAGE), rig.told()), (Queued::Recorded, (true, 1)));
    }
    assert_eq!((rig.page(&FIRST), rig.r(PROD)), (Queued::Recorded, 4));
    assert_eq!((rig.page(&FIRST), rig.told()), (Queued::Overflow, (false, 0)));
    assert_eq!((rig.page(&PAGE), rig.told()), (Queued::Overflow, (true, 1)), "also of what is discarded");
    rig.w(0x20, 0xd);
    assert_eq!((rig.page(&PAGE), rig.told()), (Queued::Refused, (false, 0)));
}

/// 8.1: unlike the event queue, it stays closed until software has acknowledged.
#[test]
fn an_overflow_keeps_requests_out_until_it_is_acknowledged() {
    let rig = rig(0);
    for _ in 0..4 {
        assert_eq!(rig.page(&PAGE), Queued::Recorded);
    }
    rig.told();
    assert_eq!(rig.r(PROD), 4, "full, and no overflow");
    for _ in 0..2 {
        assert_eq!((rig.page(&PAGE), rig.r(PROD)), (Queued::Overflow, OVERFLOW | 4), "toggled once");
    }
    rig.w(CONS, 3);
    assert_eq!((rig.page(&PAGE), rig.r(PROD)), (Queued::Overflow, OVERFLOW | 4));
    rig.w(CONS, OVERFLOW | 4);
    assert_eq!((rig.page(&PAGE), rig.r(PROD), rig.told()), (Queued::Recorded, OVERFLOW | 5, (true, 1)));
    assert_eq!(rig.r(0x60), 0, "it is no global error");
}

#[test]
fn the_queue_is_closed_unless_both_enables_are_set() {
    let rig = rig(0);
    for cr0 in [0xd, 0xe] {
        rig.w(0x20, cr0);
        assert_eq!((rig.page(&PAGE), rig.r(PROD), rig.told()), (Queued::Refused, 0, (false, 0)), "{cr0:#x}");
        rig.w(0x20, 0xf);
    }
    assert_eq!(rig.page(&PAGE), Queued::Recorded);
}

/// 8.2.
#[test]
fn a_queue_outside_memory_is_an_abort_and_closed() {
    let rig = rig(0);
    rig.w(0x20, 0xd);
    rig.w64(0xc0, 0x9000_0000 | 2);
    rig.w(0x20, 0xf);
    assert_eq!((rig.page(&PAGE), rig.r(0x60), rig.r(PROD)), (Queued::Refused, ABORT, 0));
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 0, 1], [0x6e, 0, 0]));
    rig.w(0x20, 0xd);
    rig.w64(0xc0, PRIQ | 2);
    rig.w(0x20, 0xf);
    assert_eq!(rig.page(&PAGE), Queued::Refused, "until it is acknowledged");
    rig.w(0x64, ABORT);
    assert_eq!(rig.page(&PAGE), Queued::Recorded);
}

#[test]
fn a_message_that_is_aborted_is_an_error_of_its_own() {
    let rig = rig(0);
    rig.w(0x50, 5);
    rig.w64(0xd0, 0x9000_0000);
    rig.w(0x50, 7);
    assert_eq!(rig.page(&PAGE), Queued::Recorded);
    assert_eq!((rig.r(0x60), rig.edges()), (1 << 6, [0, 1, 0, 1]));
}

#[test]
fn an_interrupt_that_is_not_enabled_does_not_come() {
    let rig = rig(0);
    rig.w(0x50, 5);
    assert_eq!((rig.page(&PAGE), rig.told()), (Queued::Recorded, (false, 0)));
}
