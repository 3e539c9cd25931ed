//! SMMU_GATOS_*: lookups as software asks for them (Arm IHI 0070, 6.3.37 to 6.3.40).

use super::*;

const CTRL: u64 = 0x100;
const SID: u64 = 0x108;
const ADDR: u64 = 0x110;
const PAR: u64 = 0x118;
/// TYPE = stage 1, RnW.
const READ_OF_STAGE1: u64 = 1 << 10 | 1 << 8;

impl Machine {
    fn r64(&self, offset: u64) -> u64 {
        self.bus.read(Pa(SMMU + offset), Size::B8, CPU).unwrap()
    }

    fn translating(profile: Profile) -> Self {
        let m = Self::new(profile);
        m.reset_by_linux();
        m.attach(false);
        m.map(0, Some(BUFFER));
        m
    }
}

#[test]
fn the_answer_is_there_when_run_is_written() {
    let m = Machine::translating(Profile::FULL);
    m.w64(SID, STREAM.into());
    m.w64(ADDR, IOVA | READ_OF_STAGE1);
    assert_eq!(m.r64(PAR), 0);
    m.w(CTRL, 0);
    assert_eq!(m.r64(PAR), 0, "RUN is not set");
    m.w(CTRL, 1);
    // MAIR attribute 0 of the CD is write-back.
    assert_eq!((m.r(CTRL), m.r64(PAR)), (0, 0xff << 56 | BUFFER | 3 << 8));
    m.w64(ADDR, (IOVA + 0x1000) | READ_OF_STAGE1);
    m.w(CTRL, 1);
    assert_eq!(m.r64(PAR), 0x10 << 4 | 1);
    assert_eq!((m.event(), m.counters.get(Metric::Anomalies)), (None, 0));
    // PAR is read-only, and SID has the bits of the identifiers.
    m.w64(PAR, 5);
    assert_eq!(m.r64(PAR), 0x10 << 4 | 1);
    m.w64(SID, u64::MAX);
    assert_eq!(m.r64(SID), 1 << 52 | 0xf_ffff << 32 | 0xffff);
}

/// RUN is Guarded by SMMUEN.
#[test]
fn nothing_is_looked_up_while_it_is_off() {
    let m = Machine::translating(Profile::FULL);
    m.w64(SID, STREAM.into());
    m.w64(ADDR, IOVA | READ_OF_STAGE1);
    m.w(0x20, 0xc);
    m.w(CTRL, 1);
    assert_eq!((m.r(CTRL), m.r64(PAR)), (0, 0));
    m.w(0x20, 0xd);
    assert_eq!(m.r64(PAR), 0);
}

#[test]
fn registers_of_an_smmu_without_it_are_zero() {
    for profile in [Profile::QEMU, Profile::MMU600] {
        let m = Machine::translating(profile);
        m.w64(SID, STREAM.into());
        m.w64(ADDR, IOVA | READ_OF_STAGE1);
        m.w(CTRL, 1);
        assert_eq!([CTRL, SID, ADDR, PAR].map(|at| m.r64(at & !7)), [0; 4]);
    }
}
