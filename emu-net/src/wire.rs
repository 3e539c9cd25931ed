//! What smoltcp takes for its network device: one segment of the guest at a time goes in, and what comes out is collected.

use std::num::{NonZeroU16, NonZeroUsize};

use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken,
    SegmentationCapabilities, TxToken,
};
use smoltcp::time::Instant;

use crate::packet::{ETHERNET, MTU};

/// A segment for the guest, with room for an Ethernet header. Its checksum is not made.
pub(crate) struct Segment {
    pub(crate) bytes: Vec<u8>,
    /// It is to be cut into segments with so many bytes of payload.
    pub(crate) cut: Option<NonZeroU16>,
}

/// Bytes of the longest datagram.
const LONGEST: NonZeroUsize = NonZeroUsize::new(65_535).unwrap();

/// See the module's head.
pub(crate) struct Wire<'a> {
    /// What the guest has sent.
    pub(crate) given: Option<&'a [u8]>,
    /// What is sent to it.
    pub(crate) out: &'a mut Vec<Segment>,
    /// Bytes that may be sent.
    pub(crate) room: &'a mut usize,
}

pub(crate) struct Given<'a>(&'a [u8]);

pub(crate) struct Taken<'a> {
    out: &'a mut Vec<Segment>,
    room: &'a mut usize,
    cut: Option<NonZeroU16>,
}

impl Device for Wire<'_> {
    type RxToken<'b>
        = Given<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Taken<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Given<'_>, Taken<'_>)> {
        let given = self.given.take()?;
        Some((Given(given), Taken { out: self.out, room: self.room, cut: None }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Taken<'_>> {
        let room = *self.room > 0;
        room.then_some(Taken { out: self.out, room: self.room, cut: None })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut segmentation = SegmentationCapabilities::default();
        segmentation.tcpv4 = Some(LONGEST);
        let mut checksum = ChecksumCapabilities::ignored();
        checksum.ipv4 = Checksum::Tx;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities.checksum = checksum;
        capabilities.segmentation = segmentation;
        capabilities
    }
}

impl RxToken for Given<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Taken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut bytes = vec![0; ETHERNET + length];
        let result = f(&mut bytes[ETHERNET..]);
        *self.room = self.room.saturating_sub(length);
        self.out.push(Segment { bytes, cut: self.cut });
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.cut = meta.segmentation_offload_size;
    }
}
