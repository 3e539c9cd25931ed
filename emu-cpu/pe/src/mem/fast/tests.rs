use super::*;

const ALL: Allowed = Allowed { read: true, write: true, device: false, block_bits: 12 };

fn tlb() -> FastTlb {
    let mut tlb = FastTlb::new();
    tlb.select(&Context::default().key, Context::default);
    tlb
}

fn page(tlb: &mut FastTlb, va: u64) {
    let scope = TlbiScope::Va { regime: Regime::El10, vmid: 0, asid: None, start: va, end: va | (PAGE - 1) };
    tlb.invalidate(&scope);
}

/// Never dereferenced.
fn host(n: usize) -> *const u8 {
    std::ptr::without_provenance(n << 12)
}

#[test]
fn an_address_drops_every_page_of_its_block_and_no_other() {
    let mut tlb = tlb();
    // Pages of a 2 MiB block of stage 1, of a 1 GiB one, and one of its own.
    tlb.fill(0x20_0000, host(1), Allowed { block_bits: 21, ..ALL });
    tlb.fill(0x4000_0000, host(2), Allowed { block_bits: 30, ..ALL });
    tlb.fill(0x60_1000, host(3), ALL);
    let serial = tlb.serial(0);
    page(&mut tlb, 0x60_0000);
    page(&mut tlb, 0x1f_f000);
    page(&mut tlb, 0x8000_0000);
    for va in [0x20_0000, 0x4000_0000, 0x60_1000] {
        assert!(tlb.read::<8>(va).is_some(), "{va:#x}");
    }
    assert_eq!(tlb.serial(0), serial, "no code is found anew");
    page(&mut tlb, 0x60_1000);
    assert!(tlb.read::<8>(0x60_1000).is_none() && tlb.read::<8>(0x20_0000).is_some());
    page(&mut tlb, 0x3f_f000);
    assert!(tlb.read::<8>(0x20_0000).is_none(), "another page of the block");
    tlb.fill(0x4000_0000, host(2), Allowed { block_bits: 30, ..ALL });
    page(&mut tlb, 0x7fff_f000);
    assert!(tlb.read::<8>(0x4000_0000).is_none());
}

#[test]
fn a_misaligned_access_matches_no_mark() {
    let mut tlb = tlb();
    tlb.set_alignment_check(true);
    // The first page, whose number adds nothing to the comparison: empty, read-only, of Device type.
    let none = |tlb: &FastTlb| {
        (1..16).all(|va| {
            tlb.read::<16>(va).is_none() && tlb.write::<16>(va).is_none() && tlb.user_write(va, 16).is_none()
        })
    };
    assert!(none(&tlb));
    tlb.fill(0, host(1), Allowed { write: false, ..ALL });
    assert!(none(&tlb) && tlb.read::<16>(0).is_some());
    tlb.fill(0, host(1), Allowed { device: true, ..ALL });
    assert!(none(&tlb) && tlb.read::<16>(0).is_none());
    assert!(tlb.device_write(16, 16).is_some() && tlb.device_read(1, 2).is_none());
}

#[test]
fn unprivileged_entries_are_their_own() {
    let mut tlb = tlb();
    tlb.fill_user(0x5000, host(5), ALL);
    assert!(tlb.read::<8>(0x5000).is_none() && tlb.write::<8>(0x5000).is_none());
    assert!(tlb.user_read(0x5ff8, 8).is_some() && tlb.user_write(0x5000, 1).is_some());
    assert!(tlb.user_read(0x5ff9, 8).is_none(), "crosses into the next page");
    tlb.set_alignment_check(true);
    assert!(tlb.user_read(0x5001, 2).is_none() && tlb.user_read(0x5001, 1).is_some());
    tlb.set_alignment_check(false);
    assert!(tlb.revoke(host(5)));
    assert!(tlb.user_write(0x5000, 8).is_none() && tlb.user_read(0x5000, 8).is_some());
    page(&mut tlb, 0x5000);
    assert!(tlb.user_read(0x5000, 8).is_none());
    tlb.fill_user(0x5000, host(5), Allowed { device: true, ..ALL });
    assert!(tlb.user_read(0x5000, 8).is_none(), "Device memory takes the slow path");
    tlb.flush_all();
    tlb.fill_user(0x5000, host(5), Allowed { write: false, ..ALL });
    assert!(tlb.user_write(0x5000, 8).is_none() && tlb.user_read(0x5000, 8).is_some());
}
