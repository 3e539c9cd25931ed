//! What must hold for every row.

use std::collections::BTreeSet;

use super::*;
use crate::config::{CharBackend, Disk, HostFile, Label, Smmuv2};
use crate::device::plug::Plug;

/// A command line on which every name stands for something.
struct Line(MachineConfig);

static WORDS: Words = Words {
    qemu: true,
    drive: Some("an image"),
    characters: Some("a place"),
    random: Some("a file"),
    thread: Some("a thread"),
    network: Some("a name"),
};

impl CommandLine for Line {
    fn words(&self) -> &'static Words {
        &WORDS
    }
    fn machine(&mut self) -> &mut MachineConfig {
        &mut self.0
    }
    fn plug(&self, option: &'static str) -> Plug {
        Plug::new(option, false)
    }
    fn drive(&mut self, name: &str, _: &mut Parts, _: &str) -> Result<Disk, UserError> {
        Ok(Disk {
            id: Label::default(),
            file: HostFile::new("", name),
            format: None,
            readonly: false,
            snapshot: false,
        })
    }
    fn characters(&mut self, _: &str, _: &mut Parts, _: &str) -> Result<CharBackend, UserError> {
        Ok(CharBackend::Null)
    }
    fn random(&mut self, name: &str, _: &mut Parts, _: &str) -> Result<Option<HostFile>, UserError> {
        Ok(Some(HostFile::new("", name)))
    }
    fn thread(&mut self, _: &str, _: &str) -> Result<(), UserError> {
        Ok(())
    }
}

/// The device that `text` describes.
fn device(text: &str) -> Device {
    let mut line = Line(MachineConfig::default());
    let mut parts = Parts::split("-device", text);
    let name = parts.take_first("driver").unwrap().unwrap();
    find(&WORDS, "-device", &name).unwrap().add(parts, &mut line).unwrap_or_else(|e| panic!("{text}: {e}"));
    line.0.devices.pop().unwrap_or_else(|| panic!("{text}: no device"))
}

#[test]
fn names_and_options_are_unique() {
    let names: Vec<String> = KINDS.iter().map(|k| k.name().to_owned()).collect();
    let all = drivers(&WORDS).map(Driver::name);
    let all: Vec<String> = all.chain(options().map(|(_, shape)| shape.name.to_owned())).collect();
    for list in [names, all] {
        assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len(), "{list:?}");
    }
}

#[test]
fn what_a_device_was_told_makes_the_same_device() {
    for text in [
        "virtio-blk,drive=d,serial=S,queue-size=64,logical_block_size=4096,physical_block_size=8192,discard=off",
        "virtio-serial-device,max_ports=7",
        "virtio-rng-pci",
        "pci-testdev",
        "edu,dma_mask=0xffffffff",
        "arm-smmuv3,primary-bus=pcie.0,profile=full,stage=nested,oas=48,ssidsize=20,sidsize=6,aidr=3.1,ril=off",
        "test-master,stall=off",
        "pl330",
        "accelerator,stall=on",
    ] {
        let first = device(text);
        let kind = kind_of(&first).unwrap();
        let told = kind.told(&*first.settings);
        let drive = if text.contains("drive") { ",drive=d" } else { "" };
        let again: String = told.iter().map(|(name, value)| format!(",{name}={value}")).collect();
        let name = text.split(',').next().unwrap();
        assert_eq!(device(&format!("{name}{drive}{again}")), first, "{text}");
    }
    let told = |text| {
        let device = device(text);
        kind_of(&device).unwrap().told(&*device.settings)
    };
    assert!(told("virtio-blk,drive=d,queue-size=64").contains(&("queue-size", "64".to_owned())));
}

#[test]
fn every_kind_of_device_has_settings_of_its_own() {
    let mut devices = of_board(&MachineConfig::default());
    devices.extend(
        ["virtio-blk,drive=d", "virtio-serial", "virtio-rng", "pci-testdev", "edu", "iommu-testdev"]
            .map(device),
    );
    devices.push(device("arm-smmuv3,primary-bus=pcie.0"));
    devices.push(device("test-master"));
    devices.push(device("pl330"));
    devices.push(device("accelerator"));
    devices.push(Device::new(Smmuv2::default(), Bus::Platform));
    for device in &devices {
        assert_eq!(KINDS.iter().filter(|k| k.is_for(&*device.settings)).count(), 1, "{device:?}");
    }
}

#[test]
fn help_has_defaults_and_what_comes_with_the_bus() {
    let help = |name: &str| find(&WORDS, "-device", name).unwrap().help(&WORDS);
    let disk = help("virtio-blk-pci");
    assert!(
        disk.contains(
            "queue-size=<number>    - descriptors of each queue: a power of two, 4 to 1024 (default: 256)"
        ),
        "{disk}"
    );
    assert!(disk.contains("drive=<str>") && disk.contains("addr=<str>"), "{disk}");
    assert!(!help("virtio-blk-device").contains("addr=<str>"));
    assert!(list(&WORDS).contains("name \"pci-testdev\", bus PCI, desc"));
    assert!(help("edu").contains("(default: 0xfffffff)"));
    let smmu = help("arm-smmuv3");
    for line in ["stage=<str>", "oas=<str>", "(default: 1)", "ats=<str>"] {
        assert!(smmu.contains(line), "{smmu}");
    }
    assert!(help("test-master").contains("stall=<bool>"), "{}", help("test-master"));
    for own in ["pl011", "arm-smmuv2"] {
        assert!(!list(&WORDS).contains(own), "the board's own cannot be asked for");
    }
}
