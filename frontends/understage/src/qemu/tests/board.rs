/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-M virt,iommu=smmuv3", "'iommu=smmuv3' in -M is not supported: there is no system MMU yet"),
    ("-M virt,gic-version=2", "'gic-version=2' in -M is not supported: the interrupt controller is a GICv3"),
    ("-M virt,secure=on", "'secure=on' in -M is not supported"),
    ("-M virt,acpi=on", "'acpi=on' in -M is not supported: there are no ACPI tables yet"),
    ("-M virt,mte", "'mte=on' in -M is not supported"),
    ("-M virt,colour=red", "'colour=red' is not supported for the board in -M"),
    ("-M raspi4b", "there is no board 'raspi4b': -M takes 'virt'"),
    ("-machine virt,its=maybe", "'maybe' is neither 'on' nor 'off', given as 'its' in -machine"),
];
