//! Which transactions pass, under what, and until when.

use super::*;
use crate::translation::Sanitizers;

#[test]
fn an_smmu_that_is_not_enabled_lets_through_or_aborts() {
    let rig = Rig::new(Profile { output_bits: 44, ..FULL });
    let verdict = |settings, address| {
        rig.streams.set(settings);
        rig.streams.verdict(&Transaction { address, ..READ })
    };
    let off = Settings { enabled: false, ..ENABLED };
    assert!(matches!(verdict(off, (1 << 44) - 1), Verdict::Bypass));
    assert!(aborted(&verdict(off, 1 << 44)), "beyond the output size");
    assert!(aborted(&verdict(Settings { bypass_aborts: true, ..off }, 0)));
    assert_eq!(rig.events(), []);
}

#[test]
fn a_bypassing_stream_has_addresses_of_the_system() {
    let rig = Rig::new(Profile { output_bits: 44, ..FULL });
    rig.ste(&[(1, 4), (83, 1), (112, 3)]);
    rig.bench.put(DATA, &[0x5a]);
    assert_eq!(rig.read(DATA), Ok(0x5a));
    let e = rig.event(1 << 44);
    assert_eq!((e.kind.name().1, e.mergeable, e.transaction.privileged), ("F_ADDR_SIZE", true, true));
    let r = record(e.kind);
    assert_eq!((r.stage2, r.class, r.stall), (false, Class::In, None));
}

#[test]
fn stage_1_translates_in_its_stream_world() {
    for (strw, e2h, pnu) in [(0, false, false), (2, false, false), (2, true, false), (0, true, true)] {
        let rig = Rig::full();
        rig.streams.set(Settings { e2h, ..ENABLED });
        // AP[1] = 0: not for unprivileged transactions, but in EL2, which has none.
        rig.stage1(PAGE & !(1 << 6), &[(94, strw), (112, if pnu { 3 } else { 0 })], &[]);
        rig.bench.put(DATA + 8, &[0xa5]);
        if pnu || strw == 2 && !e2h {
            assert_eq!(rig.read(0x1008), Ok(0xa5), "{strw} {e2h}");
        } else {
            assert_eq!(rig.event(0x1008).kind.name().1, "F_PERMISSION", "{strw} {e2h}");
        }
        map(&rig.bench, PT, 0x1000, PAGE);
        assert_eq!(rig.read(0x1008), Ok(0xa5), "{strw} {e2h}");
    }
}

#[test]
fn hardware_updates_the_tables_of_both_stages() {
    let rig = Rig::full();
    rig.cd(0, &[(42, 1), (43, 1)]);
    // Clean: read-only with DBM, and not accessed.
    let clean = (PAGE | 1 << 7 | 1 << 51) & !(1 << 10);
    map(&rig.bench, PT, 0x1000, clean);
    let clean2 = (BLOCK2 | 1 << 51) & !(1 << 10 | 1 << 7);
    rig.stage2(clean2, &[(1, 7), (0, CDS), (183, 1), (184, 1)]);
    assert!(rig.read(0x1000).is_ok());
    assert_eq!(rig.bench.get(PT + 0x2008), clean | 1 << 10);
    assert_eq!(rig.port().write(DmaAttrs::default(), 0x1000, b"x"), Ok(()));
    assert_eq!(rig.bench.get(PT + 0x2008), PAGE | 1 << 51);
    assert_eq!(rig.bench.get(S2PT + 0x1000), BLOCK2 | 1 << 51);
}

#[test]
fn a_configuration_is_cached_until_it_is_invalidated() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 2), (64, 2)]);
    for index in 0..3 {
        rig.cd(index, &[(48, index)]);
    }
    let asid = |substream| match rig.streams.verdict(&Transaction { substream, ..READ }) {
        Verdict::Translate(context) => context.stage1.map(|s| s.asid),
        _ => None,
    };
    let all = || [asid(None), asid(Some(1)), asid(Some(2))].map(|a| a.map_or(99, u64::from));
    assert_eq!(all(), [0, 1, 2]);
    for index in 0..3 {
        rig.bench.put(CDS + index * 64, &words(&[&CD[..], &[(48, index + 10)]].concat()));
    }
    assert_eq!(all(), [0, 1, 2], "nothing was invalidated");
    rig.streams.invalidate_cd(STREAM + 1, 1);
    rig.streams.invalidate_ste(STREAM + 1);
    rig.streams.invalidate_ste_range(4, 2);
    assert_eq!(all(), [0, 1, 2], "of other streams");
    rig.streams.invalidate_cd(STREAM, 1);
    assert_eq!(all(), [0, 11, 2]);
    rig.streams.invalidate_cd(STREAM, 0);
    assert_eq!(all(), [10, 11, 2]);
    rig.streams.invalidate_ste_range(0, 2);
    assert_eq!(all(), [10, 11, 12]);
    rig.bench.put(CDS, &words(&CD));
    rig.streams.invalidate_ste_range(0xffff_ffff, 32);
    assert_eq!(all(), [0, 11, 12]);
}

#[test]
fn what_is_not_valid_is_looked_at_again() {
    let rig = Rig::full();
    assert_eq!(rig.event(DATA).kind, Kind::BadSte);
    rig.bench.put(TABLE + u64::from(STREAM) * 64, &words(&[(0, 1), (1, 4)]));
    assert!(rig.read(DATA).is_ok());
}

#[test]
fn substreams_have_address_spaces_of_their_own() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 2), (64, 1)]);
    rig.cd(1, &[(48, 1)]);
    let other = PT + 0x4000;
    let bits: Vec<_> = CD.into_iter().filter(|(at, _)| *at != 68).collect();
    rig.bench.put(CDS + 128, &words(&[&bits[..], &[(48, 2), (68, other >> 4)]].concat()));
    map(&rig.bench, PT, 0x1000, PAGE);
    map(&rig.bench, other, 0x1000, PAGE + 0x1000);
    rig.bench.put(DATA, &[0x11]);
    rig.bench.put(DATA + 0x1000, &[0x22]);
    let port = rig.port();
    let read = |substream, at| {
        let mut buf = [0];
        port.read(DmaAttrs { substream, ..DmaAttrs::default() }, at, &mut buf).map(|()| buf[0])
    };
    assert_eq!((read(Some(1), 0x1000), read(Some(2), 0x1000)), (Ok(0x11), Ok(0x22)));
    // S1DSS = 1: without a substream stage 1 is bypassed.
    assert_eq!(read(None, DATA + 0x1000), Ok(0x22));
    assert_eq!((read(Some(4), 0x1000), rig.names()), (Err(DmaFault::Abort), vec!["C_BAD_SUBSTREAMID"]));
}

#[test]
fn translated_transactions_pass_as_eats_says() {
    let rig = Rig::full();
    let pass = |settings| {
        rig.streams.set(settings);
        let t = Transaction { translated: true, address: DATA, ..READ };
        let passed = matches!(rig.streams.verdict(&t), Verdict::Bypass);
        (passed, rig.names())
    };
    let checked = Settings { ats_check: true, ..ENABLED };
    let forbidden = (false, vec!["F_TRANSL_FORBIDDEN"]);
    assert_eq!(pass(Settings { enabled: false, ..ENABLED }), forbidden);
    assert_eq!(pass(ENABLED), (true, vec![]), "no check");
    assert_eq!(pass(checked), (false, vec![]), "a bad STE is not recorded");
    rig.ste(&[]);
    assert_eq!(pass(checked), (false, vec![]));
    for (config, eats, allowed) in [(4, 1, false), (5, 0, false), (5, 1, true), (5, 3, false)] {
        rig.ste(&[(1, config), (92, eats)]);
        let expected = if allowed { (true, vec![]) } else { forbidden.clone() };
        assert_eq!(pass(checked), expected, "{config} {eats}");
    }
    let without = Rig::new(Profile::QEMU);
    let t = Transaction { translated: true, address: DATA, ..READ };
    assert!(aborted(&without.streams.verdict(&t)));
    assert_eq!(without.names(), ["F_TRANSL_FORBIDDEN"]);
}

#[test]
fn pan_and_instruction_overrides_hold() {
    let rig = Rig::full();
    let read = |privileged, ste: &[(u16, u64)], cd: &[(u16, u64)], leaf| {
        rig.stage1(leaf, ste, cd);
        rig.core.invalidate_all();
        let attrs = DmaAttrs { privileged, ..DmaAttrs::default() };
        let end = rig.port().read(attrs, 0x1000, &mut [0]);
        let events = rig.events();
        let e = events.first().map(|e| (e.transaction.privileged, e.transaction.instruction));
        (end.is_ok(), e)
    };
    assert_eq!(read(true, &[], &[(40, 1)], PAGE), (false, Some((true, false))));
    assert_eq!(read(true, &[(112, 2)], &[(40, 1)], PAGE), (true, None), "PRIVCFG: unprivileged");
    // INSTCFG: UXN counts, and what is written is data.
    let never = PAGE | 1 << 54;
    assert_eq!(read(false, &[(114, 3)], &[], never), (false, Some((false, true))));
    assert_eq!(rig.port().write(DmaAttrs::default(), 0x1000, b"x"), Ok(()));
    // WXN: what may be written is not fetched from.
    assert!(read(false, &[(114, 3)], &[], PAGE).0);
    assert!(!read(false, &[(114, 3)], &[(36, 1)], PAGE).0);
}

#[test]
fn large_pages_and_addresses() {
    let rig = Rig::full();
    // 64 KiB, T0SZ 12 (52 bits), IPS 52 bits; the output above 48 bits is named by descriptor bits 15:12.
    rig.ste(&[(1, 5), (0, CDS)]);
    let cd = [(0, 12), (6, 1), (30, 1), (31, 1), (32, 6), (41, 1), (45, 1), (46, 1), (68, PT >> 4)];
    rig.bench.put(CDS, &words(&cd));
    rig.streams.invalidate_ste(STREAM);
    // Level 1 has 1024 entries: 8 KiB. A level 2 block of 512 MiB.
    let va = 0x000f_ffff_e008_0000u64;
    rig.bench.put(PT + (va >> 42) * 8, &[S2PT | 3]);
    rig.bench.put(S2PT + (va >> 29 & 0x1fff) * 8, &[RAM | 0xc41]);
    rig.bench.put(DATA, &[0x64]);
    assert_eq!(rig.read(va), Ok(0x64));
    rig.bench.put(S2PT + (va >> 29 & 0x1fff) * 8, &[RAM | 0x8000 | 0xc41]);
    rig.core.invalidate_all();
    assert_eq!((rig.read(va), rig.names()), (Err(DmaFault::Abort), vec![]), "2^51 is an address");
    // With 16 KiB and both halves.
    let both = [(0, 25), (6, 2), (16, 25), (22, 1), (31, 1), (32, 5), (41, 1), (68, PT >> 4), (132, PT >> 4)];
    rig.bench.put(CDS, &words(&both));
    rig.streams.invalidate_ste(STREAM);
    rig.bench.put(PT, &[(PT + 0x4000) | 3]);
    rig.bench.put(PT + 0x4000, &[RAM | 0xc41]);
    for va in [0x8_0000, 0xffff_ff80_0008_0000] {
        rig.core.invalidate_all();
        assert_eq!(rig.read(va), Ok(0x64), "{va:#x}");
    }
}

/// A guest may have anything in memory and in registers: every look ends, with a verdict and at most one event.
#[test]
fn nothing_in_memory_is_too_strange() {
    let rig = Rig::full();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let (port, mut translated) = (rig.port(), 0);
    for round in 0..4_000u64 {
        // Structures of noise, most of them with enough sense in them to be read on.
        let mut noise = |at: u64, and: u64, or: u64| {
            let word = random() & and | or;
            rig.bench.put(at, &[word]);
            word
        };
        let all = u64::MAX;
        let ste = TABLE + u64::from(STREAM) * 64;
        noise(ste, 0xf800_0000_0000_0030, CDS | 9 | (round % 4) << 1);
        noise(ste + 8, all & !(3 << 30), 0);
        noise(ste + 16, all & !(1 << 52 | 3 << 38 | 0x20 << 32), 1 << 51 | 16 << 32 | 1 << 38);
        noise(ste + 24, 0, S2PT);
        noise(CDS, all & !(0x20_0020 | 1 << 15), 1 << 31 | 1 << 41 | 16 | 16 << 16);
        for table in [CDS + 8, CDS + 16] {
            noise(table, 0xf, PT);
        }
        for table in [PT, S2PT] {
            noise(table, 0xfff, RAM | 0x3_0000);
            noise(table + 8, 0xfff, RAM | 0x4_0000);
        }
        let settings = Settings {
            strtab_base_cfg: if round % 8 == 0 { noise(RAM, all, 0) as u32 } else { 4 },
            e2h: round % 3 == 0,
            ..ENABLED
        };
        rig.streams.set(settings);
        rig.streams.invalidate_all();
        rig.core.invalidate(&TlbiScope::AllEl1);
        rig.core.invalidate(&TlbiScope::AllEl2);
        let substream = (round % 5 == 0).then_some(round as u32 & 0x3f);
        let attrs = DmaAttrs { substream, privileged: round % 2 == 0, ..DmaAttrs::default() };
        let at = noise(RAM + 8, 0xff00_ffff_ffff, 0);
        let done = if round % 7 == 0 { port.write(attrs, at, b"x") } else { port.read(attrs, at, &mut [0]) };
        let events = rig.events();
        assert!(events.len() <= 1);
        translated += u64::from(done.is_ok() || events.iter().any(|e| e.kind.translation().is_some()));
        let explained = rig.streams.walk(&Transaction { substream, address: at, ..READ });
        assert!(!explained.to_string().is_empty());
    }
    assert!(translated > 100, "too much noise: {translated}");
}

/// For the sanitizer: an STE or CD that was changed, and is used as it was before.
#[test]
fn a_configuration_that_memory_no_longer_holds_is_found() {
    let rig = Rig::full();
    rig.core.sanitize(Sanitizers { stale: true, isolation: false });
    rig.stage1(PAGE, &[], &[]);
    let port = rig.port();
    let read = || port.read(DmaAttrs::default(), 0x1000, &mut [0; 4]).is_ok();
    let found = || rig.core.findings().0;
    assert!(read() && read());
    assert_eq!(found(), 0);
    // Config: abort. CMD_CFGI_STE is missing.
    rig.bench.put(TABLE + u64::from(STREAM) * 64, &words(&[(0, 1), (1, 0), (0, CDS)]));
    assert!(read());
    let text = rig.core.findings().1[0].to_string();
    assert_eq!(
        text,
        "stale configuration: a read of stream 0x2 at 0x1000 was translated by an STE or CD that memory no longer holds"
    );
    rig.streams.invalidate_ste(STREAM);
    assert!(!read());
    assert_eq!(found(), 1);
}
