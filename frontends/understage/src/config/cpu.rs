//! The CPUs: their model, what a user changes in it, how many there are.

use emu_a64::features::Feat;
use emu_pe::model::{MODELS, Model};

use crate::error::{UserError, user_error};

/// A processor model: one of [`MODELS`].
#[derive(Clone, Copy)]
pub struct CpuModel(&'static Model);

impl CpuModel {
    /// The model called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        MODELS.iter().find(|model| model.name == name).map(Self).ok_or_else(|| {
            let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
            user_error!("there is no CPU model '{name}' (there are {})", names.join(", "))
        })
    }

    /// Everything that is implemented.
    #[must_use]
    pub fn max() -> Self {
        Self(MODELS.iter().find(|model| model.name == "max").unwrap_or(&MODELS[0]))
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// What its node in a devicetree is compatible with.
    #[must_use]
    pub const fn compatible(self) -> &'static str {
        self.0.compatible
    }

    /// It has this feature of the architecture.
    #[must_use]
    pub const fn has(self, feature: Feat) -> bool {
        self.0.features.has(feature)
    }

    /// The model, of `emu-pe`.
    #[must_use]
    pub fn model(self) -> Model {
        Model::by_name(self.0.name).unwrap_or_else(Model::max)
    }

    /// A line for each model: what `--cpu help` prints.
    #[must_use]
    pub fn help() -> String {
        let width = MODELS.iter().map(|model| model.name.len()).max().unwrap_or(0);
        let line = |model: &Model| format!("  {:width$}  {}\n", model.name, model.summary);
        format!("CPU models:\n{}", MODELS.iter().map(line).collect::<String>())
    }
}

impl PartialEq for CpuModel {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for CpuModel {}

impl std::fmt::Debug for CpuModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// How the CPUs are grouped; only the devicetree's `cpu-map` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topology {
    /// Sockets in the machine.
    pub sockets: u32,
    /// Clusters in a socket.
    pub clusters: u32,
    /// Cores in a cluster.
    pub cores: u32,
}

impl Topology {
    /// One socket with one cluster of `cores`.
    #[must_use]
    pub const fn flat(cores: u32) -> Self {
        Self { sockets: 1, clusters: 1, cores }
    }
    /// CPUs in the machine.
    #[must_use]
    pub const fn cpus(self) -> u32 {
        self.sockets.saturating_mul(self.clusters).saturating_mul(self.cores)
    }
}

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

/// The most CPUs that a machine has.
pub const MAX_CPUS: u32 = 64;
/// The most CPUs that a machine with a GICv2 has.
pub const MAX_CPUS_GICV2: u32 = emu_devices::gicv2::MAX_CPUS as u32;

/// Whether a machine can have `n` CPUs.
pub fn check_cpus(n: u32) -> Result<u32, UserError> {
    match n {
        1..=MAX_CPUS => Ok(n),
        _ => Err(user_error!("a machine has 1 to {MAX_CPUS} CPUs, not {n}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_bounded_number_of_cpus() {
        assert_eq!(check_cpus(65).unwrap_err().to_string(), "a machine has 1 to 64 CPUs, not 65");
    }
}
