//! ATS and PRI of a stream (Arm IHI 0070, 3.9.1 and chapter 8): whose translation requests are served, what becomes of translated
//! transactions, and which page requests are answered at once.

use std::sync::Arc;

use emu_core::dma::ats::{PageRequest, PageResponse, PageStatus, Refused};

use super::super::event::{Kind, Queued};
use super::super::settings::Settings;
use super::super::ste::{Ats, Ste};
use super::super::tables::{Lookup, Wrong};
use super::Streams;
use crate::translation::{Context, Denial, Refusal, Service, Transaction, Verdict};

impl Streams {
    /// The STE of a stream, and what it says without stage 1. What is wrong with it is not recorded: there is no IDR0.ATSRECERR.
    fn quietly(&self, stream: u32, settings: &Settings) -> Result<(Ste, Context), Wrong> {
        let memory = self.memory();
        let mut lookup =
            Lookup { memory: &memory, profile: &self.profile, settings, witness: (), commits: false };
        let found = lookup.ste(stream).map(|ste| (ste, lookup.of_ste(&ste)));
        self.looked(stream, &memory);
        found
    }

    /// What a translation request of a stream comes to (3.9.1.2).
    pub(super) fn serve(&self, t: &Transaction) -> Service {
        let settings = *self.settings.read();
        if !self.profile.ats {
            return Service::Refuse(Refused::Unsupported);
        }
        if !settings.enabled {
            return self.bad_request(t, true);
        }
        let Ok((ste, _)) = self.quietly(t.stream, &settings) else { return Service::Refuse(Refused::Abort) };
        if !ste.lets_pass() {
            return Service::Refuse(Refused::Unsupported);
        }
        let Some(ats) = ste.ats(&self.profile, settings.ats_check) else {
            return self.bad_request(t, ste.merges_events());
        };
        match self.context(t, &settings) {
            // S1DSS has it skip stage 1, and there is no other (13.6.4).
            Ok(context) if context.stage1.is_none() && context.stage2.is_none() => {
                let bits = self.profile.output_bits;
                if self.in_range(t) { Service::Identity { bits } } else { Service::Deny }
            }
            Ok(context) => Service::Translate { context, split: ats == Ats::SplitStage },
            Err(Wrong::OnContext { fault, .. }) => match Denial::of(&fault) {
                Denial::NoAccess => Service::Deny,
                Denial::Abort => Service::Refuse(Refused::Abort),
            },
            Err(Wrong::Recorded { .. } | Wrong::Disabled) => Service::Refuse(Refused::Abort),
        }
    }

    /// F_BAD_ATS_TREQ, and Unsupported Request.
    fn bad_request(&self, t: &Transaction, mergeable: bool) -> Service {
        self.record(Kind::BadAtsRequest, t, mergeable);
        Service::Refuse(Refused::Unsupported)
    }

    /// A transaction whose address was translated for the master (3.9.1.3).
    pub(super) fn translated(&self, t: &Transaction, settings: &Settings) -> Verdict {
        let abort = Verdict::Refuse(Refusal::Abort);
        if !settings.enabled || !self.profile.ats {
            self.record(Kind::TranslationForbidden, t, true);
            return abort;
        }
        let passes = if self.in_range(t) { Verdict::Bypass } else { abort.clone() };
        if !settings.ats_check {
            return passes;
        }
        let Ok((ste, stage2)) = self.quietly(t.stream, settings) else { return abort };
        if !ste.lets_pass() {
            return abort;
        }
        match ste.ats(&self.profile, true) {
            Some(Ats::Full) => passes,
            Some(Ats::SplitStage) => Verdict::Translate(Arc::new(stage2)),
            None => {
                self.record(Kind::TranslationForbidden, t, ste.merges_events());
                abort
            }
        }
    }

    /// What becomes of a page request; those that are discarded are answered (8.1, 8.2).
    pub(super) fn page_requested(&self, stream: u32, request: &PageRequest) -> Option<PageResponse> {
        if !self.profile.pri {
            return request.unserved();
        }
        // Without substreams there is neither a PASID nor what goes with one.
        let pasid = request.pasid.filter(|_| self.profile.substream_bits != 0);
        let request = &PageRequest { pasid, ..*request };
        match self.recorder.page_request(stream, request) {
            Queued::Recorded => None,
            Queued::Refused => request.unserved(),
            Queued::Overflow if !request.last || request.is_stop_marker() => None,
            Queued::Overflow => Some(self.answer_overflow(stream, request)),
        }
    }

    /// The answer that has the function ask again. STE.PPAR says if it has the PASID (IDR3.PPS = 0).
    fn answer_overflow(&self, stream: u32, request: &PageRequest) -> PageResponse {
        let success = request.answer(PageStatus::Success);
        let Some(pasid) = request.pasid else { return success };
        let settings = *self.settings.read();
        match self.quietly(stream, &settings) {
            Ok((ste, _)) => PageResponse { pasid: ste.answers_with_pasid().then_some(pasid.id), ..success },
            Err(_) => request.answer(PageStatus::Failure),
        }
    }
}
