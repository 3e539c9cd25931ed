use super::super::bench::{Bench, FULL, RAM, words};
use super::*;
use emu_mmu::Regime;

const TABLE: u64 = RAM + 0x1_0000;
const CDS: u64 = RAM + 0x2_0000;
/// V, T0SZ 25, EPD1, 48 bits, AA64, R and A.
const CD: [(u16, u64); 7] = [(0, 25), (30, 1), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1)];

/// STRTAB_BASE_CFG of a linear table, and of one with two levels.
const fn linear(log2size: u32) -> Settings {
    settings(TABLE, log2size)
}

const fn two_level(log2size: u32, split: u32) -> Settings {
    settings(TABLE, log2size | split << 6 | 1 << 16)
}

const fn settings(strtab_base: u64, strtab_base_cfg: u32) -> Settings {
    Settings {
        enabled: true,
        ats_check: false,
        bypass_aborts: false,
        strtab_base,
        strtab_base_cfg,
        record_bad_stream: true,
        e2h: false,
        private_tlb: false,
        vmid_wildcard: 0,
    }
}

fn look(
    bench: &Bench,
    settings: Settings,
    profile: &Profile,
    stream: u32,
    substream: Option<u32>,
) -> (Result<Context, Wrong>, Vec<Fetched>) {
    let mut fetched = Vec::new();
    let memory = Counted::new(bench.memory());
    let witness = &mut fetched;
    let mut lookup = Lookup { memory: &memory, profile, settings: &settings, witness, commits: true };
    (lookup.context(stream, substream), fetched)
}

fn kind(found: Result<Context, Wrong>) -> Kind {
    match found.unwrap_err() {
        Wrong::Recorded { kind, .. } => kind,
        other => panic!("{other:?}"),
    }
}

/// An entry that bypasses.
const BYPASS: [(u16, u64); 2] = [(0, 1), (1, 4)];

#[test]
fn a_linear_table_is_indexed_and_aligned_to_its_size() {
    let bench = Bench::new();
    bench.put(TABLE + 5 * 64, &words(&BYPASS));
    assert!(look(&bench, linear(3), &FULL, 5, None).0.is_ok());
    assert_eq!(kind(look(&bench, linear(3), &FULL, 4, None).0), Kind::BadSte);
    assert_eq!(kind(look(&bench, linear(3), &FULL, 8, None).0), Kind::BadStreamId);
    // Low bits of the base are ignored: 8 STEs are 512 bytes; so are bits 63:56.
    let crooked = settings(TABLE | 0x4000_0000_0000_01c0, 3);
    assert!(look(&bench, crooked, &FULL, 5, None).0.is_ok());
    // LOG2SIZE 0 is one entry, and 63 is no shift too far.
    assert_eq!(kind(look(&bench, linear(0), &FULL, 1, None).0), Kind::BadStreamId);
    let (found, fetched) = look(&bench, linear(63), &FULL, u32::MAX, None);
    assert_eq!((kind(found), fetched.len()), (Kind::SteFetch(0x3f_ffff_ffc0), 1));
}

#[test]
fn sidsize_limits_the_streams() {
    let bench = Bench::new();
    let small = Profile { stream_bits: 2, ..FULL };
    bench.put(TABLE + 3 * 64, &words(&BYPASS));
    assert!(look(&bench, linear(3), &small, 3, None).0.is_ok());
    assert_eq!(kind(look(&bench, linear(3), &small, 4, None).0), Kind::BadStreamId);
}

#[test]
fn a_two_level_table_has_spans() {
    let bench = Bench::new();
    // The table of the specification's figure: split 8, spans 9, 3, 0 and 1.
    for (i, word) in [(RAM + 0x4000) | 9, (RAM + 0x2f00) | 3, 0, (RAM + 0x8000) | 1].into_iter().enumerate() {
        bench.put(TABLE + 8 * i as u64, &[word]);
    }
    for at in [RAM + 0x4000, RAM + 0x4000 + 255 * 64, RAM + 0x2f00 + 3 * 64, RAM + 0x8000] {
        bench.put(at, &words(&BYPASS));
    }
    let found = |stream| look(&bench, two_level(10, 8), &FULL, stream, None).0;
    for stream in [0, 255, 259, 768] {
        assert!(found(stream).is_ok(), "{stream}");
    }
    for stream in [260, 511, 512, 767, 769, 1024] {
        assert_eq!(kind(found(stream)), Kind::BadStreamId, "{stream}");
    }
    assert_eq!(kind(found(257)), Kind::BadSte);
    // Without ST_LEVEL the format is linear.
    let without = Profile { two_level_streams: false, ..FULL };
    assert_eq!(look(&bench, two_level(10, 8), &without, 0, None).1.len(), 1);
}

#[test]
fn reserved_splits_are_six_and_fetches_can_abort() {
    let bench = Bench::new();
    bench.put(TABLE + 8, &[(RAM + 0x4000) | 7, 0xffff_ffff_0000 | 7]);
    bench.put(RAM + 0x4000, &words(&BYPASS));
    for split in [0, 6, 7, 9, 31] {
        assert!(look(&bench, two_level(10, split), &FULL, 64, None).0.is_ok(), "{split}");
    }
    let nowhere = look(&bench, two_level(10, 6), &FULL, 129, None);
    assert_eq!(kind(nowhere.0), Kind::SteFetch(0xffff_ffff_0040));
    assert_eq!((nowhere.1.len(), nowhere.1[1].words.len()), (2, 0));
    let no_table = settings(0x1000, 10 | 1 << 16);
    assert_eq!(kind(look(&bench, no_table, &FULL, 64, None).0), Kind::SteFetch(0x1008));
    // An address beyond the output size is not fetched from.
    let beyond = Profile { output_bits: 32, ..FULL };
    let high = settings(1 << 40, 0);
    assert_eq!(kind(look(&bench, high, &beyond, 0, None).0), Kind::SteFetch(1 << 40));
}

/// An STE for stage 1 with S1ContextPtr `at`.
fn stage1(bench: &Bench, at: u64, more: &[(u16, u64)]) {
    let bits = [&[(0, 1), (1, 5), (0, at)], more].concat();
    bench.put(TABLE, &words(&bits));
}

#[test]
fn one_context_descriptor() {
    let bench = Bench::new();
    stage1(&bench, CDS + 0x40, &[(83, 1), (112, 3), (128, 9)]);
    bench.put(CDS + 0x40, &words(&[&CD[..], &[(40, 1), (48, 0x1234), (68, 0x8_0000 >> 4)]].concat()));
    let context = look(&bench, linear(0), &FULL, 0, None).0.unwrap();
    let s1 = context.stage1.unwrap();
    assert_eq!((s1.regime, s1.asid, s1.halves[0].ttbr), (Regime::El10, 0x1234, 0x8_0000));
    assert_eq!((context.vmid, context.pan, context.mergeable, context.stage2), (9, true, true, None));
    assert_eq!(context.policy1, FaultPolicy { record: true, abort: true, stall: false });
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, Some(0)).0), Kind::BadSubstreamId);
    bench.put(CDS + 0x40, &[0]);
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, None).0), Kind::BadCd);
    stage1(&bench, 0x9000, &[]);
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, None).0), Kind::CdFetch(0x9000));
}

#[test]
fn a_linear_table_of_contexts_is_aligned_to_its_size() {
    let bench = Bench::new();
    stage1(&bench, CDS + 0x1c0, &[(59, 3)]);
    bench.put(CDS + 7 * 64, &words(&CD));
    assert!(look(&bench, linear(0), &FULL, 0, Some(7)).0.is_ok());
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, Some(6)).0), Kind::BadCd);
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, Some(8)).0), Kind::BadSubstreamId);
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, None).0), Kind::StreamDisabled);
}

#[test]
fn two_level_tables_of_contexts_with_both_leaves() {
    let bench = Bench::new();
    for (format, split, id) in [(1u64, 6u32, 0xf_ffff_u32), (2, 10, 0xf_ffff), (1, 6, 0x41), (2, 10, 0x3ff)] {
        // The first level is at most 128 KiB: what is used of it is at its end or beginning.
        let base = RAM + 0x4_0000;
        stage1(&bench, base, &[(4, format), (59, 20), (64, 2)]);
        let first = base + u64::from(id >> split) * 8;
        // Bits 15:12 of a pointer to 64 KiB count for nothing.
        let junk = if format == 2 { 0xf001 } else { 1 };
        bench.put(first, &[(RAM + 0x8_0000) | junk]);
        let at = RAM + 0x8_0000 + u64::from(id & ((1 << split) - 1)) * 64;
        bench.put(at, &words(&CD));
        let (found, fetched) = look(&bench, linear(0), &FULL, 0, Some(id));
        assert!(found.is_ok(), "{format} {id:#x}");
        let what: Vec<_> = fetched.iter().map(|f| (f.what, f.address)).collect();
        let expected = [(Structure::Ste, TABLE), (Structure::ContextPointer, first), (Structure::Cd, at)];
        assert_eq!(what, expected);
        bench.put(first, &[0]);
        assert_eq!(kind(look(&bench, linear(0), &FULL, 0, Some(id)).0), Kind::BadSubstreamId, "V = 0");
        bench.put(at, &[0; 8]);
    }
}

#[test]
fn pointers_to_nowhere() {
    let bench = Bench::new();
    let small = Profile { output_bits: 44, ..FULL };
    stage1(&bench, CDS, &[(4, 1), (59, 7)]);
    bench.put(CDS + 8, &[1 << 44 | 1]);
    assert_eq!(kind(look(&bench, linear(0), &small, 0, Some(64)).0), Kind::BadSubstreamId);
    bench.put(CDS + 8, &[0x1001]);
    assert_eq!(kind(look(&bench, linear(0), &small, 0, Some(65)).0), Kind::CdFetch(0x1040));
    stage1(&bench, 0x3000, &[(4, 1), (59, 7)]);
    assert_eq!(kind(look(&bench, linear(0), &small, 0, Some(65)).0), Kind::CdFetch(0x3008));
}

/// Nested: S2TTB at RAM + 0xa0000 maps the gigabyte of the RAM to itself by a table of 2 MiB blocks of which the first is
/// `leaf`; IPA = PA.
fn nested(bench: &Bench, leaf: u64, more: &[(u16, u64)]) {
    let (level1, level2) = (RAM + 0xa_0000, RAM + 0xb_0000);
    let s2 = [(128, 7), (160, 25), (166, 1), (176, 5), (179, 1), (196, level1 >> 4)];
    let bits = [&[(0, 1), (1, 7), (0, CDS)], &s2[..], more].concat();
    bench.put(TABLE, &words(&bits));
    bench.put(level1 + 8, &[level2 | 3]);
    bench.put(level2, &[leaf]);
}

/// A block of Normal memory, readable and writable, accessed.
const BLOCK: u64 = RAM | 0x7fd;

#[test]
fn context_descriptors_are_fetched_through_stage_2() {
    let bench = Bench::new();
    nested(&bench, BLOCK, &[]);
    bench.put(CDS, &words(&CD));
    let (found, fetched) = look(&bench, linear(0), &FULL, 0, None);
    let context = found.unwrap();
    assert_eq!((context.vmid, context.stage2.unwrap().vmid), (7, 7));
    assert_eq!((fetched[1].address, fetched[1].physical), (CDS, Ok(CDS)));
    for (leaf, fault) in [
        (0, FaultKind::Translation),
        (BLOCK & !(1 << 10), FaultKind::AccessFlag),
        (BLOCK & !(1 << 6), FaultKind::Permission),
    ] {
        nested(&bench, leaf, &[(186, 1)]);
        match look(&bench, linear(0), &FULL, 0, None).0 {
            Err(Wrong::OnContext { fault: f, context }) => {
                assert_eq!((f.kind, f.stage, f.ipa), (fault, Stage::S2, Some(CDS)));
                assert!(context.policy2.record && context.stage1.is_none());
            }
            other => panic!("{other:?}"),
        }
    }
    // What stage 2 leads to may have nothing.
    nested(&bench, 0x8000_0000 | 0x7fd, &[]);
    let pa = 0x8000_0000 + (CDS - RAM);
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, None).0), Kind::CdFetch(pa));
}

#[test]
fn hardware_sets_the_access_flag_of_stage_2_for_a_context_descriptor() {
    let bench = Bench::new();
    nested(&bench, BLOCK & !(1 << 10), &[(184, 1)]);
    bench.put(CDS, &words(&CD));
    assert!(look(&bench, linear(0), &FULL, 0, None).0.is_ok());
    assert_eq!(bench.get(RAM + 0xb_0000), BLOCK);
}

#[test]
fn s2ptw_keeps_context_descriptors_out_of_device_memory() {
    let bench = Bench::new();
    bench.put(CDS, &words(&CD));
    let device = BLOCK & !0x3c;
    nested(&bench, device, &[]);
    assert!(look(&bench, linear(0), &FULL, 0, None).0.is_ok());
    nested(&bench, device, &[(182, 1)]);
    match look(&bench, linear(0), &FULL, 0, None).0 {
        Err(Wrong::OnContext { fault, .. }) => assert_eq!(fault.kind, FaultKind::Permission),
        other => panic!("{other:?}"),
    }
}

#[test]
fn stage_2_alone_fetches_no_context_and_s1dss_may_bypass_stage_1() {
    let bench = Bench::new();
    nested(&bench, 0, &[]);
    let mut ste: Words = std::array::from_fn(|i| bench.get(TABLE + 8 * i as u64));
    ste[0] = 0b1101;
    bench.put(TABLE, &ste);
    let (found, fetched) = look(&bench, linear(0), &FULL, 0, None);
    let context = found.unwrap();
    assert_eq!((context.stage1, context.stage2.map(|s| s.txsz), fetched.len()), (None, Some(25), 1));
    assert_eq!(context.policy1, BYPASS_POLICY);
    nested(&bench, 0, &[(59, 4), (64, 1)]);
    let (found, fetched) = look(&bench, linear(0), &FULL, 0, None);
    assert_eq!((found.unwrap().stage1, fetched.len()), (None, 1));
}

#[test]
fn a_disabled_stream_and_a_bypassing_one() {
    let bench = Bench::new();
    bench.put(TABLE, &[1]);
    assert_eq!(look(&bench, linear(0), &FULL, 0, None).0, Err(Wrong::Disabled));
    bench.put(TABLE, &words(&[(0, 1), (1, 4), (112, 3)]));
    let context = look(&bench, linear(0), &FULL, 0, None).0.unwrap();
    assert!(context.stage1.is_none() && context.stage2.is_none());
    assert_eq!(context.privileged, crate::translation::Override::Always);
    assert_eq!(kind(look(&bench, linear(0), &FULL, 0, Some(1)).0), Kind::BadSubstreamId);
}
