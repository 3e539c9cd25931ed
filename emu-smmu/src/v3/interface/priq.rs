//! The PRI queue (Arm IHI 0070, chapter 8): what becomes of a page request.

use emu_core::dma::ats::PageRequest;

use super::super::event::Queued;
use super::super::gerror::Error;
use super::super::interrupts::Source;
use super::super::registers::{LAST_ONLY, PRIQ_IRQEN, PRIQEN, Registers, SMMUEN};
use super::{Interface, Notice, OVERFLOW, activate};

/// The record of a request.
pub(super) fn encode(stream: u32, request: &PageRequest) -> [u8; 16] {
    let flag = |set: bool, n: u32| u64::from(set) << n;
    let pasid = request.pasid.map_or(0, |pasid| {
        flag(true, 63)
            | flag(pasid.execute, 59)
            | flag(pasid.privileged, 58)
            | u64::from(pasid.id & 0xf_ffff) << 32
    });
    let wants = flag(request.last, 62) | flag(request.write, 61) | flag(request.read, 60);
    let words =
        [u64::from(stream) | pasid | wants, request.address & !0xfff | u64::from(request.group & 0x1ff)];
    let mut bytes = [0; 16];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

impl Registers {
    /// The queue is enabled, as far as that has an effect, and its last abort has been acknowledged.
    fn takes_page_requests(&self) -> bool {
        const ON: u32 = SMMUEN | PRIQEN;
        self.cr0 & ON == ON && !self.gerror.is_active(Error::PriqAbort)
    }

    /// An overflow has not been acknowledged, or begins now. It keeps requests out also when there is room again (8.1).
    fn overflows(&mut self, full: bool) -> bool {
        let active = (self.priq.prod ^ self.priq.cons) & OVERFLOW != 0;
        if full && !active {
            self.priq.prod ^= OVERFLOW;
        }
        full || active
    }

    /// What tells of a request that has come, of a group that it ends or does not.
    fn page_request_notice(&self, last: bool, was_empty: bool) -> Notice {
        let due = if self.priq_irq.attributes & LAST_ONLY != 0 { last } else { was_empty };
        (due && self.irq_ctrl & PRIQ_IRQEN != 0).then_some((Source::Priq, self.priq_irq))
    }
}

impl Interface {
    /// Writes a record, if there is room.
    pub(super) fn queue(&self, stream: u32, request: &PageRequest) -> Queued {
        let (queued, notice) = {
            let r = &mut self.state.lock().registers;
            self.append_request(r, stream, request)
        };
        tracing::debug!(target: "smmu", stream, ?queued, "{request:?}");
        self.raise(notice);
        queued
    }

    fn append_request(&self, r: &mut Registers, stream: u32, request: &PageRequest) -> (Queued, Notice) {
        if !r.takes_page_requests() {
            return (Queued::Refused, None);
        }
        if r.overflows(r.priq.is_full(&self.pages)) {
            return (Queued::Overflow, r.page_request_notice(request.last, false));
        }
        let was_empty = r.priq.is_empty(&self.pages);
        let slot = r.priq.slot(r.priq.prod, &self.pages);
        if self.memory().write(slot, &encode(stream, request)).is_none() {
            return (Queued::Refused, activate(r, Error::PriqAbort));
        }
        r.priq.prod = r.priq.next(r.priq.prod, &self.pages);
        (Queued::Recorded, r.page_request_notice(request.last, was_empty))
    }
}

#[cfg(test)]
mod tests {
    use emu_core::dma::ats::Pasid;

    use super::*;

    fn words(request: &PageRequest) -> [u64; 2] {
        let bytes = encode(0x89ab_cdef, request);
        [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()))
    }

    /// StreamID 31:0, SubstreamID 51:32, Priv, X, R, W, Last 62:58, SSV 63; PRGIndex 72:64, Page address 127:76.
    #[test]
    fn a_record_is_as_the_chapter_draws_it() {
        let base = PageRequest {
            address: 0x1234_5678_9abc_d000,
            read: false,
            write: false,
            last: false,
            group: 0x1a5,
            pasid: None,
        };
        assert_eq!(words(&base), [0x89ab_cdef, 0x1234_5678_9abc_d1a5]);
        let bit = |request: PageRequest| words(&request)[0] & !0xffff_ffff;
        assert_eq!(bit(PageRequest { read: true, ..base }), 1 << 60);
        assert_eq!(bit(PageRequest { write: true, ..base }), 1 << 61);
        assert_eq!(bit(PageRequest { last: true, ..base }), 1 << 62);
        let of = |privileged, execute| {
            let pasid = Some(Pasid { id: 0xf_1234, privileged, execute });
            bit(PageRequest { pasid, ..base })
        };
        let ssv = 1 << 63 | 0xf_1234 << 32;
        assert_eq!([of(false, false), of(true, false), of(false, true)], [ssv, ssv | 1 << 58, ssv | 1 << 59]);
    }
}
