//! Structures in memory, commands and event records, as the specification draws them (Arm IHI 0070, chapters 4, 5 and 7).

use crate::guest_tests::tables::{Granule, MAIR, TSZ, Tables};
use crate::guest_tests::test_master::{Dma, attributes};

/// Bits of a doubleword of a structure: which one, highest, lowest.
#[derive(Clone, Copy, Debug)]
pub struct Field(pub usize, pub u32, pub u32);

/// An STE or a CD: 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entry(pub [u64; 8]);

impl Entry {
    /// All zero: not valid.
    pub const INVALID: Self = Self([0; 8]);

    /// With another value of a field.
    #[must_use]
    pub const fn with(mut self, field: Field, value: u64) -> Self {
        let Field(word, high, low) = field;
        let mask = u64::MAX >> (63 - (high - low));
        assert!(value & !mask == 0, "the value fits into the field");
        self.0[word] = self.0[word] & !(mask << low) | value << low;
        self
    }

    /// With another address, of which the field has all bits.
    #[must_use]
    pub const fn at(mut self, field: Field, address: u64) -> Self {
        let Field(word, high, low) = field;
        let mask = u64::MAX >> (63 - (high - low)) << low;
        assert!(address & !mask == 0, "the address fits into the field");
        self.0[word] = self.0[word] & !mask | address;
        self
    }
}

/// Stream Table Entries (5.2).
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod ste {
    use super::{Entry, Field, Granule, TSZ, Tables};

    pub const V: Field = Field(0, 0, 0);
    pub const CONFIG: Field = Field(0, 3, 1);
    pub const S1FMT: Field = Field(0, 5, 4);
    pub const S1CONTEXTPTR: Field = Field(0, 55, 6);
    pub const S1CDMAX: Field = Field(0, 63, 59);
    pub const S1DSS: Field = Field(1, 1, 0);
    pub const PPAR: Field = Field(1, 18, 18);
    pub const MEV: Field = Field(1, 19, 19);
    pub const S2FWB: Field = Field(1, 25, 25);
    pub const S1STALLD: Field = Field(1, 27, 27);
    pub const EATS: Field = Field(1, 29, 28);
    pub const STRW: Field = Field(1, 31, 30);
    pub const PRIVCFG: Field = Field(1, 49, 48);
    pub const INSTCFG: Field = Field(1, 51, 50);
    pub const S2VMID: Field = Field(2, 15, 0);
    pub const S2T0SZ: Field = Field(2, 37, 32);
    pub const S2SL0: Field = Field(2, 39, 38);
    pub const S2TG: Field = Field(2, 47, 46);
    pub const S2PS: Field = Field(2, 50, 48);
    pub const S2AA64: Field = Field(2, 51, 51);
    pub const S2ENDI: Field = Field(2, 52, 52);
    pub const S2AFFD: Field = Field(2, 53, 53);
    pub const S2PTW: Field = Field(2, 54, 54);
    pub const S2HD: Field = Field(2, 55, 55);
    pub const S2HA: Field = Field(2, 56, 56);
    pub const S2S: Field = Field(2, 57, 57);
    pub const S2R: Field = Field(2, 58, 58);
    pub const S2TTB: Field = Field(3, 51, 4);

    /// Nothing passes.
    pub const ABORT: Entry = Entry::INVALID.with(V, 1);
    /// Everything passes as it is.
    pub const BYPASS: Entry = ABORT.with(CONFIG, 0b100);

    /// Stage 1 with the CDs at this address.
    #[must_use]
    pub const fn stage1(contexts: u64) -> Entry {
        ABORT.with(CONFIG, 0b101).at(S1CONTEXTPTR, contexts)
    }

    const fn with_stage2(entry: Entry, tables: Tables, vmid: u64) -> Entry {
        let (tg, sl0) = match tables.granule {
            Granule::K4 => (0, 1),
            Granule::K64 => (1, 1),
            Granule::K16 => (2, 2),
        };
        entry
            .with(S2VMID, vmid)
            .with(S2T0SZ, TSZ)
            .with(S2SL0, sl0)
            .with(S2TG, tg)
            .with(S2PS, 2)
            .with(S2AA64, 1)
            .with(S2R, 1)
            .at(S2TTB, tables.root)
    }

    /// Stage 2, whose faults are recorded.
    #[must_use]
    pub const fn stage2(tables: Tables, vmid: u64) -> Entry {
        with_stage2(ABORT.with(CONFIG, 0b110), tables, vmid)
    }

    /// Both.
    #[must_use]
    pub const fn nested(contexts: u64, tables: Tables, vmid: u64) -> Entry {
        with_stage2(stage1(contexts).with(CONFIG, 0b111), tables, vmid)
    }
}

/// Context Descriptors (5.4).
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod cd {
    use super::{Entry, Field, Granule, MAIR, TSZ, Tables};

    pub const T0SZ: Field = Field(0, 5, 0);
    pub const TG0: Field = Field(0, 7, 6);
    pub const EPD0: Field = Field(0, 14, 14);
    pub const ENDI: Field = Field(0, 15, 15);
    pub const T1SZ: Field = Field(0, 21, 16);
    pub const TG1: Field = Field(0, 23, 22);
    pub const EPD1: Field = Field(0, 30, 30);
    pub const V: Field = Field(0, 31, 31);
    pub const IPS: Field = Field(0, 34, 32);
    pub const AFFD: Field = Field(0, 35, 35);
    pub const WXN: Field = Field(0, 36, 36);
    pub const TBI0: Field = Field(0, 38, 38);
    pub const TBI1: Field = Field(0, 39, 39);
    pub const PAN: Field = Field(0, 40, 40);
    pub const AA64: Field = Field(0, 41, 41);
    pub const HD: Field = Field(0, 42, 42);
    pub const HA: Field = Field(0, 43, 43);
    pub const S: Field = Field(0, 44, 44);
    pub const R: Field = Field(0, 45, 45);
    pub const A: Field = Field(0, 46, 46);
    pub const ASID: Field = Field(0, 63, 48);
    pub const HAD0: Field = Field(1, 1, 1);
    pub const TTB0: Field = Field(1, 51, 4);
    pub const HAD1: Field = Field(2, 1, 1);
    pub const TTB1: Field = Field(2, 51, 4);
    pub const MAIR_FIELD: Field = Field(3, 63, 0);

    /// The lower half by these tables, faults recorded and aborted.
    #[must_use]
    pub const fn of(tables: Tables, asid: u64) -> Entry {
        let tg = match tables.granule {
            Granule::K4 => 0,
            Granule::K64 => 1,
            Granule::K16 => 2,
        };
        Entry::INVALID
            .with(V, 1)
            .with(T0SZ, TSZ)
            .with(TG0, tg)
            .with(EPD1, 1)
            .with(IPS, 2)
            .with(AA64, 1)
            .with(R, 1)
            .with(A, 1)
            .with(ASID, asid)
            .at(TTB0, tables.root)
            .with(MAIR_FIELD, MAIR)
    }
}

/// Commands (chapter 4).
pub mod command {
    /// Two doublewords.
    pub type Words = [u64; 2];

    /// CMD_CFGI_ALL.
    pub const CFGI_ALL: Words = [0x04, 31];
    /// CMD_TLBI_NSNH_ALL.
    pub const TLBI_NSNH_ALL: Words = [0x30, 0];
    /// CMD_TLBI_EL2_ALL.
    pub const TLBI_EL2_ALL: Words = [0x20, 0];
    /// CMD_SYNC, without a signal.
    pub const SYNC: Words = [0x46, 0];

    /// A command about a stream.
    #[must_use]
    pub const fn of_stream(opcode: u64, stream: u32) -> Words {
        [opcode | (stream as u64) << 32, 1]
    }
    /// CMD_CFGI_STE, of the STE alone (Leaf).
    #[must_use]
    pub const fn cfgi_ste(stream: u32) -> Words {
        of_stream(0x03, stream)
    }
    /// CMD_CFGI_CD.
    #[must_use]
    pub const fn cfgi_cd(stream: u32, substream: u32) -> Words {
        [0x05 | (substream as u64) << 12 | (stream as u64) << 32, 1]
    }
    /// CMD_ATC_INV, of 4096 * 2^`size` bytes.
    #[must_use]
    pub const fn atc_inv(stream: u32, address: u64, size: u64) -> Words {
        [0x40 | (stream as u64) << 32, address | size]
    }
    /// The same of an address space with a PASID, or of all (`global`).
    #[must_use]
    pub const fn atc_inv_of(stream: u32, pasid: u64, global: bool, address: u64, size: u64) -> Words {
        let [first, second] = atc_inv(stream, address, size);
        [first | 1 << 11 | pasid << 12 | (global as u64) << 9, second]
    }
    /// CMD_PRI_RESP.
    #[must_use]
    pub const fn pri_resp(stream: u32, group: u64, response: u64) -> Words {
        [0x41 | (stream as u64) << 32, response << 12 | group]
    }
    /// The same with a PASID.
    #[must_use]
    pub const fn pri_resp_of(stream: u32, pasid: u64, group: u64, response: u64) -> Words {
        let [first, second] = pri_resp(stream, group, response);
        [first | 1 << 11 | pasid << 12, second]
    }
    /// CMD_TLBI_*, by VMID, ASID and address.
    #[must_use]
    pub const fn tlbi(opcode: u64, vmid: u64, asid: u64, address: u64) -> Words {
        [opcode | vmid << 32 | asid << 48, address]
    }
}

/// CLASS of an event: of a CD, of a table, of the transaction itself.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod class {
    pub const CD: u64 = 0;
    pub const TT: u64 = 1;
    pub const IN: u64 = 2;
}

/// An event record (7.3).
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What it must be, but for the STAG.
    pub words: [u64; 4],
    /// It has a STAG.
    pub stalled: bool,
}

const STALL: u64 = 1 << 31;
const PNU: u64 = 1 << 33;
const IND: u64 = 1 << 34;
const RNW: u64 = 1 << 35;
const S2: u64 = 1 << 39;
const CLASS: u32 = 40;
const TTRNW: u64 = 1 << 44;

/// Event numbers.
#[allow(missing_docs, reason = "the names are those of the specification")]
impl Event {
    pub const BAD_STREAMID: u64 = 0x02;
    pub const STE_FETCH: u64 = 0x03;
    pub const BAD_STE: u64 = 0x04;
    pub const BAD_ATS_TREQ: u64 = 0x05;
    pub const STREAM_DISABLED: u64 = 0x06;
    pub const TRANSL_FORBIDDEN: u64 = 0x07;
    pub const BAD_SUBSTREAMID: u64 = 0x08;
    pub const CD_FETCH: u64 = 0x09;
    pub const BAD_CD: u64 = 0x0a;
    pub const WALK_EABT: u64 = 0x0b;
    pub const TRANSLATION: u64 = 0x10;
    pub const ADDR_SIZE: u64 = 0x11;
    pub const ACCESS: u64 = 0x12;
    pub const PERMISSION: u64 = 0x13;
}

impl Event {
    /// One that has nothing but who it was.
    #[must_use]
    pub const fn of(number: u64, dma: &Dma) -> Self {
        let substream = match dma.substream {
            Some(id) => 1 << 11 | (id as u64) << 12,
            None => 0,
        };
        Self { words: [number | substream | (dma.stream as u64) << 32, 0, 0, 0], stalled: false }
    }

    /// C_BAD_SUBSTREAMID, which always has a SubstreamID and never says so.
    #[must_use]
    pub const fn bad_substream(dma: &Dma) -> Self {
        let mut event = Self::of(Self::BAD_SUBSTREAMID, dma);
        event.words[0] &= !(1 << 11);
        event
    }

    /// F_STREAM_DISABLED, which has none.
    #[must_use]
    pub const fn stream_disabled(dma: &Dma) -> Self {
        let mut event = Self::of(Self::STREAM_DISABLED, dma);
        event.words[0] &= !0xffff_f800;
        event
    }

    /// F_BAD_ATS_TREQ, but for what was asked for.
    #[must_use]
    pub const fn bad_translation_request(dma: &Dma) -> Self {
        let mut event = Self::of(Self::BAD_ATS_TREQ, dma);
        event.words[2] = dma.address & !0xfff;
        event
    }

    /// F_TRANSL_FORBIDDEN, which has no SubstreamID.
    #[must_use]
    pub const fn translation_forbidden(dma: &Dma) -> Self {
        let mut event = Self::of(Self::TRANSL_FORBIDDEN, dma);
        event.words[0] &= !0xffff_f800;
        if dma.attributes & attributes::WRITE == 0 {
            event.words[1] = RNW;
        }
        event.words[2] = dma.address;
        event
    }

    /// A fault in translating the address, at stage 1.
    #[must_use]
    pub const fn fault(number: u64, dma: &Dma) -> Self {
        let mut event = Self::of(number, dma);
        let mut syndrome = class::IN << CLASS;
        if dma.attributes & attributes::WRITE == 0 {
            syndrome |= RNW;
        }
        if dma.attributes & attributes::PRIVILEGED != 0 {
            syndrome |= PNU;
        }
        if dma.attributes & attributes::INSTRUCTION != 0 {
            syndrome |= IND;
        }
        event.words[1] = syndrome;
        event.words[2] = dma.address;
        event
    }

    /// At stage 2, of an IPA.
    #[must_use]
    pub const fn stage2(mut self, class: u64, ipa: u64) -> Self {
        self.words[1] |= S2;
        self.words[3] = ipa & !0xfff;
        self.class(class)
    }

    /// With another CLASS.
    #[must_use]
    pub const fn class(mut self, class: u64) -> Self {
        self.words[1] = self.words[1] & !(3 << CLASS) | class << CLASS;
        self
    }

    /// FetchAddr.
    #[must_use]
    pub const fn fetching(mut self, address: u64) -> Self {
        self.words[3] = address;
        self
    }

    /// TTRnW: a table was to be read.
    #[must_use]
    pub const fn table_read(mut self) -> Self {
        self.words[1] |= TTRNW;
        self
    }

    /// The transaction waits.
    #[must_use]
    pub const fn stalled(mut self) -> Self {
        self.words[1] |= STALL;
        self.stalled = true;
        self
    }
}
