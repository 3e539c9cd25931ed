use super::super::bench::{FULL, words};
use super::*;

fn ste(bits: &[(u16, u64)]) -> Ste {
    Ste(words(bits))
}

/// V, Config = 6, 4 KiB, T0SZ 24 from level 1, 48 bits of output, AArch64.
const STAGE2: [(u16, u64); 6] = [(0, 1), (1, 0b110), (160, 24), (166, 1), (176, 5), (179, 1)];

fn with(base: &[(u16, u64)], more: &[(u16, u64)]) -> Ste {
    ste(&[base, more].concat())
}

fn blamed(s: Ste, profile: &Profile) -> Vec<&'static str> {
    s.lint(profile).map(|b| b.field.name).collect()
}

#[test]
fn an_invalid_entry_is_illegal_whatever_else_it_says() {
    assert_eq!(blamed(ste(&[(1, 0b110)]), &FULL), ["V"]);
    assert_eq!(blamed(with(&STAGE2, &[]), &FULL), [""; 0]);
}

#[test]
fn an_entry_that_lets_nothing_pass_is_legal() {
    for config in 0..4 {
        let s = ste(&[(0, 1), (1, config), (59, 31), (94, 3)]);
        assert_eq!((s.config(), s.is_illegal(&Profile::QEMU)), (Config::Abort, false));
    }
}

/// Fields of a stage that is not enabled are IGNORED.
#[test]
fn a_bypassed_stage_is_not_checked() {
    let bypass = ste(&[(0, 1), (1, 0b100), (59, 31), (91, 1), (94, 3), (92, 2), (174, 3), (185, 1)]);
    assert_eq!((bypass.config(), blamed(bypass, &Profile::QEMU)), (Config::Bypass, vec![]));
    let stage1 = ste(&[(0, 1), (1, 0b101), (174, 3), (180, 1), (185, 1)]);
    assert_eq!(blamed(stage1, &Profile::QEMU), [""; 0]);
    let stage2 = with(&STAGE2, &[(4, 1), (59, 31), (91, 1), (94, 3)]);
    assert_eq!(blamed(stage2, &Profile::QEMU), [""; 0]);
}

#[test]
fn every_rule_has_a_case() {
    const STAGE1: [(u16, u64); 2] = [(0, 1), (1, 0b101)];
    let base = FULL;
    let no_stall = Profile { stall: false, ..base };
    let cases: &[(&str, Ste, Profile)] = &[
        ("Config 5 without S1P", ste(&STAGE1), Profile { stage1: false, ..base }),
        ("Config 6 without S2P", with(&STAGE2, &[]), Profile { stage2: false, ..base }),
        ("EATS 2 with NS1ATS", with(&STAGE2, &[(1, 1), (92, 2)]), Profile { split_stage_ats: false, ..base }),
        ("EATS 2 without stage 1", with(&STAGE2, &[(92, 2)]), base),
        ("EATS 2 without stage 2", with(&STAGE1, &[(92, 2)]), base),
        ("EATS 2 with S2S", with(&STAGE2, &[(1, 1), (92, 2), (185, 1)]), base),
        ("EATS 1 with S2S", with(&STAGE2, &[(92, 1), (185, 1)]), base),
        ("STRW 1", with(&STAGE1, &[(94, 1)]), base),
        ("STRW 3", with(&STAGE1, &[(94, 3)]), base),
        ("S1STALLD without stalls", with(&STAGE1, &[(91, 1)]), no_stall),
        ("S1CDMax 21", with(&STAGE1, &[(59, 21)]), base),
        (
            "S1Fmt 1 without CD2L",
            with(&STAGE1, &[(59, 4), (4, 1)]),
            Profile { two_level_contexts: false, ..base },
        ),
        (
            "S1Fmt 2 without CD2L",
            with(&STAGE1, &[(59, 4), (4, 2)]),
            Profile { two_level_contexts: false, ..base },
        ),
        ("S1ContextPtr", with(&STAGE1, &[(44, 1)]), Profile { output_bits: 44, ..base }),
        ("S2S without stalls", with(&STAGE2, &[(185, 1)]), no_stall),
        ("AArch32", ste(&STAGE2[..5]), base),
        ("S2HA without HTTU", with(&STAGE2, &[(184, 1)]), Profile { access_flag: false, ..base }),
        ("S2HD with HTTU 1", with(&STAGE2, &[(184, 1), (183, 1)]), Profile { dirty_state: false, ..base }),
        ("S2TG 3", with(&STAGE2, &[(174, 3)]), base),
        (
            "16 KiB without GRAN16K",
            with(&STAGE2, &[(174, 2)]),
            Profile { granules: [true, false, true], ..base },
        ),
        (
            "S2TTB beyond S2PS",
            ste(&[(0, 1), (1, 6), (160, 24), (166, 1), (176, 0), (179, 1), (196 + 28, 1)]),
            base,
        ),
        (
            "S2TTB beyond 48 bits",
            ste(&[(0, 1), (1, 6), (160, 24), (166, 1), (176, 6), (179, 1), (196 + 44, 1)]),
            base,
        ),
        ("S2T0SZ 40", ste(&[(0, 1), (1, 6), (160, 40), (166, 1), (179, 1)]), base),
        ("S2T0SZ 15", ste(&[(0, 1), (1, 6), (160, 15), (166, 2), (179, 1)]), base),
        ("S2SL0", ste(&[(0, 1), (1, 6), (160, 39), (166, 2), (179, 1)]), base),
        ("big-endian", with(&STAGE2, &[(180, 1)]), base),
        ("S2VMID", with(&STAGE2, &[(136, 1)]), Profile { vmid16: false, ..base }),
        ("S2VMID of stage 1", with(&STAGE1, &[(136, 1)]), Profile { vmid16: false, ..base }),
    ];
    let expected = [
        "Config",
        "Config",
        "EATS",
        "EATS",
        "EATS",
        "EATS",
        "EATS",
        "STRW",
        "STRW",
        "S1STALLD",
        "S1CDMax",
        "S1Fmt",
        "S1Fmt",
        "S1ContextPtr",
        "S2S",
        "S2AA64",
        "S2HA",
        "S2HD",
        "S2TG",
        "S2TG",
        "S2TTB",
        "S2TTB",
        "S2T0SZ",
        "S2T0SZ",
        "S2SL0",
        "S2ENDI",
        "S2VMID",
        "S2VMID",
    ];
    assert_eq!(cases.len(), expected.len());
    for ((what, entry, profile), field) in cases.iter().zip(expected) {
        assert_eq!(blamed(*entry, profile), [field], "{what}");
    }
}

#[test]
fn what_is_there_is_legal() {
    let cases: &[&[(u16, u64)]] = &[
        // 20 bits of SubstreamID in 64 KiB leaves, STRW = EL2, S1STALLD, S1DSS = 2.
        &[(0, 1), (1, 5), (4, 2), (59, 20), (64, 2), (91, 1), (94, 2)],
        // S1Fmt 3 behaves as 0.
        &[(0, 1), (1, 5), (4, 3), (59, 4)],
        // Nested, both of HTTU, stalls, a VMID of 16 bits, a reserved STRW that is IGNORED.
        &[
            (0, 1),
            (1, 7),
            (94, 3),
            (128, 0xffff),
            (160, 24),
            (166, 1),
            (176, 5),
            (179, 1),
            (183, 1),
            (184, 1),
            (185, 1),
        ],
        // 64 KiB and 52 bits at both sides, the table above 48 bits.
        &[(0, 1), (1, 6), (160, 12), (166, 2), (174, 1), (176, 6), (179, 1), (196 + 44, 5)],
        // S2HD without S2HA is reserved, and not ILLEGAL.
        &[(0, 1), (1, 6), (160, 24), (166, 1), (179, 1), (183, 1)],
    ];
    for bits in cases {
        assert_eq!(blamed(ste(bits), &FULL), [""; 0], "{bits:?}");
    }
    // With 8-bit VMIDs an EL2 stream's S2VMID is IGNORED.
    let el2 = ste(&[(0, 1), (1, 5), (94, 2), (136, 1)]);
    assert!(!el2.is_illegal(&Profile { vmid16: false, ..FULL }));
}

#[test]
fn stage2_comes_from_the_s2_fields() {
    let s = with(
        &STAGE2,
        &[(128, 0x1234), (89, 1), (181, 1), (182, 1), (184, 1), (186, 1), (196, 0x8_0000 >> 4)],
    );
    let s2 = s.stage2_controls(&FULL);
    assert_eq!((s2.vttbr, s2.vmid, s2.txsz, s2.sl0, s2.output), (0x8_0000, 0x1234, 24, 1, 48));
    assert_eq!(
        (s2.granule, s2.ha, s2.hd, s2.fwb, s2.af_fault_disable),
        (Granule::K4, true, false, true, true)
    );
    assert!(!s2.ptw, "S2PTW is of nested configurations");
    assert_eq!(s.policy(), FaultPolicy { record: true, abort: true, stall: false });
    let nested = Ste([s.0[0] | 1 << 1, s.0[1], s.0[2], s.0[3], 0, 0, 0, 0]);
    assert!(nested.config() == Config::Nested && nested.stage2_controls(&FULL).ptw);
    // Bits 51:48 of S2TTB go where VTTBR_EL2 has them.
    let wide = ste(&[
        (0, 1),
        (1, 6),
        (160, 12),
        (166, 2),
        (174, 1),
        (176, 6),
        (179, 1),
        (196 + 44, 5),
        (196, 0x1_0000 >> 4),
    ]);
    assert_eq!(wide.stage2_controls(&FULL).vttbr, 0x1_0000 | 5 << 2);
    // S2PS is capped by the implementation.
    assert_eq!(wide.output_size(&Profile { output_bits: 44, ..FULL }), 44);
}

#[test]
fn stream_worlds() {
    let el1 = ste(&[(0, 1), (1, 5)]);
    let el2 = ste(&[(0, 1), (1, 5), (94, 2)]);
    let nested = ste(&[(0, 1), (1, 7), (94, 2)]);
    for e2h in [false, true] {
        assert_eq!(el1.regime(&FULL, e2h), Regime::El10);
        assert_eq!(nested.regime(&FULL, e2h), Regime::El10, "STRW is IGNORED with stage 2");
        assert_eq!(el2.regime(&Profile { hyp: false, ..FULL }, e2h), Regime::El10, "STRW is RES0");
    }
    assert_eq!((el2.regime(&FULL, false), el2.regime(&FULL, true)), (Regime::El2, Regime::El20));
    let tagged = |strw| ste(&[(0, 1), (1, 5), (94, strw), (128, 7)]).vmid(&FULL);
    assert_eq!((tagged(0), tagged(2)), (7, 0));
    assert_eq!(with(&[(0, 1), (1, 5)], &[(128, 7)]).vmid(&Profile { stage2: false, ..FULL }), 0);
}

#[test]
fn substreams_select_a_context() {
    const BAD: Result<Option<u32>, Kind> = Err(Kind::BadSubstreamId);
    const DISABLED: Result<Option<u32>, Kind> = Err(Kind::StreamDisabled);
    let select = |bits: &[(u16, u64)], id| ste(bits).context_index(id, &FULL);
    // Without stage 1, or without substreams, none may come.
    assert_eq!((select(&[(1, 4)], None), select(&[(1, 4)], Some(0))), (Ok(None), BAD));
    assert_eq!((select(&[(1, 6)], None), select(&[(1, 6)], Some(1))), (Ok(None), BAD));
    assert_eq!((select(&[(1, 5)], None), select(&[(1, 5)], Some(0))), (Ok(Some(0)), BAD));
    // S1DSS 0 and 3: the stream without a substream is disabled.
    for dss in [0, 3] {
        let bits = [(1, 5), (59, 4), (64, dss)];
        assert_eq!((select(&bits, None), select(&bits, Some(0))), (DISABLED, Ok(Some(0))));
        assert_eq!((select(&bits, Some(15)), select(&bits, Some(16))), (Ok(Some(15)), BAD));
    }
    // 1: it bypasses stage 1. 2: it has substream 0, and nobody else has.
    assert_eq!(select(&[(1, 7), (59, 4), (64, 1)], None), Ok(None));
    let bits = [(1, 5), (59, 20), (64, 2)];
    assert_eq!((select(&bits, None), select(&bits, Some(0))), (Ok(Some(0)), DISABLED));
    assert_eq!(select(&bits, Some(0xf_ffff)), Ok(Some(0xf_ffff)));
    // With SSIDSIZE = 0 S1CDMax is IGNORED.
    let none = Profile { substream_bits: 0, ..FULL };
    let s = ste(&[(0, 1), (1, 5), (59, 4)]);
    assert_eq!((s.context_index(None, &none), s.context_index(Some(1), &none)), (Ok(Some(0)), BAD));
    assert!(!s.is_illegal(&none));
}

#[test]
fn overrides_and_the_rest() {
    let s = ste(&[(0, 1), (1, 5), (83, 1), (112, 2), (114, 3)]);
    assert_eq!(s.overrides(&FULL), [Override::Never, Override::Always]);
    assert_eq!(s.overrides(&Profile::QEMU), [Override::Incoming; 2]);
    assert_eq!(ste(&[(112, 1), (114, 1)]).overrides(&FULL), [Override::Incoming; 2]);
    assert!(s.merges_events() && !s.stalls_disabled());
    assert!(ste(&[(82, 1)]).answers_with_pasid() && !s.answers_with_pasid());
}

#[test]
fn eats_has_an_effect_where_it_is_not_ignored() {
    let eats = |config, eats, checked| ste(&[(1, config), (92, eats)]).ats(&FULL, checked);
    for checked in [false, true] {
        assert_eq!((5..8).map(|config| eats(config, 1, checked)).collect::<Vec<_>>(), [Some(Ats::Full); 3]);
        assert_eq!((eats(5, 0, checked), eats(4, 1, checked)), (None, None));
        assert_eq!(eats(5, 3, checked), None, "reserved without DPT");
    }
    assert_eq!((eats(7, 2, true), eats(7, 2, false)), (Some(Ats::SplitStage), None), "ATSCHK");
    assert_eq!(ste(&[(1, 5), (92, 1)]).ats(&Profile::QEMU, true), None);
}

#[test]
fn a_level_1_descriptor_spans_what_it_says() {
    let at = |span: u64, index, split| StreamDescriptor(0x1_2345_6000 | span).entry(index, split);
    assert_eq!((at(0, 0, 8), at(12, 0, 10), at(31, 0, 10)), (None, None, None));
    assert_eq!((at(1, 0, 8), at(1, 1, 8)), (Some(0x1_2345_6000), None));
    assert_eq!((at(3, 3, 8), at(3, 4, 8)), (Some(0x1_2345_60c0), None));
    // The array is aligned to its size: 256 STEs are 16 KiB.
    assert_eq!(at(9, 255, 8), Some(0x1_2345_4000 + 255 * 64));
    assert_eq!((at(10, 0, 8), at(10, 0, 10).is_some()), (None, true));
    assert_eq!((at(7, 63, 6), at(8, 0, 6)), (Some(0x1_2345_6000 + 63 * 64), None));
    // Bits 63:56 are no address.
    assert_eq!(StreamDescriptor(0xff00_0000_0001_0001).entry(0, 6), Some(0x1_0000));
}
