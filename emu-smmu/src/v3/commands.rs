//! Commands (Arm IHI 0070, chapter 4): what the 16 bytes of one say.
//!
//! What is not implemented is illegal, as what does not exist: MPAM, DPT, the Secure and Realm worlds. Reserved fields are
//! ignored (4.1.5).

use emu_core::dma::ats::{Invalidation, PageResponse, PageStatus};
use emu_mmu::{Regime, TlbiScope};

use super::interrupts::Msi;
use super::profile::Profile;
use crate::translation::Answer;

/// A command as it stands in the queue.
pub(super) type Words = [u64; 2];

/// Bytes of a command.
pub(super) const COMMAND: usize = 16;

/// Why a command cannot be executed: CMDQ_CONS.ERR (7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum CommandError {
    /// CERROR_ILL: it is none, or not one of this SMMU, or its parameters are not allowed.
    Illegal = 1,
    /// CERROR_ABT: it cannot be read.
    Abort = 2,
    /// CERROR_ATC_INV_SYNC: a function has not completed an invalidation, and will not.
    InvalidationLost = 3,
}

/// Which cached configuration is to be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Configuration {
    /// All of it.
    All,
    /// The STE of a stream, and its CDs.
    Stream(u32),
    /// Those of 2^`bits` streams, aligned.
    Streams { stream: u32, bits: u32 },
    /// One CD.
    Context { stream: u32, substream: u32 },
    /// The CDs of a stream.
    Contexts(u32),
}

/// How software wants to be told that a CMD_SYNC is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Signal {
    /// SIG_NONE: it looks itself.
    None,
    /// SIG_IRQ, with a message that may be none.
    Interrupt(Msi),
    /// SIG_SEV: an event for WFE.
    Event,
}

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    /// CMD_PREFETCH_*: a hint.
    Nothing,
    /// CMD_CFGI_*.
    Forget(Configuration),
    /// CMD_TLBI_*.
    Invalidate(TlbiScope),
    /// CMD_ATC_INV.
    InvalidateCaches { stream: u32, what: Invalidation },
    /// CMD_PRI_RESP.
    AnswerPages { stream: u32, response: PageResponse },
    /// CMD_RESUME.
    Resume { stream: u32, stag: u16, answer: Answer },
    /// CMD_STALL_TERM.
    Terminate { stream: u32 },
    /// CMD_SYNC.
    Sync(Signal),
}

/// What a command means depends on more than its words.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    pub(super) profile: &'a Profile,
    /// CR2.E2H.
    pub(super) e2h: bool,
}

/// One opcode.
struct Row {
    opcode: u8,
    name: &'static str,
    /// Implementations that have the command.
    there: fn(&Profile) -> bool,
    /// It has a StreamID, and with it SSec.
    has_stream: bool,
    decode: Decode,
}

type Decode = fn(&Decoder<'_>, Words) -> Result<Command, CommandError>;

const fn row(opcode: u8, name: &'static str, there: fn(&Profile) -> bool, decode: Decode) -> Row {
    Row { opcode, name, there, has_stream: false, decode }
}

impl Row {
    const fn of_stream(mut self) -> Self {
        self.has_stream = true;
        self
    }
}

const fn always(_: &Profile) -> bool {
    true
}
const fn stage1(p: &Profile) -> bool {
    p.stage1
}
const fn stage2(p: &Profile) -> bool {
    p.stage2
}
const fn hyp(p: &Profile) -> bool {
    p.stage1 && p.hyp
}
const fn ats(p: &Profile) -> bool {
    p.ats
}
const fn pri(p: &Profile) -> bool {
    p.pri
}
const fn stalls(p: &Profile) -> bool {
    p.stall
}

/// All commands that there are (4.1.1).
static COMMANDS: &[Row] = &[
    row(0x01, "CMD_PREFETCH_CONFIG", always, |_, _| Ok(Command::Nothing)).of_stream(),
    row(0x02, "CMD_PREFETCH_ADDR", always, |_, _| Ok(Command::Nothing)).of_stream(),
    row(0x03, "CMD_CFGI_STE", always, |_, w| Ok(one_stream(w))).of_stream(),
    // The largest range is called CMD_CFGI_ALL.
    row(0x04, "CMD_CFGI_STE_RANGE", always, |_, w| Ok(streams(w))).of_stream(),
    row(0x05, "CMD_CFGI_CD", stage1, |_, w| Ok(one_context(w))).of_stream(),
    row(0x06, "CMD_CFGI_CD_ALL", stage1, |_, w| Ok(contexts(w))).of_stream(),
    row(0x10, "CMD_TLBI_NH_ALL", stage1, |d, w| Ok(d.vm(w))),
    row(0x11, "CMD_TLBI_NH_ASID", stage1, |d, w| Ok(d.asid(Regime::El10, w))),
    row(0x12, "CMD_TLBI_NH_VA", stage1, |d, w| d.va(Regime::El10, Some(d.asid_of(w)), w)),
    row(0x13, "CMD_TLBI_NH_VAA", stage1, |d, w| d.va(Regime::El10, None, w)),
    row(0x20, "CMD_TLBI_EL2_ALL", hyp, |_, _| Ok(Command::Invalidate(TlbiScope::AllEl2))),
    row(0x21, "CMD_TLBI_EL2_ASID", hyp, |d, w| Ok(d.asid(Regime::El20, w))),
    row(0x22, "CMD_TLBI_EL2_VA", hyp, |d, w| d.va(d.el2(), d.el2().has_asids().then(|| d.asid_of(w)), w)),
    row(0x23, "CMD_TLBI_EL2_VAA", hyp, |d, w| d.va(d.el2(), None, w)),
    row(0x28, "CMD_TLBI_S12_VMALL", stage2, |d, w| Ok(d.vm(w))),
    row(0x2a, "CMD_TLBI_S2_IPA", stage2, |d, w| d.ipa(w)),
    row(0x30, "CMD_TLBI_NSNH_ALL", always, |_, _| Ok(Command::Invalidate(TlbiScope::AllEl1))),
    row(0x40, "CMD_ATC_INV", ats, |d, w| d.invalidate_caches(w)).of_stream(),
    row(0x41, "CMD_PRI_RESP", pri, |d, w| d.answer_pages(w)).of_stream(),
    row(0x44, "CMD_RESUME", stalls, |d, w| Ok(d.resume(w))).of_stream(),
    row(0x45, "CMD_STALL_TERM", stalls, |_, w| Ok(Command::Terminate { stream: stream(w) })).of_stream(),
    row(0x46, "CMD_SYNC", always, |d, w| d.sync(w)),
];

/// The name of an opcode, also where the SMMU does not have it.
pub(super) fn name(words: Words) -> &'static str {
    COMMANDS.iter().find(|row| row.opcode == words[0] as u8).map_or("unknown", |row| row.name)
}

/// SSec: the StreamID is a Secure one.
const SSEC: u64 = 1 << 10;

const fn field(word: u64, hi: u32, lo: u32) -> u64 {
    word >> lo & (u64::MAX >> (63 - (hi - lo)))
}

fn stream(words: Words) -> u32 {
    (words[0] >> 32) as u32
}

fn one_stream(words: Words) -> Command {
    Command::Forget(Configuration::Stream(stream(words)))
}

/// Range counts from two streams on; the largest means all.
fn streams(words: Words) -> Command {
    Command::Forget(match field(words[1], 4, 0) as u32 {
        31 => Configuration::All,
        range => Configuration::Streams { stream: stream(words), bits: range + 1 },
    })
}

fn one_context(words: Words) -> Command {
    let substream = field(words[0], 31, 12) as u32;
    Command::Forget(Configuration::Context { stream: stream(words), substream })
}

fn contexts(words: Words) -> Command {
    Command::Forget(Configuration::Contexts(stream(words)))
}

impl Decoder<'_> {
    /// What the words say.
    pub(super) fn decode(&self, words: Words) -> Result<Command, CommandError> {
        let row = COMMANDS.iter().find(|row| row.opcode == words[0] as u8 && (row.there)(self.profile));
        match row {
            Some(row) if row.has_stream && words[0] & SSEC != 0 => Err(CommandError::Illegal),
            Some(row) => (row.decode)(self, words),
            None => Err(CommandError::Illegal),
        }
    }

    /// Without stage 2 there are no VMIDs, and with fewer bits there is nothing in the upper ones.
    fn vmid(&self, words: Words) -> u16 {
        let vmid = field(words[0], 47, 32) as u16;
        match (self.profile.stage2, self.profile.vmid16) {
            (false, _) => 0,
            (true, false) => vmid & 0xff,
            (true, true) => vmid,
        }
    }

    fn asid_of(&self, words: Words) -> u16 {
        let asid = (words[0] >> 48) as u16;
        if self.profile.asid16 { asid } else { asid & 0xff }
    }

    /// The regime that CMD_TLBI_EL2_* are about.
    fn el2(&self) -> Regime {
        if self.e2h { Regime::El20 } else { Regime::El2 }
    }

    /// Only EL1&0 has VMIDs.
    fn vmid_in(&self, regime: Regime, words: Words) -> u16 {
        if regime == Regime::El10 { self.vmid(words) } else { 0 }
    }

    fn vm(&self, words: Words) -> Command {
        Command::Invalidate(TlbiScope::Context { regime: Regime::El10, vmid: self.vmid(words) })
    }

    fn asid(&self, regime: Regime, words: Words) -> Command {
        let vmid = self.vmid_in(regime, words);
        Command::Invalidate(TlbiScope::Asid { regime, vmid, asid: self.asid_of(words) })
    }

    fn va(&self, regime: Regime, asid: Option<u16>, words: Words) -> Result<Command, CommandError> {
        let (start, length) = self.range(words)?;
        let high = u64::MAX << 56;
        // Bit 55 says which half an address is in; the byte above may be a tag (TBI).
        let upper = regime.has_unprivileged() && start >> 55 & 1 != 0;
        let start = if upper { start | high } else { start & !high };
        let end = start.saturating_add(length - 1).min(if upper { u64::MAX } else { !high });
        let vmid = self.vmid_in(regime, words);
        Ok(Command::Invalidate(TlbiScope::Va { regime, vmid, asid, start, end }))
    }

    fn ipa(&self, words: Words) -> Result<Command, CommandError> {
        let (start, length) = self.range(words)?;
        let start = start & 0x000f_ffff_ffff_ffff;
        Ok(Command::Invalidate(TlbiScope::Ipa { vmid: self.vmid(words), start, end: start + (length - 1) }))
    }

    /// The addresses that an invalidation names: first, and how many (4.4.1.1). TTL and Leaf only say which entries need not go.
    fn range(&self, words: Words) -> Result<(u64, u64), CommandError> {
        let tg = field(words[1], 11, 10);
        if tg == 0 || !self.profile.range_invalidation {
            return Ok((words[1] & !0xfff, 0x1000));
        }
        let (num, scale) = (field(words[0], 16, 12), field(words[0], 24, 20));
        let ttl = match (tg, field(words[1], 9, 8)) {
            // There are no blocks of level 1 with 16 KiB pages: reserved, and as zero.
            (2, 1) => 0,
            (_, ttl) => ttl,
        };
        if (num, scale, ttl) == (0, 0, 0) {
            return Err(CommandError::Illegal);
        }
        let granule = 10 + 2 * tg;
        Ok((words[1] >> granule << granule, (num + 1) << (scale + granule)))
    }

    /// SSV and SubstreamID. Without substreams the message has no PASID, whatever the command says (4.5.1).
    fn pasid(&self, words: Words) -> Option<u32> {
        let valid = self.profile.substream_bits != 0 && field(words[0], 11, 11) != 0;
        valid.then_some(field(words[0], 31, 12) as u32)
    }

    /// The span is 4096 * 2^Size, and aligned to that; more than all addresses is ILLEGAL.
    fn invalidate_caches(&self, words: Words) -> Result<Command, CommandError> {
        const ALL: u64 = 52;
        let span = match field(words[1], 5, 0) {
            ALL => u64::MAX,
            size if size < ALL => (1 << (12 + size)) - 1,
            _ => return Err(CommandError::Illegal),
        };
        let (pasid, start) = (self.pasid(words), words[1] & !0xfff & !span);
        let global = pasid.is_some() && field(words[0], 9, 9) != 0;
        let what = Invalidation { pasid, global, start, end: start | span };
        Ok(Command::InvalidateCaches { stream: stream(words), what })
    }

    fn answer_pages(&self, words: Words) -> Result<Command, CommandError> {
        let status = match field(words[1], 13, 12) {
            0b00 => PageStatus::Failure,
            0b01 => PageStatus::Invalid,
            0b10 => PageStatus::Success,
            _ => return Err(CommandError::Illegal),
        };
        let group = field(words[1], 8, 0) as u16;
        let response = PageResponse { group, pasid: self.pasid(words), status };
        Ok(Command::AnswerPages { stream: stream(words), response })
    }

    fn resume(&self, words: Words) -> Command {
        // Ac, Ab.
        let answer = match (field(words[0], 12, 12), field(words[0], 13, 13)) {
            (1, _) => Answer::Retry,
            (_, 1) => Answer::Abort,
            _ if self.profile.always_aborts => Answer::Abort,
            _ => Answer::Zero,
        };
        Command::Resume { stream: stream(words), stag: words[1] as u16, answer }
    }

    fn sync(&self, words: Words) -> Result<Command, CommandError> {
        let signal = match field(words[0], 13, 12) {
            0 => Signal::None,
            1 => Signal::Interrupt(Msi {
                address: words[1] & 0x00ff_ffff_ffff_fffc,
                data: (words[0] >> 32) as u32,
                // MSH and MSIAttr.
                attributes: field(words[0], 27, 22) as u32,
            }),
            2 if self.profile.sev => Signal::Event,
            2 => Signal::None,
            _ => return Err(CommandError::Illegal),
        };
        Ok(Command::Sync(signal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::profile::{Choices, Stages};

    const FULL: Decoder<'static> = Decoder { profile: &Profile::FULL, e2h: false };

    fn decode(first: u64, second: u64) -> Result<Command, CommandError> {
        FULL.decode([first, second])
    }

    fn invalidates(first: u64, second: u64) -> TlbiScope {
        match decode(first, second) {
            Ok(Command::Invalidate(scope)) => scope,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn configuration_commands_name_what_they_name() {
        let of = |first, second| match decode(first, second) {
            Ok(Command::Forget(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(of(0x03 | 0x1234 << 32, 1), Configuration::Stream(0x1234));
        assert_eq!(of(0x04 | 0x1234 << 32, 3), Configuration::Streams { stream: 0x1234, bits: 4 });
        assert_eq!(of(0x04 | 0x1234 << 32, 31), Configuration::All);
        let context = Configuration::Context { stream: 7, substream: 0xabcde };
        assert_eq!(of(0x05 | 7 << 32 | 0xabcde << 12 & !0xc00, 1), context);
        assert_eq!(of(0x06 | 7 << 32, 0), Configuration::Contexts(7));
        assert_eq!((decode(1, 0), decode(2, 0)), (Ok(Command::Nothing), Ok(Command::Nothing)));
    }

    #[test]
    fn stage_1_is_invalidated_by_vmid_asid_and_address() {
        let (el1, asid, vmid) = (Regime::El10, 0x5678_u64 << 48, 0x9abc_u64 << 32);
        assert_eq!(invalidates(0x10 | vmid, 0), TlbiScope::Context { regime: el1, vmid: 0x9abc });
        let by_asid = TlbiScope::Asid { regime: el1, vmid: 0x9abc, asid: 0x5678 };
        assert_eq!(invalidates(0x11 | vmid | asid, 0), by_asid);
        let va = |asid, start, end| TlbiScope::Va { regime: el1, vmid: 0x9abc, asid, start, end };
        assert_eq!(invalidates(0x12 | vmid | asid, 0x1234_5001), va(Some(0x5678), 0x1234_5000, 0x1234_5fff));
        let high = 0xffff_8000_0000_1000;
        assert_eq!(invalidates(0x13 | vmid | asid, high), va(None, high, high | 0xfff));
        assert_eq!(invalidates(0x30, 0), TlbiScope::AllEl1);
    }

    #[test]
    fn el2_is_with_asids_or_without_as_cr2_says() {
        let e2h = Decoder { e2h: true, ..FULL };
        let va = |regime, asid| {
            let (start, end) = (0x5000, 0x5fff);
            Ok(Command::Invalidate(TlbiScope::Va { regime, vmid: 0, asid, start, end }))
        };
        let words = [0x22 | 0x77 << 48 | 9 << 32, 0x5000];
        assert_eq!(FULL.decode(words), va(Regime::El2, None));
        assert_eq!(e2h.decode(words), va(Regime::El20, Some(0x77)));
        assert_eq!(e2h.decode([0x23 | 0x77 << 48, 0x5000]), va(Regime::El20, None));
        assert_eq!(invalidates(0x20, 0), TlbiScope::AllEl2);
        let by_asid = TlbiScope::Asid { regime: Regime::El20, vmid: 0, asid: 0x77 };
        assert_eq!(invalidates(0x21 | 0x77 << 48, 0), by_asid);
    }

    #[test]
    fn stage_2_is_invalidated_by_vmid_and_ipa() {
        assert_eq!(invalidates(0x28 | 5 << 32, 0), TlbiScope::Context { regime: Regime::El10, vmid: 5 });
        let ipa = |start, end| TlbiScope::Ipa { vmid: 5, start, end };
        assert_eq!(invalidates(0x2a | 5 << 32, 0x8000_0001), ipa(0x8000_0000, 0x8000_0fff));
        assert_eq!(
            invalidates(0x2a | 5 << 32, !0xc00),
            ipa(0xf_ffff_ffff_f000, 0xf_ffff_ffff_ffff),
            "no TG: TTL is RES0"
        );
    }

    /// 4.4.1.1: ((NUM + 1) << SCALE) granules; NUM 16:12, SCALE 24:20, TTL 73:72, TG 75:74.
    #[test]
    fn ranges_are_granules_times_a_power_of_two() {
        let ipa = |start, end| TlbiScope::Ipa { vmid: 0, start, end };
        assert_eq!(invalidates(0x2a | 1 << 12, 1 << 10 | 0x8000_0000), ipa(0x8000_0000, 0x8000_1fff));
        assert_eq!(invalidates(0x2a | 2 << 12 | 3 << 20, 3 << 10), ipa(0, (3 << 3 << 16) - 1));
        // A level is enough for one granule, and the base is one of granules.
        assert_eq!(invalidates(0x2a, 2 << 10 | 3 << 8 | 0x7000), ipa(0x4000, 0x7fff));
        // The largest that there is.
        assert_eq!(invalidates(0x2a | 31 << 12 | 31 << 20, 3 << 10), ipa(0, (1 << 52) - 1));
        // The upper half ends where the addresses end.
        let TlbiScope::Va { start, end, .. } =
            invalidates(0x13 | 31 << 12 | 31 << 20, 1 << 10 | 0xffff_ffff_0000_0000)
        else {
            panic!()
        };
        assert_eq!((start, end), (0xffff_ffff_0000_0000, u64::MAX));
    }

    #[test]
    fn a_granule_without_a_range_or_a_level_is_reserved() {
        for second in [1 << 10, 2 << 10, 2 << 10 | 1 << 8, 3 << 10] {
            assert_eq!(decode(0x12, second), Err(CommandError::Illegal), "{second:#x}");
            assert!(decode(0x12 | 1 << 12, second).is_ok());
        }
        // Without RIL the fields are RES0.
        let old = Decoder { profile: &Profile::MMU600, e2h: false };
        assert!(old.decode([0x12, 1 << 10]).is_ok());
    }

    #[test]
    fn narrow_identifiers_have_no_upper_half() {
        let narrow = Profile { asid16: false, vmid16: false, ..Profile::FULL };
        let d = Decoder { profile: &narrow, e2h: false };
        let scope = TlbiScope::Asid { regime: Regime::El10, vmid: 0x34, asid: 0x78 };
        assert_eq!(d.decode([0x11 | 0x5678 << 48 | 0x1234 << 32, 0]), Ok(Command::Invalidate(scope)));
        let one = Profile::FULL.with(&Choices { stages: Some(Stages::One), ..Choices::default() }).unwrap();
        let d = Decoder { profile: &one, e2h: false };
        let scope = TlbiScope::Context { regime: Regime::El10, vmid: 0 };
        assert_eq!(d.decode([0x10 | 0x1234 << 32, 0]), Ok(Command::Invalidate(scope)));
    }

    #[test]
    fn stalls_are_answered_by_ac_and_ab() {
        let answer = |d: &Decoder<'_>, bits: u64| match d.decode([0x44 | bits << 12 | 6 << 32, 0xf_0077]) {
            Ok(Command::Resume { stream: 6, stag: 0x77, answer }) => answer,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [1, 3, 2, 0].map(|bits| answer(&FULL, bits)),
            [Answer::Retry, Answer::Retry, Answer::Abort, Answer::Zero]
        );
        let aborts = Profile { always_aborts: true, ..Profile::FULL };
        assert_eq!(answer(&Decoder { profile: &aborts, e2h: false }, 0), Answer::Abort, "TERM_MODEL");
        assert_eq!(decode(0x45 | 6 << 32, 0), Ok(Command::Terminate { stream: 6 }));
    }

    /// Size 69:64, Address 127:76, Global 9, SSV 11.
    #[test]
    fn caches_are_invalidated_by_spans_that_are_powers_of_two() {
        let of = |d: &Decoder<'_>, first: u64, second| match d.decode([0x40 | 6 << 32 | first, second]) {
            Ok(Command::InvalidateCaches { stream: 6, what }) => what,
            other => panic!("{other:?}"),
        };
        let own = |start, end| Invalidation { pasid: None, global: false, start, end };
        assert_eq!(of(&FULL, 0, 0x1234_5000), own(0x1234_5000, 0x1234_5fff));
        assert_eq!(of(&FULL, 0, 0x1234_5000 | 4), own(0x1234_0000, 0x1234_ffff));
        assert_eq!(of(&FULL, 0, u64::MAX << 12 | 51), own(1 << 63, u64::MAX));
        assert_eq!(of(&FULL, 0, 0xffff_f000 | 52), own(0, u64::MAX));
        for size in 53..64 {
            assert_eq!(decode(0x40, size), Err(CommandError::Illegal));
        }
        let pasid = 1 << 11 | 0xabcde << 12;
        let with = |global| Invalidation { pasid: Some(0xabcde), global, ..own(0, 0xfff) };
        assert_eq!([of(&FULL, pasid, 0), of(&FULL, pasid | 1 << 9, 0)], [with(false), with(true)]);
        assert_eq!(of(&FULL, 1 << 9 | 7 << 12, 0), own(0, 0xfff), "neither counts without SSV");
        let few = Decoder { profile: &Profile { ats: true, ..Profile::QEMU }, e2h: false };
        assert_eq!(of(&few, pasid | 1 << 9, 0), own(0, 0xfff), "no substreams");
    }

    /// PRGIndex 72:64, Resp 77:76.
    #[test]
    fn page_requests_are_answered_by_group() {
        let of = |first: u64, second| match decode(0x41 | 6 << 32 | first, second) {
            Ok(Command::AnswerPages { stream: 6, response }) => response,
            other => panic!("{other:?}"),
        };
        let expected = [PageStatus::Failure, PageStatus::Invalid, PageStatus::Success];
        for (resp, status) in (0..).zip(expected) {
            let response = PageResponse { group: 0x1a5, pasid: None, status };
            assert_eq!(of(0, resp << 12 | 0x1a5), response);
            let pasid = Some(0xf_1234);
            assert_eq!(of(1 << 11 | 0xf_1234 << 12, resp << 12 | 0x1a5), PageResponse { pasid, ..response });
        }
        assert_eq!(decode(0x41, 3 << 12), Err(CommandError::Illegal));
    }

    #[test]
    fn completion_is_signalled_as_cs_says() {
        let message = Msi { address: 0x4000_0010, data: 0xcafe, attributes: 0x3c | 3 };
        let words = [0x46 | 1 << 12 | 3 << 22 | 0xf << 24 | 0xcafe << 32, 0x4000_0013];
        assert_eq!(FULL.decode(words), Ok(Command::Sync(Signal::Interrupt(message))));
        let signals = [0, 2].map(|cs| decode(0x46 | cs << 12, 0));
        assert_eq!(signals, [Ok(Command::Sync(Signal::None)), Ok(Command::Sync(Signal::Event))]);
        assert_eq!(decode(0x46 | 3 << 12, 0), Err(CommandError::Illegal));
        let deaf = Decoder { profile: &Profile::QEMU, e2h: false };
        assert_eq!(deaf.decode([0x46 | 2 << 12, 0]), Ok(Command::Sync(Signal::None)));
    }

    /// Every opcode that there is not, and those whose feature is not there.
    #[test]
    fn what_is_not_there_is_illegal() {
        let there = |row: &&Row| (row.there)(&Profile::FULL);
        let known: Vec<u8> = COMMANDS.iter().filter(there).map(|row| row.opcode).collect();
        for opcode in (0..=255_u8).filter(|o| !known.contains(o)) {
            assert_eq!(decode(opcode.into(), 0), Err(CommandError::Illegal), "{opcode:#x}");
        }
        let stages =
            |stages| Profile::QEMU.with(&Choices { stages: Some(stages), ..Choices::default() }).unwrap();
        let cases: [(Profile, &[u64]); 4] = [
            (stages(Stages::One), &[0x28, 0x2a]),
            (stages(Stages::Two), &[0x05, 0x06, 0x10, 0x11, 0x12, 0x13]),
            (Profile::QEMU, &[0x20, 0x21, 0x22, 0x23, 0x40, 0x41, 0x44, 0x45]),
            (Profile { pri: false, ..Profile::FULL }, &[0x41]),
        ];
        for (profile, opcodes) in cases {
            for &opcode in opcodes {
                let d = Decoder { profile: &profile, e2h: false };
                assert_eq!(d.decode([opcode, 0]), Err(CommandError::Illegal), "{opcode:#x}");
            }
        }
    }

    #[test]
    fn a_secure_stream_cannot_be_named() {
        for row in COMMANDS.iter().filter(|row| row.has_stream) {
            assert!(FULL.decode([row.opcode.into(), 0]).is_ok());
            assert_eq!(FULL.decode([u64::from(row.opcode) | SSEC, 0]), Err(CommandError::Illegal));
        }
        assert_eq!(decode(0x10 | SSEC, 0), decode(0x10, 0), "there it is a reserved bit");
    }
}
