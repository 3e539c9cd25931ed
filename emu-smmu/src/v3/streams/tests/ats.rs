//! Translation requests, translated transactions, and the answers to page requests that are discarded.

use emu_core::dma::ats::{
    Completion, Grant, PageRequest, PageResponse, PageStatus, Pasid, Refused, TranslationRequest,
};

use super::*;

const REQUEST: TranslationRequest =
    TranslationRequest { address: 0x1000, units: 1, no_write: true, pasid: None };
const WRITE: TranslationRequest = TranslationRequest { no_write: false, ..REQUEST };
const CHECKED: Settings = Settings { ats_check: true, ..ENABLED };

/// EATS: all stages.
const EATS: (u16, u64) = (92, 1);
/// Descriptor bits: AP[1], AP[2], AF, UXN, DBM.
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const ACCESSED: u64 = 1 << 10;
const UXN: u64 = 1 << 54;
const DBM: u64 = 1 << 51;

const fn granted(address: u64, bits: u8, read: bool, write: bool) -> Grant {
    Grant { read, write, bits, address, ..Grant::none(false) }
}

const NOTHING: Completion = Err(Refused::Unsupported);

impl Rig {
    fn ask(&self, request: &TranslationRequest) -> Completion {
        self.port().translate(request)
    }

    fn grant(&self, request: &TranslationRequest) -> Grant {
        let grants = self.ask(request).unwrap();
        assert_eq!(grants.len(), 1);
        grants[0]
    }

    /// What is granted of a page of stage 1, whatever was known before.
    fn of_page(&self, leaf: u64, request: &TranslationRequest) -> Grant {
        self.stage1(leaf, &[EATS], &[]);
        self.core.invalidate_all();
        self.grant(request)
    }
}

/// 3.9.1.2: who is not served, and what is recorded of it.
#[test]
fn requests_are_served_as_the_stream_is_configured() {
    let rig = Rig::full();
    let bad = |rig: &Rig| (rig.ask(&REQUEST), rig.names());
    rig.streams.set(Settings { enabled: false, ..ENABLED });
    assert_eq!(bad(&rig), (NOTHING, vec!["F_BAD_ATS_TREQ"]));
    rig.streams.set(ENABLED);
    assert_eq!(bad(&rig), (Err(Refused::Abort), vec![]), "the STE is not valid");
    rig.ste(&[]);
    assert_eq!(bad(&rig), (NOTHING, vec![]), "Config = 0");
    rig.ste(&[(1, 4), EATS]);
    assert_eq!(bad(&rig), (NOTHING, vec!["F_BAD_ATS_TREQ"]), "bypass");
    for eats in [0, 3] {
        rig.stage1(PAGE, &[(92, eats)], &[]);
        assert_eq!(bad(&rig), (NOTHING, vec!["F_BAD_ATS_TREQ"]), "{eats}");
    }
    rig.stage1(PAGE, &[EATS], &[]);
    assert_eq!(bad(&rig), (Ok(vec![granted(DATA, 12, true, true)]), vec![]));
    let bad_stream = rig.core.port(Master::new(99, Stalls::Never));
    assert_eq!((bad_stream.translate(&REQUEST), rig.names()), (Err(Refused::Abort), vec![]));
    let without = Rig::new(Profile::QEMU);
    assert_eq!(bad(&without), (NOTHING, vec![]));
}

/// 7.3.6.
#[test]
fn a_bad_request_says_who_asked_and_for_which_page() {
    let rig = Rig::full();
    rig.ste(&[(1, 4)]);
    let pasid = Some(Pasid { id: 9, privileged: true, execute: true });
    assert_eq!(rig.ask(&TranslationRequest { address: 0x1234_5678, pasid, ..WRITE }), NOTHING);
    let record = rig.events()[0].encode();
    let word = |n: usize| u64::from_le_bytes(record[8 * n..8 * n + 8].try_into().unwrap());
    assert_eq!((word(0), word(2)), (0x05 | 1 << 11 | 9 << 12 | u64::from(STREAM) << 32, 0x1234_5000));
}

#[test]
fn what_is_wrong_with_a_context_is_a_completer_abort_and_not_recorded() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[EATS], &[]);
    let pasid = Some(Pasid { id: 1, privileged: false, execute: false });
    let substream = TranslationRequest { pasid, ..REQUEST };
    assert_eq!((rig.ask(&substream), rig.names()), (Err(Refused::Abort), vec![]), "C_BAD_SUBSTREAMID");
    rig.cd(0, &[(15, 1)]);
    assert_eq!((rig.ask(&REQUEST), rig.names()), (Err(Refused::Abort), vec![]), "C_BAD_CD");
    rig.ste(&[(1, 5), (0, 0xf_0000_0000), EATS]);
    assert_eq!((rig.ask(&REQUEST), rig.names()), (Err(Refused::Abort), vec![]), "F_CD_FETCH");
    rig.stage1(PAGE, &[EATS], &[]);
    rig.bench.put(PT + 0x1000, &[0xf_0000_0000 | 3]);
    rig.core.invalidate_all();
    assert_eq!((rig.ask(&REQUEST), rig.names()), (Err(Refused::Abort), vec![]), "F_WALK_EABT");
}

#[test]
fn faults_of_a_page_are_no_access_and_not_recorded() {
    let rig = Rig::full();
    for leaf in [0, PAGE & !ACCESSED, PAGE & !USER] {
        assert_eq!((rig.of_page(leaf, &WRITE), rig.names()), (Grant::none(false), vec![]), "{leaf:#x}");
    }
    // Stage 2 has no page for the CD.
    rig.stage2(BLOCK2, &[(1, 7), (0, 0x1000), EATS]);
    assert_eq!((rig.grant(&WRITE), rig.names()), (Grant::none(false), vec![]));
}

/// The table of 13.7, as far as AArch64 tables can say it.
#[test]
fn permissions_are_those_of_the_page_and_of_the_request() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 1), (64, 2), EATS]);
    let grant = |leaf, no_write, execute, privileged| {
        map(&rig.bench, PT, 0x1000, leaf);
        rig.cd(1, &[]);
        rig.core.invalidate_all();
        let pasid = Some(Pasid { id: 1, privileged, execute });
        let g = rig.grant(&TranslationRequest { no_write, pasid, ..REQUEST });
        assert_eq!(g.privileged, privileged);
        (g.read, g.write, g.execute)
    };
    let read_only = PAGE | READ_ONLY;
    assert_eq!(grant(PAGE, false, false, false), (true, true, false));
    assert_eq!(grant(read_only, false, false, false), (true, false, false));
    assert_eq!(grant(PAGE & !USER, false, false, true), (true, true, false));
    assert_eq!(grant(PAGE, true, true, false), (true, true, true), "what is dirty may be written (NW = 1)");
    assert_eq!(grant(PAGE | UXN, true, true, false), (true, true, false));
    assert_eq!(grant(read_only, false, true, false), (true, false, true));
    // Execute-only.
    assert_eq!(grant(read_only & !USER, false, true, false), (false, false, false));
    let pasid = Some(Pasid { id: 1, privileged: true, execute: false });
    rig.cd(1, &[(40, 1)]);
    rig.core.invalidate_all();
    map(&rig.bench, PT, 0x1000, PAGE);
    assert_eq!(rig.grant(&TranslationRequest { pasid, ..WRITE }), Grant::none(true), "PAN");
}

#[test]
fn overrides_of_the_stream_change_what_is_granted() {
    let rig = Rig::full();
    let grant = |ste: (u16, u64), leaf| {
        rig.stage1(leaf, &[EATS, ste], &[]);
        rig.core.invalidate_all();
        let g = rig.grant(&WRITE);
        (g.read, g.write, g.privileged)
    };
    assert_eq!(grant((112, 3), PAGE & !USER), (true, true, false), "PRIVCFG: as it was asked for");
    assert_eq!(grant((112, 0), PAGE & !USER), (false, false, false));
    assert_eq!(grant((114, 3), PAGE | UXN), (false, true, false), "INSTCFG: reads are fetches");
    assert_eq!(grant((114, 2), PAGE | UXN), (true, true, false));
}

/// 3.13.7.
#[test]
fn the_access_flag_and_the_dirty_state_are_set_as_far_as_it_is_asked_for() {
    let rig = Rig::full();
    let clean = PAGE | READ_ONLY | DBM;
    let update = |leaf, request: &TranslationRequest, cd: &[(u16, u64)]| {
        rig.stage1(leaf, &[EATS], cd);
        rig.core.invalidate_all();
        let g = rig.grant(request);
        ((g.read, g.write), rig.bench.get(PT + 0x2008))
    };
    const HA: (u16, u64) = (43, 1);
    const HD: (u16, u64) = (42, 1);
    assert_eq!(update(clean & !ACCESSED, &REQUEST, &[HA, HD]), ((true, false), clean));
    assert_eq!(update(clean & !ACCESSED, &WRITE, &[HA, HD]), ((true, true), clean & !READ_ONLY));
    assert_eq!(update(clean, &WRITE, &[HA]), ((true, false), clean), "the access flag alone");
    assert_eq!(update(clean & !ACCESSED, &WRITE, &[]), ((false, false), clean & !ACCESSED));
    // Known translations are no shortcut.
    assert_eq!(rig.of_page(clean, &REQUEST), granted(DATA, 12, true, false));
    rig.stage1(clean, &[EATS], &[HA, HD]);
    rig.core.invalidate_all();
    assert_eq!(rig.grant(&REQUEST), granted(DATA, 12, true, false));
    assert_eq!(rig.grant(&WRITE), granted(DATA, 12, true, true));
    assert_eq!(rig.bench.get(PT + 0x2008), clean & !READ_ONLY);
}

/// Where stage 2 does not let the page be written, stage 1's is not made dirty.
#[test]
fn a_page_becomes_dirty_only_if_both_stages_let_it_be_written() {
    let rig = Rig::full();
    let clean = PAGE | READ_ONLY | DBM;
    for (block2, write, leaf) in [(BLOCK2, true, clean & !READ_ONLY), (BLOCK2 & !(1 << 7), false, clean)] {
        rig.stage2(block2, &[(1, 7), (0, CDS), EATS]);
        rig.cd(0, &[(42, 1), (43, 1)]);
        // Tables of stage 1 are writable memory of its own.
        map(&rig.bench, PT, 0x1000, clean);
        rig.core.invalidate_all();
        let g = rig.grant(&WRITE);
        assert_eq!((g.read, g.write, rig.bench.get(PT + 0x2008)), (true, write, leaf));
    }
}

#[test]
fn the_region_is_that_of_both_stages() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[EATS], &[]);
    // A block of 2 MiB at stage 1.
    rig.bench.put(PT + 0x1000, &[RAM | 0xc41]);
    rig.core.invalidate_all();
    let inside = TranslationRequest { address: 0x8_1000, units: 3, ..WRITE };
    assert_eq!(rig.ask(&inside), Ok(vec![granted(RAM, 21, true, true)]));
    rig.stage2(BLOCK2, &[(1, 6), EATS]);
    rig.core.invalidate_all();
    let of_ram = TranslationRequest { address: DATA, ..WRITE };
    assert_eq!(rig.grant(&of_ram), granted(RAM, 21, true, true));
}

#[test]
fn entries_of_one_completion_are_of_one_size() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[EATS], &[]);
    rig.bench.put(PT + 0x2010, &[0, PAGE + 0x5000]);
    let request = TranslationRequest { units: 3, ..WRITE };
    let pages = [granted(DATA, 12, true, true), Grant::none(false), granted(DATA + 0x5000, 12, true, true)];
    assert_eq!(rig.ask(&request), Ok(pages.to_vec()));
    // From pages into a block: the part that was asked about.
    rig.bench.put(PT + 0x2000 + 8 * 511, &[PAGE]);
    rig.bench.put(PT + 0x1008, &[RAM | 0xc41]);
    let across = TranslationRequest { address: 0x1f_f000, units: 2, ..WRITE };
    assert_eq!(rig.ask(&across), Ok(vec![granted(DATA, 12, true, true), granted(RAM, 12, true, true)]));
    let many = TranslationRequest { address: 0x2000, units: 0xffff, ..WRITE };
    assert_eq!(rig.ask(&many).map(|grants| grants.len()), Ok(16), "what a completion has room for");
    // What is wrong ends it.
    rig.bench.put(PT + 0x1008, &[0xf_0000_0000 | 3]);
    rig.core.invalidate_all();
    assert_eq!(rig.ask(&across), Ok(vec![granted(DATA, 12, true, true)]));
}

/// 13.6.4: S1DSS = 1, and nothing else translates.
#[test]
fn a_request_that_skips_the_only_stage_is_answered_with_its_own_address() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 1), (64, 1), EATS]);
    assert_eq!(rig.grant(&WRITE), granted(0, 52, true, true));
    let beyond = TranslationRequest { address: 1 << 52, ..WRITE };
    assert_eq!((rig.grant(&beyond), rig.names()), (Grant::none(false), vec![]));
}

/// 13.6.3: both stages say what is allowed, stage 1 says where, and stage 2 is asked again.
#[test]
fn split_stage_answers_with_an_ipa_that_stage_2_translates() {
    let rig = Rig::full();
    rig.stage2(BLOCK2, &[(1, 7), (0, CDS), (92, 2)]);
    rig.cd(0, &[]);
    map(&rig.bench, PT, 0x1000, PAGE);
    // Stage 2 leads the page of the data elsewhere.
    let table = S2PT + 0x2000;
    let identity: Vec<u64> = (0..512).map(|n| (RAM + n * 0x1000) | 0x7ff).collect();
    rig.bench.put(table, &identity);
    let entry = table + (DATA - RAM) / 0x1000 * 8;
    rig.bench.put(entry, &[(DATA + 0x3000) | 0x7ff]);
    rig.bench.put(S2PT + 0x1000, &[table | 3]);
    rig.bench.put(DATA + 0x3000, &[0x77]);
    assert_eq!((rig.ask(&WRITE), rig.names()), (NOTHING, vec!["F_BAD_ATS_TREQ"]), "ATSCHK = 0");
    rig.streams.set(CHECKED);
    assert_eq!(rig.grant(&WRITE), granted(DATA, 12, true, true), "the IPA");
    let translated = DmaAttrs { translated: true, substream: Some(3), ..DmaAttrs::default() };
    let mut byte = [0];
    assert_eq!(rig.port().read(translated, DATA, &mut byte), Ok(()));
    assert_eq!((byte[0], rig.names()), (0x77, vec![]));
    // Stage 2 faults as for others; the attributes are those of no PASID.
    rig.bench.put(entry, &[0]);
    rig.core.invalidate_all();
    let privileged = DmaAttrs { privileged: true, ..translated };
    assert_eq!(rig.port().read(privileged, DATA, &mut byte), Err(DmaFault::Abort));
    let event = rig.events()[0];
    assert!(record(event.kind).stage2 && event.transaction.substream.is_none());
    assert!(!event.transaction.privileged);
    // Stage 1's own permission, and stage 2's, count.
    rig.bench.put(entry, &[(DATA + 0x3000) | 0x77f]);
    rig.core.invalidate_all();
    assert_eq!(rig.grant(&WRITE), granted(DATA, 12, true, false));
}

#[test]
fn a_translated_address_beyond_the_output_size_is_aborted_in_silence() {
    let rig = Rig::full();
    let translated = DmaAttrs { translated: true, ..DmaAttrs::default() };
    assert_eq!(rig.port().read(translated, 1 << 52, &mut [0]), Err(DmaFault::Abort));
    assert_eq!(rig.names(), [""; 0]);
}

const PAGE_REQUEST: PageRequest =
    PageRequest { address: 0x1000, read: true, write: false, last: true, group: 0x155, pasid: None };

fn response(pasid: Option<u32>, status: PageStatus) -> Option<PageResponse> {
    Some(PageResponse { group: 0x155, pasid, status })
}

/// 8.2.
#[test]
fn page_requests_fail_where_the_queue_takes_none() {
    let rig = Rig::full();
    let ask = |request: &PageRequest| rig.port().request_page(request);
    assert_eq!(ask(&PAGE_REQUEST), None);
    *rig.queue.pages.lock() = Queued::Refused;
    let pasid = Some(Pasid { id: 5, privileged: false, execute: false });
    for request in [PAGE_REQUEST, PageRequest { last: false, ..PAGE_REQUEST }] {
        assert_eq!(ask(&request), response(None, PageStatus::Failure));
        assert_eq!(ask(&PageRequest { pasid, ..request }), response(None, PageStatus::Failure));
    }
    assert_eq!(ask(&PageRequest { read: false, pasid, ..PAGE_REQUEST }), None, "a Stop Marker");
    let without = Rig::new(Profile::QEMU);
    assert_eq!(without.port().request_page(&PAGE_REQUEST), response(None, PageStatus::Failure));
}

/// 8.1: the function is to ask again, and PPAR says how it is told.
#[test]
fn an_overflow_is_answered_for_the_last_request_of_a_group() {
    let rig = Rig::full();
    *rig.queue.pages.lock() = Queued::Overflow;
    let ask = |request: &PageRequest| rig.port().request_page(request);
    assert_eq!(ask(&PAGE_REQUEST), response(None, PageStatus::Success), "without a PASID no STE is needed");
    assert_eq!(ask(&PageRequest { last: false, ..PAGE_REQUEST }), None);
    let pasid = Some(Pasid { id: 5, privileged: false, execute: false });
    let with = PageRequest { pasid, ..PAGE_REQUEST };
    assert_eq!(ask(&with), response(None, PageStatus::Failure), "no STE says it");
    rig.stage1(PAGE, &[], &[]);
    assert_eq!(ask(&with), response(None, PageStatus::Success));
    rig.stage1(PAGE, &[(82, 1)], &[]);
    assert_eq!(ask(&with), response(Some(5), PageStatus::Success));
    assert_eq!(ask(&PageRequest { read: false, ..with }), None, "a Stop Marker");
    assert_eq!(rig.names(), [""; 0]);
}
