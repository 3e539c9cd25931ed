//! The board's firmware configuration device, and what it has.

use emu_devices::fwcfg::FwCfg;

use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use crate::config::Settings;
use crate::error::{UserError, user_error};
use crate::fdt::nodes::at;
use crate::map;

/// The device, which is told nothing: what it has comes from the loaders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FirmwareConfig;

impl Settings for FirmwareConfig {}

/// An item, by its selector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Selector.
    pub key: u16,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// What the loaders hand over.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// Items with fixed keys.
    pub items: &'a [Item],
    /// Files, by name.
    pub files: &'a [(String, Vec<u8>)],
}

/// The row.
pub static DEVICE: Row<FirmwareConfig> = Row {
    name: "fw_cfg_mem",
    about: "firmware configuration",
    given: Given::Board,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |_| &[map::FW_CFG],
        build,
        nodes: |_, place, _| {
            vec![at("fw-cfg", place.range).flag("dma-coherent").strings("compatible", &["qemu,fw-cfg-mmio"])]
        },
    }),
};

/// Files that firmware looks for in the directory, on every board: no order of boot devices is given, and the machine does
/// not start again by itself when none of them boots.
const FILES: [(&str, &[u8]); 2] = [("bootorder", &[]), ("etc/boot-fail-wait", &(-1_i32).to_le_bytes())];

fn build(_: &FirmwareConfig, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let range = spot.resources.range;
    let name = format!("fw_cfg@{:x}", range.base);
    let device = FwCfg::new(&name, site.ports(), map::FW_CFG_STREAM, site.counters());
    fill(&device, &site.handed_over())?;
    site.map(range, device.clone())?;
    site.add(device);
    Ok(())
}

/// The board's own files, what the loader hands over and what the user adds.
fn fill(device: &FwCfg, contents: &Contents<'_>) -> Result<(), UserError> {
    for item in contents.items {
        device.set_key(item.key, item.bytes.clone()).map_err(|e| user_error!("{e}"))?;
    }
    let own = FILES.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
    let given = contents.files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
    for (name, bytes) in own.chain(given) {
        device.set_file(name, bytes).map_err(|e| user_error!("-fw_cfg {name}: {e}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use emu_core::addr::Size;
    use emu_core::bus::{Bus, MmioDevice, Requester};
    use emu_core::dma::DirectPorts;
    use emu_devices::fwcfg::key;

    /// The first `n` bytes of an item.
    fn item(device: &FwCfg, key: u16, n: usize) -> Vec<u8> {
        let cpu = Requester::Cpu(0);
        device.write(8, Size::B2, key.swap_bytes().into(), cpu).unwrap();
        (0..n).map(|_| device.read(0, Size::B1, cpu).unwrap() as u8).collect()
    }

    #[test]
    fn every_board_has_a_directory_with_files() {
        let items = [Item { key: 5, bytes: vec![4, 0] }];
        let files = [("opt/mine".to_owned(), b"hello".to_vec())];
        let ports = DirectPorts(Arc::new(Bus::new()));
        let device = FwCfg::new("fw_cfg", &ports, map::FW_CFG_STREAM, &Arc::default());
        fill(&device, &Contents { items: &items, files: &files }).unwrap();
        assert_eq!(item(&device, 5, 2), [4, 0]);
        let directory = item(&device, key::DIRECTORY, 4 + 3 * 64);
        assert_eq!(directory[..4], [0, 0, 0, 3]);
        let files: Vec<(String, Vec<u8>)> = directory[4..]
            .chunks(64)
            .map(|entry| {
                let name = entry[8..].split(|b| *b == 0).next().unwrap();
                let size = u32::from_be_bytes(entry[..4].try_into().unwrap()) as usize;
                let key = u16::from_be_bytes(entry[4..6].try_into().unwrap());
                (String::from_utf8(name.to_vec()).unwrap(), item(&device, key, size))
            })
            .collect();
        let expected =
            [("bootorder", vec![]), ("etc/boot-fail-wait", vec![0xff; 4]), ("opt/mine", b"hello".to_vec())];
        assert_eq!(files, expected.map(|(name, bytes)| (name.to_owned(), bytes)));
    }
}
