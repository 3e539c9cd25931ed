//! What a user changes in a processor model.

use emu_cpu::features::Feat;
use emu_cpu::model::Model;

/// Changes to a processor model.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CpuChanges {
    /// Features that it does not have.
    pub without: Vec<Feat>,
    /// Nanoseconds of a tick of its counters.
    pub tick_ns: Option<u64>,
}

impl CpuChanges {
    /// `model` with the changes.
    #[must_use]
    pub fn apply(&self, mut model: Model) -> Model {
        for feature in &self.without {
            model.features = model.features.without(*feature);
        }
        model.tick_ns = self.tick_ns.unwrap_or(model.tick_ns);
        model
    }
}
