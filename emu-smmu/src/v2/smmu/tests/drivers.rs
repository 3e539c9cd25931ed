//! The order of writes of drivers.

use super::*;

/// What Linux's `arm_smmu_device_reset` does.
fn reset_by_linux(m: &Machine) {
    let gfsr = m.r(0x48);
    m.w(0x48, gfsr);
    for n in 0..64 {
        m.w(0x800 + 4 * n, 0);
        // Fault: what nobody has asked for is blocked.
        m.w(0xc00 + 4 * n, 2 << 16);
    }
    // MMU-500: CACHE_LOCK off, S2CRB_TLBEN and SMTNMB_TLBEN on; prefetch off in every bank.
    let acr = m.r(0x10) & !(1 << 26) | 1 << 10 | 1 << 8;
    m.w(0x10, acr);
    for n in 0..32 {
        m.w(cb(n) + SCTLR, 0);
        m.w(cb(n) + FSR, 0xc000_01fe);
        let actlr = m.r(cb(n) + 0x4) & !2;
        m.w(cb(n) + 0x4, actlr);
        assert_eq!(m.r(cb(n) + 0x4) & 2, 0, "CPRE");
    }
    m.w(0x6c, 0xffff_ffff);
    m.w(0x68, 0xffff_ffff);
    let cr0 = m.r(0);
    // GFRE, GFIE, GCFGFRE, GCFGFIE, VMIDPNE, PTM, USFCFG; neither CLIENTPD, nor FB, nor BSU.
    m.w(0x70, 0xffff_ffff);
    assert_eq!(m.r(0x74) & 1, 0);
    m.w(0, (cr0 | 0x36 | 1 << 11 | 1 << 12 | 1 << 10) & !(1 | 1 << 13 | 3 << 14));
}

#[test]
fn linux_finds_what_it_asks_for() {
    let m = Machine::new();
    let id = |n: u64| m.r(0x20 + 4 * n);
    let bits = |n, hi: u32, lo: u32| id(n) >> lo & ((2 << (hi - lo)) - 1);
    // S1TS, S2TS, NTS, SMS; ATOSNS; PTFS without AArch32.
    assert_eq!((bits(0, 30, 27), bits(0, 26, 26), bits(0, 25, 24)), (0xf, 0, 3));
    assert_eq!((bits(0, 14, 14), bits(0, 12, 9), bits(0, 7, 0)), (1, 15, 64));
    let pages = 1 << (bits(1, 30, 28) + 1);
    assert_eq!(2 * pages * 0x1000, m.smmu.profile().window());
    assert_eq!((bits(1, 31, 31), bits(1, 23, 16), bits(1, 7, 0)), (0, 0, 32));
    assert_eq!((bits(2, 3, 0), bits(2, 7, 4), bits(2, 11, 8), bits(2, 14, 12)), (5, 5, 5, 0b101));
    m.w(0x800, 0x7fff << 16);
    assert_eq!(m.r(0x800) >> 16, 0x7fff);
    m.w(0x800, 0x7fff);
    assert_eq!(m.r(0x800), 0x7fff);
}

/// `arm_smmu_init_domain_context` and `arm_smmu_write_context_bank` of a DMA domain: stage 1, stage 2 bypassed.
#[test]
fn linux_maps_for_dma_by_stage_1() {
    let m = Machine::new();
    reset_by_linux(&m);
    let port = m.port(STREAM);
    assert_eq!(read(&port, DATA), Err(DmaFault::Abort), "disable_bypass");
    assert_eq!(m.r(0x48), 2, "USF");
    m.w(0x48, 2);

    // CBA2R, CBAR (BPSHCFG non-shareable, MemAttr write-back), TCR2, TCR, TTBR0, TTBR1, MAIRs, SCTLR.
    m.w(0x1800, 1);
    m.w(0x1000, 1 << 16 | 3 << 8 | 0xf << 12);
    m.w(cb(0) + TCR2, 5 | 7 << 15 | 1 << 4);
    m.w(cb(0) + TCR, 1 << 31 | 1 << 23 | 16 | 1 << 8 | 1 << 10 | 3 << 12);
    m.w64(cb(0) + TTBR0, S1 | 1 << 48);
    m.w64(cb(0) + 0x28, 1 << 48);
    m.w(cb(0) + 0x38, 0x00f4_ff44);
    m.w(cb(0) + 0x3c, 0);
    m.w(cb(0) + SCTLR, 0x40 | 0x20 | 4 | 2 | 1 | 1 << 12);
    // The stream: SMR first, then S2CR, of type translate, unprivileged.
    m.w(0x800, 1 << 31 | u64::from(STREAM));
    m.w(0xc00, 0);

    // 48 bits from level 0 on.
    let iova = 0xffff_f000_u64;
    m.put(S1, (S1 + 0x1000) | 3);
    m.put(S1 + 0x1000 + 8 * (iova >> 30), (S1 + 0x2000) | 3);
    m.put(S1 + 0x2000 + 8 * (iova >> 21 & 511), (S1 + 0x3000) | 3);
    m.put(S1 + 0x3000 + 8 * (iova >> 12 & 511), DATA | PAGE);
    assert_eq!(write(&port, iova + 8, 0xabcd), Ok(()));
    assert_eq!(m.bus.read(Pa(DATA + 8), Size::B8, CPU), Ok(0xabcd));

    // Unmap: TLBIVAL with the ASID, TLBSYNC; and what the fault handler reads.
    m.put(S1 + 0x3000 + 8 * (iova >> 12 & 511), 0);
    m.w64(cb(0) + 0x620, iova >> 12 | 1 << 48);
    m.w(cb(0) + 0x7f0, 0xffff_ffff);
    assert_eq!(m.r(cb(0) + 0x7f4) & 1, 0);
    assert_eq!(write(&port, iova + 8, 1), Err(DmaFault::Abort));
    assert!(m.level(0) && !m.level(1));
    let fsr = m.r(cb(0) + FSR);
    assert_eq!((fsr, m.r64(cb(0) + FAR), m.r(cb(0) + FSYNR0)), (0x402, iova + 8, 0x113));
    assert_eq!(m.r(0x1400), u64::from(STREAM), "CBFRSYNRA");
    m.w(cb(0) + FSR, fsr);
    assert_eq!((m.r(cb(0) + FSR), m.level(0)), (0, false));
}

/// An identity domain, and one that is blocked.
#[test]
fn linux_lets_a_stream_pass_or_blocks_it() {
    let m = Machine::new();
    reset_by_linux(&m);
    m.put(DATA, 7);
    let port = m.port(STREAM);
    m.stream(1, STREAM, 1 << 16);
    assert_eq!(read(&port, DATA), Ok(7));
    m.w(0xc04, 2 << 16);
    assert_eq!(read(&port, DATA), Err(DmaFault::Abort));
    assert_eq!((m.r(0x48), m.r64(0x40), m.r(0x54)), (1, DATA, u64::from(STREAM)), "ICF");
    assert!(m.level(GLOBAL));
    m.w(0x48, 1);
    assert!(!m.level(GLOBAL));
}

/// Xen: stage 2 with the tables of the domain, VMID in CBAR; registers of 64 bits as words.
#[test]
fn xen_gives_a_device_to_a_domain_by_stage_2() {
    let m = Machine::new();
    m.w(0x48, m.r(0x48));
    for n in 0..64 {
        m.w(0x800 + 4 * n, 0);
        m.w(0xc00 + 4 * n, 2 << 16);
    }
    for n in 0..32 {
        m.w(cb(n) + SCTLR, 0);
        m.w(cb(n) + FSR, 0xc000_01fe);
    }
    m.w(0x60, 0);
    m.w(0x6c, 0);
    m.w(0x68, 0);
    m.w(0x70, 0);
    m.w(0, 0x36 | 1 << 11 | 1 << 12 | 1 << 10);

    m.w(0x1814, 1);
    m.w(0x1014, 6);
    m.w(cb(5) + TTBR0, S2);
    m.w(cb(5) + TTBR0 + 4, 0);
    m.w(cb(5) + TCR, 25 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 5 << 16 | 1 << 31);
    m.w(cb(5) + SCTLR, 0x40 | 0x20 | 1 | 4 | 2);
    m.stream(0, STREAM, 5);
    m.map(S2, 0x5000, DATA | PAGE2);
    m.put(DATA, 0x77);
    let port = m.port(STREAM);
    assert_eq!(read(&port, 0x5000), Ok(0x77));

    assert_eq!(read(&port, 0x1234_5678), Err(DmaFault::Abort));
    assert_eq!((m.r(cb(5) + FSR), m.r(cb(5) + FAR), m.r(cb(5) + FAR + 4)), (0x402, 0x1234_5678, 0));
    assert_eq!(m.r64(cb(5) + IPAFAR), 0x1234_5678);
    assert!(m.level(5));
    m.w(cb(5) + FSR, 0x402);

    // The p2m has changed: TLBIVMID, sTLBGSYNC.
    m.map(S2, 0x5000, 0);
    assert_eq!(read(&port, 0x5000), Ok(0x77), "still known");
    m.w(0x64, 6);
    m.w(0x70, 0);
    assert_eq!(read(&port, 0x5000), Err(DmaFault::Abort));
}
