use super::machine;
use crate::config::{Device, Smmu, SmmuPlace, SmmuProfile, Smmuv2, Smmuv2Profile};
use emu_smmu::v3::profile::{Choices, Stages};

/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    (
        "-M virt,iommu=virtio",
        "'iommu=virtio' in -M is not supported: in front of the PCI bus there is nothing, an SMMUv2,",
    ),
    (
        "-M virt,iommu=smmuv2 -device arm-smmuv3,primary-bus=pcie.0",
        "two system MMUs are to be in front of the PCI bus, and there can be one",
    ),
    (
        "-M virt,iommu=smmuv3 -device arm-smmuv3,primary-bus=pcie.0",
        "two system MMUs are to be in front of the PCI bus",
    ),
    ("-M virt,default-bus-bypass-iommu=on", "all of the PCI bus is behind the system MMU"),
    (
        "-M virt,gic-version=host",
        "'gic-version=host' in -M is not supported: the interrupt controller is a GICv2 or a GICv3",
    ),
    ("-M virt,gic-version=4", "'gic-version=4' in -M is not supported"),
    ("-M virt,gic-version=2 -smp 9", "a machine with a GICv2 has 1 to 8 CPUs, not 9"),
    ("-M virt,gic-version=2,its=on", "a GICv2 has no ITS: messages go to a GICv2m frame"),
    ("-M virt,msi=its", "a GICv2 has no ITS"),
    ("-M virt,msi=intx", "'msi=intx' in -M is not supported: messages can go to its, gicv2m, or nothing"),
    ("-M virt,secure=on", "'secure=on' in -M is not supported"),
    ("-M virt,acpi=on", "'acpi=on' in -M is not supported: there are no ACPI tables yet"),
    ("-M virt,mte", "'mte=on' in -M is not supported"),
    ("-M virt,colour=red", "'colour=red' is not supported for the board in -M"),
    ("-M raspi4b", "there is no board 'raspi4b': -M takes virt, virt-5.2 to virt-11.1, and none"),
    ("-M virt-2.12", "there is no board 'virt-2.12'"),
    (
        "-M virt,memory-backend=m",
        "there is no -object memory-backend-* with the id 'm' for -M memory-backend",
    ),
    ("-M virt,pflash0=f", "there is no -blockdev 'f' for -M pflash0"),
    ("-M virt,accel=hvf:kvm", "the accelerator 'kvm' is not supported"),
    (
        "-M virt,dump-guest-core=perhaps",
        "'perhaps' is neither 'on' nor 'off', given as 'dump-guest-core' in -M",
    ),
    ("-machine virt,its=maybe", "'maybe' is neither 'on' nor 'off', given as 'its' in -machine"),
];

/// QEMU's own choice: a GICv2 with a GICv2m frame as long as that serves all CPUs.
#[test]
fn the_interrupt_controller_follows_from_the_version_and_the_cpus() {
    use crate::config::GicVersion::{V2, V3};
    use crate::config::Msi::{Gicv2m, Its, Off};
    for (board, gic, msi) in [
        ("virt", V2, Gicv2m),
        ("virt -smp 8", V2, Gicv2m),
        ("virt -smp 9", V3, Its),
        ("virt,its=off", V2, Gicv2m),
        ("virt,msi=off", V2, Off),
        ("virt,gic-version=2,msi=auto", V2, Gicv2m),
        ("virt,gic-version=3", V3, Its),
        ("virt,gic-version=max", V3, Its),
        ("virt,gic-version=3,its=off", V3, Off),
        ("virt,gic-version=3,msi=off", V3, Off),
        ("virt,gic-version=3,msi=gicv2m", V3, Gicv2m),
        ("virt,msi=gicv2m -M gic-version=3", V3, Gicv2m),
    ] {
        let line = format!("-cpu max -display none -kernel Image -M {board}");
        let virt = machine(&line).unwrap_or_else(|e| panic!("{board}: {e}")).virt;
        assert_eq!((virt.gic, virt.msi), (gic, msi), "{board}");
    }
}

#[test]
fn the_system_mmu_of_the_board_has_both_stages_since_9_2() {
    let smmus = |board: &str| -> Vec<Smmu> {
        let line = format!("-cpu max -display none -kernel Image -M {board}");
        let machine = machine(&line).unwrap_or_else(|e| panic!("{board}: {e}"));
        machine.devices.iter().filter_map(Device::told).copied().collect()
    };
    let v2 = machine("-M virt,iommu=smmuv2 -cpu max -kernel k -display none").unwrap();
    assert_eq!(
        v2.devices.iter().find_map(Device::told),
        Some(&Smmuv2 { profile: Smmuv2Profile::Mmu500, ..Smmuv2::default() })
    );
    for board in ["virt", "virt,iommu=none", "virt,iommu=smmuv3 -M iommu=none"] {
        assert_eq!(smmus(board), [], "{board}");
    }
    let board = Smmu::of_board(SmmuProfile::Qemu);
    let one = Choices { stages: Some(Stages::One), ..Choices::default() };
    assert_eq!(smmus("virt,iommu=smmuv3"), [board]);
    assert_eq!(smmus("virt-9.2,iommu=smmuv3"), [board]);
    assert_eq!(smmus("virt-9.1,iommu=smmuv3"), [Smmu { choices: one, ..board }]);
    let plugged = Smmu { place: SmmuPlace::PlatformBus, ..board };
    assert_eq!(
        smmus("virt -device arm-smmuv3,primary-bus=pcie.0,stage=2,oas=48,accel=off,ats=on,ril=on"),
        [Smmu {
            choices: Choices {
                stages: Some(Stages::Two),
                output_bits: Some(48),
                range_invalidation: Some(true),
                ats: Some(true),
                ..one
            },
            ..plugged
        }]
    );
    assert_eq!(smmus("virt -device arm-smmuv3,primary-bus=pcie.0"), [Smmu { choices: one, ..plugged }]);
}
