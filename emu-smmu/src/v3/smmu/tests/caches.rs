//! A function that keeps translations, behind the whole SMMU.

use emu_core::dma::ats::{
    Grant, Invalidation, InvalidationDone, PageRequest, PageResponse, PageStatus, TranslationRequest,
};

use super::*;

/// It answers invalidations when it is told to.
#[derive(Default)]
struct Function {
    held: Mutex<Vec<InvalidationDone>>,
    told: Mutex<Vec<PageResponse>>,
}

impl TranslationCache for Function {
    fn invalidate(&self, _: &Invalidation, done: InvalidationDone) {
        self.held.lock().push(done);
    }
    fn page_response(&self, response: PageResponse) {
        self.told.lock().push(response);
    }
}

const OTHER: u32 = STREAM + 1;
const ATC_INV: [u64; 2] = [0x40 | (OTHER as u64) << 32, IOVA];

/// As Linux has it, and one more stream with the CD of the first, and ATS.
fn machine() -> (Machine, Arc<Function>, Arc<dyn DmaPort>) {
    let machine = Machine::new(Profile::FULL);
    machine.reset_by_linux();
    machine.attach(false);
    machine.map(0, Some(BUFFER));
    let ste = STRTAB + 64 * u64::from(OTHER);
    machine.put(ste + 8, 1 << 28);
    machine.put(ste, 1 | 5 << 1 | CD);
    let function = Arc::<Function>::default();
    let cache = Arc::<Function>::downgrade(&function);
    let port = machine.smmu.port(Master::new(OTHER, Stalls::Never).with_cache(cache));
    (machine, function, port)
}

impl Machine {
    /// Submits commands, and waits for nothing.
    fn post(&self, commands: &[[u64; 2]]) {
        let mut prod = self.r(0x98);
        for [first, second] in commands {
            let at = CMDQ + 16 * (prod & ((1 << BITS) - 1));
            self.put(at, *first);
            self.put(at + 8, *second);
            prod = (prod + 1) & ((2 << BITS) - 1);
        }
        self.w(0x98, prod);
    }

    fn left(&self) -> u64 {
        self.r(0x98).wrapping_sub(self.r(0x9c))
    }
}

#[test]
fn what_was_granted_is_forgotten_before_the_sync_is_complete() {
    let (machine, function, port) = machine();
    let request = TranslationRequest { address: IOVA, units: 1, no_write: true, pasid: None };
    let grant = Grant { address: BUFFER, read: true, write: true, ..Grant::none(false) };
    assert_eq!(port.translate(&request), Ok(vec![grant]));
    machine.map(0, None);
    machine.invalidate(0);
    machine.post(&[ATC_INV, [0x46, 0]]);
    assert_eq!(machine.left(), 1);
    let done = function.held.lock().pop();
    done.unwrap().complete();
    assert_eq!(machine.left(), 0);
    assert_eq!(port.translate(&request), Ok(vec![Grant::none(false)]));
}

#[test]
fn a_page_request_goes_to_the_queue_and_its_answer_back() {
    let (machine, function, port) = machine();
    let request = PageRequest { address: IOVA, read: true, write: false, last: true, group: 5, pasid: None };
    assert_eq!(port.request_page(&request), None);
    assert_eq!((machine.r(0x1_00c8), machine.edges.0.lock()[1]), (1, 1));
    let record = [u64::from(OTHER) | 1 << 60 | 1 << 62, IOVA | 5];
    assert_eq!([machine.get(PRIQ), machine.get(PRIQ + 8)], record);
    machine.commands(&[[0x41 | u64::from(OTHER) << 32, 2 << 12 | 5]]);
    assert_eq!(*function.told.lock(), [request.answer(PageStatus::Success)]);
}

/// What a function was to forget, it does not have any more after a restore.
#[test]
fn a_queue_that_stood_goes_on_after_a_restore() {
    let (machine, function, _port) = machine();
    machine.post(&[ATC_INV, [0x46, 0]]);
    let saved = machine.smmu.save();
    machine.smmu.restore(saved).unwrap();
    assert_eq!(machine.left(), 1);
    Component::resume(&*machine.smmu);
    assert_eq!((machine.left(), machine.r(0x60)), (0, 0));
    function.held.lock().clear();
    assert_eq!(machine.r(0x60), 0, "what was lost then is no matter now");
}
