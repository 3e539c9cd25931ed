//! What the firmware configuration device has.

use std::sync::Arc;

use emu_core::dma::DmaPort;
use emu_core::metrics::Counters;
use emu_devices::fwcfg::FwCfg;

use crate::error::{UserError, user_error};
use crate::load::plan::Plan;

/// Files that firmware looks for in the directory, on every board: no order of boot devices is given, and the machine does
/// not start again by itself when none of them boots.
const FILES: [(&str, &[u8]); 2] = [("bootorder", &[]), ("etc/boot-fail-wait", &(-1_i32).to_le_bytes())];

/// The device with the board's own files, what the loader hands over and what the user adds.
pub(super) fn build(
    port: Arc<dyn DmaPort>,
    counters: &Arc<Counters>,
    plan: &Plan,
) -> Result<Arc<FwCfg>, UserError> {
    let device = FwCfg::new("fw_cfg@9020000", port, counters);
    for item in &plan.fw_cfg {
        device.set_key(item.key, item.bytes.clone()).map_err(|e| user_error!("{e}"))?;
    }
    let own = FILES.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
    let given = plan.fw_cfg_files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
    for (name, bytes) in own.chain(given) {
        device.set_file(name, bytes).map_err(|e| user_error!("-fw_cfg {name}: {e}"))?;
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::FwCfgItem;
    use emu_core::addr::Size;
    use emu_core::bus::{Bus, MmioDevice, Requester};
    use emu_core::dma::DirectPort;

    const DIRECTORY: u16 = 0x19;

    /// The first `n` bytes of an item.
    fn item(device: &FwCfg, key: u16, n: usize) -> Vec<u8> {
        let cpu = Requester::Cpu(0);
        device.write(8, Size::B2, key.swap_bytes().into(), cpu).unwrap();
        (0..n).map(|_| device.read(0, Size::B1, cpu).unwrap() as u8).collect()
    }

    #[test]
    fn every_board_has_a_directory_with_files() {
        let plan = Plan {
            segments: Vec::new(),
            flash: [None, None],
            fw_cfg: vec![FwCfgItem { key: 5, bytes: vec![4, 0] }],
            fw_cfg_files: vec![("opt/mine".to_owned(), b"hello".to_vec())],
            dtb: Vec::new(),
            boot: None,
        };
        let port = Arc::new(DirectPort::new(Arc::new(Bus::new()), 0, None));
        let device = build(port, &Arc::default(), &plan).unwrap();
        assert_eq!(item(&device, 5, 2), [4, 0]);
        let directory = item(&device, DIRECTORY, 4 + 3 * 64);
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
