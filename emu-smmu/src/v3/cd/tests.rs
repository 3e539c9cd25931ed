use super::super::bench::{FULL, words};
use super::*;

const EL1: Reached = Reached { regime: Regime::El10, stalls_disabled: false };
const EL2: Reached = Reached { regime: Regime::El2, stalls_disabled: false };
const HOST: Reached = Reached { regime: Regime::El20, stalls_disabled: false };

fn cd(bits: &[(u16, u64)]) -> Cd {
    Cd(words(bits))
}

/// T0SZ 25, EPD1, V, 48 bits of output, AA64, R, A.
const PLAIN: [(u16, u64); 7] = [(0, 25), (30, 1), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1)];
/// As that, with an upper half of T1SZ 25 and 4 KiB.
const BOTH: [(u16, u64); 8] = [(0, 25), (16, 25), (22, 2), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1)];

fn with(base: &[(u16, u64)], more: &[(u16, u64)]) -> Cd {
    cd(&[base, more].concat())
}

fn blamed(c: Cd, reached: &Reached, profile: &Profile) -> Vec<&'static str> {
    c.lint(reached, profile).map(|b| b.field.name).collect()
}

#[test]
fn an_invalid_descriptor_is_illegal_whatever_else_it_says() {
    assert_eq!(blamed(cd(&PLAIN[..2]), &EL1, &FULL), ["V"]);
    assert_eq!(blamed(cd(&PLAIN), &EL1, &Profile::QEMU), [""; 0]);
    assert_eq!(blamed(cd(&BOTH), &EL1, &Profile::QEMU), [""; 0]);
}

#[test]
fn every_rule_has_a_case() {
    let no_stalls = Reached { stalls_disabled: true, ..EL1 };
    let asid8 = Profile { asid16: false, ..FULL };
    let cases: &[(&str, Cd, Reached, Profile)] = &[
        ("S", with(&PLAIN, &[(44, 1)]), no_stalls, FULL),
        ("A", cd(&PLAIN[..6]), EL1, Profile { always_aborts: true, ..FULL }),
        ("S", with(&PLAIN, &[(44, 1)]), EL1, Profile { stall: false, ..FULL }),
        ("ENDI", with(&PLAIN, &[(15, 1)]), EL1, FULL),
        ("AA64", cd(&[(0, 25), (30, 1), (31, 1), (32, 5)]), EL1, FULL),
        ("HA", with(&PLAIN, &[(43, 1)]), EL1, Profile { access_flag: false, ..FULL }),
        ("HD", with(&PLAIN, &[(43, 1), (42, 1)]), EL1, Profile { dirty_state: false, ..FULL }),
        ("ASID", with(&PLAIN, &[(56, 1)]), EL1, asid8),
        ("ASID", with(&PLAIN, &[(56, 1)]), HOST, asid8),
        ("T0SZ", with(&PLAIN[1..], &[(0, 40)]), EL1, FULL),
        ("T0SZ", with(&PLAIN[1..], &[(0, 15)]), EL1, FULL),
        ("T0SZ", with(&PLAIN[1..], &[(0, 12), (6, 1)]), EL1, Profile { vax52: false, ..FULL }),
        ("T1SZ", with(&BOTH[2..], &[(0, 25), (16, 15)]), EL1, FULL),
        ("TG0", with(&PLAIN, &[(6, 3)]), EL1, FULL),
        ("TG0", with(&PLAIN, &[(6, 2)]), EL1, Profile { granules: [true, false, true], ..FULL }),
        ("TG1", cd(&[(0, 25), (16, 25), (31, 1), (41, 1)]), EL1, FULL),
        ("TTB0", cd(&[(0, 25), (30, 1), (31, 1), (41, 1), (68 + 28, 1)]), EL1, FULL),
        ("TTB0", cd(&[(0, 25), (30, 1), (31, 1), (32, 6), (41, 1), (68 + 44, 1)]), EL1, FULL),
        ("TTB1", with(&BOTH, &[(132 + 44, 1)]), EL1, FULL),
    ];
    for (field, descriptor, reached, profile) in cases {
        assert_eq!(blamed(*descriptor, reached, profile), [*field], "{descriptor:x?}");
    }
}

/// 5.4.1.1: EPDx makes the fields of its half IGNORED.
#[test]
fn a_disabled_half_is_not_checked() {
    let junk = [(16, 63), (22, 0), (132 + 44, 15)];
    assert_eq!(blamed(with(&PLAIN, &junk), &EL1, &FULL), [""; 0]);
    let lower_off = cd(&[(0, 63), (6, 3), (14, 1), (16, 25), (22, 2), (31, 1), (41, 1), (68 + 44, 1)]);
    assert_eq!(blamed(lower_off, &EL1, &FULL), [""; 0]);
    let neither = cd(&[(14, 1), (15, 1), (30, 1), (31, 1), (41, 1)]);
    assert_eq!(blamed(neither, &HOST, &FULL), [""; 0], "not even ENDI");
}

/// EL2 has one half: EPD0 is IGNORED, and everything of TTB1 is RES0.
#[test]
fn el2_has_the_lower_half_only() {
    let c = cd(&[(0, 25), (14, 1), (16, 63), (31, 1), (32, 5), (40, 1), (41, 1), (56, 1), (132 + 44, 1)]);
    assert_eq!(blamed(c, &EL2, &Profile { asid16: false, ..FULL }), [""; 0]);
    let s1 = c.stage1_controls(&EL2, &FULL);
    assert_eq!((s1.regime, s1.asid, s1.halves[0].epd, s1.halves[0].txsz), (Regime::El2, 0, false, 25));
    assert_eq!(s1.halves[0], s1.halves[1]);
    assert!(!c.pan(&EL2) && c.pan(&HOST));
    assert_eq!(blamed(cd(&[(0, 40), (14, 1), (31, 1), (41, 1)]), &EL2, &FULL), ["T0SZ"]);
}

#[test]
fn what_is_there_is_legal() {
    let cases: &[&[(u16, u64)]] = &[
        // 64 KiB with 52 bits of VA and output, its table above 48 bits.
        &[(0, 12), (6, 1), (30, 1), (31, 1), (32, 6), (41, 1), (68 + 44, 15)],
        // HD without HA is reserved, and not ILLEGAL. Stalls.
        &[(0, 25), (30, 1), (31, 1), (41, 1), (42, 1), (44, 1)],
        // The encodings of TG1: 16, 4 and 64 KiB.
        &[(0, 25), (16, 25), (22, 1), (31, 1), (41, 1)],
        &[(0, 25), (16, 25), (22, 2), (31, 1), (41, 1)],
        &[(0, 25), (16, 12), (22, 3), (31, 1), (41, 1)],
    ];
    for bits in cases {
        assert_eq!(blamed(cd(bits), &EL1, &FULL), [""; 0], "{bits:?}");
    }
}

#[test]
fn stage1_comes_from_the_fields() {
    let c = with(
        &BOTH,
        &[
            (35, 1),
            (36, 1),
            (39, 1),
            (42, 1),
            (43, 1),
            (48, 0xabcd),
            (65, 1),
            (68, 0x8_0000 >> 4),
            (132, 0x9_0000 >> 4),
            (192, 0xff44),
        ],
    );
    let s1 = c.stage1_controls(&EL1, &FULL);
    let [lower, upper] = s1.halves;
    assert_eq!((lower.ttbr, upper.ttbr, s1.mair, s1.asid), (0x8_0000, 0x9_0000, 0xff44, 0xabcd));
    assert_eq!((lower.tbi, upper.tbi, lower.hpd, upper.hpd), (false, true, true, false));
    assert!(s1.ha && s1.hd && s1.wxn && s1.af_fault_disable && s1.enabled && !lower.epd);
    assert_eq!((s1.output, c.policy()), (48, FaultPolicy { record: true, abort: true, stall: false }));
    let plain = with(&PLAIN, &[(42, 1)]).stage1_controls(&EL1, &FULL);
    assert!(plain.halves[1].epd && !plain.ha && !plain.hd, "HD counts with HA");
    let wide =
        cd(&[(0, 12), (6, 1), (30, 1), (31, 1), (32, 6), (41, 1), (68 + 44, 0xa), (68, 0x1_0000 >> 4)]);
    assert_eq!(wide.stage1_controls(&EL1, &FULL).halves[0].ttbr, 0x1_0000 | 0xa << 2);
    assert_eq!(wide.stage1_controls(&EL1, &Profile { output_bits: 48, ..FULL }).output, 48);
}

#[test]
fn a_level_1_descriptor_points_to_an_aligned_table() {
    assert_eq!(ContextPointer(0x1234_5000).table(6), None);
    assert_eq!(ContextPointer(0x1234_5001).table(6), Some(0x1234_5000));
    assert_eq!(ContextPointer(0xff00_0000_1234_5fff).table(6), Some(0x1234_5000));
    assert_eq!(ContextPointer(0x1234_5001).table(10), Some(0x1234_0000));
}
