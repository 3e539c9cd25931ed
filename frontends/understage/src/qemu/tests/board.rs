/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-M virt,iommu=smmuv3", "'iommu=smmuv3' in -M is not supported: there is no system MMU yet"),
    ("-M virt,gic-version=2", "'gic-version=2' in -M is not supported: the interrupt controller is a GICv3"),
    ("-M virt,secure=on", "'secure=on' in -M is not supported"),
    ("-M virt,acpi=on", "'acpi=on' in -M is not supported: there are no ACPI tables yet"),
    ("-M virt,mte", "'mte=on' in -M is not supported"),
    ("-M virt,colour=red", "'colour=red' is not supported for the board in -M"),
    ("-M raspi4b", "there is no board 'raspi4b': -M takes virt, and virt-5.2 to virt-11.1"),
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
