//! The cases, by area. The list is one table, [`crate::bare_cases`], from which tests are made, too.

mod address;
mod alignment;
mod el2_traps;
mod exceptions;
mod gic;
mod gicv2;
mod its;
mod levels;
mod memory;
mod multi;
mod ordering;
mod performance_monitors;
mod priorities;
mod smmu_atomic;
mod smmu_atos;
mod smmu_ats;
mod smmu_commands;
mod smmu_contexts;
mod smmu_faults;
mod smmu_formats;
mod smmu_invalidation;
mod smmu_isolation;
mod smmu_messages;
mod smmu_nested;
mod smmu_plain;
mod smmu_pmcg;
mod smmu_pri;
mod smmu_queues;
mod smmu_registers;
mod smmu_several;
mod smmu_stage1;
mod smmu_stage2;
mod smmu_stalls;
mod smmu_streams;
mod smmu_two_stalls;
mod smmu_updates;
mod smmu_v2_contexts;
mod smmu_v2_faults;
mod smmu_v2_invalidation;
mod smmu_v2_large;
mod smmu_v2_registers;
mod smmu_v2_stalls;
mod smmu_v2_streams;
mod stage1;
mod stage2;
mod table;
mod timers;
mod traps;
mod virtual_gic;
mod virtual_gicv2;
mod virtual_interface;
mod waits;
mod write_protection;

use super::program::{Image, Program};

/// What a machine must have for a case to make sense.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Needs {
    /// Armv8.0 with EL2.
    V80,
    /// Armv8.2 with VHE, PAN, LSE and hardware update of the access flag and dirty state.
    V82,
    /// What the model `max` has.
    Max,
}

/// The interrupt controller of the machine that a case is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Gic {
    /// GICv2.
    V2,
    /// GICv3, with an ITS.
    #[default]
    V3,
}

/// The System MMU of the machine that a case is for, by what it has. Each is at its own address, with the test masters behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Smmu {
    /// An SMMUv3 with all that is optional, as far as it is implemented.
    #[default]
    Full,
    /// One without stalls, substreams, EL2, messages and updates by hardware, which aborts whatever it terminates, with addresses
    /// of 44 bits.
    Plain,
    /// As [`Self::Full`]; two transactions can be stalled at a time.
    TwoStalls,
    /// As [`Self::Full`], with stage 1 alone.
    Stage1,
    /// As [`Self::Full`], with stage 2 alone.
    Stage2,
    /// An SMMUv2 as MMU-500 is: 64 groups and 32 context banks in pages of 4 KiB, StreamIDs of 15 bits and VMIDs of 8.
    Mmu500,
    /// An SMMUv2 with all that is optional, as far as it is implemented: 128 groups and context banks in pages of 64 KiB, StreamIDs and
    /// VMIDs of 16 bits.
    FullV2,
}

/// A test program with its name and origin.
#[derive(Clone, Copy)]
pub struct Case {
    /// `area::name`.
    pub name: &'static str,
    /// The section of the Arm ARM (DDI 0487), or of the document that is named.
    pub section: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// The interrupt controller.
    pub gic: Gic,
    /// The System MMU.
    pub smmu: Smmu,
    /// Emits the code.
    emit: fn(&mut Program),
}

impl Case {
    /// The case with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|c| c.name == name)
    }
    /// It is about the SMMU, and drives the test masters of this project's own machine.
    #[must_use]
    pub fn needs_test_master(&self) -> bool {
        self.name.starts_with("smmu_")
    }
    /// Assembles it.
    #[must_use]
    pub fn assemble(&self) -> Image {
        Program::assemble_for(self.gic, self.emit)
    }
}

macro_rules! gic {
    ([$gic:ident $smmu:ident]) => {
        Gic::$gic
    };
    ($gic:ident) => {
        Gic::$gic
    };
}

macro_rules! smmu {
    ([$gic:ident $smmu:ident]) => {
        Smmu::$smmu
    };
    ($gic:ident) => {
        Smmu::Full
    };
}

macro_rules! case_table {
    ($($area:ident $machine:tt { $($name:ident $needs:ident $section:literal;)* })*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($area), "::", stringify!($name)),
            section: $section,
            needs: Needs::$needs,
            gic: gic!($machine),
            smmu: smmu!($machine),
            emit: $area::$name,
        },)*)*];
    };
}

crate::bare_cases!(case_table);
