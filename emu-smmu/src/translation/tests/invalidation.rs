//! What an invalidation takes away, and what it does not.

use super::*;

const STREAM: u32 = 3;

/// A rig whose stream has mapped these pages, to the same bytes of the data, and has accessed all of them.
fn used(asid: u16, pages: &[(u64, u64)]) -> (Rig, u64, Arc<dyn DmaPort>) {
    let rig = Rig::new();
    let root = rig.translate(STREAM, asid);
    for &(va, extra) in pages {
        rig.memory.map(root, 3, va, (DATA + va) | PAGE | extra);
    }
    let port = rig.port(STREAM);
    for &(va, _) in pages {
        assert_eq!(rig.write(&port, va, b"x"), Ok(()));
    }
    for &(va, _) in pages {
        rig.memory.map(root, 3, va, 0);
    }
    (rig, root, port)
}

/// Which of the pages are still known.
fn known(rig: &Rig, port: &Arc<dyn DmaPort>, pages: &[(u64, u64)]) -> Vec<bool> {
    pages.iter().map(|&(va, _)| rig.write(port, va, b"x").is_ok()).collect()
}

const GLOBAL: u64 = 0;
const PAGES: [(u64, u64); 3] = [(0x1000, NOT_GLOBAL), (0x2000, NOT_GLOBAL), (0x40_0000, GLOBAL)];

#[test]
fn what_is_named_is_gone_and_the_rest_is_not() {
    let el1 = Regime::El10;
    let va = |asid, start, end| Scope::Va { regime: el1, vmid: 0, asid, start, end };
    for (scope, left) in [
        (va(Some(7), 0x1000, 0x1fff), [false, true, true]),
        (va(Some(8), 0x1000, 0x1fff), [true, true, true]),
        (va(None, 0x1000, 0x1fff), [false, true, true]),
        (va(Some(8), 0x40_0000, 0x40_0fff), [true, true, false]),
        (va(Some(7), 0, 0x2fff), [false, false, true]),
        (va(Some(7), 0, u64::MAX), [false, false, false]),
        (Scope::Va { regime: el1, vmid: 1, asid: None, start: 0, end: u64::MAX }, [true; 3]),
        (Scope::Va { regime: Regime::El20, vmid: 0, asid: None, start: 0, end: u64::MAX }, [true; 3]),
        (Scope::Asid { regime: el1, vmid: 0, asid: 7 }, [false, false, true]),
        (Scope::Asid { regime: el1, vmid: 0, asid: 8 }, [true; 3]),
        (Scope::Context { regime: el1, vmid: 0 }, [false; 3]),
        (Scope::Context { regime: el1, vmid: 1 }, [true; 3]),
        (Scope::AllEl1, [false; 3]),
        (Scope::AllEl2, [true; 3]),
        (Scope::Ipa { vmid: 0, start: 0, end: u64::MAX }, [true; 3]),
    ] {
        let (rig, _, port) = used(7, &PAGES);
        assert_eq!(known(&rig, &port, &PAGES), [true; 3], "nobody has said a word");
        rig.core.invalidate(&scope);
        assert_eq!(known(&rig, &port, &PAGES), left, "{scope:?}");
    }
    let (rig, _, port) = used(7, &PAGES);
    rig.core.invalidate_all();
    assert_eq!(known(&rig, &port, &PAGES), [false; 3]);
    let (rig, _, port) = used(7, &PAGES);
    rig.core.reset();
    assert_eq!(known(&rig, &port, &PAGES), [false; 3]);
}

#[test]
fn contexts_of_el2_are_kept_apart() {
    for (regime, scope, other) in [
        (
            Regime::El20,
            Scope::Asid { regime: Regime::El20, vmid: 0, asid: 7 },
            Scope::Context { regime: Regime::El2, vmid: 0 },
        ),
        (
            Regime::El2,
            Scope::Context { regime: Regime::El2, vmid: 0 },
            Scope::Asid { regime: Regime::El20, vmid: 0, asid: 7 },
        ),
        (Regime::El2, Scope::AllEl2, Scope::AllEl1),
        (Regime::El20, Scope::AllEl2, Scope::Context { regime: Regime::El10, vmid: 9 }),
    ] {
        let rig = Rig::new();
        let root = rig.memory.table();
        let s1 = Stage1 { regime, asid: if regime == Regime::El20 { 7 } else { 0 }, ..stage1(root, 7) };
        // The VMID of the stream is none of these regimes' business.
        let el2 = Context { vmid: 9, ..context(Some(s1), None) };
        rig.say(STREAM, Verdict::Translate(Arc::new(el2)));
        rig.memory.map(root, 3, 0x1000, DATA | PAGE | NOT_GLOBAL);
        let port = rig.port(STREAM);
        let attrs = DmaAttrs { privileged: true, ..DmaAttrs::default() };
        let write = || port.write(attrs, 0x1000, b"x");
        assert_eq!(write(), Ok(()));
        rig.memory.map(root, 3, 0x1000, 0);
        rig.core.invalidate(&other);
        assert_eq!(write(), Ok(()), "{regime:?} {other:?}");
        rig.core.invalidate(&scope);
        assert_eq!(write(), Err(DmaFault::Abort), "{regime:?} {scope:?}");
    }
}

#[test]
fn any_address_of_a_block_drops_all_of_it() {
    // A block of 2 MiB, of which pages far apart were used; and one of 1 GiB, whose parts are in several shards.
    for (level, size) in [(2, 2 << 20), (1, 1 << 30)] {
        let rig = Rig::new();
        let root = rig.translate(STREAM, 1);
        rig.memory.map(root, level, 0, RAM | BLOCK);
        let port = rig.port(STREAM);
        let used: Vec<u64> = (0..8).map(|n| n * 0x4_3000 % size.min(RAM_SIZE)).collect();
        let far = if level == 1 { (0..8).map(|n| n << 21).collect() } else { used.clone() };
        for &va in used.iter().chain(&far) {
            assert_eq!(rig.write(&port, va, b"x"), Ok(()));
        }
        assert!(rig.count(STREAM).walks <= 8, "{:?}", rig.count(STREAM));
        rig.memory.map(root, level, 0, 0);
        let start = size - 0x1000;
        let end = size - 1;
        rig.core.invalidate(&Scope::Va { regime: Regime::El10, vmid: 0, asid: Some(1), start, end });
        for &va in used.iter().chain(&far) {
            assert_eq!(rig.write(&port, va, b"x"), Err(DmaFault::Abort));
        }
    }
}

/// Both stages: IPAs 2 MiB and up, the tables of stage 1 where they are.
fn nested(leaf1: (u32, u64), leaves2: &[(u32, u64, u64)]) -> (Rig, u64, u64, Arc<dyn DmaPort>) {
    let rig = Rig::new();
    let (root1, root2) = (rig.memory.table(), rig.memory.table());
    rig.memory.map(root1, leaf1.0, 0x20_0000, leaf1.1);
    for page in (TABLES..TABLES + 0x2_0000).step_by(0x1000) {
        rig.memory.map(root2, 3, page, page | PAGE2);
    }
    for &(level, ipa, leaf) in leaves2 {
        rig.memory.map(root2, level, ipa, leaf);
    }
    let both = context(Some(stage1(root1, 1)), Some(stage2(root2, 5)));
    rig.say(STREAM, Verdict::Translate(Arc::new(both)));
    let port = rig.port(STREAM);
    (rig, root1, root2, port)
}

#[test]
fn an_ipa_drops_combined_entries() {
    let (rig, _, root2, port) = nested((3, 0x60_0000 | PAGE), &[(3, 0x60_0000, DATA | PAGE2)]);
    assert_eq!(rig.write(&port, 0x20_0000, b"x"), Ok(()));
    rig.memory.map(root2, 3, 0x60_0000, 0);
    let ipa = |vmid, start| Scope::Ipa { vmid, start, end: start | 0xfff };
    for other in [ipa(5, 0x60_1000), ipa(6, 0x60_0000), ipa(5, 0x20_0000)] {
        rig.core.invalidate(&other);
        assert_eq!(rig.write(&port, 0x20_0000, b"x"), Ok(()), "{other:?}");
    }
    rig.core.invalidate(&ipa(5, 0x60_0000));
    assert_eq!(rig.write(&port, 0x20_0000, b"x"), Err(DmaFault::Abort));
}

#[test]
fn fragments_of_a_stage_1_block_go_together() {
    // A block of stage 1 over pages of stage 2.
    let leaves = [(3, 0x60_0000, DATA | PAGE2), (3, 0x67_f000, (DATA + 0x1000) | PAGE2)];
    let (rig, root1, _, port) = nested((2, 0x60_0000 | BLOCK), &leaves);
    let write = |va| rig.write(&port, va, b"x");
    assert_eq!((write(0x20_0000), write(0x27_f000)), (Ok(()), Ok(())));
    rig.memory.map(root1, 2, 0x20_0000, 0);
    let scope = Scope::Va { regime: Regime::El10, vmid: 5, asid: Some(1), start: 0x3f_f000, end: 0x3f_ffff };
    rig.core.invalidate(&scope);
    assert_eq!((write(0x20_0000), write(0x27_f000)), (Err(DmaFault::Abort), Err(DmaFault::Abort)));
}

#[test]
fn pages_over_a_stage_2_block_go_together() {
    // Pages of stage 1 over a block of stage 2.
    let block2 = DATA & !0x1f_ffff | PAGE2 & !2;
    let (rig, root1, root2, port) = nested((3, 0x60_0000 | PAGE), &[(2, 0x60_0000, block2)]);
    rig.memory.map(root1, 3, 0x20_1000, 0x7f_f000 | PAGE);
    let write = |va| rig.write(&port, va, b"x");
    assert_eq!((write(0x20_0000), write(0x20_1000)), (Ok(()), Ok(())));
    rig.memory.map(root2, 2, 0x60_0000, 0);
    rig.core.invalidate(&Scope::Ipa { vmid: 5, start: 0x70_0000, end: 0x70_0fff });
    assert_eq!((write(0x20_0000), write(0x20_1000)), (Err(DmaFault::Abort), Err(DmaFault::Abort)));
}

#[test]
fn a_listener_is_told_of_the_scopes_of_cpus() {
    let (rig, _, port) = used(7, &PAGES);
    let listener: Arc<dyn emu_mmu::TlbiListener> = rig.core.clone();
    listener.invalidate(&Scope::AllEl1);
    assert_eq!(known(&rig, &port, &PAGES), [true; 3], "it takes no part yet");
    rig.core.take_part(true, true);
    listener.invalidate(&Scope::AllEl1);
    assert_eq!(known(&rig, &port, &PAGES), [false; 3]);
}
