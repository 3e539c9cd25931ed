//! A tiny machine with one virtio device, and a driver for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emu_core::addr::{Pa, Size};
use emu_core::bus::{Backing, Bus, BusFault, MmioDevice, Requester};
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, Source};
use emu_core::metrics::Counters;
use emu_core::ram::GuestRam;
use parking_lot::Mutex;
use test_kit::wires::Wires;

use crate::pci::{ECAM_SIZE, PciHost};
use crate::stalling_port::{OnlyPort, StallingPort};
use crate::virtio::{
    Chain, DeviceHandle, DeviceKind, GuestMemory, Interfaces, Placement, Request, VirtioDevice, VirtioMmio,
    VirtioOptions, VirtioPci, feature, status,
};

pub(super) const RAM: u64 = 0x4000_0000;
pub(super) const RAM_SIZE: u64 = 1 << 20;
/// Buffers of tests begin here.
pub(super) const DATA: u64 = RAM + 0x8_0000;
const MMIO: u64 = 0x0a00_0000;
pub(super) const ECAM: u64 = 0x40_1000_0000 + (1 << 15);
const BAR1: u64 = 0x1000_0000;
pub(super) const BAR4: u64 = 0x80_0000_0000;
const PIO: u64 = 0x3eff_0000;
/// The legacy registers of the PCI function.
pub(super) const IO: u64 = PIO + 0x1000;
const SINK: u64 = 0x0808_0000;
pub(super) const QUEUE_SIZE: u16 = 16;
const CPU: Requester = Requester::Cpu(0);

/// Receives MSIs: who sent what.
#[derive(Default)]
pub(super) struct Sink(pub(super) Mutex<Vec<(Requester, u64)>>);
impl MmioDevice for Sink {
    fn name(&self) -> &str {
        "msi-sink"
    }
    fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
        Err(BusFault::Refused)
    }
    fn write(&self, _: u64, _: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        self.0.lock().push((from, value));
        Ok(())
    }
}

/// Waits for something that another thread does.
pub(super) fn until(f: impl Fn() -> bool) {
    let start = Instant::now();
    while !f() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::sleep(Duration::from_micros(50));
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Mmio,
    /// With MSI-X, or with INTx.
    Pci {
        msix: bool,
    },
    LegacyMmio,
    /// A transitional function with a legacy driver.
    LegacyPci {
        msix: bool,
    },
}

/// Those of the modern interface.
pub(super) const TRANSPORTS: [Transport; 3] =
    [Transport::Mmio, Transport::Pci { msix: true }, Transport::Pci { msix: false }];

pub(super) const ALL: [Transport; 6] = [
    Transport::Mmio,
    Transport::Pci { msix: true },
    Transport::Pci { msix: false },
    Transport::LegacyMmio,
    Transport::LegacyPci { msix: true },
    Transport::LegacyPci { msix: false },
];

/// A device with queues as long as the driver's: a legacy driver cannot choose their size on PCI.
struct Fitted(Arc<dyn VirtioDevice>, Vec<u16>);

impl VirtioDevice for Fitted {
    fn kind(&self) -> DeviceKind {
        self.0.kind()
    }
    fn features(&self) -> u64 {
        self.0.features()
    }
    fn queue_sizes(&self) -> &[u16] {
        &self.1
    }
    fn config_read(&self, offset: u64, out: &mut [u8]) {
        self.0.config_read(offset, out);
    }
    fn config_write(&self, offset: u64, bytes: &[u8]) {
        self.0.config_write(offset, bytes);
    }
    fn placement(&self) -> Placement {
        self.0.placement()
    }
    fn attach(&self, handle: DeviceHandle) {
        self.0.attach(handle);
    }
    fn activate(&self, features: u64) {
        self.0.activate(features);
    }
    fn ready(&self, queue: u16) -> bool {
        self.0.ready(queue)
    }
    fn depth(&self) -> u16 {
        self.0.depth()
    }
    fn drain(&self) {
        self.0.drain();
    }
    fn start(&self) -> std::io::Result<()> {
        self.0.start()
    }
    fn pause(&self) {
        self.0.pause();
    }
    fn process(self: Arc<Self>, queue: u16, chain: Chain, memory: GuestMemory) -> Request {
        self.0.clone().process(queue, chain, memory)
    }
    fn reset(&self) {
        self.0.reset();
    }
    fn halt(&self) {
        self.0.halt();
    }
    fn save(&self, name: &str) -> Payload {
        self.0.save(name)
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        self.0.check(saved)
    }
}

pub(super) struct Rig {
    pub(super) transport: Transport,
    pub(super) bus: Arc<Bus>,
    pub(super) sink: Arc<Sink>,
    wire: Arc<Wires>,
    pub(super) port: Arc<StallingPort>,
    pub(super) counters: Arc<Counters>,
    pub(super) component: Arc<dyn Component>,
}

/// The next index of each queue's rings, as the driver knows them.
#[derive(Clone, Copy, Default)]
pub(super) struct Ring {
    pub(super) queue: u16,
    pub(super) avail: u16,
    pub(super) used: u16,
}

impl Rig {
    /// Answers the one stalled transaction, once there is one.
    pub(super) fn answer(&self, retry: bool) {
        until(|| !self.port.stalled.lock().is_empty());
        let tag = self.port.stalled.lock().remove(0);
        self.port.answer_to(tag, retry);
    }

    pub(super) fn new(transport: Transport, device: Arc<dyn VirtioDevice>, options: VirtioOptions) -> Self {
        Self::with_ram(transport, device, options, GuestRam::new(RAM_SIZE).unwrap())
    }

    pub(super) fn with_ram(
        transport: Transport,
        device: Arc<dyn VirtioDevice>,
        options: VirtioOptions,
        ram: &'static GuestRam,
    ) -> Self {
        let bus = Arc::new(Bus::new());
        let (sink, wire) = (Arc::new(Sink::default()), Arc::new(Wires::default()));
        let counters = Arc::new(Counters::default());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).unwrap();
        bus.map(Pa(SINK), 0x1000, Backing::Mmio(sink.clone())).unwrap();
        let interfaces = match transport {
            Transport::Mmio | Transport::Pci { .. } => options.interfaces,
            Transport::LegacyMmio => Interfaces::Legacy,
            Transport::LegacyPci { .. } => Interfaces::Transitional,
        };
        let options = VirtioOptions { interfaces, ..options };
        let fitted = |f: fn(u16) -> u16| -> Arc<dyn VirtioDevice> {
            let sizes = device.queue_sizes().iter().map(|s| f(*s)).collect();
            Arc::new(Fitted(device.clone(), sizes))
        };
        let device = match transport {
            Transport::Mmio | Transport::Pci { .. } => device,
            Transport::LegacyMmio => fitted(|size| size.max(QUEUE_SIZE)),
            Transport::LegacyPci { .. } => fitted(|_| QUEUE_SIZE),
        };
        let port = StallingPort::new(bus.clone());
        let ports = Arc::new(OnlyPort(port.clone()));
        let irq = IrqLine::new(wire.clone(), 0);
        let component: Arc<dyn Component> = match transport {
            Transport::Mmio | Transport::LegacyMmio => {
                let ports = (&*ports as &dyn Ports, 0x1_0000);
                let slot = VirtioMmio::new("virtio-mmio", Some(device), irq, ports, options, &counters);
                bus.map(Pa(MMIO), 0x200, Backing::Mmio(slot.clone())).unwrap();
                slot
            }
            Transport::Pci { .. } | Transport::LegacyPci { .. } => {
                let host = PciHost::new([irq.clone(), irq.clone(), irq.clone(), irq], ports, &counters);
                bus.map(Pa(ECAM - (1 << 15)), ECAM_SIZE, Backing::Mmio(host.ecam())).unwrap();
                bus.map(Pa(BAR1), 0x1000_0000, Backing::Mmio(host.memory_window("low", BAR1))).unwrap();
                bus.map(Pa(BAR4), 0x1000_0000, Backing::Mmio(host.memory_window("high", BAR4))).unwrap();
                bus.map(Pa(PIO), 0x1_0000, Backing::Mmio(host.io_window())).unwrap();
                host.add(Some(1), VirtioPci::new("virtio-pci", device, options, &counters)).unwrap();
                host
            }
        };
        let rig = Self { transport, bus, sink, wire, port, counters, component };
        rig.component.start().unwrap();
        rig
    }

    pub(super) fn get(&self, pa: u64, size: Size) -> u64 {
        self.bus.read(Pa(pa), size, CPU).unwrap()
    }
    pub(super) fn put(&self, pa: u64, size: Size, v: u64) {
        self.bus.write(Pa(pa), size, v, CPU).unwrap();
    }
    pub(super) fn mmio(&self, at: u64) -> u64 {
        self.get(MMIO + at, Size::B4)
    }
    pub(super) fn set_mmio(&self, at: u64, v: u64) {
        self.put(MMIO + at, Size::B4, v);
    }
    pub(super) fn is_mmio(&self) -> bool {
        matches!(self.transport, Transport::Mmio | Transport::LegacyMmio)
    }
    fn is_legacy(&self) -> bool {
        matches!(self.transport, Transport::LegacyMmio | Transport::LegacyPci { .. })
    }
    fn is_legacy_pci(&self) -> bool {
        matches!(self.transport, Transport::LegacyPci { .. })
    }

    /// Offset of the capability for MSI-X (`structure` `None`) or of a virtio structure.
    pub(super) fn capability(&self, structure: Option<u64>) -> u64 {
        let mut at = self.get(ECAM + 0x34, Size::B1);
        while at != 0 {
            let id = self.get(ECAM + at, Size::B1);
            let kind = self.get(ECAM + at + 3, Size::B1);
            if structure.map_or(id == 0x11, |s| id == 9 && kind == s) {
                return at;
            }
            at = self.get(ECAM + at + 1, Size::B1);
        }
        panic!("no such capability");
    }

    /// What firmware does: BARs, bus mastering, and MSI-X with vector *n* sending 0x50 + n.
    pub(super) fn enumerate(&self) {
        let (Transport::Pci { msix } | Transport::LegacyPci { msix }) = self.transport else { return };
        if self.is_legacy_pci() {
            self.put(ECAM + 0x10, Size::B4, IO - PIO);
        }
        self.put(ECAM + 0x14, Size::B4, BAR1);
        self.put(ECAM + 0x20, Size::B8, BAR4);
        self.put(ECAM + 4, Size::B2, 7);
        if msix {
            let control = ECAM + self.capability(None) + 2;
            for vector in 0..=self.get(control, Size::B2) & 0x7ff {
                self.put(BAR1 + 16 * vector, Size::B8, SINK + 0x40);
                self.put(BAR1 + 16 * vector + 8, Size::B8, 0x50 + vector);
            }
            self.put(control, Size::B2, 0x8000);
        }
    }

    pub(super) fn status(&self) -> u8 {
        let (at, size) = self.status_register();
        self.get(at, size) as u8
    }
    pub(super) fn set_status(&self, v: u8) {
        let (at, size) = self.status_register();
        self.put(at, size, v.into());
    }
    fn status_register(&self) -> (u64, Size) {
        match self.transport {
            Transport::Mmio | Transport::LegacyMmio => (MMIO + 0x70, Size::B4),
            Transport::Pci { .. } => (BAR4 + 20, Size::B1),
            Transport::LegacyPci { .. } => (IO + 18, Size::B1),
        }
    }
    pub(super) fn features(&self) -> u64 {
        if self.is_legacy_pci() {
            return self.get(IO, Size::B4);
        }
        let word = |i| {
            if self.is_mmio() {
                self.set_mmio(0x14, i);
                self.mmio(0x10)
            } else {
                self.put(BAR4, Size::B4, i);
                self.get(BAR4 + 4, Size::B4)
            }
        };
        word(0) | word(1) << 32
    }
    fn accept(&self, features: u64) {
        if self.is_legacy_pci() {
            self.put(IO + 4, Size::B4, features);
            assert_eq!(self.get(IO + 4, Size::B4), features);
            return;
        }
        for (i, word) in [features & 0xffff_ffff, features >> 32].into_iter().enumerate() {
            if self.is_mmio() {
                self.set_mmio(0x24, i as u64);
                self.set_mmio(0x20, word);
            } else {
                self.put(BAR4 + 8, Size::B4, i as u64);
                self.put(BAR4 + 12, Size::B4, word);
            }
        }
    }

    /// Reset and negotiation up to FEATURES_OK, which legacy drivers do without; false if the device does not take the
    /// features.
    pub(super) fn negotiate(&self, features: u64) -> bool {
        if self.transport == Transport::LegacyMmio {
            // Linux says so once, before it resets the device.
            self.set_mmio(0x28, 0x1000);
        }
        self.set_status(0);
        assert_eq!(self.status(), 0);
        let begun = status::ACKNOWLEDGE | status::DRIVER;
        self.set_status(begun);
        self.accept(features);
        if self.is_legacy() {
            return true;
        }
        self.set_status(begun | status::FEATURES_OK);
        self.status() & status::FEATURES_OK != 0
    }

    /// One behind the other, as the legacy interface demands and the modern one allows.
    pub(super) fn rings(queue: u16) -> [u64; 3] {
        let base = RAM + 0x1_0000 + 0x4000 * u64::from(queue);
        [base, base + 16 * u64::from(QUEUE_SIZE), base + 0x1000]
    }

    pub(super) fn setup_queue(&self, queue: u16) -> Ring {
        let rings = Self::rings(queue);
        self.bus.write_bytes(Pa(rings[0]), &[0; 0x4000], CPU).unwrap();
        let page = rings[0] >> 12;
        if self.transport == Transport::LegacyMmio {
            self.set_mmio(0x30, queue.into());
            assert!(self.mmio(0x34) != 0 && self.mmio(0x40) == 0);
            self.set_mmio(0x38, QUEUE_SIZE.into());
            self.set_mmio(0x3c, 0x1000);
            self.set_mmio(0x40, page);
            assert_eq!(self.mmio(0x40), page);
        } else if let Transport::LegacyPci { msix } = self.transport {
            self.put(IO + 14, Size::B2, queue.into());
            assert_eq!((self.get(IO + 12, Size::B2), self.get(IO + 8, Size::B4)), (QUEUE_SIZE.into(), 0));
            if msix {
                self.put(IO + 22, Size::B2, u64::from(queue) + 1);
                assert_eq!(self.get(IO + 22, Size::B2), u64::from(queue) + 1);
            }
            self.put(IO + 8, Size::B4, page);
            assert_eq!(self.get(IO + 8, Size::B4), page);
        } else if self.is_mmio() {
            self.set_mmio(0x30, queue.into());
            assert!(self.mmio(0x34) != 0 && self.mmio(0x44) == 0);
            self.set_mmio(0x38, QUEUE_SIZE.into());
            for (at, ring) in [0x80, 0x90, 0xa0].into_iter().zip(rings) {
                self.set_mmio(at, ring & 0xffff_ffff);
                self.set_mmio(at + 4, ring >> 32);
            }
            self.set_mmio(0x44, 1);
        } else {
            self.put(BAR4 + 22, Size::B2, queue.into());
            assert_eq!(self.get(BAR4 + 30, Size::B2), u64::from(queue));
            self.put(BAR4 + 24, Size::B2, QUEUE_SIZE.into());
            self.put(BAR4 + 26, Size::B2, u64::from(queue) + 1);
            for (at, ring) in [32, 40, 48].into_iter().zip(rings) {
                self.put(BAR4 + at, Size::B4, ring & 0xffff_ffff);
                self.put(BAR4 + at + 4, Size::B4, ring >> 32);
                assert_eq!(self.get(BAR4 + at, Size::B8), ring);
            }
            self.put(BAR4 + 28, Size::B2, 1);
        }
        Ring { queue, ..Ring::default() }
    }

    /// A driver's whole initialisation, with all features that the device offers and `mask` allows.
    pub(super) fn initialise(&self, queues: u16, mask: u64) -> Vec<Ring> {
        self.enumerate();
        assert!(self.negotiate(self.features() & (mask | feature::VERSION_1)));
        match self.transport {
            Transport::Pci { .. } => self.put(BAR4 + 16, Size::B2, 0),
            Transport::LegacyPci { msix: true } => self.put(IO + 20, Size::B2, 0),
            _ => {}
        }
        let rings = (0..queues).map(|q| self.setup_queue(q)).collect();
        self.set_status(if self.is_legacy() { 0x07 } else { 0x0f });
        rings
    }

    fn config_base(&self) -> u64 {
        match self.transport {
            Transport::Mmio | Transport::LegacyMmio => MMIO + 0x100,
            Transport::Pci { .. } => BAR4 + 0x2000,
            Transport::LegacyPci { msix } => IO + if msix { 24 } else { 20 },
        }
    }
    /// Reads the device's configuration space.
    pub(super) fn config(&self, at: u64, size: Size) -> u64 {
        self.get(self.config_base() + at, size)
    }
    pub(super) fn set_config(&self, at: u64, size: Size, v: u64) {
        self.put(self.config_base() + at, size, v);
    }

    pub(super) fn notify(&self, queue: u16) {
        if self.is_mmio() {
            self.set_mmio(0x50, queue.into());
        } else if self.is_legacy_pci() {
            self.put(IO + 16, Size::B2, queue.into());
        } else {
            self.put(BAR4 + 0x3000 + 4 * u64::from(queue), Size::B2, queue.into());
        }
    }

    /// Whether an interrupt came since the last call; acknowledges it. `config` is for configuration changes.
    pub(super) fn interrupted(&self, queue: Option<u16>) -> bool {
        let bit = if queue.is_some() { 1 } else { 2 };
        match self.transport {
            Transport::Mmio | Transport::LegacyMmio => {
                let isr = self.mmio(0x60);
                until(|| isr == 0 || self.wire.level(0));
                self.set_mmio(0x64, bit);
                isr & bit != 0
            }
            Transport::Pci { msix: false } | Transport::LegacyPci { msix: false } => {
                // Reading it takes the wire down, which may have risen after anything that was seen of it before.
                let isr = self.get(if self.is_legacy_pci() { IO + 19 } else { BAR4 + 0x1000 }, Size::B1);
                isr & bit != 0
            }
            Transport::Pci { msix: true } | Transport::LegacyPci { msix: true } => {
                let message = (Requester::Device(8), 0x50 + queue.map_or(0, |q| u64::from(q) + 1));
                let mut all = self.sink.0.lock();
                let before = all.len();
                all.retain(|m| *m != message);
                all.len() < before
            }
        }
    }

    pub(super) fn bytes(&self, pa: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.bus.read_bytes(Pa(pa), &mut out, CPU).unwrap();
        out
    }
    pub(super) fn set_bytes(&self, pa: u64, bytes: &[u8]) {
        self.bus.write_bytes(Pa(pa), bytes, CPU).unwrap();
    }

    /// Writes a descriptor at `table`.
    pub(super) fn descriptor(&self, table: u64, index: u16, (addr, len, flags, next): (u64, u32, u16, u16)) {
        let at = table + 16 * u64::from(index);
        self.put(at, Size::B8, addr);
        self.put(at + 8, Size::B4, len.into());
        self.put(at + 12, Size::B2, flags.into());
        self.put(at + 14, Size::B2, next.into());
    }

    /// Puts a chain of (address, length, device writes it) into the table, from descriptor `first` on.
    pub(super) fn chain(&self, table: u64, first: u16, buffers: &[(u64, u32, bool)]) {
        for (i, &(addr, len, write)) in buffers.iter().enumerate() {
            let last = i + 1 == buffers.len();
            let flags = u16::from(!last) | u16::from(write) << 1;
            let next = if last { 0 } else { first + i as u16 + 1 };
            self.descriptor(table, first + i as u16, (addr, len, flags, next));
        }
    }

    /// Makes descriptor `head` available, without notifying.
    pub(super) fn publish(&self, ring: &mut Ring, head: u16) {
        let avail = Self::rings(ring.queue)[1];
        self.put(avail + 4 + 2 * u64::from(ring.avail % QUEUE_SIZE), Size::B2, head.into());
        ring.avail = ring.avail.wrapping_add(1);
        self.put(avail + 2, Size::B2, ring.avail.into());
    }

    pub(super) fn used_index(&self, ring: &Ring) -> u16 {
        self.get(Self::rings(ring.queue)[2] + 2, Size::B2) as u16
    }

    /// Waits for the next used element: head and bytes written.
    pub(super) fn wait_used(&self, ring: &mut Ring) -> (u32, u32) {
        until(|| self.used_index(ring) != ring.used);
        let at = Self::rings(ring.queue)[2] + 4 + 8 * u64::from(ring.used % QUEUE_SIZE);
        ring.used = ring.used.wrapping_add(1);
        (self.get(at, Size::B4) as u32, self.get(at + 4, Size::B4) as u32)
    }

    /// Executes one request of these buffers and gives the bytes written.
    pub(super) fn request(&self, ring: &mut Ring, buffers: &[(u64, u32, bool)]) -> u32 {
        self.chain(Self::rings(ring.queue)[0], 0, buffers);
        self.publish(ring, 0);
        self.notify(ring.queue);
        self.wait_used(ring).1
    }
}
