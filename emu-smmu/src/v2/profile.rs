//! What an SMMUv2 implements, and the identification registers that follow from it (Arm IHI 0062, SMMU_IDR0 to
//! SMMU_IDR7).

use emu_mmu::Features;

/// The features and sizes of one SMMU. All have both stages and stages one after the other, stream matching that detects every
/// conflict, address translation operations, coherent walks, and VMSAv8-64 tables alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// IDR0.NUMSMRG: stream mapping register groups, up to 128 of them.
    pub groups: u8,
    /// IDR1.NUMCB: context banks, up to 128 of them. Each can be of either stage (NUMS2CB is 0).
    pub banks: u8,
    /// IDR1.PAGESIZE: pages of registers have 64 KiB rather than 4 KiB.
    pub large_pages: bool,
    /// IDR0.EXIDS: StreamIDs can have 16 bits rather than 15.
    pub extended_ids: bool,
    /// IDR2.VMID16: so can VMIDs, rather than 8.
    pub vmid16: bool,
    /// IDR0.BTM: TLB maintenance by CPUs reaches it.
    pub broadcast: bool,
    /// IDR2.IAS and OAS, in bits: at most 48.
    pub address_bits: u8,
    /// IDR2.PTFSv8: 4 KiB, 16 KiB and 64 KiB.
    pub granules: [bool; 3],
    /// How many transactions can be stalled at a time.
    pub stall_max: u16,
    /// IDR7: major and minor revision.
    pub revision: u8,
}

impl Profile {
    /// Arm's CoreLink MMU-500 r2p4, but for its AArch32 tables and Secure contexts.
    pub const MMU500: Self = Self {
        groups: 64,
        banks: 32,
        large_pages: false,
        extended_ids: false,
        vmid16: false,
        broadcast: true,
        address_bits: 48,
        granules: [true, false, true],
        stall_max: 128,
        revision: 0x24,
    };

    /// Everything that is implemented.
    pub const FULL: Self = Self {
        groups: 128,
        banks: 128,
        large_pages: true,
        extended_ids: true,
        vmid16: true,
        granules: [true; 3],
        ..Self::MMU500
    };

    /// The profiles by name.
    pub const NAMED: [(&'static str, Self); 2] = [("mmu500", Self::MMU500), ("full", Self::FULL)];

    /// The profile called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(n, _)| *n == name).map(|(_, profile)| profile)
    }

    /// The profile beside a CPU like `cpu`: nothing of the formats of tables that the CPU does not have, and at least its
    /// addresses as far as the architecture goes, as hypervisors demand it.
    #[must_use]
    pub fn beside(self, cpu: &Features) -> Self {
        let [small, middle, large] = self.granules;
        Self {
            granules: [small, middle && cpu.granule16, large && cpu.granule64],
            vmid16: self.vmid16 && cpu.vmid16,
            address_bits: self.address_bits.max(cpu.pa_bits.min(48)),
            ..self
        }
    }

    /// Bytes of one page of registers.
    #[must_use]
    pub const fn page(&self) -> u64 {
        if self.large_pages { 0x1_0000 } else { 0x1000 }
    }

    /// NUMPAGE: pages of the global address space, and as many of the context banks'. NUMPAGENDXB says it as 2^(n + 1).
    #[must_use]
    pub const fn pages(&self) -> u64 {
        let banks = if self.banks < 2 { 2 } else { self.banks };
        banks.next_power_of_two() as u64
    }

    /// Bytes of all registers.
    #[must_use]
    pub const fn window(&self) -> u64 {
        2 * self.pages() * self.page()
    }

    /// What its walks can do: little-endian VMSAv8-64 tables without updates by hardware.
    #[must_use]
    pub const fn features(&self) -> Features {
        Features {
            pa_bits: self.address_bits,
            granule16: self.granules[1],
            granule64: self.granules[2],
            vmid16: self.vmid16,
            pan: false,
            haf: false,
            hdbs: false,
            hpds: false,
            xnx: false,
            ..Features::neoverse_n1()
        }
    }

    /// SMMU_IDR0 to SMMU_IDR7.
    #[must_use]
    pub fn idr(&self, n: u32) -> u32 {
        match n {
            0 => self.idr0(),
            1 => self.idr1(),
            2 => self.idr2(),
            7 => self.revision.into(),
            _ => 0,
        }
    }

    fn idr0(&self) -> u32 {
        // S1TS, S2TS, NTS and SMS; neither AArch32 format.
        const TRANSLATIONS: u32 = 0xf << 27;
        const PTFS: u32 = 3 << 24;
        const CTTW: u32 = 1 << 14;
        const NUMSIDB: u32 = 15 << 9;
        let flags = flag(self.broadcast, 13) | flag(self.extended_ids, 8);
        TRANSLATIONS | PTFS | CTTW | NUMSIDB | flags | u32::from(self.groups)
    }

    fn idr1(&self) -> u32 {
        const SMCD: u32 = 1 << 15;
        let numpagendxb = self.pages().trailing_zeros() - 1;
        flag(self.large_pages, 31) | numpagendxb << 28 | SMCD | u32::from(self.banks)
    }

    fn idr2(&self) -> u32 {
        // UBS of 49 bits: 48, and the half of the address space.
        const UBS: u32 = 5 << 8;
        let size = SIZES.iter().position(|&bits| bits == self.address_bits).unwrap_or(0) as u32;
        let [small, middle, large] = self.granules;
        let granules = flag(small, 12) | flag(middle, 13) | flag(large, 14);
        flag(self.vmid16, 15) | granules | UBS | size << 4 | size
    }
}

/// The sizes of addresses, as IDR2 counts them.
const SIZES: [u8; 6] = [32, 36, 40, 42, 44, 48];

/// A flag in bit `n`.
const fn flag(there: bool, n: u32) -> u32 {
    (there as u32) << n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identification_of_mmu500_is_what_drivers_demand() {
        let id = |n| Profile::MMU500.idr(n);
        // S1TS 30, S2TS 29, NTS 28, SMS 27; ATOSNS 26 clear: there are ATS1* registers; CTTW 14, BTM 13, NUMSIDB 15.
        assert_eq!(id(0), 0x7b00_7e40);
        // NUMPAGENDXB 4: 32 pages of 4 KiB; SMCD; NUMS2CB 0.
        assert_eq!(id(1), 0x4000_8020);
        // 64K and 4K, UBS 49, OAS and IAS 48 bits.
        assert_eq!(id(2), 0x5555);
        assert_eq!((id(3), id(4), id(5), id(6), id(7)), (0, 0, 0, 0, 0x24));
        assert_eq!(Profile::MMU500.window(), 0x4_0000);
    }

    #[test]
    fn everything_is_identified_in_the_full_profile() {
        let id = |n| Profile::FULL.idr(n);
        assert_eq!(id(0), 0x7b00_7f80);
        assert_eq!(id(1), 0xe000_8080);
        assert_eq!(id(2), 0xf555);
        assert_eq!(Profile::FULL.window(), 256 << 16);
        assert_eq!(Profile::named("full"), Some(Profile::FULL));
        assert_eq!(Profile::named("mmu400"), None);
    }

    #[test]
    fn beside_a_cpu_it_has_its_formats_and_at_least_its_addresses() {
        let beside = Profile::FULL.beside(&Features::cortex_a72());
        assert_eq!((beside.granules, beside.vmid16, beside.address_bits), ([true, false, true], false, 48));
        let small = Profile { address_bits: 40, ..Profile::MMU500 };
        assert_eq!(small.beside(&Features::cortex_a72()).idr(2) & 0xff, 0x44);
        assert_eq!(small.beside(&Features::max()).idr(2) & 0xff, 0x55);
    }
}
