//! What a PE is, which does not change as long as there is one.

use std::sync::Arc;

use emu_a64::features::{Feat, FeatureSet};
use emu_a64::level::Levels;
use emu_core::irq::GicConnection;

use crate::cpu::{CpuConfig, affinity_of};
use crate::model::{IdRegs, Model};

/// MPIDR_EL1.RES1.
const MPIDR_RES1: u64 = 1 << 31;

/// See the module's head.
pub struct Identity {
    model: Arc<Model>,
    levels: Levels,
    registers: IdRegs,
    index: usize,
}

impl Identity {
    pub(crate) fn new(config: &CpuConfig) -> Self {
        let CpuConfig { model, levels, index, port, .. } = config;
        let registers = IdRegs::of(model, *levels, matches!(port, GicConnection::SystemRegisters(_)));
        Self { model: model.clone(), levels: *levels, registers, index: *index }
    }

    /// The model.
    #[inline]
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the model has.
    #[inline]
    #[must_use]
    pub fn features(&self) -> FeatureSet {
        self.model.features
    }

    /// The model has this.
    #[inline]
    #[must_use]
    pub fn has(&self, feat: Feat) -> bool {
        self.features().has(feat)
    }

    /// The Exception levels that are implemented.
    #[inline]
    #[must_use]
    pub const fn levels(&self) -> Levels {
        self.levels
    }

    /// The values of its ID registers.
    #[must_use]
    pub fn registers(&self) -> &IdRegs {
        &self.registers
    }

    /// Number in the machine.
    #[inline]
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// MPIDR_EL1 as EL2 (or EL1 without EL2) sees it.
    #[must_use]
    pub const fn mpidr(&self) -> u64 {
        MPIDR_RES1 | affinity_of(self.index)
    }
}
