//! Walks over tables built in a map: levels, faults, updates and combinations.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use emu_core::{Pa, Security};

use crate::attributes::Shareability;
use crate::descriptor::{AF, AP2, DBM};
use crate::fault::{Fault, FaultKind, Stage};
use crate::update::{ExternalAbort, TableMemory, UpdateError};
use crate::walker::{Access, Request, translate, translate_and_commit, walk, walk_observed};
use crate::{Features, Granule, Permissions, Regime, Stage1, Stage1Regs, Stage2, Stage2Regs, WalkStep};

const MAX: Features = Features::max();
const PAGE: u64 = 3 | AF;
const BLOCK: u64 = 1 | AF;
const NORMAL_S2: u64 = 0b1111 << 2 | 3 << 6;

#[derive(Default)]
struct Memory {
    words: RefCell<HashMap<u64, u64>>,
    aborts: BTreeSet<u64>,
    /// Descriptors that another observer changes just before the first update.
    race: RefCell<Option<(u64, u64)>>,
    no_atomics: bool,
}

impl TableMemory for Memory {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        assert!(pa.is_aligned(8));
        if self.aborts.contains(&(pa.0 & !0xfff)) {
            return Err(ExternalAbort);
        }
        Ok(self.words.borrow().get(&pa.0).copied().unwrap_or(0))
    }
    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        if self.no_atomics {
            return Err(UpdateError::Unsupported);
        }
        if let Some((at, value)) = self.race.borrow_mut().take() {
            self.set(at, value);
        }
        let mut words = self.words.borrow_mut();
        let word = words.entry(pa.0).or_default();
        let same = *word == old;
        if same {
            *word = new;
        }
        Ok(same)
    }
}

impl Memory {
    fn set(&self, address: u64, value: u64) {
        self.words.borrow_mut().insert(address, value);
    }
    fn get(&self, address: u64) -> u64 {
        self.words.borrow()[&address]
    }
    /// Tables from `root` at `start` down to `leaf_level`, where `ia` gets `leaf`. Tables are at multiples of 64 KiB
    /// after `root`, so an entry's address is `root + n * 64 KiB + index * 8`. Gives the leaf's address.
    fn map(&self, root: u64, granule: Granule, start: i8, ia: u64, level: i8, leaf: u64) -> u64 {
        let mut table = root;
        for l in start..=level {
            // The first table may be concatenated: do not mask its index.
            let index = ia >> granule.block_bits(l);
            let index = if l == start { index } else { index & ((1 << granule.stride()) - 1) };
            let at = table + index * 8;
            if l == level {
                self.set(at, leaf);
                return at;
            }
            table = root + 0x1_0000 * (l - start + 2) as u64;
            self.set(at, table | 3);
        }
        unreachable!()
    }
}

fn tg(granule: Granule) -> u64 {
    match granule {
        Granule::K4 => 0,
        Granule::K64 => 1,
        Granule::K16 => 2,
    }
}

const ROOT1: u64 = 0x10_0000;
const ROOT2: u64 = 0x80_0000;

/// EL1&0, lower half of `64 - txsz` bits at [`ROOT1`], 48-bit output, `extra` TCR bits.
fn stage1(granule: Granule, txsz: u64, extra: u64) -> Stage1 {
    let regs = Stage1Regs {
        sctlr: 1 | 1 << 2,
        tcr: txsz | 25 << 16 | 1 << 23 | tg(granule) << 14 | 5 << 32 | extra,
        ttbr0: ROOT1,
        mair: 0x44_04_ff,
        ..Default::default()
    };
    Stage1::from_regs(&MAX, Regime::El10, &regs)
}

fn stage2(granule: Granule, t0sz: u64, sl0: u64, extra: u64, hcr: u64) -> Stage2 {
    let vtcr = t0sz | sl0 << 6 | tg(granule) << 14 | 5 << 16 | extra;
    Stage2::from_regs(&MAX, &Stage2Regs { vtcr, vttbr: ROOT2 | 7 << 48, hcr: 1 | hcr })
}

fn fault(s1: &Stage1, s2: Option<&Stage2>, request: Request, memory: &Memory) -> Fault {
    translate(s1, s2, &MAX, &request, memory).expect_err("must fault")
}

/// Granule, TxSZ for the first level, that level, and the levels that have blocks.
const STAGE1_SHAPES: [(Granule, u64, i8, &[i8]); 3] =
    [(Granule::K4, 16, 0, &[1, 2]), (Granule::K16, 16, 0, &[2]), (Granule::K64, 16, 1, &[2])];

#[test]
fn stage1_leaves_and_faults_at_every_level() {
    for (granule, txsz, start, blocks) in STAGE1_SHAPES {
        let s1 = stage1(granule, txsz, 0);
        let va = 0x4567_89ab_cdef & !0x3;
        for level in start..=3 {
            let bits = granule.block_bits(level);
            let memory = Memory::default();
            let at = memory.map(ROOT1, granule, start, va, level, 0);
            let f = fault(&s1, None, Request::read(va), &memory);
            assert_eq!((f.kind, f.level, f.stage), (FaultKind::Translation, level, Stage::S1));
            assert_eq!(f.status_code(), 4 | level as u8);

            // A table or leaf beyond 48 bits: 64 KiB descriptors have bits 51:48.
            if granule == Granule::K64 {
                memory.set(at, 1 << 12 | PAGE);
                let f = fault(&s1, None, Request::read(va), &memory);
                assert_eq!((f.kind, f.level), (FaultKind::AddressSize, level));
            }
            let mut aborting = Memory { words: memory.words.clone(), ..Memory::default() };
            aborting.aborts.insert(at & !0xfff);
            let f = fault(&s1, None, Request::read(va), &aborting);
            assert_eq!((f.kind, f.level), (FaultKind::ExternalAbortOnWalk, level));

            if level != 3 && !blocks.contains(&level) {
                continue;
            }
            let leaf = if level == 3 { PAGE } else { BLOCK };
            let output = 0x1234_0000_0000 >> bits << bits;
            memory.set(at, output | leaf);
            let t = translate(&s1, None, &MAX, &Request::read(va), &memory).unwrap();
            assert_eq!(t.pa.0, output | va & ((1 << bits) - 1));
            assert_eq!((t.s1_bits, t.s1_level, t.bits()), (bits as u8, Some(level), bits as u8));
            memory.set(at, output | leaf & !AF);
            let f = fault(&s1, None, Request::read(va), &memory);
            assert_eq!((f.kind, f.level), (FaultKind::AccessFlag, level));
            memory.set(at, output | leaf | AP2);
            let f = fault(&s1, None, Request::write(va), &memory);
            assert_eq!((f.kind, f.level, f.write), (FaultKind::Permission, level, true));
        }
    }
}

#[test]
fn stage2_leaves_and_faults_at_every_level() {
    // T0SZ 20 (44 bits): a start level with a single or up to 16 concatenated tables.
    let shapes: [(Granule, u64, i8, &[i8]); 3] =
        [(Granule::K4, 2, 0, &[1, 2]), (Granule::K16, 2, 1, &[2]), (Granule::K64, 2, 1, &[2])];
    let s1 = Stage1 { enabled: false, ..stage1(Granule::K4, 16, 0) };
    for (granule, sl0, start, blocks) in shapes {
        let s2 = stage2(granule, 20, sl0, 0, 0);
        let ipa = 0x567_89ab_cde8;
        for level in start..=3 {
            let bits = granule.block_bits(level);
            let memory = Memory::default();
            let at = memory.map(ROOT2, granule, start, ipa, level, 0);
            let f = fault(&s1, Some(&s2), Request::read(ipa), &memory);
            assert_eq!(
                (f.kind, f.level, f.stage, f.ipa),
                (FaultKind::Translation, level, Stage::S2, Some(ipa))
            );
            assert!(!f.s1ptw);
            if level != 3 && !blocks.contains(&level) {
                continue;
            }
            let leaf = NORMAL_S2 | if level == 3 { PAGE } else { BLOCK };
            let output = 0x1234_0000_0000 >> bits << bits;
            memory.set(at, output | leaf);
            let t = translate(&s1, Some(&s2), &MAX, &Request::read(ipa), &memory).unwrap();
            assert_eq!(t.pa.0, output | ipa & ((1 << bits) - 1));
            assert_eq!((t.ipa.0, t.s2_level, t.s1_level), (ipa, Some(level), None));
            memory.set(at, output | leaf & !AF);
            assert_eq!(fault(&s1, Some(&s2), Request::read(ipa), &memory).kind, FaultKind::AccessFlag);
            memory.set(at, output | leaf & !(1 << 7));
            let f = fault(&s1, Some(&s2), Request::write(ipa), &memory);
            assert_eq!((f.kind, f.level, f.stage), (FaultKind::Permission, level, Stage::S2));
        }
    }
}

#[test]
fn ranges_and_disables() {
    let s1 = stage1(Granule::K4, 25, 0);
    let memory = Memory::default();
    let level0 = |va, s1: &Stage1| {
        let f = fault(s1, None, Request::read(va), &memory);
        assert_eq!((f.kind, f.level), (FaultKind::Translation, 0));
    };
    level0(1 << 39, &s1);
    // EPD1 is set in these tests.
    level0(!7, &s1);
    level0(0, &stage1(Granule::K4, 15, 0));
    level0(0, &stage1(Granule::K4, 49, 0));
    level0(0, &stage1(Granule::K64, 11, 0));
    // E0PD0 keeps EL0 away.
    let e0pd = stage1(Granule::K4, 25, 1 << 55);
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE | 1 << 6);
    assert!(translate(&e0pd, None, &MAX, &Request::read(0x1000), &memory).is_ok());
    let f = fault(&e0pd, None, Request::read(0x1000).unprivileged(), &memory);
    assert_eq!((f.kind, f.level), (FaultKind::Translation, 0));
}

#[test]
fn top_byte() {
    let s1 = stage1(Granule::K4, 25, 1 << 37);
    let memory = Memory::default();
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE);
    let va = 0xa5 << 56 | 0x1008;
    assert_eq!(translate(&s1, None, &MAX, &Request::read(va), &memory).unwrap().pa, Pa(0x5008));
    let without = stage1(Granule::K4, 25, 0);
    let f = fault(&without, None, Request::read(va), &memory);
    assert_eq!((f.kind, f.va), (FaultKind::Translation, va));
    // TBID0: not for fetches.
    let data_only = stage1(Granule::K4, 25, 1 << 37 | 1 << 51);
    assert!(translate(&data_only, None, &MAX, &Request::read(va), &memory).is_ok());
    assert_eq!(fault(&data_only, None, Request::execute(va), &memory).kind, FaultKind::Translation);
}

#[test]
fn stage1_off() {
    let off = Stage1 { enabled: false, ..stage1(Granule::K4, 25, 0) };
    let memory = Memory::default();
    let t = translate(&off, None, &MAX, &Request::read(0x8_0000_1234), &memory).unwrap();
    assert_eq!((t.pa.0, t.attrs.mair(), t.bits()), (0x8_0000_1234, 0, 64));
    assert_eq!(t.permissions, Permissions::all());
    let unaligned = Request { unaligned: true, ..Request::read(0x1001) };
    assert_eq!(fault(&off, None, unaligned, &memory).kind, FaultKind::Alignment);
    let f = fault(&off, None, Request::read(1 << 52), &memory);
    assert_eq!((f.kind, f.level), (FaultKind::AddressSize, 0));
    let dc = Stage1 { default_cacheable: true, ..off };
    let t = translate(&dc, None, &MAX, &unaligned, &memory).unwrap();
    assert_eq!((t.attrs.mair(), t.attrs.sh), (0xff, Shareability::Non));
}

#[test]
fn table_permissions_and_hpd() {
    let memory = Memory::default();
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE | 1 << 6);
    // APTable = 0b11, UXNTable, PXNTable on the level 1 entry.
    memory.set(ROOT1, memory.get(ROOT1) | 0b11 << 61 | 1 << 60 | 1 << 59);
    let permissions = |extra| {
        let s1 = stage1(Granule::K4, 25, extra);
        translate(&s1, None, &MAX, &Request::read(0x1000), &memory).unwrap().permissions
    };
    assert_eq!(permissions(0), Permissions::PRIV_READ | Permissions::PAN_READ);
    let open = permissions(1 << 41);
    assert!(open.contains(Permissions::USER_WRITE | Permissions::USER_EXECUTE | Permissions::PRIV_WRITE));
}

#[test]
fn table_base_beyond_output_size() {
    let memory = Memory::default();
    let s1 = Stage1 { output: 32, ..stage1(Granule::K4, 25, 0) };
    let mut high = s1;
    high.halves[0].ttbr = 1 << 32;
    let f = fault(&high, None, Request::read(0), &memory);
    assert_eq!((f.kind, f.level), (FaultKind::AddressSize, 0));
    memory.map(ROOT1, Granule::K4, 1, 0, 3, 1 << 33 | PAGE);
    let f = fault(&s1, None, Request::read(0), &memory);
    assert_eq!((f.kind, f.level), (FaultKind::AddressSize, 3));
}

#[test]
fn lpa2() {
    // DS, IPS = 52 bits, 52-bit VA: level -1.
    let s1 = stage1(Granule::K4, 12, 1 << 59 | 3 << 12 | 6 << 32);
    let memory = Memory::default();
    let va = 0x0007_1234_5678_9008;
    let at = memory.map(ROOT1, Granule::K4, -1, va, -1, 0);
    let f = fault(&s1, None, Request::read(va), &memory);
    assert_eq!((f.kind, f.level, f.status_code()), (FaultKind::Translation, -1, 0x2b));
    let leaf = memory.map(ROOT1, Granule::K4, -1, va, 3, 0);
    assert_ne!(at, leaf);
    memory.set(leaf, 0x0001_0000_4000_0203 | AF);
    let t = translate(&s1, None, &MAX, &Request::read(va), &memory).unwrap();
    assert_eq!(t.pa.0, 0x0009_0000_4000_0008);
    assert_eq!(t.attrs.sh, Shareability::Inner);
}

#[test]
fn contiguous_bit_is_reported() {
    let s1 = stage1(Granule::K4, 25, 0);
    let memory = Memory::default();
    memory.map(ROOT1, Granule::K4, 1, 0x3000, 3, 0x4_3000 | PAGE | 1 << 52 | 1 << 11);
    let t = translate(&s1, None, &MAX, &Request::read(0x3000), &memory).unwrap();
    assert!(t.contiguous && t.not_global);
    assert_eq!((t.pa.0, t.bits()), (0x4_3000, 12));
}

#[test]
fn access_flag_and_dirty_state_of_stage1() {
    let s1 = stage1(Granule::K4, 25, 3 << 39);
    let memory = Memory::default();
    let clean = 0x5000 | 3 | AP2 | DBM;
    let at = memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, clean);
    let w = walk(&s1, None, &MAX, &Request::read(0x1000), &memory);
    assert!(w.result.unwrap().write_needs_update);
    assert_eq!(w.updates.iter().map(|u| (u.pa.0, u.new_value())).collect::<Vec<_>>(), [(at, clean | AF)]);
    assert_eq!(memory.get(at), clean, "a walk writes nothing");

    let t = translate_and_commit(&s1, None, &MAX, &Request::read(0x1000), &memory).unwrap();
    assert_eq!(memory.get(at), clean | AF);
    assert!(t.permissions.contains(Permissions::PRIV_WRITE));
    assert!(t.allows(&Request::read(0)) && !t.allows(&Request::write(0)));
    // AT for a write finds the permission and changes nothing.
    let at_write = Request { access: Access::AtWrite, ..Request::read(0x1000) };
    assert!(translate_and_commit(&s1, None, &MAX, &at_write, &memory).is_ok());
    assert_eq!(memory.get(at), clean | AF);
    let t = translate_and_commit(&s1, None, &MAX, &Request::write(0x1000), &memory).unwrap();
    assert_eq!(memory.get(at), (clean | AF) & !AP2);
    assert!(t.allows(&Request::write(0)));
}

#[test]
fn permission_fault_updates_nothing() {
    let s1 = stage1(Granule::K4, 25, 3 << 39);
    let memory = Memory::default();
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | 3 | AP2);
    let w = walk(&s1, None, &MAX, &Request::write(0x1000), &memory);
    assert_eq!(w.result.unwrap_err().kind, FaultKind::Permission);
    assert!(w.updates.is_empty());
}

#[test]
fn lost_race_is_walked_again() {
    let s1 = stage1(Granule::K4, 25, 3 << 39);
    let memory = Memory::default();
    let at = memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5003);
    *memory.race.borrow_mut() = Some((at, 0x6003));
    let t = translate_and_commit(&s1, None, &MAX, &Request::read(0x1000), &memory).unwrap();
    assert_eq!(t.pa, Pa(0x6000));
    assert_eq!(memory.get(at), 0x6003 | AF);
    memory.set(at, 0x5003);
    let memory = Memory { no_atomics: true, ..memory };
    let f = translate_and_commit(&s1, None, &MAX, &Request::read(0x1000), &memory).unwrap_err();
    assert_eq!((f.kind, f.status_code()), (FaultKind::UnsupportedAtomicUpdate, 0x31));
}

/// Stage 1 of 39 bits, stage 2 of 40 bits starting at level 1 with two concatenated tables; the stage 1 tables are
/// mapped flat by stage 2 pages with `table_leaf`. Gives the address of the stage 2 leaf of the last stage 1 table.
fn nested(memory: &Memory, table_leaf: u64) -> u64 {
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x80_4000_0000 | PAGE);
    let mut last = 0;
    for table in [ROOT1, ROOT1 + 0x2_0000, ROOT1 + 0x3_0000] {
        last = memory.map(ROOT2, Granule::K4, 1, table, 3, table | table_leaf);
    }
    // The output: in the second of the concatenated tables, a 1 GiB block.
    memory.set(ROOT2 + (0x80_4000_0000u64 >> 30) * 8, 0xc000_0000 | BLOCK | NORMAL_S2);
    last
}

#[test]
fn both_stages_with_concatenation() {
    let (s1, s2) = (stage1(Granule::K4, 25, 0), stage2(Granule::K4, 24, 1, 0, 0));
    let memory = Memory::default();
    nested(&memory, PAGE | NORMAL_S2);
    let t = translate(&s1, Some(&s2), &MAX, &Request::read(0x1234), &memory).unwrap();
    assert_eq!((t.ipa.0, t.pa.0), (0x80_4000_0234, 0xc000_0234));
    assert_eq!((t.s1_bits, t.s2_bits, t.bits()), (12, 30, 12));
    assert_eq!(t.attrs.mair(), 0xff);
    let at = Request { stage1_only: true, access: Access::AtRead, ..Request::read(0x1234) };
    assert_eq!(translate(&s1, Some(&s2), &MAX, &at, &memory).unwrap().pa.0, 0x80_4000_0234);
    // The same tables in EL2&0: no stage 2 follows.
    let host = Stage1 { regime: Regime::El20, ..s1 };
    assert_eq!(
        translate(&host, Some(&s2), &MAX, &Request::read(0x1234), &memory).unwrap().pa.0,
        0x80_4000_0234
    );
}

#[test]
fn faults_on_the_walk_of_stage1() {
    let (s1, s2) = (stage1(Granule::K4, 25, 0), stage2(Granule::K4, 24, 1, 0, 0));
    let memory = Memory::default();
    let last = nested(&memory, PAGE | NORMAL_S2);
    memory.set(last, 0);
    let f = fault(&s1, Some(&s2), Request::write(0x1000), &memory);
    assert_eq!((f.kind, f.level, f.stage, f.s1ptw), (FaultKind::Translation, 3, Stage::S2, true));
    assert_eq!((f.ipa, f.hpfar()), (Some(ROOT1 + 0x3_0008), Some((ROOT1 + 0x3_0000) >> 8)));
    // Unreadable, then Device memory with and without PTW.
    nested(&memory, PAGE | 0b1111 << 2);
    assert_eq!(fault(&s1, Some(&s2), Request::read(0x1000), &memory).kind, FaultKind::Permission);
    nested(&memory, PAGE | 3 << 6);
    assert!(translate(&s1, Some(&s2), &MAX, &Request::read(0x1000), &memory).is_ok());
    let ptw = stage2(Granule::K4, 24, 1, 0, 1 << 2);
    let f = fault(&s1, Some(&ptw), Request::read(0x1000), &memory);
    assert_eq!((f.kind, f.s1ptw, f.level), (FaultKind::Permission, true, 3));
}

#[test]
fn ipa_beyond_stage2() {
    let (s1, s2) = (stage1(Granule::K4, 25, 0), stage2(Granule::K4, 32, 0, 0, 0));
    let memory = Memory::default();
    let off = Stage1 { enabled: false, ..s1 };
    let f = fault(&off, Some(&s2), Request::read(1 << 32), &memory);
    assert_eq!((f.kind, f.level, f.stage), (FaultKind::Translation, 0, Stage::S2));
    // SL0 that does not fit T0SZ.
    let bad = stage2(Granule::K4, 32, 2, 0, 0);
    assert_eq!(fault(&off, Some(&bad), Request::read(0), &memory).level, 0);
}

#[test]
fn updates_of_both_stages() {
    let s1 = stage1(Granule::K4, 25, 3 << 39);
    let s2 = stage2(Granule::K4, 24, 1, 3 << 21, 0);
    let memory = Memory::default();
    // Everything clean and not accessed: tables mapped read-only with DBM, and the output block too.
    let clean = (NORMAL_S2 & !(1 << 7)) | DBM;
    let table_leaf = nested(&memory, 3 | clean);
    let leaf = ROOT1 + 0x3_0008;
    memory.set(leaf, 0x80_4000_0003 | AP2 | DBM);
    let block = ROOT2 + (0x80_4000_0000u64 >> 30) * 8;
    memory.set(block, 0xc000_0001 | clean);

    let t = translate_and_commit(&s1, Some(&s2), &MAX, &Request::write(0x1000), &memory).unwrap();
    assert!(!t.write_needs_update);
    assert_eq!(memory.get(leaf), 0x80_4000_0003 | DBM | AF);
    assert_eq!(memory.get(table_leaf) & (AF | 1 << 7), AF | 1 << 7, "the table was written");
    assert_eq!(memory.get(block) & (AF | 1 << 7), AF | 1 << 7);
    // The upper tables were only read.
    let upper = memory.map(ROOT2, Granule::K4, 1, ROOT1, 2, 0x83_0003);
    assert_ne!(upper, block);
    assert_eq!(memory.get(ROOT2 + 0x3_0000 + (ROOT1 >> 12) * 8) & (AF | 1 << 7), AF);
}

#[test]
fn stage1_update_needs_a_writable_table() {
    let s1 = stage1(Granule::K4, 25, 1 << 39);
    let s2 = stage2(Granule::K4, 24, 1, 0, 0);
    let memory = Memory::default();
    nested(&memory, PAGE | (NORMAL_S2 & !(1 << 7)));
    memory.set(ROOT1 + 0x3_0008, 0x80_4000_0003);
    let f = translate_and_commit(&s1, Some(&s2), &MAX, &Request::read(0x1000), &memory).unwrap_err();
    assert_eq!((f.kind, f.stage, f.s1ptw), (FaultKind::Permission, Stage::S2, true));
}

#[test]
fn a_fault_tells_which_descriptor_and_whether_it_was_to_be_written() {
    let s1 = stage1(Granule::K4, 25, 1 << 39);
    let s2 = stage2(Granule::K4, 24, 1, 0, 0);
    let memory = Memory::default();
    let table_leaf = nested(&memory, PAGE | (NORMAL_S2 & !(1 << 7)));
    memory.set(ROOT1 + 0x3_0008, 0x80_4000_0003);
    let f = fault(&s1, Some(&s2), Request::read(0x1000), &memory);
    assert_eq!((f.kind, f.s1ptw, f.update, f.descriptor), (FaultKind::Permission, true, true, None));
    memory.set(table_leaf, 0);
    let f = fault(&s1, Some(&s2), Request::write(0x1000), &memory);
    assert_eq!((f.kind, f.s1ptw, f.update), (FaultKind::Translation, true, false));
    // Stage 2's own table, and stage 1's alone.
    let gone = Memory { aborts: BTreeSet::from([ROOT2]), ..Memory::default() };
    let f = fault(&s1, Some(&s2), Request::read(0x1000), &gone);
    assert_eq!((f.kind, f.stage, f.descriptor), (FaultKind::ExternalAbortOnWalk, Stage::S2, Some(Pa(ROOT2))));
    let gone = Memory { aborts: BTreeSet::from([ROOT1]), ..Memory::default() };
    let f = fault(&s1, None, Request::read(0x4000_0000), &gone);
    assert_eq!((f.stage, f.descriptor, f.update), (Stage::S1, Some(Pa(ROOT1 + 8)), false));
    let fixed = Memory { no_atomics: true, ..Memory::default() };
    let at = fixed.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5003);
    let f = translate_and_commit(&s1, None, &MAX, &Request::read(0x1000), &fixed).unwrap_err();
    assert_eq!((f.kind, f.descriptor, f.update), (FaultKind::UnsupportedAtomicUpdate, Some(Pa(at)), true));
}

#[test]
fn access_flag_faults_can_be_disabled() {
    let plain = stage1(Granule::K4, 25, 0);
    let memory = Memory::default();
    let at = memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | 3);
    assert_eq!(fault(&plain, None, Request::read(0x1000), &memory).kind, FaultKind::AccessFlag);
    let s1 = Stage1 { af_fault_disable: true, ..plain };
    assert!(translate_and_commit(&s1, None, &MAX, &Request::read(0x1000), &memory).is_ok());
    assert_eq!(memory.get(at), 0x5003, "nothing sets it");
    // Hardware management is stronger.
    let managed = Stage1 { ha: true, ..s1 };
    assert!(translate_and_commit(&managed, None, &MAX, &Request::read(0x1000), &memory).is_ok());
    assert_eq!(memory.get(at), 0x5003 | AF);

    let bypass = Stage1::bypass(&MAX, Security::NonSecure);
    let s2 = stage2(Granule::K4, 24, 1, 0, 0);
    memory.set(ROOT2, 1 | NORMAL_S2);
    assert_eq!(fault(&bypass, Some(&s2), Request::read(0x1000), &memory).kind, FaultKind::AccessFlag);
    let s2 = Stage2 { af_fault_disable: true, ..s2 };
    assert!(translate(&bypass, Some(&s2), &MAX, &Request::read(0x1000), &memory).is_ok());
}

#[test]
fn a_bypassed_stage1_hands_addresses_on() {
    let bypass = Stage1::bypass(&MAX, Security::NonSecure);
    let s2 = stage2(Granule::K4, 24, 1, 0, 0);
    let memory = Memory::default();
    memory.set(ROOT2, BLOCK | NORMAL_S2);
    let t = translate(&bypass, Some(&s2), &MAX, &Request::write(0x1238), &memory).unwrap();
    assert_eq!((t.ipa.0, t.s1_level, t.attrs.mair()), (0x1238, None, 0xff));
    // The top byte counts.
    let f = fault(&bypass, Some(&s2), Request::read(0x1238 | 1 << 56), &memory);
    assert_eq!((f.kind, f.stage), (FaultKind::AddressSize, Stage::S1));
}

#[test]
fn execute_never_by_level() {
    let s1 = Stage1 { enabled: false, ..stage1(Granule::K4, 25, 0) };
    let s2 = stage2(Granule::K4, 24, 1, 0, 0);
    let memory = Memory::default();
    for (xn, el1, el0) in [(0, true, true), (1, false, true), (2, false, false), (3, true, false)] {
        memory.set(ROOT2, BLOCK | NORMAL_S2 | xn << 53);
        let ok = |r: Request| translate(&s1, Some(&s2), &MAX, &r, &memory).is_ok();
        assert_eq!(ok(Request::execute(0x1000)), el1, "XN {xn}");
        assert_eq!(ok(Request::execute(0x1000).unprivileged()), el0, "XN {xn}");
    }
    // Without FEAT_XNX bit 53 is ignored.
    let old = Features::cortex_a72();
    memory.set(ROOT2, BLOCK | NORMAL_S2 | 1 << 53);
    let s2 = Stage2 { txsz: 25, ..s2 };
    assert!(translate(&s1, Some(&s2), &old, &Request::execute(0x1000), &memory).is_ok());
}

#[test]
fn el2_without_e2h() {
    let regs = Stage1Regs { sctlr: 5, tcr: 25 | 5 << 16, ttbr0: ROOT1, mair: 0xff, ..Default::default() };
    let s1 = Stage1::from_regs(&MAX, Regime::El2, &regs);
    let memory = Memory::default();
    // AP[1] is ignored, bit 53 (PXN) too, bit 54 is XN.
    let at = memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE | 1 << 6 | 1 << 53 | 1 << 11);
    let t = translate(&s1, None, &MAX, &Request::execute(0x1000), &memory).unwrap();
    assert!(!t.not_global && t.permissions.contains(Permissions::PRIV_WRITE));
    assert!(!t.permissions.intersects(Permissions::USER));
    memory.set(at, memory.get(at) | 1 << 54);
    assert_eq!(fault(&s1, None, Request::execute(0x1000), &memory).kind, FaultKind::Permission);
    // No upper half.
    let f = fault(&s1, None, Request::read(0xffff_ffff_ffff_f000), &memory);
    assert_eq!((f.kind, f.level), (FaultKind::Translation, 0));
}

#[test]
fn nested_virtualization_format() {
    let regs = Stage1Regs {
        sctlr: 5,
        tcr: 25 | 25 << 16 | 5 << 32,
        ttbr0: ROOT1,
        mair: 0xff,
        hcr: 3 << 42,
        ..Default::default()
    };
    let s1 = Stage1::from_regs(&MAX, Regime::El10, &regs);
    let memory = Memory::default();
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE | 1 << 6 | 1 << 54);
    let t = translate(&s1, None, &MAX, &Request::read(0x1000), &memory).unwrap();
    assert!(!t.permissions.intersects(Permissions::USER_READ | Permissions::PRIV_EXECUTE));
    assert!(t.permissions.contains(Permissions::PAN_WRITE));
}

#[test]
fn atomic_faults_tell_the_missing_half() {
    let s1 = stage1(Granule::K4, 25, 0);
    let memory = Memory::default();
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE | AP2);
    let atomic = Request { access: Access::ReadWrite, ..Request::read(0x1000) };
    assert!(fault(&s1, None, atomic, &memory).write);
    assert!(!fault(&s1, None, atomic.unprivileged(), &memory).write);
    assert!(!fault(&s1, None, Request { va: 0x2000, ..atomic }, &memory).write);
    let clean = Request { access: Access::CacheClean, va: 0x2000, ..atomic };
    assert!(fault(&s1, None, clean, &memory).write);
}

#[test]
fn device_attributes() {
    let s1 = stage1(Granule::K4, 25, 0);
    let memory = Memory::default();
    // Attribute 1 is Device-nGnRE here.
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE | 1 << 2);
    let unaligned = Request { unaligned: true, ..Request::read(0x1001) };
    let f = fault(&s1, None, unaligned, &memory);
    assert_eq!((f.kind, f.level), (FaultKind::Alignment, 3));
    let t = translate(&s1, None, &MAX, &Request::read(0x1000), &memory).unwrap();
    assert_eq!((t.attrs.mair(), t.attrs.sh), (0x04, Shareability::Outer));
    assert!(!t.allows(&unaligned));
    let uncached = Stage1 { cacheable: false, ..s1 };
    memory.map(ROOT1, Granule::K4, 1, 0x1000, 3, 0x5000 | PAGE);
    let t = translate(&uncached, None, &MAX, &Request::read(0x1000), &memory).unwrap();
    assert_eq!(t.attrs.mair(), 0x44);
}

#[test]
fn a_walk_can_be_watched() {
    let (s1, s2) = (stage1(Granule::K4, 25, 0), stage2(Granule::K4, 24, 1, 0, 0));
    let memory = Memory::default();
    nested(&memory, PAGE | NORMAL_S2);
    let mut steps: Vec<WalkStep> = Vec::new();
    let w = walk_observed(&s1, Some(&s2), &MAX, &Request::read(0x1000), &memory, &mut steps);
    assert!(w.result.is_ok());
    // Three levels of stage 1, each after three of stage 2, and one block for the output.
    let shape: Vec<_> = steps.iter().map(|s| (s.stage, s.s1ptw, s.level)).collect();
    assert_eq!(shape.len(), 13);
    assert_eq!(shape[3], (Stage::S1, false, 1));
    assert_eq!(shape[0], (Stage::S2, true, 1));
    assert_eq!(shape[12], (Stage::S2, false, 1));
    assert!(steps[11].to_string().starts_with("S1 L3 0x1000 at 0x130008"), "{}", steps[11]);
}

#[test]
fn no_choice_of_registers_or_tables_panics() {
    // Every size, granule and start level against tables of every kind of descriptor.
    struct Same(u64);
    impl TableMemory for Same {
        fn read_descriptor(&self, _: Pa) -> Result<u64, ExternalAbort> {
            Ok(self.0)
        }
        fn update_descriptor(&self, _: Pa, _: u64, _: u64) -> Result<bool, UpdateError> {
            Ok(false)
        }
    }
    let patterns = [0, 1, 3, u64::MAX, 0x0008_0000_0000_0403, 0x5555_5555_5555_5555];
    for txsz in 0..64u64 {
        for bits in 0..16u64 {
            let (tg, sl0, ds) = (bits & 3, bits >> 2, (bits & 1) << 32 | (bits >> 1 & 1) << 33);
            for (i, d) in patterns.into_iter().enumerate() {
                let tcr = txsz | txsz << 16 | tg << 14 | tg << 30 | (bits & 7) << 32 | bits << 59 | 3 << 39;
                let regs = Stage1Regs {
                    sctlr: u64::MAX,
                    tcr,
                    ttbr0: d,
                    ttbr1: d,
                    mair: d,
                    hcr: 3 << 42,
                    ..Default::default()
                };
                let vtcr = txsz | sl0 << 6 | tg << 14 | 6 << 16 | ds | 3 << 21;
                for features in [Features::max(), Features::cortex_a72(), Features::neoverse_n1()] {
                    let s2 =
                        Stage2::from_regs(&features, &Stage2Regs { vtcr, vttbr: d, hcr: 1 | bits << 44 });
                    let regime = [Regime::El10, Regime::El20, Regime::El2][i % 3];
                    let s1 = Stage1::from_regs(&features, regime, &regs);
                    for va in [0, 0x1234_5678_9abc, u64::MAX, 1 << 55, 0x00ff_0000_0000_0000] {
                        let _ = walk(&s1, Some(&s2), &features, &Request::write(va), &Same(d));
                        let off = Stage1 { enabled: false, ..s1 };
                        let _ = walk(&off, Some(&s2), &features, &Request::write(va), &Same(d));
                    }
                }
            }
        }
    }
}

/// Memory of which all is in one physical address space.
struct InSpace(Memory, Security);

impl TableMemory for InSpace {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        assert_eq!(pa.space(), self.1, "a descriptor is read at {pa}");
        self.0.read_descriptor(pa.in_space(Security::NonSecure))
    }
    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        assert_eq!(pa.space(), self.1, "a descriptor is updated at {pa}");
        self.0.update_descriptor(pa.in_space(Security::NonSecure), old, new)
    }
}

#[test]
fn tables_and_what_they_map_are_in_the_space_of_the_security_state() {
    let (va, ipa, pa) = (0x12_3000, 0x4000_0000, 0x8000_5000);
    for security in [Security::NonSecure, Security::Secure, Security::Realm] {
        // Hardware sets the access flag at both stages: descriptors are updated, too.
        let s1 = Stage1 { security, ..stage1(Granule::K4, 25, 1 << 39) };
        let s2 = stage2(Granule::K4, 25, 1, 1 << 21, 0);
        let memory = Memory::default();
        memory.map(ROOT1, Granule::K4, 1, va, 3, ipa | (PAGE & !AF));
        for table in [ROOT1, ROOT1 + 0x2_0000, ROOT1 + 0x3_0000] {
            memory.map(ROOT2, Granule::K4, 1, table, 3, table | NORMAL_S2 | PAGE);
        }
        memory.map(ROOT2, Granule::K4, 1, ipa, 3, pa | NORMAL_S2 | (PAGE & !AF));
        let memory = InSpace(memory, security);
        let t = translate_and_commit(&s1, Some(&s2), &MAX, &Request::read(va | 0x10), &memory).unwrap();
        assert_eq!(t.pa, Pa(pa | 0x10).in_space(security));
        let only = Stage1 { enabled: false, ..s1 };
        let t = translate_and_commit(&only, None, &MAX, &Request::read(pa), &memory).unwrap();
        assert_eq!(t.pa, Pa(pa).in_space(security));
    }
}
