//! Address translation operations: SMMU_GATOS_PAR for what is asked (9.1.4, 6.3.40).

use super::*;

/// GATOS_ADDR.TYPE.
const STAGE1: u64 = 1 << 10;
const STAGE2: u64 = 2 << 10;
const BOTH: u64 = 3 << 10;
/// PnU, RnW, InD, HTTUI.
const PRIVILEGED: u64 = 1 << 9;
const READ: u64 = 1 << 8;
const FETCH: u64 = 1 << 7;
const NO_UPDATES: u64 = 1 << 6;
/// GATOS_SID.SSID_VALID.
const SSID_VALID: u64 = 1 << 52;
/// CD.MAIR: Normal memory, write-back.
const NORMAL: (u16, u64) = (192, 0xff);
/// Nothing of stage 2 leads there.
const BEYOND: u64 = RAM + 0x20_0000;

impl Rig {
    fn look_up(&self, sid: u64, addr: u64) -> u64 {
        let par = self.streams.look_up(&Question { sid, addr });
        assert_eq!(self.names(), [""; 0], "nothing is recorded");
        par
    }

    fn par(&self, addr: u64) -> u64 {
        self.look_up(STREAM.into(), addr)
    }

    /// Both stages, with the CD and a page at 0x1000.
    fn nested(&self, leaf: u64, cd: &[(u16, u64)]) {
        self.stage2(BLOCK2, &[(1, 7), (0, CDS)]);
        self.cd(0, &[&[NORMAL], cd].concat());
        map(&self.bench, PT, 0x1000, leaf);
    }
}

/// A fault's code, reason and address.
const fn fault(code: u64, reason: u64, address: u64) -> u64 {
    address | code << 4 | reason << 1 | 1
}

#[test]
fn stage_1_gives_an_address_with_its_attributes() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[], &[NORMAL]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), 0xff << 56 | DATA);
    rig.stage1(PAGE | 3 << 8, &[], &[NORMAL]);
    assert_eq!(rig.par(0x1000 | STAGE1), 0xff << 56 | DATA | 3 << 8, "inner shareable");
    rig.stage1(PAGE, &[], &[]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), DATA | 2 << 8, "Device memory");
    // A block of 2 MiB, told by the lowest bit that is set.
    rig.bench.put(PT + 0x1000, &[(RAM + 0x60_0000) | 0xc41]);
    assert_eq!(rig.par(0x12_3000 | STAGE1 | READ), (RAM + 0x60_0000) | 1 << 20 | 1 << 11 | 2 << 8);
}

#[test]
fn permissions_are_those_of_the_question() {
    let rig = Rig::full();
    // Read-only, unprivileged code; PRIVCFG and INSTCFG of the STE say otherwise.
    rig.stage1(PAGE | 1 << 7 | 1 << 53, &[(112, 3), (114, 3)], &[NORMAL]);
    let page = 0xff << 56 | DATA;
    assert_eq!(rig.par(0x1000 | STAGE1 | READ | FETCH), page);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ | FETCH | PRIVILEGED), fault(0x13, 0, 0), "PXN");
    assert_eq!(rig.par(0x1000 | STAGE1), fault(0x13, 0, 0), "read-only");
    // Privileged data alone, and InD is ignored in a write.
    rig.stage1(PAGE & !(1 << 6) | 1 << 54 | 1 << 53, &[], &[NORMAL]);
    assert_eq!(rig.par(0x1000 | STAGE1 | PRIVILEGED | FETCH), page);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x13, 0, 0));
}

#[test]
fn faults_of_stage_1_have_a_code_and_no_more() {
    let rig = Rig::full();
    rig.stage1(0, &[], &[]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x10, 0, 0));
    assert_eq!(rig.par(1 << 40 | STAGE1 | READ), fault(0x10, 0, 0), "beyond T0SZ");
    rig.stage1(PAGE & !(1 << 10), &[], &[]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x12, 0, 0), "AF");
    rig.stage1(PAGE, &[], &[(64, 0x3000_0000)]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x0b, 0, 0), "no table");
    rig.stage1(PAGE, &[(0, 0x3000_0000)], &[]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x09, 0, 0), "no CD");
    rig.stage1(PAGE, &[], &[(31, 1)]);
    rig.bench.put(CDS, &[0]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x0a, 0, 0), "no valid CD");
    let rig = Rig::new(Profile { output_bits: 44, ..FULL });
    rig.stage1(PAGE | 1 << 45, &[], &[]);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x11, 0, 0), "beyond OAS");
}

#[test]
fn a_stream_must_have_the_stages_that_are_asked_for() {
    let invalid = fault(0xff, 0, 0);
    let (absent, read) = (fault(0xfe, 0, 0), 0x1000 | READ);
    let rig = Rig::full();
    assert_eq!(rig.look_up(16, read | STAGE1), fault(0x02, 0, 0), "beyond the table");
    assert_eq!(rig.par(read | STAGE1), fault(0x04, 0, 0), "no valid STE");
    assert_eq!(rig.par(read), invalid, "TYPE 0");
    rig.stage1(PAGE, &[], &[]);
    assert_eq!([STAGE2, BOTH].map(|t| rig.par(read | t)), [absent; 2]);
    rig.stage2(BLOCK2, &[(1, 6)]);
    assert_eq!([STAGE1, BOTH].map(|t| rig.par(read | t)), [absent; 2]);
    for config in [0, 4] {
        rig.ste(&[(1, config)]);
        assert_eq!([STAGE1, STAGE2, BOTH].map(|t| rig.par(read | t)), [absent; 3]);
    }
    // INV_STAGE comes before what is wrong with the substream, INV_REQ before all.
    rig.stage2(BLOCK2, &[(1, 6)]);
    assert_eq!(rig.look_up(SSID_VALID | 5 << 32 | 2, read | STAGE1), absent);
    assert_eq!(rig.look_up(SSID_VALID | 2, read | STAGE2), invalid);
    for (stage1, stage2, types) in [(true, false, [STAGE2, BOTH]), (false, true, [STAGE1, BOTH])] {
        let rig = Rig::new(Profile { stage1, stage2, ..FULL });
        assert_eq!(types.map(|t| rig.par(read | t)), [invalid; 2]);
    }
}

#[test]
fn substreams_have_contexts_of_their_own() {
    let rig = Rig::full();
    // Two substreams; S1DSS is 0: without a SubstreamID nothing passes.
    rig.stage1(PAGE, &[(59, 1)], &[NORMAL]);
    rig.cd(1, &[NORMAL]);
    let ask = |id: u64| rig.look_up(SSID_VALID | id << 32 | 2, 0x1000 | STAGE1 | READ);
    assert_eq!([0, 1].map(ask), [0xff << 56 | DATA; 2]);
    assert_eq!(ask(2), fault(0x08, 0, 0));
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), fault(0x06, 0, 0));
    // S1DSS is 1: stage 1 is bypassed, and configured all the same.
    rig.ste(&[(1, 5), (0, CDS), (59, 1), (64, 1)]);
    assert_eq!(rig.par(0xab_c000 | STAGE1 | READ) & 0x00ff_ffff_ffff_f801, 0xab_c000);
    assert_eq!(rig.par(1 << 52 | STAGE1 | READ), fault(0x11, 0, 0), "beyond OAS");
}

#[test]
fn two_stages_are_asked_for_together_or_each_by_itself() {
    let rig = Rig::full();
    rig.nested(PAGE | 3 << 8, &[]);
    let normal = 0xff << 56 | 3 << 8;
    assert_eq!(rig.par(0x1000 | BOTH | READ), normal | DATA);
    assert_eq!(rig.par(0x1000 | STAGE1 | READ), normal | DATA);
    // The block of stage 2.
    assert_eq!(rig.par((RAM + 0x5000) | STAGE2 | READ), normal | RAM | 1 << 20 | 1 << 11);
    assert_eq!(rig.par(1 << 52 | STAGE2 | READ), fault(0x11, 0, 0), "stage 1's, as for a transaction");
    assert_eq!(rig.par(BEYOND | STAGE2 | READ), fault(0x10, 3, 0), "software knows the IPA");
}

/// REASON, and FADDR where both stages were asked for.
#[test]
fn faults_of_stage_2_say_what_was_on_the_way() {
    let rig = Rig::full();
    let ask = |rig: &Rig| [BOTH, STAGE1].map(|t| rig.par(0x1000 | t | READ));
    rig.nested(BEYOND | 0xc43, &[]);
    assert_eq!(ask(&rig), [fault(0x10, 3, BEYOND), 0xff << 56 | BEYOND], "the output of stage 1");
    rig.nested(PAGE, &[(64, BEYOND)]);
    let table = BEYOND | PT;
    assert_eq!(ask(&rig), [fault(0x10, 2, table), fault(0x0b, 0, 0)], "a table of stage 1");
    rig.nested(PAGE, &[]);
    rig.stage2(BLOCK2, &[(1, 7), (0, BEYOND)]);
    assert_eq!(ask(&rig), [fault(0x10, 1, BEYOND), fault(0x09, 0, 0)], "the CD");
    // Stage 2 has no table.
    rig.nested(PAGE, &[]);
    rig.bench.put(S2PT + 8, &[0x7000_0003]);
    assert_eq!(ask(&rig), [fault(0x0b, 1, 0), fault(0x09, 0, 0)]);
    // The CD is where nothing answers.
    rig.nested(PAGE, &[]);
    rig.stage2(0x7000_0000 | 0x7fd, &[(1, 7), (0, CDS)]);
    assert_eq!(ask(&rig), [fault(0x09, 0, 0); 2]);
}

/// HTTUI = 1: the state of the tables stays, and does not matter.
#[test]
fn tables_are_updated_unless_that_is_inhibited() {
    let rig = Rig::full();
    let leaf = PT + 0x2008;
    // HA and HD; a page that was not accessed, and is writable and clean (DBM).
    let clean = PAGE & !(1 << 10) | 1 << 7 | 1 << 51;
    rig.stage1(clean, &[], &[NORMAL, (43, 1), (42, 1)]);
    assert_eq!(rig.par(0x1000 | STAGE1 | NO_UPDATES), 0xff << 56 | DATA);
    assert_eq!(rig.bench.get(leaf), clean);
    assert_eq!(rig.par(0x1000 | STAGE1), 0xff << 56 | DATA);
    assert_eq!(rig.bench.get(leaf), clean & !(1 << 7) | 1 << 10, "accessed and dirty");
}
