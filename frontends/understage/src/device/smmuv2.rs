//! The system MMU (SMMUv2) in front of the PCI bus and of masters on the system bus.

use emu_smmu::translation::Sanitizers;
use emu_smmu::v2::{Config, Smmuv2 as Implementation};

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use super::system_mmu::{ISOLATION, STALE, SystemMmu};
use crate::config::{MachineConfig, Smmuv2, Smmuv2Profile};
use crate::error::{UserError, user_error};
use crate::fdt::Node;
use crate::fdt::nodes::interrupt::{LEVEL, SPI};
use crate::fdt::nodes::{at, phandle};
use crate::map::{self, Resources};
use crate::property::Value::{Switch, Text};
use crate::property::{Property, on_or_off, property, shown};

/// What no word about anything means.
impl Default for Smmuv2 {
    fn default() -> Self {
        Self { profile: Smmuv2Profile::Full, sanitizers: Sanitizers::default() }
    }
}

/// The row.
pub static SMMU: Row<Smmuv2> = Row {
    name: "arm-smmuv2",
    about: "system MMU in front of the PCI bus",
    given: Given::Board,
    option: None,
    properties: PROPERTIES,
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |smmu| match smmu.profile {
            Smmuv2Profile::Mmu500 => &[map::SMMUV2],
            Smmuv2Profile::Full => &[map::SMMUV2_FULL],
        },
        build,
        nodes: |smmu, place, _: &MachineConfig| vec![node(smmu, place)],
    }),
};

/// What it can be told.
pub(super) const PROPERTIES: &[Property<Smmuv2>] = &[
    shown(
        property(
            "profile",
            Text(set_profile),
            "its features: mmu500 (of Arm's MMU-500), full (all that is implemented)",
        ),
        |smmu| Some(smmu.profile.name().to_owned()),
    ),
    shown(property("check-stale", Switch(|smmu, on| smmu.sanitizers.stale = on), STALE), |smmu| {
        Some(on_or_off(smmu.sanitizers.stale))
    }),
    shown(
        property("check-isolation", Switch(|smmu, on| smmu.sanitizers.isolation = on), ISOLATION),
        |smmu| Some(on_or_off(smmu.sanitizers.isolation)),
    ),
];

/// The profile called `name`.
pub(super) fn profile(name: &str) -> Result<Smmuv2Profile, UserError> {
    Smmuv2Profile::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
        let names = Smmuv2Profile::ALL.map(Smmuv2Profile::name).join(", ");
        user_error!("there is no SMMUv2 profile '{name}' (there are {names})")
    })
}

fn set_profile(smmu: &mut Smmuv2, name: &str) -> Result<(), UserError> {
    smmu.profile = profile(name)?;
    Ok(())
}

/// As Linux's binding has it (`arm,smmu.yaml`): the global interrupt, and one for each context bank.
fn node(smmu: &Smmuv2, place: &Resources) -> Node {
    let interrupts: Vec<u32> = place.spis.iter().flat_map(|spi| [SPI, *spi, LEVEL]).collect();
    let compatible = match smmu.profile {
        Smmuv2Profile::Mmu500 => "arm,mmu-500",
        Smmuv2Profile::Full => "arm,smmu-v2",
    };
    at("smmuv2", place.range)
        .cells("phandle", &[phandle::IOMMU])
        .cells("#iommu-cells", &[1])
        .flag("dma-coherent")
        .cells("interrupts", &interrupts)
        .cells("#global-interrupts", &[1])
        .strings("compatible", &[compatible])
}

fn build(told: &Smmuv2, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let name = site.name("smmuv2");
    let profile = told.features(&site.translation());
    let [global, contexts @ ..] = spis else {
        return Err(user_error!("the board does not fit together: {name} has no interrupts"));
    };
    let smmu = Implementation::new(Config {
        name,
        profile,
        bus: site.bus().clone(),
        clock: site.clock().clone(),
        global: site.line(*global),
        contexts: contexts.iter().map(|spi| site.line(*spi)).collect(),
        counters: site.counters().clone(),
    });
    if profile.broadcast {
        site.cpus().listen(smmu.core().clone());
    }
    smmu.core().sanitize(told.sanitizers);
    site.stand_before_masters(SystemMmu::V2(smmu.clone()));
    site.map(range, smmu.clone())?;
    site.add(smmu);
    Ok(())
}

#[cfg(test)]
mod tests {
    use emu_mmu::Features;

    use super::*;

    /// Whatever the CPUs are: its registers fill its place, and each context bank has an interrupt of its own.
    #[test]
    fn its_place_on_the_board_is_as_large_as_its_profile() {
        for (profile, place) in
            [(Smmuv2Profile::Mmu500, map::SMMUV2), (Smmuv2Profile::Full, map::SMMUV2_FULL)]
        {
            for cpu in [Features::cortex_a72(), Features::max()] {
                let features = Smmuv2 { profile, ..Smmuv2::default() }.features(&cpu);
                assert_eq!(features.window(), place.range.size, "{profile:?}");
                assert_eq!(1 + usize::from(features.banks), place.spis.len(), "{profile:?}");
            }
        }
    }
}
