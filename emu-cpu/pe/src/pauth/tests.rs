use emu_a64::ir::PacOp;
use emu_a64::level::El;

use crate::cpu::Cpu;
use crate::exception::Exception;
use crate::mem::context;
use crate::model::Model;
use crate::sysreg::{Reg, hcr, sctlr};
use crate::test_pe::{Bench, bench};

/// EL1 with 48-bit addresses in both halves, all keys enabled.
pub(super) fn el1(model: Model, tcr: u64) -> Bench {
    let mut b = bench(model);
    let c = &mut b.cpu;
    c.sys[Reg::HCR_EL2] = hcr::API | hcr::APK;
    c.sys[Reg::SCTLR_EL1] = sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB;
    c.sys[Reg::TCR_EL1] = 16 | 16 << 16 | tcr;
    for (i, reg) in [Reg::APIAKeyLo_EL1, Reg::APIAKeyHi_EL1, Reg::APDBKeyLo_EL1, Reg::APGAKeyHi_EL1]
        .into_iter()
        .enumerate()
    {
        c.sys[reg] = 0x0123_4567_89ab_cdef ^ (i as u64) << 60;
    }
    c.set_level(El::El1, true);
    context::select(c);
    b
}

fn run(c: &mut Cpu, op: PacOp, ptr: u64) -> Result<u64, Exception> {
    c.authenticate(op, ptr, 0x1000)
}

#[test]
fn signed_pointers_come_back() {
    for model in [Model::max(), Model::by_name("max-qarma5").unwrap()] {
        let mut b = el1(model, 0);
        let c = &mut b.cpu;
        for ptr in [0x0000_1234_5678_9abc, 0xffff_8000_1234_5678] {
            let signed = run(c, PacOp::PacIa, ptr).unwrap();
            assert_ne!(signed, ptr);
            assert_eq!((signed ^ ptr) & 0x0080_ffff_ffff_ffff, 0, "address and bit 55 stay");
            assert_eq!(run(c, PacOp::AutIa, signed), Ok(ptr));
            assert_eq!(run(c, PacOp::XpacI, signed), Ok(ptr));
            let fail = |number| Err(Exception::Trap { target: El::El1, ec: 0x1c, iss: number });
            assert_eq!(run(c, PacOp::AutIa, signed ^ 1 << 60), fail(0));
            assert_eq!(c.authenticate(PacOp::AutIa, signed, 0x1001), fail(0));
            assert_eq!(run(c, PacOp::AutDb, signed), fail(3));
        }
        let code = run(c, PacOp::PacGa, 5).unwrap();
        assert!(code != 0 && code as u32 == 0);
    }
}

/// Auth: the code of the pointer is not there again, so its bits differ from an address's, and no exception says so.
#[test]
fn without_fpac_what_is_wrong_stays_in_the_pointer() {
    let ptr = 0xffff_8000_1234_5678;
    for (name, faults) in [("neoverse-v1", false), ("neoverse-n2", true)] {
        let mut b = el1(Model::by_name(name).unwrap(), 0);
        let c = &mut b.cpu;
        let signed = run(c, PacOp::PacIa, ptr).unwrap();
        assert_eq!(run(c, PacOp::AutIa, signed), Ok(ptr), "{name}");
        let wrong = run(c, PacOp::AutIa, signed ^ 1 << 60);
        assert_eq!(wrong.is_err(), faults, "{name}");
        assert!(faults || wrong == Ok(ptr ^ 1 << 60), "{name}: {wrong:x?}");
    }
}

#[test]
fn the_tag_is_not_part_of_the_code() {
    // TBI0, TBI1; TBID0: not for instructions of the lower half.
    let mut b = el1(Model::max(), 3 << 37 | 1 << 51);
    let c = &mut b.cpu;
    let ptr = 0x5a00_1234_5678_9abc;
    let signed = run(c, PacOp::PacDb, ptr).unwrap();
    assert_eq!(signed >> 56, 0x5a);
    assert_eq!(run(c, PacOp::AutDb, signed), Ok(ptr));
    assert_eq!(run(c, PacOp::XpacD, signed), Ok(ptr));
    assert_eq!(run(c, PacOp::XpacI, signed), Ok(ptr & 0xffff_ffff_ffff), "TBID0");
}

#[test]
fn enables_and_traps() {
    let mut b = el1(Model::max(), 0);
    let c = &mut b.cpu;
    c.sys[Reg::SCTLR_EL1] &= !sctlr::ENIA;
    assert_eq!(run(c, PacOp::PacIa, 0x1234), Ok(0x1234));
    c.sys[Reg::HCR_EL2] = 0;
    c.refresh();
    let trap = Err(Exception::Trap { target: El::El2, ec: 9, iss: 0 });
    assert_eq!(run(c, PacOp::PacIa, 0x1234), Ok(0x1234), "what is not enabled does not trap");
    assert_eq!(run(c, PacOp::PacIb, 0x1234), trap);
    assert_eq!(run(c, PacOp::PacGa, 0x1234), trap);
    assert_eq!(run(c, PacOp::XpacI, 0x1234), Ok(0x1234));
    let key = emu_a64::ir::SysEnc::new(3, 0, 2, 1, 0);
    assert!(matches!(c.mrs(key, 0), Err(Exception::Trap { target: El::El2, ec: 0x18, .. })), "APK");
}

/// Codes that another implementation makes with QARMA5: TCR_EL1.{TBI, TBID}, pointer, PACIA, PACDB, PACGA.
#[test]
fn codes_of_another_implementation() {
    let modifier = 0x477d_469d_ec0b_8762;
    for (tcr, ptr, ia, db, ga) in [
        (0, 0x0000_1234_5678_9abc, 0x877f_1234_5678_9abc, 0xa43f_1234_5678_9abc, 0x877f_5161_0000_0000),
        (0, 0xa5ff_8000_1234_5678, 0x0dfc_8000_1234_5678, 0xb7b3_8000_1234_5678, 0xe4a6_91d1_0000_0000),
        (0, 0x00f0_1234_5678_9abc, 0x870f_1234_5678_9abc, 0xa44f_1234_5678_9abc, 0xf2ce_6185_0000_0000),
        (1 << 37, 0xffff_8000_1234_5678, 0x57fc_8000_1234_5678, 0xedb3_8000_1234_5678, 0xa883_c720_0000_0000),
        (1 << 37, 0xff7f_ffff_1234_5678, 0xff70_ffff_1234_5678, 0xff3e_ffff_1234_5678, 0xcac7_e8d6_0000_0000),
        (3 << 37, 0xffff_8000_1234_5678, 0xfffc_8000_1234_5678, 0xffb3_8000_1234_5678, 0xa883_c720_0000_0000),
        (3 << 37, 0x0080_0012_3456_7000, 0x00de_0012_3456_7000, 0x0092_0012_3456_7000, 0xb2c7_0363_0000_0000),
        (3 << 37, 0xdead_beef_cafe_babe, 0xdeb7_beef_cafe_babe, 0xdef2_beef_cafe_babe, 0xb694_3c90_0000_0000),
        (
            3 << 37 | 3 << 51,
            0x5a00_1234_5678_9abc,
            0xdd7f_1234_5678_9abc,
            0x5a43_1234_5678_9abc,
            0xbfe5_14ed_0000_0000,
        ),
    ] {
        let mut b = el1(Model::by_name("max-qarma5").unwrap(), tcr);
        let sys = &mut b.cpu.sys;
        for (low, high) in
            [(Reg::APIAKeyLo_EL1, Reg::APIAKeyHi_EL1), (Reg::APGAKeyLo_EL1, Reg::APGAKeyHi_EL1)]
        {
            (sys[low], sys[high]) = (0xec28_02d4_e0a4_88e9, 0x84be_85ce_9804_e94b);
        }
        (sys[Reg::APDBKeyLo_EL1], sys[Reg::APDBKeyHi_EL1]) = (0xfedc_ba98_7654_3210, 0x0123_4567_89ab_cdef);
        for (op, expected) in [(PacOp::PacIa, ia), (PacOp::PacDb, db), (PacOp::PacGa, ga)] {
            assert_eq!(b.cpu.authenticate(op, ptr, modifier), Ok(expected), "{op:?} of {ptr:#x}, {tcr:#x}");
        }
    }
}
