//! CMD_ATC_INV, CMD_PRI_RESP, and the CMD_SYNC that waits (4.5, 3.9.1.4).

use emu_core::dma::ats::{PageResponse, PageStatus};

use super::*;

/// A function that completes invalidations when it is told to.
#[derive(Default)]
struct Function {
    at_once: bool,
    held: Mutex<Vec<(Invalidation, InvalidationDone)>>,
    told: Mutex<Vec<PageResponse>>,
}

impl TranslationCache for Function {
    fn invalidate(&self, what: &Invalidation, done: InvalidationDone) {
        if self.at_once {
            return done.complete();
        }
        self.held.lock().push((*what, done));
    }
    fn page_response(&self, response: PageResponse) {
        self.told.lock().push(response);
    }
}

impl Function {
    fn take(&self) -> InvalidationDone {
        self.held.lock().remove(0).1
    }
}

const STREAM: u64 = 7;
const ATC_INV: Words = [0x40 | STREAM << 32, 0x5000];
/// CONS.ERR of CERROR_ATC_INV_SYNC.
const LOST: u64 = 3 << 24;

/// A running SMMU with SMMUEN, and a function behind it.
fn rig(function: Function) -> (Rig, Arc<Function>) {
    let rig = Rig::running(Profile::FULL);
    rig.w(0x20, 0xd);
    let function = Arc::new(function);
    rig.notes.1.lock().insert(STREAM as u32, function.clone());
    rig.asked();
    (rig, function)
}

#[test]
fn a_sync_waits_until_the_function_has_forgotten() {
    let (rig, function) = rig(Function::default());
    rig.submit(&[ATC_INV, SYNC_IRQ, [0x30, 0]]);
    assert_eq!((rig.r(0x9c), rig.asked()), (1, vec![]), "the queue stands at the CMD_SYNC");
    let what = Invalidation { pasid: None, global: false, start: 0x5000, end: 0x5fff };
    assert_eq!(function.held.lock()[0].0, what);
    assert_eq!((rig.edges(), rig.messages()), ([0; 4], [0; 3]));
    function.take().complete();
    assert_eq!((rig.r(0x9c), rig.asked()), (3, vec![Asked::Sync, Asked::Invalidate(TlbiScope::AllEl1)]));
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 1, 0], [0, 0, 0x5c]));
}

#[test]
fn commands_before_the_sync_do_not_wait() {
    let (rig, function) = rig(Function::default());
    rig.submit(&[ATC_INV, ATC_INV, [0x30, 0]]);
    assert_eq!((rig.r(0x9c), rig.asked().len(), function.held.lock().len()), (3, 1, 2));
    function.take().complete();
    rig.submit(&[SYNC]);
    assert_eq!(rig.r(0x9c), 3, "one is left");
    function.take().complete();
    assert_eq!((rig.r(0x9c), rig.asked()), (4, vec![Asked::Sync]));
}

#[test]
fn what_is_complete_at_once_and_what_reaches_nobody_is_not_waited_for() {
    let (rig, _function) = rig(Function { at_once: true, ..Function::default() });
    rig.submit(&[ATC_INV, SYNC, [0x40 | 8 << 32, 52], SYNC]);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (4, 0));
}

/// 3.9.1.4 and 7.1: the CMD_SYNC is not consumed; put there again, it is about those that are left.
#[test]
fn a_lost_invalidation_is_an_error_of_the_sync() {
    let (rig, function) = rig(Function::default());
    rig.submit(&[ATC_INV, ATC_INV, SYNC]);
    drop(function.take());
    assert_eq!((rig.r(0x9c), rig.r(0x60), rig.asked()), (LOST | 2, 1, vec![]));
    assert_eq!((rig.edges(), rig.messages()), ([0, 0, 0, 1], [0x6e, 0, 0]));
    rig.w(0x64, 1);
    assert_eq!((rig.r(0x9c) & 0xff, rig.asked()), (2, vec![]), "the other one is not complete");
    function.take().complete();
    assert_eq!((rig.r(0x9c) & 0xff, rig.asked()), (3, vec![Asked::Sync]));
}

#[test]
fn an_invalidation_that_takes_a_minute_is_lost() {
    let (rig, function) = rig(Function::default());
    rig.submit(&[ATC_INV, SYNC]);
    rig.clock.advance(59_999_999_999);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (1, 0));
    rig.clock.advance(1);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (LOST | 1, 1));
    function.take().complete();
    rig.w(0x64, 1);
    assert_eq!((rig.r(0x9c) & 0xff, rig.asked()), (2, vec![Asked::Sync]));
}

#[test]
fn one_more_than_the_function_has_tags_for_waits() {
    let (rig, function) = rig(Function::default());
    for _ in 0..8 {
        rig.submit(&[ATC_INV; 4]);
    }
    assert_eq!((rig.r(0x98), rig.r(0x9c), function.held.lock().len()), (0, 0, 32));
    rig.submit(&[ATC_INV]);
    assert_eq!((rig.r(0x98), rig.r(0x9c), function.held.lock().len()), (1, 0, 32));
    function.take().complete();
    assert_eq!((rig.r(0x9c), function.held.lock().len()), (1, 32));
}

#[test]
fn nothing_is_said_to_functions_while_the_smmu_is_not_enabled() {
    let (rig, function) = rig(Function::default());
    rig.w(0x20, 0xc);
    rig.submit(&[ATC_INV, [0x41 | STREAM << 32, 2 << 12], SYNC]);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (3, 0));
    assert!(function.held.lock().is_empty() && function.told.lock().is_empty());
}

#[test]
fn a_response_reaches_the_function() {
    let (rig, function) = rig(Function::default());
    rig.submit(&[[0x41 | 1 << 11 | 9 << 12 | STREAM << 32, 1 << 12 | 0x105], [0x41 | 8 << 32, 0]]);
    let response = PageResponse { group: 0x105, pasid: Some(9), status: PageStatus::Invalid };
    assert_eq!((rig.r(0x9c), function.told.lock().clone()), (2, vec![response]));
}

#[test]
fn a_reset_leaves_nothing_to_be_waited_for() {
    let (rig, function) = rig(Function::default());
    rig.submit(&[ATC_INV, SYNC]);
    rig.control.enter(Registers::new(&Profile::FULL));
    drop(function.take());
    rig.w64(0x90, CMDQ | BITS);
    rig.w(0x20, 9);
    rig.submit(&[SYNC]);
    assert_eq!((rig.r(0x9c), rig.r(0x60)), (1, 0));
}
