//! What a monitor is told.

use super::super::Lint;
use super::*;

#[test]
fn an_explanation_names_each_structure_and_what_is_wrong_with_it() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[(59, 2), (64, 2)], &[(48, 5)]);
    let told = rig.streams.explain(STREAM, None).to_string();
    assert_eq!(
        told,
        "stream 0x2\n\
         STE 0x2 at 0x40010080: V 0x1, Config 0x5, S1ContextPtr 0x40020000, S1CDMax 0x2, S1DSS 0x2\n\
         CD 0x0 at 0x40020000: T0SZ 0x19, EPD1 0x1, V 0x1, IPS 0x5, AA64 0x1, R 0x1, A 0x1, ASID 0x5, TTB0 0x40030000\n\
         stage 1 of EL1&0, ASID 5, TTB0 0x40030000 K4 39 bits; VMID 0"
    );
    rig.ste(&[(1, 5), (0, CDS), (59, 21), (94, 3)]);
    let e = rig.streams.explain(STREAM, None);
    let broken: Vec<_> = e.fetched[0].broken.iter().map(|b| (b.field.name, b.section)).collect();
    assert_eq!(broken, [("STRW", "5.2"), ("S1CDMax", "5.2")]);
    assert!(e.to_string().contains("\n  ILLEGAL: STRW (5.2): the StreamWorld is reserved\n"));
    assert_eq!(e.outcome, Outcome::Event("C_BAD_STE"));
    assert_eq!(rig.events(), [], "nothing is recorded");
    rig.streams.set(Settings { enabled: false, ..ENABLED });
    assert!(rig.streams.explain(STREAM, None).to_string().ends_with("not enabled: bypassed"));
}

#[test]
fn an_explanation_tells_that_the_cache_is_stale() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[], &[]);
    assert!(!rig.streams.explain(STREAM, None).stale);
    assert!(rig.read(0x1000).is_ok());
    assert!(!rig.streams.explain(STREAM, None).stale);
    rig.bench.put(CDS, &words(&[&CD[..], &[(48, 9)]].concat()));
    assert!(rig.streams.explain(STREAM, None).stale);
    rig.streams.invalidate_cd(STREAM, 0);
    assert!(!rig.streams.explain(STREAM, None).stale);
}

#[test]
fn an_explanation_changes_nothing_in_memory() {
    let rig = Rig::full();
    rig.cd(0, &[]);
    let untouched = BLOCK2 & !(1 << 10);
    rig.stage2(untouched, &[(1, 7), (0, CDS), (184, 1)]);
    assert!(matches!(rig.streams.explain(STREAM, None).outcome, Outcome::Translated(_)));
    assert_eq!(rig.bench.get(S2PT + 0x1000), untouched);
    rig.stage2(0, &[(1, 7), (0, CDS)]);
    let e = rig.streams.explain(STREAM, None);
    assert!(matches!(e.outcome, Outcome::Stage2Fault(_)));
    assert!(e.to_string().contains("CD 0x0 at 0x40020000: stage 2 translation fault"), "{e}");
}

#[test]
fn a_walk_names_each_descriptor() {
    let rig = Rig::full();
    rig.cd(0, &[]);
    rig.stage2(BLOCK2, &[(1, 7), (0, CDS)]);
    map(&rig.bench, PT, 0x1000, PAGE);
    let walk = rig.streams.walk(&Transaction { address: 0x1234, ..READ });
    let way = walk.way.as_ref().unwrap();
    assert_eq!(way.result.map(|t| t.pa.0), Ok(DATA + 0x234));
    // Three levels of stage 1, each with two of stage 2 in front of it, and two for the output.
    assert_eq!(way.steps.len(), 3 * 3 + 2);
    let told = walk.to_string();
    assert!(told.contains("\n  S2 of table L1 0x40030000 at 0x40040008: "), "{told}");
    assert!(
        told.contains("\nS1 L3 0x1234 at 0x40032008: 0x0000000040080c43 page 0x40080000, 2^12 bytes\n"),
        "{told}"
    );
    assert!(told.ends_with("\nphysical 0x40080234, intermediate 0x40080234"), "{told}");
    let walk = rig.streams.walk(&Transaction { address: 0x2000, ..READ });
    assert!(walk.to_string().ends_with("\nstage 1 translation fault, level 3, VA 0x2000"), "{walk}");
    rig.ste(&[(1, 4)]);
    let walk = rig.streams.walk(&READ);
    assert_eq!(walk.way, None);
    assert_eq!(rig.events(), []);
}

#[test]
fn a_finding_has_the_field_its_bits_its_value_and_the_section() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[], &[]);
    let lint = |substream| Lint(&rig.streams.explain(STREAM, substream)).to_string();
    assert!(lint(None).starts_with(
        "STE 0x2 at 0x40010080: legal\nCD 0x0 at 0x40020000: legal\nstage 1 of EL1&0, ASID 0, "
    ));
    assert_eq!(
        lint(Some(1)),
        "STE 0x2 at 0x40010080: legal\n\
         aborted: C_BAD_SUBSTREAMID: the STE has no stage 1, no substreams or too few (S1CDMax), or the L1CD is not \
         valid (Arm IHI 0070, 7.3.9)"
    );
    rig.stage1(PAGE, &[(94, 3)], &[]);
    assert_eq!(
        lint(None),
        "STE 0x2 at 0x40010080: ILLEGAL\n  \
         STRW, bits 95:94, is 0x3: the StreamWorld is reserved (Arm IHI 0070, 5.2)\n\
         aborted: C_BAD_STE"
    );
    rig.bench.put(TABLE + u64::from(STREAM) * 64, &[0]);
    assert!(lint(None).contains("\n  V, bit 0, is 0x0: the entry is not valid (Arm IHI 0070, 5.2)\n"));
}

/// Each name is one that events have.
#[test]
fn an_event_without_a_field_to_blame_has_a_reason() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 1)]);
    let lint = |stream, substream| Lint(&rig.streams.explain(stream, substream)).to_string();
    for (told, name) in [
        (lint(99, None), "C_BAD_STREAMID"),
        (lint(STREAM, None), "F_STREAM_DISABLED"),
        (lint(STREAM, Some(9)), "C_BAD_SUBSTREAMID"),
    ] {
        assert!(
            told.contains(&format!("aborted: {name}: the "))
                || told.contains(&format!("aborted: {name}: STE.")),
            "{told}"
        );
    }
    rig.streams.set(Settings { strtab_base: 0x1_0000, ..ENABLED });
    assert!(lint(STREAM, None).contains("external abort\naborted: F_STE_FETCH: no memory answers at "));
}
