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
mod smmu_commands;
mod smmu_contexts;
mod smmu_faults;
mod smmu_invalidation;
mod smmu_isolation;
mod smmu_messages;
mod smmu_nested;
mod smmu_queues;
mod smmu_stalls;
mod smmu_streams;
mod smmu_updates;
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

macro_rules! case_table {
    ($($area:ident $gic:ident { $($name:ident $needs:ident $section:literal;)* })*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($area), "::", stringify!($name)),
            section: $section,
            needs: Needs::$needs,
            gic: Gic::$gic,
            emit: $area::$name,
        },)*)*];
    };
}

crate::bare_cases!(case_table);
