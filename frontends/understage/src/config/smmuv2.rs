//! An SMMUv2, as plain data.

use emu_mmu::Features;
use emu_smmu::translation::Sanitizers;
use emu_smmu::v2::Profile;

use super::{Device, Settings, Smmu};

/// A set of features that goes by a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Smmuv2Profile {
    /// That of Arm's MMU-500.
    Mmu500,
    /// All that is implemented, as far as the CPUs have it too, with as many context banks as the board has interrupts for.
    Full,
}

impl Smmuv2Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mmu500, Self::Full];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mmu500 => "mmu500",
            Self::Full => "full",
        }
    }

    /// What it implements, whatever the CPUs are.
    #[must_use]
    pub const fn features(self) -> Profile {
        match self {
            Self::Mmu500 => Profile::MMU500,
            Self::Full => Profile { banks: 64, ..Profile::FULL },
        }
    }
}

/// An SMMUv2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Smmuv2 {
    /// Its features.
    pub profile: Smmuv2Profile,
    /// What is looked for beside.
    pub sanitizers: Sanitizers,
}

impl Settings for Smmuv2 {}

impl Smmuv2 {
    /// What it implements, in a machine whose CPUs translate so.
    #[must_use]
    pub fn features(&self, cpu: &Features) -> Profile {
        match self.profile {
            Smmuv2Profile::Mmu500 => self.profile.features(),
            Smmuv2Profile::Full => self.profile.features().beside(cpu),
        }
    }
}

impl Device {
    /// It is a system MMU, of whatever generation.
    #[must_use]
    pub fn is_system_mmu(&self) -> bool {
        self.told::<Smmu>().is_some() || self.told::<Smmuv2>().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_the_same_names_everywhere() {
        for profile in Smmuv2Profile::ALL {
            let features = profile.features();
            let named = Profile::named(profile.name()).unwrap();
            assert_eq!(Profile { banks: features.banks, ..named }, features);
        }
        assert_eq!(Profile::NAMED.len(), Smmuv2Profile::ALL.len());
    }

    #[test]
    fn all_that_is_implemented_is_what_the_cpus_have_too() {
        let features = |profile| Smmuv2 { profile, ..Smmuv2::default() }.features(&Features::cortex_a72());
        assert_eq!(features(Smmuv2Profile::Mmu500), Profile::MMU500);
        let full = features(Smmuv2Profile::Full);
        assert_eq!((full.granules, full.vmid16, full.banks), ([true, false, true], false, 64));
    }
}
