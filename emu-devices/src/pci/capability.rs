//! Capabilities, typed: what each contributes to configuration space.

use super::msix::MsixLayout;

/// A capability to be put into a function's list (PCI 3.0, 6.7).
#[derive(Clone, Copy, Debug)]
pub enum Capability<'a> {
    /// MSI-X (PCIe 6.0, 7.7.2).
    MsiX(MsixLayout),
    /// PCI Express, version 2, as a root complex integrated endpoint with function level reset (PCIe 6.0, 7.5.3).
    IntegratedEndpoint,
    /// Vendor-specific (PCIe 6.0, 7.9.4): what follows the length byte, and which of those bits are writable.
    Vendor {
        /// The bytes behind ID, next pointer and length.
        body: &'a [u8],
        /// Writable bits of `body`; as long or shorter.
        rw: &'a [u8],
    },
}

/// Offset of Device Control in the PCI Express capability.
pub(super) const EXPRESS_DEVICE_CONTROL: u16 = 8;
/// Device Control: initiate a function level reset.
pub(super) const INITIATE_FLR: u16 = 1 << 15;
/// Offset of Message Control in the MSI-X capability.
pub(super) const MSIX_CONTROL: u16 = 2;

/// The bytes of a capability and their masks.
pub(super) struct Layout {
    pub(super) bytes: Vec<u8>,
    pub(super) rw: Vec<u8>,
    pub(super) w1c: Vec<u8>,
}

impl Layout {
    fn new(id: u8, len: usize) -> Self {
        let mut bytes = vec![0; len];
        bytes[0] = id;
        Self { bytes, rw: vec![0; len], w1c: vec![0; len] }
    }
    fn put(&mut self, at: usize, value: &[u8], rw: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
        self.rw[at..at + rw.len()].copy_from_slice(rw);
    }
}

impl Capability<'_> {
    pub(super) fn layout(&self) -> Layout {
        match self {
            Self::MsiX(m) => {
                let mut c = Layout::new(0x11, 12);
                // Message Control: table size minus one; function mask and enable are writable.
                c.put(2, &m.vectors.saturating_sub(1).to_le_bytes(), &0xc000_u16.to_le_bytes());
                c.put(4, &(m.table_offset | u32::from(m.bar)).to_le_bytes(), &[]);
                c.put(8, &(m.pba_offset | u32::from(m.bar)).to_le_bytes(), &[]);
                c
            }
            Self::IntegratedEndpoint => {
                let mut c = Layout::new(0x10, 0x3c);
                // Version 2, device/port type 9: root complex integrated endpoint.
                c.put(2, &0x0092_u16.to_le_bytes(), &[]);
                // Device Capabilities: 128-byte payload, role-based error reporting, function level reset.
                c.put(4, &(1_u32 << 15 | 1 << 28).to_le_bytes(), &[]);
                // Device Control: relaxed ordering, no snoop, 512-byte read requests after reset. FLR reads as zero.
                c.put(8, &0x2810_u16.to_le_bytes(), &0x78ff_u16.to_le_bytes());
                // Device Status: error bits are cleared by writing one.
                c.w1c[10] = 0x0f;
                c
            }
            Self::Vendor { body, rw } => {
                let mut c = Layout::new(0x09, 3 + body.len());
                c.bytes[2] = (3 + body.len()) as u8;
                c.put(3, body, rw);
                c
            }
        }
    }
}
