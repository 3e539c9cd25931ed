use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::ram::GuestRam;

use crate::mem::shared::{PeerRequest, Shared};
use crate::mem::{access, context};
use crate::test_pe::on;

const RAM: u64 = 0x4000_0000;

/// A PE that has a write tag sleeps while another makes code from that page, and from very many others. The page counts as
/// written: it may have been, after the code was made and before the sleep.
#[test]
fn a_revocation_among_very_many_is_not_lost() {
    let bus = Arc::new(Bus::new());
    let ram = GuestRam::new(0x10000).unwrap();
    bus.map(Pa(RAM), 0x10000, Backing::Ram(ram, 0)).unwrap();
    let shared = Arc::new(Shared::new(2));
    let mut b = on(bus, shared.clone());
    context::select(&mut b.cpu);
    for page in [RAM, RAM + 0x1000] {
        access::store::<8>(&mut b.cpu, page, 1).unwrap();
        // With the MMU off all memory is Device memory.
        assert!(b.cpu.mem.fast.device_write(page, 8).is_some());
    }
    let [page, other] = [0, 0x1000].map(|at| ram.place(at).unwrap().page());
    let (news, code) = page.watch(Requester::Cpu(1));
    assert!(news);
    (0..10_000).for_each(|_| shared.post(1, PeerRequest::Revoke(other)));
    b.cpu.mem.serve_requests();
    assert!(b.cpu.mem.fast.device_write(RAM, 8).is_none());
    assert!(!code.holds() && !page.is_watched());
}
