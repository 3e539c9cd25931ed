//! Streams under a core, with their tables in memory and a queue that may be full.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::super::bench::{Bench, FULL, RAM, words};
use super::*;
use crate::translation::{Access, Answer, Config};
use emu_core::Security;
use emu_core::dma::{DmaAttrs, DmaClient, DmaFault, DmaPort, Master, MemoryType, StallTag, Stalls};
use parking_lot::Mutex;

const TABLE: u64 = RAM + 0x1_0000;
const CDS: u64 = RAM + 0x2_0000;
const PT: u64 = RAM + 0x3_0000;
const S2PT: u64 = RAM + 0x4_0000;
const DATA: u64 = RAM + 0x8_0000;
const STREAM: u32 = 2;

/// A page at `DATA`: Normal memory, readable and writable at both privileges, accessed, not global.
const PAGE: u64 = DATA | 0xc43;

#[derive(Default)]
struct Queue {
    events: Mutex<Vec<Event>>,
    full: AtomicBool,
}

impl Recorder for Queue {
    fn record(&self, event: &Event) -> bool {
        let room = !self.full.load(SeqCst);
        if room {
            self.events.lock().push(*event);
        }
        room
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<bool>>);

impl DmaClient for Told {
    fn resume(&self, _: StallTag, retry: bool) {
        self.0.lock().push(retry);
    }
}

struct Rig {
    bench: Bench,
    queue: Arc<Queue>,
    streams: Arc<Streams>,
    core: Arc<Core>,
    told: Arc<Told>,
}

/// Linear, 16 streams.
const ENABLED: Settings = Settings {
    enabled: true,
    ats_check: false,
    bypass_aborts: false,
    strtab_base: TABLE,
    strtab_base_cfg: 4,
    record_bad_stream: true,
    e2h: false,
    private_tlb: true,
};

impl Rig {
    fn new(profile: Profile) -> Self {
        let bench = Bench::new();
        let queue = Arc::new(Queue::default());
        let streams = Streams::new(bench.bus.clone(), profile, queue.clone());
        let config = Config { features: profile.features(), stall_max: profile.stall_max };
        let core = Core::new(streams.clone(), bench.bus.clone(), config);
        streams.attach(&core);
        streams.set(ENABLED);
        Self { bench, queue, streams, core, told: Arc::default() }
    }

    fn full() -> Self {
        Self::new(FULL)
    }

    fn ste(&self, bits: &[(u16, u64)]) {
        self.bench.put(TABLE + u64::from(STREAM) * 64, &words(&[&[(0, 1)], bits].concat()));
        self.streams.invalidate_ste(STREAM);
    }

    fn cd(&self, index: u64, bits: &[(u16, u64)]) {
        self.bench.put(CDS + index * 64, &words(&[&CD[..], bits].concat()));
        self.streams.invalidate_cd(STREAM, index as u32);
    }

    /// Stage 1 alone, its page at 0x1000 being `leaf`.
    fn stage1(&self, leaf: u64, ste: &[(u16, u64)], cd: &[(u16, u64)]) {
        self.ste(&[&[(1, 5), (0, CDS)], ste].concat());
        self.cd(0, cd);
        map(&self.bench, PT, 0x1000, leaf);
    }

    /// Stage 2, whose tables map the first 2 MiB of RAM to itself with `ram`; with the Config in `ste`.
    fn stage2(&self, ram: u64, ste: &[(u16, u64)]) {
        self.ste(&[&S2[..], ste].concat());
        self.bench.put(S2PT + 8, &[(S2PT + 0x1000) | 3]);
        self.bench.put(S2PT + 0x1000, &[ram]);
    }

    fn port(&self) -> Arc<dyn DmaPort> {
        self.core.port(Master::new(STREAM, Stalls::Never))
    }

    fn stallable(&self) -> Arc<dyn DmaPort> {
        let told: Arc<dyn DmaClient> = self.told.clone();
        self.core.port(Master::new(STREAM, Stalls::Notify(Arc::downgrade(&told))))
    }

    /// What was recorded since the last call.
    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.queue.events.lock())
    }

    fn names(&self) -> Vec<&'static str> {
        self.events().iter().map(|e| e.kind.name().1).collect()
    }

    fn read(&self, at: u64) -> Result<u8, DmaFault> {
        let mut byte = [0];
        self.port().read(DmaAttrs::default(), at, &mut byte).map(|()| byte[0])
    }

    /// The one event of a read that is aborted.
    fn event(&self, at: u64) -> Event {
        assert_eq!(self.read(at), Err(DmaFault::Abort));
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }
}

/// V, T0SZ 25, EPD1, 48 bits, AA64, R, A, TTB0.
const CD: [(u16, u64); 8] = [(0, 25), (30, 1), (31, 1), (32, 5), (41, 1), (45, 1), (46, 1), (68, PT >> 4)];
/// VMID 7, T0SZ 25 from level 1, 48 bits, AA64, R, S2TTB.
const S2: [(u16, u64); 7] = [(128, 7), (160, 25), (166, 1), (176, 5), (179, 1), (186, 1), (196, S2PT >> 4)];
/// The RAM's block at stage 2.
const BLOCK2: u64 = RAM | 0x7fd;

/// Maps a page of the first 2 MiB by tables at `root`.
fn map(bench: &Bench, root: u64, at: u64, leaf: u64) {
    bench.put(root, &[(root + 0x1000) | 3]);
    bench.put(root + 0x1000, &[(root + 0x2000) | 3]);
    bench.put(root + 0x2000 + (at >> 12) * 8, &[leaf]);
}

const READ: Transaction = Transaction {
    stream: STREAM,
    substream: None,
    address: 0x1000,
    access: Access::Read,
    privileged: false,
    instruction: false,
    security: Security::NonSecure,
    memory: MemoryType::WriteBack,
    translated: false,
    may_stall: false,
};

fn aborted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refuse(Refusal::Abort))
}

fn record(kind: Kind) -> TranslationRecord {
    match kind {
        Kind::WalkAbort(r, _) => r,
        Kind::Translation(r) | Kind::AddressSize(r) | Kind::AccessFlag(r) | Kind::Permission(r) => r,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_smmu_that_is_not_enabled_lets_through_or_aborts() {
    let rig = Rig::new(Profile { output_bits: 44, ..FULL });
    let verdict = |settings, address| {
        rig.streams.set(settings);
        rig.streams.verdict(&Transaction { address, ..READ })
    };
    let off = Settings { enabled: false, ..ENABLED };
    assert!(matches!(verdict(off, (1 << 44) - 1), Verdict::Bypass));
    assert!(aborted(&verdict(off, 1 << 44)), "beyond the output size");
    assert!(aborted(&verdict(Settings { bypass_aborts: true, ..off }, 0)));
    assert_eq!(rig.events(), []);
}

/// Each error of a configuration aborts, with one event.
#[test]
fn bad_configurations_are_recorded() {
    let rig = Rig::full();
    assert_eq!(rig.event(0x1000).kind, Kind::BadSte);
    let other = rig.core.port(Master::new(16, Stalls::Never));
    let read = || other.read(DmaAttrs::default(), 0, &mut [0]);
    assert_eq!((read(), rig.names()), (Err(DmaFault::Abort), vec!["C_BAD_STREAMID"]));
    rig.streams.set(Settings { record_bad_stream: false, ..ENABLED });
    assert_eq!((read(), rig.names()), (Err(DmaFault::Abort), vec![]));
    rig.streams.set(Settings { strtab_base: 0x1000, ..ENABLED });
    assert_eq!(rig.event(0).kind, Kind::SteFetch(0x1080));
    rig.streams.set(ENABLED);
    rig.ste(&[(1, 5), (0, CDS), (59, 2)]);
    assert_eq!(rig.event(0).kind, Kind::StreamDisabled);
    rig.ste(&[(1, 5), (0, CDS)]);
    assert_eq!(rig.event(0).kind, Kind::BadCd);
    rig.ste(&[(1, 5), (0, 0x7000)]);
    assert_eq!(rig.event(0).kind, Kind::CdFetch(0x7000));
    let attrs = DmaAttrs { substream: Some(3), ..DmaAttrs::default() };
    assert_eq!(rig.port().read(attrs, 0, &mut [0]), Err(DmaFault::Abort));
    let events = rig.events();
    assert_eq!((events[0].kind, events[0].transaction.substream), (Kind::BadSubstreamId, Some(3)));
    // Config = 0 is silent.
    rig.ste(&[]);
    assert_eq!((rig.read(0), rig.names()), (Err(DmaFault::Abort), vec![]));
}

#[test]
fn a_bypassing_stream_has_addresses_of_the_system() {
    let rig = Rig::new(Profile { output_bits: 44, ..FULL });
    rig.ste(&[(1, 4), (83, 1), (112, 3)]);
    rig.bench.put(DATA, &[0x5a]);
    assert_eq!(rig.read(DATA), Ok(0x5a));
    let e = rig.event(1 << 44);
    assert_eq!((e.kind.name().1, e.mergeable, e.transaction.privileged), ("F_ADDR_SIZE", true, true));
    let r = record(e.kind);
    assert_eq!((r.stage2, r.class, r.stall), (false, Class::In, None));
}

#[test]
fn stage_1_translates_in_its_stream_world() {
    for (strw, e2h, pnu) in [(0, false, false), (2, false, false), (2, true, false), (0, true, true)] {
        let rig = Rig::full();
        rig.streams.set(Settings { e2h, ..ENABLED });
        // AP[1] = 0: not for unprivileged transactions, but in EL2, which has none.
        rig.stage1(PAGE & !(1 << 6), &[(94, strw), (112, if pnu { 3 } else { 0 })], &[]);
        rig.bench.put(DATA + 8, &[0xa5]);
        if pnu || strw == 2 && !e2h {
            assert_eq!(rig.read(0x1008), Ok(0xa5), "{strw} {e2h}");
        } else {
            assert_eq!(rig.event(0x1008).kind.name().1, "F_PERMISSION", "{strw} {e2h}");
        }
        map(&rig.bench, PT, 0x1000, PAGE);
        assert_eq!(rig.read(0x1008), Ok(0xa5), "{strw} {e2h}");
    }
}

/// TERM_MODEL 0 and STALL_MODEL 0, for a master that can wait: {A, R, S} to how it ends and whether there is a record.
#[test]
fn faults_of_stage_1_end_as_the_cd_says() {
    for ars in 0..8u64 {
        let [a, r, s] = [ars >> 2 & 1, ars >> 1 & 1, ars & 1];
        let rig = Rig::full();
        rig.stage1(0, &[], &[]);
        let mut cd = words(&CD);
        cd[0] = cd[0] & !(7 << 44) | s << 44 | r << 45 | a << 46;
        rig.bench.put(CDS, &cd);
        rig.streams.invalidate_cd(STREAM, 0);
        let port = rig.stallable();
        let mut buf = [7];
        let end = port.read(DmaAttrs::default(), 0x1000, &mut buf);
        let records = rig.events();
        match (a, s) {
            (_, 1) => assert!(matches!(end, Err(DmaFault::Stalled(_))), "{ars:03b}"),
            (1, _) => assert_eq!(end, Err(DmaFault::Abort), "{ars:03b}"),
            _ => assert_eq!((end, buf), (Ok(()), [0]), "{ars:03b}"),
        }
        assert_eq!(records.len() as u64, r | s, "{ars:03b}");
        if s == 1 {
            let waiting = rig.core.stalled();
            assert_eq!(record(records[0].kind).stall, Some(stag(waiting[0].tag)));
        }
    }
}

#[test]
fn a_master_that_cannot_wait_is_aborted_where_a_stall_is_configured() {
    let rig = Rig::full();
    rig.stage1(0, &[], &[(44, 1)]);
    let e = rig.event(0x1000);
    assert_eq!((e.kind.name().1, record(e.kind).stall), ("F_TRANSLATION", None));
    // So is one for which there is no room.
    let rig = Rig::new(Profile { stall_max: 1, ..FULL });
    rig.stage1(0, &[], &[(44, 1)]);
    let port = rig.stallable();
    assert!(matches!(port.read(DmaAttrs::default(), 0x1000, &mut [0]), Err(DmaFault::Stalled(_))));
    assert_eq!(port.read(DmaAttrs::default(), 0x1000, &mut [0]), Err(DmaFault::Abort));
    let stalls: Vec<_> = rig.events().iter().map(|e| record(e.kind).stall.is_some()).collect();
    assert_eq!(stalls, [true, false]);
}

#[test]
fn a_stalled_transaction_goes_on_when_it_is_resumed() {
    let rig = Rig::full();
    rig.stage1(0, &[], &[(44, 1)]);
    let port = rig.stallable();
    let mut buf = [0];
    let mut read = || port.read(DmaAttrs::default(), 0x1000, &mut buf).map(|()| buf[0]);
    assert!(matches!(read(), Err(DmaFault::Stalled(_))));
    let stag = record(rig.events()[0].kind).stall.unwrap();
    rig.bench.put(DATA, &[0x77]);
    map(&rig.bench, PT, 0x1000, PAGE);
    assert!(rig.core.resume(STREAM, stag, Answer::Retry));
    assert_eq!((read(), &*rig.told.0.lock(), rig.events()), (Ok(0x77), &vec![true], vec![]));
}

/// 7.2.1: a stall is not lost because the queue is full.
#[test]
fn a_stall_without_a_record_waits_to_be_tried_again() {
    let rig = Rig::full();
    rig.stage1(0, &[], &[(44, 1)]);
    let port = rig.stallable();
    let read = || port.read(DmaAttrs::default(), 0x1000, &mut [0]);
    rig.queue.full.store(true, SeqCst);
    assert!(matches!(read(), Err(DmaFault::Stalled(_))));
    assert_eq!((rig.events(), rig.core.stalled().len()), (vec![], 1));
    rig.queue.full.store(false, SeqCst);
    // What the recorder does when it has room.
    assert!(rig.core.resume(STREAM, stag(rig.core.stalled()[0].tag), Answer::Retry));
    assert!(matches!(read(), Err(DmaFault::Stalled(_))));
    assert!(record(rig.events()[0].kind).stall.is_some());
}

#[test]
fn every_kind_of_translation_fault_at_stage_1() {
    let rig = Rig::full();
    let fault = |leaf| {
        rig.stage1(leaf, &[], &[]);
        let e = rig.event(0x1000);
        let r = record(e.kind);
        assert_eq!((r.stage2, r.class, e.transaction.address), (false, Class::In, 0x1000));
        e.kind.name().1
    };
    assert_eq!(fault(0), "F_TRANSLATION");
    assert_eq!(fault(PAGE & !(1 << 10)), "F_ACCESS");
    assert_eq!(fault(PAGE & !(1 << 6)), "F_PERMISSION");
    // IPS = 0: 32 bits of output.
    rig.stage1(PAGE | 1 << 32, &[], &[]);
    let mut cd = words(&CD);
    cd[0] &= !(7 << 32);
    rig.bench.put(CDS, &cd);
    rig.streams.invalidate_cd(STREAM, 0);
    assert_eq!(rig.event(0x1000).kind.name().1, "F_ADDR_SIZE");
    // The table is where nothing is.
    rig.stage1(PAGE, &[], &[]);
    rig.bench.put(PT + 0x1000, &[0x9003]);
    let e = rig.event(0x1000);
    let Kind::WalkAbort(r, at) = e.kind else { panic!("{e}") };
    assert_eq!((r.stage2, r.class, at), (false, Class::Tt, 0x9008));
}

#[test]
fn walk_aborts_are_recorded_whatever_the_cd_says() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[], &[]);
    let mut cd = words(&CD);
    // Neither A nor R, but S.
    cd[0] = cd[0] & !(7 << 44) | 1 << 44;
    rig.bench.put(CDS, &cd);
    rig.streams.invalidate_cd(STREAM, 0);
    rig.bench.put(PT + 0x1000, &[0x9003]);
    assert_eq!(rig.stallable().read(DmaAttrs::default(), 0x1000, &mut [0]), Err(DmaFault::Abort));
    assert_eq!(rig.names(), ["F_WALK_EABT"]);
}

#[test]
fn faults_of_stage_2_say_on_whose_behalf() {
    let rig = Rig::full();
    rig.cd(0, &[]);
    map(&rig.bench, PT, 0x1000, PAGE);
    let kind = |ram| {
        rig.stage2(ram, &[(1, 7), (0, CDS)]);
        rig.event(0x1234).kind
    };
    // Nothing is mapped: the CD.
    let r = record(kind(0));
    assert_eq!((r.stage2, r.class, r.ipa), (true, Class::Cd, CDS));
    // The CD is cached, and the table of stage 1 is not mapped any more.
    rig.stage2(BLOCK2, &[(1, 7), (0, CDS)]);
    assert!(rig.read(0x1234).is_ok());
    rig.bench.put(S2PT + 0x1000, &[0]);
    rig.core.invalidate_all();
    let e = rig.event(0x1234);
    let r = record(e.kind);
    assert_eq!((e.kind.name().1, r.stage2, r.class, r.ipa), ("F_TRANSLATION", true, Class::Tt, PT));
    // The output of stage 1 is not mapped.
    map(&rig.bench, PT, 0x1000, 0x1_2345_6000 | 0xc43);
    rig.bench.put(S2PT + 0x1000, &[BLOCK2]);
    rig.core.invalidate_all();
    let r = record(rig.event(0x1234).kind);
    assert_eq!((r.stage2, r.class, r.ipa), (true, Class::In, 0x1_2345_6234));
}

#[test]
fn a_table_that_stage_2_does_not_let_be_written() {
    let rig = Rig::full();
    rig.cd(0, &[(43, 1)]);
    // The access flag is to be set in a page that is read-only at stage 2.
    map(&rig.bench, PT, 0x1000, PAGE & !(1 << 10));
    rig.stage2(BLOCK2 & !(1 << 7), &[(1, 7), (0, CDS)]);
    let e = rig.event(0x1000);
    let r = record(e.kind);
    assert_eq!(
        (e.kind.name().1, r.class, r.table_write, r.ipa),
        ("F_PERMISSION", Class::Tt, true, PT + 0x2008)
    );
}

#[test]
fn hardware_updates_the_tables_of_both_stages() {
    let rig = Rig::full();
    rig.cd(0, &[(42, 1), (43, 1)]);
    // Clean: read-only with DBM, and not accessed.
    let clean = (PAGE | 1 << 7 | 1 << 51) & !(1 << 10);
    map(&rig.bench, PT, 0x1000, clean);
    let clean2 = (BLOCK2 | 1 << 51) & !(1 << 10 | 1 << 7);
    rig.stage2(clean2, &[(1, 7), (0, CDS), (183, 1), (184, 1)]);
    assert!(rig.read(0x1000).is_ok());
    assert_eq!(rig.bench.get(PT + 0x2008), clean | 1 << 10);
    assert_eq!(rig.port().write(DmaAttrs::default(), 0x1000, b"x"), Ok(()));
    assert_eq!(rig.bench.get(PT + 0x2008), PAGE | 1 << 51);
    assert_eq!(rig.bench.get(S2PT + 0x1000), BLOCK2 | 1 << 51);
}

#[test]
fn stage_2_alone_and_its_faults() {
    let rig = Rig::full();
    rig.stage2(BLOCK2, &[(1, 6)]);
    rig.bench.put(DATA, &[0x42]);
    assert_eq!(rig.read(DATA), Ok(0x42));
    // Beyond S2T0SZ: stage 2. Beyond the address size of the SMMU: stage 1, which is not there.
    let e = rig.event(1 << 39);
    assert_eq!(
        (e.kind.name().1, record(e.kind).stage2, record(e.kind).ipa),
        ("F_TRANSLATION", true, 1 << 39)
    );
    // Without S2R the one is silent, and the other never.
    let quiet: Vec<_> = S2.into_iter().filter(|(at, _)| *at != 186).collect();
    rig.ste(&[&quiet[..], &[(1, 6)]].concat());
    assert_eq!((rig.read(1 << 39), rig.names()), (Err(DmaFault::Abort), vec![]));
    let e = rig.event(1 << 52);
    assert_eq!((e.kind.name().1, record(e.kind).stage2), ("F_ADDR_SIZE", false));
}

#[test]
fn a_fault_on_a_context_descriptor_stalls_if_stage_2_says_so() {
    let rig = Rig::full();
    rig.cd(0, &[]);
    map(&rig.bench, PT, 0x1000, PAGE);
    rig.bench.put(DATA, &[0x99]);
    rig.stage2(0, &[(1, 7), (0, CDS), (185, 1)]);
    let port = rig.stallable();
    let mut buf = [0];
    let mut read = || port.read(DmaAttrs::default(), 0x1000, &mut buf).map(|()| buf[0]);
    assert!(matches!(read(), Err(DmaFault::Stalled(_))));
    let r = record(rig.events()[0].kind);
    assert_eq!((r.class, r.ipa), (Class::Cd, CDS));
    rig.bench.put(S2PT + 0x1000, &[BLOCK2]);
    rig.core.resume(STREAM, r.stall.unwrap(), Answer::Retry);
    assert_eq!(read(), Ok(0x99));
}

#[test]
fn a_configuration_is_cached_until_it_is_invalidated() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 2), (64, 2)]);
    for index in 0..3 {
        rig.cd(index, &[(48, index)]);
    }
    let asid = |substream| match rig.streams.verdict(&Transaction { substream, ..READ }) {
        Verdict::Translate(context) => context.stage1.map(|s| s.asid),
        _ => None,
    };
    let all = || [asid(None), asid(Some(1)), asid(Some(2))].map(|a| a.map_or(99, u64::from));
    assert_eq!(all(), [0, 1, 2]);
    for index in 0..3 {
        rig.bench.put(CDS + index * 64, &words(&[&CD[..], &[(48, index + 10)]].concat()));
    }
    assert_eq!(all(), [0, 1, 2], "nothing was invalidated");
    rig.streams.invalidate_cd(STREAM + 1, 1);
    rig.streams.invalidate_ste(STREAM + 1);
    rig.streams.invalidate_ste_range(4, 2);
    assert_eq!(all(), [0, 1, 2], "of other streams");
    rig.streams.invalidate_cd(STREAM, 1);
    assert_eq!(all(), [0, 11, 2]);
    rig.streams.invalidate_cd(STREAM, 0);
    assert_eq!(all(), [10, 11, 2]);
    rig.streams.invalidate_ste_range(0, 2);
    assert_eq!(all(), [10, 11, 12]);
    rig.bench.put(CDS, &words(&CD));
    rig.streams.invalidate_ste_range(0xffff_ffff, 32);
    assert_eq!(all(), [0, 11, 12]);
}

#[test]
fn what_is_not_valid_is_looked_at_again() {
    let rig = Rig::full();
    assert_eq!(rig.event(DATA).kind, Kind::BadSte);
    rig.bench.put(TABLE + u64::from(STREAM) * 64, &words(&[(0, 1), (1, 4)]));
    assert!(rig.read(DATA).is_ok());
}

#[test]
fn substreams_have_address_spaces_of_their_own() {
    let rig = Rig::full();
    rig.ste(&[(1, 5), (0, CDS), (59, 2), (64, 1)]);
    rig.cd(1, &[(48, 1)]);
    let other = PT + 0x4000;
    let bits: Vec<_> = CD.into_iter().filter(|(at, _)| *at != 68).collect();
    rig.bench.put(CDS + 128, &words(&[&bits[..], &[(48, 2), (68, other >> 4)]].concat()));
    map(&rig.bench, PT, 0x1000, PAGE);
    map(&rig.bench, other, 0x1000, PAGE + 0x1000);
    rig.bench.put(DATA, &[0x11]);
    rig.bench.put(DATA + 0x1000, &[0x22]);
    let port = rig.port();
    let read = |substream, at| {
        let mut buf = [0];
        port.read(DmaAttrs { substream, ..DmaAttrs::default() }, at, &mut buf).map(|()| buf[0])
    };
    assert_eq!((read(Some(1), 0x1000), read(Some(2), 0x1000)), (Ok(0x11), Ok(0x22)));
    // S1DSS = 1: without a substream stage 1 is bypassed.
    assert_eq!(read(None, DATA + 0x1000), Ok(0x22));
    assert_eq!((read(Some(4), 0x1000), rig.names()), (Err(DmaFault::Abort), vec!["C_BAD_SUBSTREAMID"]));
}

#[test]
fn translated_transactions_pass_as_eats_says() {
    let rig = Rig::full();
    let pass = |settings| {
        rig.streams.set(settings);
        let t = Transaction { translated: true, address: DATA, ..READ };
        let passed = matches!(rig.streams.verdict(&t), Verdict::Bypass);
        (passed, rig.names())
    };
    let checked = Settings { ats_check: true, ..ENABLED };
    let forbidden = (false, vec!["F_TRANSL_FORBIDDEN"]);
    assert_eq!(pass(Settings { enabled: false, ..ENABLED }), forbidden);
    assert_eq!(pass(ENABLED), (true, vec![]), "no check");
    assert_eq!(pass(checked), (false, vec![]), "a bad STE is not recorded");
    rig.ste(&[]);
    assert_eq!(pass(checked), (false, vec![]));
    for (config, eats, allowed) in [(4, 1, false), (5, 0, false), (5, 1, true), (5, 3, false)] {
        rig.ste(&[(1, config), (92, eats)]);
        let expected = if allowed { (true, vec![]) } else { forbidden.clone() };
        assert_eq!(pass(checked), expected, "{config} {eats}");
    }
    let without = Rig::new(Profile::QEMU);
    let t = Transaction { translated: true, address: DATA, ..READ };
    assert!(aborted(&without.streams.verdict(&t)));
    assert_eq!(without.names(), ["F_TRANSL_FORBIDDEN"]);
}

#[test]
fn pan_and_instruction_overrides_hold() {
    let rig = Rig::full();
    let read = |privileged, ste: &[(u16, u64)], cd: &[(u16, u64)], leaf| {
        rig.stage1(leaf, ste, cd);
        rig.core.invalidate_all();
        let attrs = DmaAttrs { privileged, ..DmaAttrs::default() };
        let end = rig.port().read(attrs, 0x1000, &mut [0]);
        let events = rig.events();
        let e = events.first().map(|e| (e.transaction.privileged, e.transaction.instruction));
        (end.is_ok(), e)
    };
    assert_eq!(read(true, &[], &[(40, 1)], PAGE), (false, Some((true, false))));
    assert_eq!(read(true, &[(112, 2)], &[(40, 1)], PAGE), (true, None), "PRIVCFG: unprivileged");
    // INSTCFG: UXN counts, and what is written is data.
    let never = PAGE | 1 << 54;
    assert_eq!(read(false, &[(114, 3)], &[], never), (false, Some((false, true))));
    assert_eq!(rig.port().write(DmaAttrs::default(), 0x1000, b"x"), Ok(()));
    // WXN: what may be written is not fetched from.
    assert!(read(false, &[(114, 3)], &[], PAGE).0);
    assert!(!read(false, &[(114, 3)], &[(36, 1)], PAGE).0);
}

#[test]
fn large_pages_and_addresses() {
    let rig = Rig::full();
    // 64 KiB, T0SZ 12 (52 bits), IPS 52 bits; the output above 48 bits is named by descriptor bits 15:12.
    rig.ste(&[(1, 5), (0, CDS)]);
    let cd = [(0, 12), (6, 1), (30, 1), (31, 1), (32, 6), (41, 1), (45, 1), (46, 1), (68, PT >> 4)];
    rig.bench.put(CDS, &words(&cd));
    rig.streams.invalidate_ste(STREAM);
    // Level 1 has 1024 entries: 8 KiB. A level 2 block of 512 MiB.
    let va = 0x000f_ffff_e008_0000u64;
    rig.bench.put(PT + (va >> 42) * 8, &[S2PT | 3]);
    rig.bench.put(S2PT + (va >> 29 & 0x1fff) * 8, &[RAM | 0xc41]);
    rig.bench.put(DATA, &[0x64]);
    assert_eq!(rig.read(va), Ok(0x64));
    rig.bench.put(S2PT + (va >> 29 & 0x1fff) * 8, &[RAM | 0x8000 | 0xc41]);
    rig.core.invalidate_all();
    assert_eq!((rig.read(va), rig.names()), (Err(DmaFault::Abort), vec![]), "2^51 is an address");
    // With 16 KiB and both halves.
    let both = [(0, 25), (6, 2), (16, 25), (22, 1), (31, 1), (32, 5), (41, 1), (68, PT >> 4), (132, PT >> 4)];
    rig.bench.put(CDS, &words(&both));
    rig.streams.invalidate_ste(STREAM);
    rig.bench.put(PT, &[(PT + 0x4000) | 3]);
    rig.bench.put(PT + 0x4000, &[RAM | 0xc41]);
    for va in [0x8_0000, 0xffff_ff80_0008_0000] {
        rig.core.invalidate_all();
        assert_eq!(rig.read(va), Ok(0x64), "{va:#x}");
    }
}

#[test]
fn an_explanation_names_each_structure_and_what_is_wrong_with_it() {
    let rig = Rig::full();
    rig.stage1(PAGE, &[(59, 2), (64, 2)], &[(48, 5)]);
    let told = rig.streams.explain(STREAM, None).to_string();
    assert_eq!(
        told,
        "stream 0x2\n\
         STE 0x2 at 0x40010080: V 0x1, CONFIG 0x5, S1CONTEXTPTR 0x1000800, S1CDMAX 0x2, S1DSS 0x2\n\
         CD 0x0 at 0x40020000: T0SZ 0x19, EPD1 0x1, V 0x1, IPS 0x5, AA64 0x1, R 0x1, A 0x1, ASID 0x5, TTB0 0x4003000\n\
         stage 1 of EL1&0, ASID 5, TTB0 0x40030000 K4 39 bits; VMID 0"
    );
    rig.ste(&[(1, 5), (0, CDS), (59, 21), (94, 3)]);
    let e = rig.streams.explain(STREAM, None);
    let broken: Vec<_> = e.fetched[0].broken.iter().map(|b| (b.field.name, b.section)).collect();
    assert_eq!(broken, [("STRW", "5.2"), ("S1CDMAX", "5.2")]);
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
    assert_eq!(walk.result.as_ref().map(|r| r.map(|t| t.pa.0)), Some(Ok(DATA + 0x234)));
    // Three levels of stage 1, each with two of stage 2 in front of it, and two for the output.
    assert_eq!(walk.steps.len(), 3 * 3 + 2);
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
    assert_eq!((walk.result, walk.steps.len()), (None, 0));
    assert_eq!(rig.events(), []);
}
