//! pci-testdev: a PCI function that asks a guest for accesses and counts them.

use std::sync::Arc;

use emu_devices::pci::TestDevice;

use super::kind::{Given, Model, Row};
use crate::config::Settings;

/// The function, which is told nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TestFunction;

impl Settings for TestFunction {}

/// The row.
pub static FUNCTION: Row<TestFunction> = Row {
    name: "pci-testdev",
    about: "a function that asks a guest for accesses",
    given: Given::Anywhere,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Pci(|_, site| Ok(Arc::new(TestDevice::new(&site.name("pci-testdev"), site.counters())))),
};
