//! Faults, of contexts and global ones, through the registers.

use super::*;

fn machine(cbar: u64, sctlr: u64) -> Machine {
    let m = Machine::new();
    m.enable();
    m.stream(0, STREAM, 3);
    m.stage1(3, cbar, sctlr);
    m.stage2(4, sctlr);
    m.identity2();
    m.map(S1, 0x5000, DATA | PAGE);
    m
}

const S1_ONLY: u64 = 0x0001_0000;
const NESTED: u64 = 0x0003_0409;

/// FSR, FSYNR0 and FAR of a bank, which are cleared.
fn syndrome(m: &Machine, bank: u64) -> (u64, u64, u64) {
    let all = (m.r(cb(bank) + FSR), m.r(cb(bank) + FSYNR0), m.r64(cb(bank) + FAR));
    m.w(cb(bank) + FSR, 0xffff_ffff);
    assert_eq!(m.r(cb(bank) + FSR), 0);
    all
}

#[test]
fn every_kind_of_fault_of_stage_1_has_its_syndrome() {
    let m = machine(S1_ONLY, USUAL);
    let port = m.port(STREAM);
    // TF, AFF and PF of level 3.
    let cases = [
        (0, 0x402, 0x103),
        (DATA | PAGE & !(1 << 10), 0x404, 0x103),
        (DATA | PAGE & !(1 << 6), 0x408, 0x103),
    ];
    for (leaf, fsr, fsynr0) in cases {
        m.map(S1, 0x6000, leaf);
        assert_eq!(read(&port, 0x6008), Err(DmaFault::Abort));
        assert_eq!(syndrome(&m, 3), (fsr, fsynr0, 0x6008));
    }
    // An address that no table covers.
    assert_eq!(read(&port, 1 << 40), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3), (0x402, 0x100, 1 << 40));
    // A table where nothing answers: EF, on a walk, at level 2.
    m.put(S1 + 16, 0x8000_0003);
    assert_eq!(read(&port, 2 << 30), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3), (0x410, 0x502, 2 << 30));
    // PASize is 32 bits: ASF.
    m.w(cb(3) + TCR2, 1 << 4 | 7 << 15);
    m.map(S1, 0x6000, 1 << 34 | PAGE);
    assert_eq!(read(&port, 0x6000), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3), (0x480, 0x103, 0x6000));
}

#[test]
fn a_fault_says_how_the_access_was_made() {
    let m = machine(S1_ONLY, USUAL);
    let port = m.port(STREAM);
    let privileged = DmaAttrs { privileged: true, ..DmaAttrs::default() };
    assert_eq!(port.write(privileged, 0x6000, &[1]), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3).1, 0x133, "WNR, PNU");
    let fetch = DmaAttrs { instruction: true, ..DmaAttrs::default() };
    assert_eq!(port.read(fetch, 0x6000, &mut [0]), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3).1, 0x143, "IND");
    // As S2CR makes it: privileged, data.
    m.w(0xc00, 3 | 3 << 24 | 2 << 26);
    assert_eq!(port.read(fetch, 0x6000, &mut [0]), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3).1, 0x123);
}

#[test]
fn affd_makes_a_clear_access_flag_mean_nothing() {
    let m = machine(S1_ONLY, USUAL | 8);
    m.map(S1, 0x6000, DATA | PAGE & !(1 << 10));
    assert_eq!(read(&m.port(STREAM), 0x6000), Ok(0));
}

#[test]
fn a_fault_of_stage_2_is_of_its_bank_and_names_that_of_stage_1() {
    let m = machine(NESTED, USUAL);
    let port = m.port(STREAM);
    m.put(DATA, 0x55);
    assert_eq!(read(&port, 0x5000), Ok(0x55));
    // The page of stage 1 is at an IPA that stage 2 does not map.
    m.map(S1, 0x6000, (RAM + 0x40_0000) | PAGE);
    assert_eq!(read(&port, 0x6010), Err(DmaFault::Abort));
    assert_eq!(m.r64(cb(4) + IPAFAR), RAM + 0x40_0010);
    assert_eq!((m.r(cb(3) + FSR), m.r(0x1410)), (0, u64::from(STREAM)));
    assert!(m.level(4) && !m.level(3));
    assert_eq!(syndrome(&m, 4), (0x402, 0x3_0102, 0x6010));
    // So is a table of stage 1: PTWF.
    m.put(S1 + 0x1000 + 8, (RAM + 0x40_0000) | 3);
    assert_eq!(read(&port, 0x20_3000), Err(DmaFault::Abort));
    assert_eq!(m.r64(cb(4) + IPAFAR), RAM + 0x40_0018);
    assert_eq!(syndrome(&m, 4), (0x402, 0x3_0502, 0x20_3000));
    // And a fault of stage 1 is of the bank of stage 1.
    assert_eq!(read(&port, 0x7000), Err(DmaFault::Abort));
    assert_eq!((syndrome(&m, 3).0, m.r(cb(4) + FSR)), (0x402, 0));
}

#[test]
fn without_cfre_reads_give_zeroes_and_without_cfie_nothing_interrupts() {
    let m = machine(S1_ONLY, 7);
    let port = m.port(STREAM);
    assert_eq!((read(&port, 0x6000), m.level(3)), (Ok(0), false));
    assert_eq!(m.r(cb(3) + FSR), 0x402, "recorded all the same");
    m.w(cb(3) + SCTLR, 0x47);
    assert!(m.level(3), "as soon as CFIE is set");
    m.w(cb(3) + SCTLR, 7);
    assert!(!m.level(3));
}

#[test]
fn with_hupcf_0_nothing_passes_until_the_fault_is_cleared() {
    let m = machine(S1_ONLY, USUAL);
    let port = m.port(STREAM);
    assert_eq!(read(&port, 0x5000), Ok(0));
    assert_eq!(read(&port, 0x6000), Err(DmaFault::Abort));
    assert_eq!(read(&port, 0x5000), Err(DmaFault::Abort), "although the port knew the way");
    assert_eq!(syndrome(&m, 3), (0x402, 0x103, 0x6000), "and no MULTI");
    assert_eq!(read(&port, 0x5000), Ok(0));
}

#[test]
fn with_hupcf_others_go_on_and_a_second_fault_is_multi() {
    let m = machine(S1_ONLY, USUAL | HUPCF);
    let port = m.port(STREAM);
    assert_eq!(read(&port, 0x6000), Err(DmaFault::Abort));
    assert_eq!(read(&port, 0x5000), Ok(0));
    assert_eq!(read(&port, 0x7000), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3), (0x8000_0402, 0x103, 0x6000));
}

#[test]
fn a_fault_of_one_context_holds_no_other_one_back() {
    let m = machine(S1_ONLY, USUAL);
    m.stream(1, STREAM + 1, 5);
    m.stage1(5, S1_ONLY, USUAL);
    assert_eq!(read(&m.port(STREAM), 0x6000), Err(DmaFault::Abort));
    assert_eq!(read(&m.port(STREAM + 1), 0x5000), Ok(0));
}

#[test]
fn global_faults_are_recorded_and_interrupt() {
    let m = machine(S1_ONLY, USUAL);
    let global = |stream, address| {
        assert_eq!(write(&m.port(stream), address, 1), Err(DmaFault::Abort));
        assert!(m.level(GLOBAL));
        let all = (m.r(0x48), m.r(0x50), m.r(0x54), m.r64(0x40));
        m.w(0x48, 0xffff_ffff);
        assert!(!m.level(GLOBAL));
        all
    };
    // USF; WNR and NSATTR.
    assert_eq!(global(0x99, 0x1_2345_6000), (2, 0x22, 0x99, 0x1_2345_6000));
    // SMCF.
    m.stream(5, 0x10, 3 | 1 << 16);
    m.w(0x814, 1 << 31 | 8 << 16 | 0x10);
    assert_eq!(global(STREAM, 0x1000), (4, 0x22, 0x18, 0x1000));
    m.w(0x814, 0);
    // ICF, by S2CR and, nested, by CBAR.
    m.w(0xc00, 2 << 16);
    assert_eq!(global(STREAM, 0x1000).0, 1);
    m.w(0xc00, 3);
    m.w(0x100c, 2 << 16);
    assert_eq!(global(STREAM, 0x1000), (1, 0x23, 0x18, 0x1000));
    // UCBF, by S2CR and, nested, by CBAR.
    m.w(0x100c, 0x0003_ff00);
    assert_eq!(global(STREAM, 0x1000), (8, 0x23, 0x18, 0x1000));
    m.w(0xc00, 32);
    assert_eq!(global(STREAM, 0x1000), (8, 0x22, 0x18, 0x1000));
}

#[test]
fn gfre_and_gfie_say_who_is_told_of_global_faults() {
    let m = Machine::new();
    m.w(0, 1 << 10);
    let port = m.port(STREAM);
    m.put(DATA, 5);
    assert_eq!((read(&port, DATA), write(&port, DATA, 6)), (Ok(0), Ok(())));
    assert_eq!(m.bus.read(Pa(DATA), Size::B8, CPU), Ok(5), "RAZ/WI");
    assert_eq!((m.r(0x48), m.level(GLOBAL)), (0x8000_0002, false));
    m.w(0, 1 << 10 | 4);
    assert!(m.level(GLOBAL));
}

#[test]
fn a_disabled_stage_1_alone_lets_addresses_pass_that_there_are() {
    let m = machine(S1_ONLY, USUAL & !1);
    m.put(DATA, 3);
    let port = m.port(STREAM);
    assert_eq!(read(&port, DATA), Ok(3));
    assert_eq!(read(&port, 1 << 50), Err(DmaFault::Abort));
    assert_eq!(syndrome(&m, 3), (0x480, 0x100, 1 << 50), "ASF");
}

#[test]
fn an_address_is_extended_from_sep() {
    let m = machine(S1_ONLY, USUAL);
    // SEP is bit 39; the upper half has the tables of the lower one (TG1 4 KiB, T1SZ 25, EPD0).
    m.w(cb(3) + TCR2, 5 | 1 << 4 | 2 << 15);
    m.w(cb(3) + TCR, 25 | 1 << 7 | 25 << 16 | 2 << 30);
    m.w64(cb(3) + 0x28, S1 | 5 << 48);
    m.put(DATA, 8);
    let port = m.port(STREAM);
    assert_eq!(read(&port, 0x80_0000_5000), Ok(8), "bit 39 is the sign");
    assert_eq!(read(&port, 0xffff_ff80_0000_5000), Ok(8), "as it is");
    assert_eq!(read(&port, 0x180_0000_5000), Err(DmaFault::Abort), "out of range rather than cut");
    assert_eq!(syndrome(&m, 3).0, 0x402);
    assert_eq!(read(&port, 0x5000), Err(DmaFault::Abort), "EPD0");
}
