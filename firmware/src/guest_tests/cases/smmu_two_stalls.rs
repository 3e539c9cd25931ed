//! An SMMU that has room for two stalled transactions (Arm IHI 0070, 6.3.6 IDR5.STALL_MAX).

use super::smmu_several::stalling;
use crate::guest_tests::program::Program;
use crate::guest_tests::smmu::structures::{Event, command};
use crate::guest_tests::smmu::{IOVA, reg, stream};
use crate::guest_tests::test_master::{Dma, End};

use stream::STAGE1;

const ABSENT: u64 = IOVA + 0x1_0000;

fn event(dma: &Dma) -> Event {
    Event::fault(Event::TRANSLATION, dma)
}

/// IDR5.STALL_MAX.
pub(super) fn identification(p: &mut Program) {
    p.peek32(0, reg::IDR0 + 4 * 5);
    p.expect_bits("SMMU_IDR5.STALL_MAX", 0, 0xffff << 16, 2 << 16);
}

/// A third one is terminated with an abort, and its event has no Stall; when one is answered there is room again.
fn full(p: &mut Program, all: [Dma; 3]) {
    let mut rig = stalling(p);
    let [first, second, third] = all;
    rig.stalls(p, "the first", &first, &event(&first));
    rig.stalls(p, "the second", &second, &event(&second));
    a64!(p ; mov x5, x10);
    rig.faults(p, "the third", &third, &event(&third));
    a64!(p ; mov x10, x5);
    rig.smmu.resume(p, second.stream, 2);
    p.end_dma("the second is aborted", &second, End::Aborted(0));
    rig.stalls(p, "the third, again", &third, &event(&third));
    for dma in [first, third] {
        p.end_dma("it waits", &dma, End::Waiting);
        rig.smmu.complete(p, command::of_stream(0x45, dma.stream));
        p.end_dma("it is terminated", &dma, End::Aborted(0));
        if first.stream == third.stream {
            p.end_dma("and so is the other", &third, End::Aborted(0));
            break;
        }
    }
    rig.smmu.expect_no_event(p, "all");
}

/// Of three streams.
pub(super) fn of_three_streams(p: &mut Program) {
    full(p, [Dma::read(STAGE1, ABSENT), Dma::read(0x20, ABSENT), Dma::read(0x21, ABSENT)]);
}

/// Of one.
pub(super) fn of_one_stream(p: &mut Program) {
    full(p, [0, 2, 3].map(|n| Dma::write(STAGE1, ABSENT + 0x1000 * n as u64).by(n)));
}
