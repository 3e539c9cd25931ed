//! The identification registers, from what an SMMU implements (Arm IHI 0070, 6.3.1 to 6.3.8).

use super::profile::{OUTPUT_SIZES, Profile};

/// `value` in the field whose lowest bit is `lo`.
const fn at(value: u8, lo: u32) -> u32 {
    (value as u32) << lo
}

/// A flag in bit `n`.
const fn flag(there: bool, n: u32) -> u32 {
    (there as u32) << n
}

impl Profile {
    /// SMMU_IDR0 to SMMU_IDR5.
    #[must_use]
    pub fn idr(&self, n: u32) -> u32 {
        match n {
            0 => self.idr0(),
            1 => self.idr1(),
            3 => self.idr3(),
            5 => self.idr5(),
            // IDR2 is about virtual ATOS, IDR4 is the implementer's own.
            _ => 0,
        }
    }

    fn idr0(&self) -> u32 {
        // VMSAv8-64 tables, coherent, little-endian.
        const TTF: u32 = 2 << 2;
        const COHACC: u32 = 1 << 4;
        const TTENDIAN: u32 = 2 << 21;
        let httu = match (self.access_flag, self.dirty_state) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        flag(self.stage2, 0)
            | flag(self.stage1, 1)
            | TTF
            | COHACC
            | flag(self.broadcast, 5)
            | at(httu, 6)
            | flag(self.hyp, 9)
            | flag(self.ats, 10)
            // NS1ATS: of both stages.
            | flag(self.ats && self.stage1 && self.stage2 && !self.split_stage_ats, 11)
            | flag(self.asid16, 12)
            | flag(self.msi, 13)
            | flag(self.sev, 14)
            | flag(self.atos, 15)
            | flag(self.pri, 16)
            | flag(self.vmid_wildcards, 17)
            | flag(self.vmid16, 18)
            | flag(self.two_level_contexts, 19)
            | TTENDIAN
            | flag(!self.stall, 24)
            | flag(self.always_aborts, 26)
            | flag(self.two_level_streams, 27)
    }

    fn idr1(&self) -> u32 {
        let [cmdqs, eventqs, priqs] = self.queue_bits;
        at(self.stream_bits, 0)
            | at(self.substream_bits, 6)
            | at(priqs, 11)
            | at(eventqs, 16)
            | at(cmdqs, 21)
            | flag(self.attribute_overrides, 26)
            | flag(self.attribute_overrides, 27)
    }

    fn idr3(&self) -> u32 {
        flag(self.had, 2)
            | flag(self.xnx, 4)
            | flag(self.fwb, 8)
            | flag(self.range_invalidation, 10)
            | at(self.break_before_make, 11)
    }

    fn idr5(&self) -> u32 {
        let oas = OUTPUT_SIZES.iter().position(|&bits| bits == self.output_bits).unwrap_or(0);
        let stall_max = if self.stall { u32::from(self.stall_max) } else { 0 };
        oas as u32
            | flag(self.granules[0], 4)
            | flag(self.granules[1], 5)
            | flag(self.granules[2], 6)
            | flag(self.vax52, 10)
            | stall_max << 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::profile::{Choices, Stages};

    fn registers(profile: &Profile) -> [u32; 6] {
        std::array::from_fn(|n| profile.idr(n as u32))
    }

    #[test]
    fn qemu_says_what_qemu_says() {
        assert_eq!(registers(&Profile::QEMU), [0x0d44_101b, 0x0273_0010, 0, 0x1414, 0, 0x74]);
    }

    #[test]
    fn stages_show_in_the_low_byte() {
        let with =
            |stages| Profile::QEMU.with(&Choices { stages: Some(stages), ..Choices::default() }).unwrap();
        assert_eq!(
            [Stages::One, Stages::Two, Stages::Nested].map(|s| with(s).idr(0) as u8),
            [0x1a, 0x19, 0x1b]
        );
    }

    /// Bits of 6.3.1: BTM 5, HTTU 7:6, HYP 9, ATS 10, NS1ATS 11, MSI 13, SEV 14, ATOS 15, PRI 16, VMW 17, CD2L 19, STALL_MODEL 25:24, TERM_MODEL 26.
    #[test]
    fn full_advertises_each_feature_where_it_belongs() {
        let [idr0, idr1, _, idr3, _, idr5] = registers(&Profile::FULL);
        assert_eq!(idr0, 0x084f_f6bb);
        assert_eq!(idr1, 3 << 26 | 19 << 21 | 19 << 16 | 19 << 11 | 20 << 6 | 16);
        assert_eq!(idr3, 1 << 2 | 1 << 4 | 1 << 8 | 1 << 10 | 2 << 11);
        assert_eq!(idr5, 128 << 16 | 1 << 10 | 0x76);
    }

    #[test]
    fn split_stage_is_a_matter_of_two_stages() {
        let ns1ats = |stages| {
            let choices = Choices { stages: Some(stages), ..Choices::default() };
            Profile::MMU600.with(&choices).unwrap().idr(0) >> 10 & 3
        };
        assert_eq!([Stages::One, Stages::Two, Stages::Nested].map(ns1ats), [1, 1, 3]);
        let some = Profile::QEMU.with(&Choices { ats: Some(true), ..Choices::default() }).unwrap();
        assert_eq!(some.idr(0), 0x0d44_101b | 1 << 10);
    }

    #[test]
    fn mmu600_is_an_smmu_3_1() {
        let [idr0, idr1, _, idr3, _, idr5] = registers(&Profile::MMU600);
        assert_eq!((idr0, idr3, idr5), (0x084f_7ebb, 0x14, 128 << 16 | 0x75));
        assert_eq!(idr1 & 0x7ff, 20 << 6 | 24);
    }
}
