//! A system MMU, as plain data.

use emu_mmu::Features;
use emu_smmu::translation::Sanitizers;
use emu_smmu::v3::profile::{Choices, Profile, ProfileError};

use super::Settings;

/// Where the registers of an SMMU are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmmuPlace {
    /// Where the board has a place for it.
    Board,
    /// On the platform bus.
    PlatformBus,
}

/// A set of features that goes by a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmmuProfile {
    /// That of QEMU's board.
    Qemu,
    /// That of Arm's MMU-600.
    Mmu600,
    /// All that is implemented, as far as the CPUs have it too.
    Full,
}

impl SmmuProfile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Qemu, Self::Mmu600, Self::Full];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Mmu600 => "mmu600",
            Self::Full => "full",
        }
    }

    const fn features(self) -> Profile {
        match self {
            Self::Qemu => Profile::QEMU,
            Self::Mmu600 => Profile::MMU600,
            Self::Full => Profile::FULL,
        }
    }
}

/// An SMMUv3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Smmu {
    /// Where it is.
    pub place: SmmuPlace,
    /// The command line has said what is behind it: the PCI bus `pcie.0`.
    pub bus_named: bool,
    /// Its features.
    pub profile: SmmuProfile,
    /// What it has in another way than its profile.
    pub choices: Choices,
    /// What is looked for beside.
    pub sanitizers: Sanitizers,
}

impl Settings for Smmu {}

impl Smmu {
    /// That of the board.
    #[must_use]
    pub fn of_board(profile: SmmuProfile) -> Self {
        Self {
            place: SmmuPlace::Board,
            bus_named: true,
            profile,
            choices: Choices::default(),
            sanitizers: Sanitizers::default(),
        }
    }

    /// What it implements, in a machine whose CPUs translate so.
    pub fn features(&self, cpu: &Features) -> Result<Profile, ProfileError> {
        let profile = match self.profile {
            SmmuProfile::Qemu | SmmuProfile::Mmu600 => self.profile.features(),
            SmmuProfile::Full => self.profile.features().beside(cpu),
        };
        profile.with(&self.choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_the_same_names_everywhere() {
        for profile in SmmuProfile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile.features()));
        }
        assert_eq!(Profile::NAMED.len(), SmmuProfile::ALL.len());
    }

    #[test]
    fn all_that_is_implemented_is_what_the_cpus_have_too() {
        let features = |profile, choices| {
            Smmu { choices, ..Smmu::of_board(profile) }.features(&Features::cortex_a72()).unwrap()
        };
        let none = Choices::default();
        assert_eq!(features(SmmuProfile::Qemu, none), Profile::QEMU);
        assert_eq!(features(SmmuProfile::Mmu600, none).output_bits, 48);
        assert_eq!(features(SmmuProfile::Full, none).output_bits, 44);
        let chosen = Choices { output_bits: Some(48), ..none };
        assert_eq!(features(SmmuProfile::Full, chosen).output_bits, 48);
    }
}
