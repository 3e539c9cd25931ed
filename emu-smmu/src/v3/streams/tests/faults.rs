//! What becomes of transactions that do not pass.

use super::*;

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
