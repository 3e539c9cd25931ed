//! What Identify tells (NVMe 1.4, 5.15).

use super::command::Command;
use super::logs::{ERRORS, Page};
use super::registers::VERSION;
use super::status::Status;
use super::{ABORTS, IDENTITY, Namespace, Nvme, namespace};

/// Firmware Revision.
pub(super) const FIRMWARE: &str = "1.0";
/// Model Number.
const MODEL: &str = "QEMU NVMe Ctrl";
/// Bytes of the structures.
const SIZE: usize = 4096;
/// Compare, Dataset Management, Write Zeroes, Select in Get Features, Verify.
const COMMANDS: u16 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 7;

impl Nvme {
    pub(super) fn identify(&self, command: &Command) -> Result<Vec<u8>, Status> {
        let nsid = command.nsid();
        match command.word(10) as u8 {
            0x00 => match self.namespace(nsid) {
                Ok(namespace) => Ok(identify_namespace(namespace)),
                // One that is not active is all zeros.
                Err(_) if (1..=Namespace::MAX).contains(&nsid) => Ok(Page::new(SIZE).bytes()),
                Err(status) => Err(status),
            },
            0x01 => Ok(self.identify_controller()),
            0x02 if nsid >= 0xffff_fffe => Err(Status::INVALID_NAMESPACE),
            0x02 => {
                let mut page = Page::new(SIZE);
                for (n, id) in self.namespaces.keys().filter(|id| **id > nsid).enumerate() {
                    page.put(4 * n, &id.to_le_bytes());
                }
                Ok(page.bytes())
            }
            0x03 => self.namespace(nsid).map(identification),
            _ => Err(Status::INVALID_FIELD),
        }
    }

    fn identify_controller(&self) -> Vec<u8> {
        let mut page = Page::new(SIZE);
        page.put(0, &IDENTITY.vendor.to_le_bytes());
        page.put(2, &IDENTITY.subsystem_vendor.to_le_bytes());
        page.text(4, 20, &self.options.serial);
        page.text(24, 40, MODEL);
        page.text(64, 8, FIRMWARE);
        // Recommended Arbitration Burst: 64 commands. IEEE OUI.
        page.put(72, &[6, 0x00, 0x54, 0x52]);
        page.put(77, &[self.options.mdts]);
        page.put(80, &VERSION.to_le_bytes());
        // An I/O controller.
        page.put(111, &[1]);
        // Abort Command Limit, 0's based, then Asynchronous Event Request Limit.
        page.put(258, &[ABORTS, self.options.events]);
        // One firmware slot, which is read-only; the log of effects, and offsets in log pages; entries of the error log.
        page.put(260, &[3, 1 << 1 | 1 << 2, ERRORS as u8 - 1]);
        // Warning and Critical Composite Temperature Threshold.
        page.put(266, &[343_u16, 373].map(u16::to_le_bytes).concat());
        // Sizes of queue entries.
        page.put(512, &[0x66, 0x44]);
        page.put(516, &Namespace::MAX.to_le_bytes());
        page.put(520, &COMMANDS.to_le_bytes());
        // There is a volatile write cache, and a Flush may be for all namespaces.
        page.put(525, &[7]);
        // SGLs, of any alignment.
        page.put(536, &1_u32.to_le_bytes());
        page.put(768, format!("nqn.2019-08.org.qemu:{}", self.options.serial).as_bytes());
        // Power state 0: 25 W.
        page.put(2048, &2500_u16.to_le_bytes());
        page.bytes()
    }
}

fn identify_namespace(namespace: &namespace::Namespace) -> Vec<u8> {
    let mut page = Page::new(SIZE);
    let blocks = namespace.blocks().to_le_bytes();
    for field in [0, 8, 16] {
        page.put(field, &blocks);
    }
    // Write Zeroes can deallocate.
    page.put(33, &[1 << 3]);
    page.put(99, &[namespace.disk.backend().read_only().into()]);
    page.put(120, &namespace.eui64.to_be_bytes());
    // The one format: no metadata.
    page.put(128, &[0, 0, namespace.shift as u8, 0]);
    page.bytes()
}

/// The Namespace Identification Descriptor list.
fn identification(namespace: &std::sync::Arc<namespace::Namespace>) -> Vec<u8> {
    let mut list = Vec::new();
    let mut put = |kind: u8, id: &[u8]| {
        if id.iter().any(|b| *b != 0) {
            list.extend([kind, id.len() as u8, 0, 0]);
            list.extend(id);
        }
    };
    put(1, &namespace.eui64.to_be_bytes());
    put(3, &namespace.uuid);
    let mut page = Page::new(SIZE);
    page.put(0, &list);
    page.bytes()
}
