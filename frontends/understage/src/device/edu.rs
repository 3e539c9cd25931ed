//! edu: a PCI function that computes factorials, raises interrupts and moves bytes by DMA when a guest tells it to.

use emu_devices::pci::{DEFAULT_DMA_MASK, Edu};

use super::kind::{Given, Model, Row};
use crate::config::Settings;
use crate::property::Value::Number;
use crate::property::{property, shown};

/// The function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Teaching {
    /// The address bits that its DMA has.
    dma_mask: u64,
}

impl Default for Teaching {
    fn default() -> Self {
        Self { dma_mask: DEFAULT_DMA_MASK }
    }
}

impl Settings for Teaching {}

/// The row.
pub static FUNCTION: Row<Teaching> = Row {
    name: "edu",
    about: "a function for teaching: factorials, interrupts, DMA on demand",
    given: Given::Anywhere,
    option: None,
    properties: &[shown(
        property(
            "dma_mask",
            Number(|edu, mask| {
                edu.dma_mask = mask;
                Ok(())
            }),
            "address bits that its DMA has; others are cleared",
        ),
        |edu| Some(format!("{:#x}", edu.dma_mask)),
    )],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Pci(|edu, site| Ok(Edu::new(&site.name("edu"), edu.dma_mask, site.counters()))),
};
