//! iommu-testdev: a PCI function that bare-metal tests of an IOMMU drive.

use emu_devices::pci::IommuTestDevice;

use super::kind::{Given, Model, Row};
use crate::config::Settings;

/// The function, which is told nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IommuTest;

impl Settings for IommuTest {}

/// The row.
pub static FUNCTION: Row<IommuTest> = Row {
    name: "iommu-testdev",
    about: "a function that writes through an IOMMU and reads back around it",
    given: Given::Anywhere,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Pci(|_, site| Ok(IommuTestDevice::new(&site.name("iommu-testdev"), site.counters()))),
};
