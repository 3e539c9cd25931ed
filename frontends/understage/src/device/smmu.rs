//! The system MMU (SMMUv3) in front of the PCI bus and of masters on the system bus.

use std::sync::Arc;

use emu_core::dma::{Master, Stalls};
use emu_mmu::Features;
use emu_smmu::translation::Sanitizers;
use emu_smmu::v3::pmcg::{self, Pmcg};
use emu_smmu::v3::profile::{Choices, Stages};
use emu_smmu::v3::{Config, Smmuv3};

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use super::system_mmu::{ISOLATION, STALE, SystemMmu};
use crate::config::{MachineConfig, Msi, Smmu, SmmuPlace, SmmuProfile};
use crate::error::{UserError, user_error};
use crate::fdt::Node;
use crate::fdt::nodes::interrupt::{EDGE, SPI};
use crate::fdt::nodes::phandle;
use crate::keyval::on_off;
use crate::map::{self, Resources};
use crate::number::parse_u64;
use crate::property::Value::{Only, Switch, Text};
use crate::property::{Property, on_or_off, property, shown};

/// What QEMU's spelling means by no word about anything.
impl Default for Smmu {
    fn default() -> Self {
        let choices = Choices { stages: Some(Stages::One), ..Choices::default() };
        let sanitizers = Sanitizers::default();
        Self {
            place: SmmuPlace::PlatformBus,
            bus_named: false,
            profile: SmmuProfile::Qemu,
            choices,
            sanitizers,
        }
    }
}

/// The row.
pub static SMMU: Row<Smmu> = Row {
    name: "arm-smmuv3",
    about: "system MMU in front of a PCI bus",
    given: Given::Qemu,
    option: None,
    properties: PROPERTIES,
    references: &[],
    check,
    model: Model::Platform(Platform {
        places: |smmu| match smmu.place {
            SmmuPlace::Board => &[map::SMMU],
            SmmuPlace::PlatformBus => &[map::PLATFORM_SMMU],
        },
        build,
        nodes: |smmu, at, machine| {
            let counters = counters_node(smmu, machine);
            std::iter::once(node(smmu, at, machine)).chain(counters).collect()
        },
    }),
};

/// What it can be told.
pub(super) const PROPERTIES: &[Property<Smmu>] = &[
    shown(property("primary-bus", Text(primary_bus), "the PCI bus that it is in front of: pcie.0"), |smmu| {
        smmu.bus_named.then(|| "pcie.0".to_owned())
    }),
    shown(
        property(
            "profile",
            Text(set_profile),
            "its features: qemu (of QEMU's board), mmu600 (of Arm's MMU-600), full (all that is implemented)",
        ),
        |smmu| Some(smmu.profile.name().to_owned()),
    ),
    shown(property("stage", Text(set_stages), "stages of translation: 1, 2, or nested (both)"), |smmu| {
        smmu.choices.stages.map(|stages| stages_name(stages).to_owned())
    }),
    shown(
        property("oas", Text(set_output), "bits of output addresses: 32, 36, 40, 42, 44, 48, 52 or auto"),
        |smmu| smmu.choices.output_bits.map(|bits| bits.to_string()),
    ),
    shown(
        property("ssidsize", Text(set_substreams), "bits of SubstreamIDs (PASIDs): 0 (none) to 20, or auto"),
        |smmu| smmu.choices.substream_bits.map(|bits| bits.to_string()),
    ),
    shown(
        property(
            "sidsize",
            Text(set_streams),
            "bits of StreamIDs: 1 to 32, or auto; a function with a greater requester ID can do no DMA",
        ),
        |smmu| smmu.choices.stream_bits.map(|bits| bits.to_string()),
    ),
    shown(
        property("aidr", Text(set_version), "version of the architecture: 3.0, 3.1, 3.2 or auto"),
        |smmu| smmu.choices.version.map(|minor| format!("3.{minor}")),
    ),
    shown(property("ril", Text(set_ranges), "invalidation by range: on, off or auto"), |smmu| {
        smmu.choices.range_invalidation.map(on_or_off)
    }),
    shown(
        property(
            "ats",
            Text(set_ats),
            "address translation services for functions that have them: on, off or auto",
        ),
        |smmu| smmu.choices.ats.map(on_or_off),
    ),
    shown(property("check-stale", Switch(|smmu, on| smmu.sanitizers.stale = on), STALE), |smmu| {
        Some(on_or_off(smmu.sanitizers.stale))
    }),
    shown(
        property("check-isolation", Switch(|smmu, on| smmu.sanitizers.isolation = on), ISOLATION),
        |smmu| Some(on_or_off(smmu.sanitizers.isolation)),
    ),
    property("accel", Only(&["off"]), "there is no SMMU of the host that could translate"),
];

fn primary_bus(smmu: &mut Smmu, bus: &str) -> Result<(), UserError> {
    smmu.bus_named = matches!(bus, "pcie.0" | "pcie");
    match smmu.bus_named {
        true => Ok(()),
        false => Err(user_error!("there is no bus '{bus}' for an SMMU to be in front of: there is pcie.0")),
    }
}

/// The profile called `name`.
pub(super) fn profile(name: &str) -> Result<SmmuProfile, UserError> {
    SmmuProfile::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
        let names = SmmuProfile::ALL.map(SmmuProfile::name).join(", ");
        user_error!("there is no SMMU profile '{name}' (there are {names})")
    })
}

fn set_profile(smmu: &mut Smmu, name: &str) -> Result<(), UserError> {
    smmu.profile = profile(name)?;
    Ok(())
}

fn stages_name(stages: Stages) -> &'static str {
    match stages {
        Stages::One => "1",
        Stages::Two => "2",
        Stages::Nested => "nested",
    }
}

fn set_stages(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    let all = [Stages::One, Stages::Two, Stages::Nested];
    let found = all.into_iter().find(|stages| stages_name(*stages) == text);
    smmu.choices.stages = Some(found.ok_or_else(|| user_error!("'stage={text}' is none of 1, 2, nested"))?);
    Ok(())
}

/// A number of bits, or the profile's. Whether it is possible is said when all is known.
fn bits(name: &str, text: &str) -> Result<Option<u8>, UserError> {
    match text {
        "auto" => Ok(None),
        _ => {
            let bits = parse_u64(text).map_err(|e| user_error!("{e}, given as '{name}'"))?;
            Ok(Some(bits.try_into().unwrap_or(u8::MAX)))
        }
    }
}

fn set_output(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    smmu.choices.output_bits = bits("oas", text)?;
    Ok(())
}

fn set_substreams(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    smmu.choices.substream_bits = bits("ssidsize", text)?;
    Ok(())
}

fn set_streams(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    smmu.choices.stream_bits = bits("sidsize", text)?;
    Ok(())
}

fn set_version(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    smmu.choices.version = match text {
        "auto" => None,
        "3.0" => Some(0),
        "3.1" => Some(1),
        "3.2" => Some(2),
        _ => return Err(user_error!("'aidr={text}' is none of 3.0, 3.1, 3.2, auto")),
    };
    Ok(())
}

/// On or off, or the profile's.
fn switch(name: &str, text: &str) -> Result<Option<bool>, UserError> {
    match text {
        "auto" => Ok(None),
        _ => on_off(text).map(Some).map_err(|e| user_error!("{e}, given as '{name}'")),
    }
}

fn set_ranges(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    smmu.choices.range_invalidation = switch("ril", text)?;
    Ok(())
}

fn set_ats(smmu: &mut Smmu, text: &str) -> Result<(), UserError> {
    smmu.choices.ats = switch("ats", text)?;
    Ok(())
}

/// Whether what it was told goes together.
pub(super) fn check(smmu: &Smmu, name: &str) -> Result<(), UserError> {
    if !smmu.bus_named {
        return Err(user_error!("{name} needs 'primary-bus=pcie.0'"));
    }
    let choices = &smmu.choices;
    if choices.stages == Some(Stages::Two) && choices.substream_bits.is_some_and(|bits| bits != 0) {
        return Err(user_error!("ssidsize of {name} needs stage 1, which chooses contexts by SubstreamIDs"));
    }
    smmu.features(&Features::max()).map(|_| ()).map_err(|e| user_error!("{name}: {e}"))
}

/// As Linux's binding has it (`arm,smmu-v3.yaml`). No function is said to be able to wait for software (`dma-can-stall`): a
/// kernel that does not know how to answer would leave it waiting for ever.
fn node(smmu: &Smmu, at: &Resources, machine: &MachineConfig) -> Node {
    let interrupts: Vec<u32> = at.spis.iter().flat_map(|spi| [SPI, *spi, EDGE]).collect();
    let node = Node::new(format!("smmuv3@{:x}", at.range.base)).cells("phandle", &[phandle::IOMMU]);
    let sends = smmu.features(&Features::max()).is_ok_and(|features| features.msi);
    let node = if sends { sending(node, map::SMMU_STREAM, machine) } else { node };
    node.cells("#iommu-cells", &[1])
        .flag("dma-coherent")
        .strings("interrupt-names", &["eventq", "priq", "cmdq-sync", "gerror"])
        .cells("interrupts", &interrupts)
        .wide("reg", &[at.range.base, at.range.size])
        .strings("compatible", &["arm,smmu-v3"])
}

/// A node of something that sends messages with this DeviceID, if there is somebody who takes them.
fn sending(node: Node, device: u32, machine: &MachineConfig) -> Node {
    match machine.virt.msi {
        Msi::Its => node.cells("msi-parent", &[phandle::MSI, device]),
        Msi::Gicv2m => node.cells("msi-parent", &[phandle::MSI]),
        Msi::Off => node,
    }
}

/// The counter group, if there is one (`arm,smmu-v3-pmcg.yaml`). It is a device of its own: nothing says whose counters they are.
fn counters_node(smmu: &Smmu, machine: &MachineConfig) -> Option<Node> {
    let features = smmu.features(&Features::max()).ok()?;
    features.pmcg?;
    let Resources { range, spis } = map::SMMU_PMCG;
    let node = Node::new(format!("pmu@{:x}", range.base));
    let node = if features.msi { sending(node, map::SMMU_PMCG_STREAM, machine) } else { node };
    let compatible: &[&str] = match smmu.profile {
        SmmuProfile::Mmu600 => &["arm,mmu-600-pmcg", "arm,smmu-v3-pmcg"],
        SmmuProfile::Qemu | SmmuProfile::Full => &["arm,smmu-v3-pmcg"],
    };
    let node = node
        .cells("interrupts", &[SPI, spis[0], EDGE])
        .wide("reg", &[range.base, 0x1000, range.base + pmcg::PAGE_1, 0x1000])
        .strings("compatible", compatible);
    Some(node)
}

fn build(told: &Smmu, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let Resources { range, spis } = *spot.resources;
    let name = site.name("smmuv3");
    let profile = told.features(&site.translation()).map_err(|e| user_error!("{name}: {e}"))?;
    // They tell the SMMU, and would otherwise hold each other for ever.
    let cpus = Arc::downgrade(site.cpus());
    let wake = move || {
        if let Some(cpus) = cpus.upgrade() {
            cpus.send_event_to_all();
        }
    };
    let smmu = Smmuv3::new(Config {
        name,
        profile,
        bus: site.bus().clone(),
        clock: site.clock().clone(),
        wires: [0, 1, 2, 3].map(|n| site.line(spis[n])),
        messages: site.ports().port(Master::new(map::SMMU_STREAM, Stalls::Never)),
        send_event: Some(Arc::new(wake)),
        counters: site.counters().clone(),
    });
    if profile.broadcast {
        site.cpus().listen(smmu.core().clone());
    }
    smmu.core().sanitize(told.sanitizers);
    site.stand_before_masters(SystemMmu::V3(smmu.clone()));
    site.map(range, smmu.clone())?;
    site.add(smmu.clone());
    let counters = Pmcg::beside(
        &smmu,
        pmcg::Config {
            name: site.name("smmuv3-pmcg"),
            clock: site.clock().clone(),
            wire: site.line(map::SMMU_PMCG.spis[0]),
            messages: site.ports().port(Master::new(map::SMMU_PMCG_STREAM, Stalls::Never)),
            counters: site.counters().clone(),
        },
    );
    if let Some(counters) = counters {
        site.map(map::SMMU_PMCG.range, counters.clone())?;
        site.add(counters);
    }
    Ok(())
}
