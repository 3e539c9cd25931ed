//! The network device (virtio 1.3, 5.1): one pair of queues, and a control queue for what is received.
//!
//! Frames are whole in both directions: checksums and segments are the driver's, for no feature that leaves them to the device is
//! offered. So each receive buffer holds a frame of an ordinary network, and one that does not fit is lost and counted.

mod control;
mod filter;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Waker};

use emu_core::lifecycle::{Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::filter::Filter;
use super::device::copy_config;
use super::{Chain, DeviceHandle, DeviceKind, GuestMemory, QueueFault, Request, VirtioDevice, feature};
use crate::net::{MAX_FRAME, MacAddress, NetBackend, NetClient, Receipt};

/// Feature bits (virtio 1.3, 5.1.3).
mod offer {
    pub(super) const MTU: u64 = 1 << 3;
    pub(super) const MAC: u64 = 1 << 5;
    pub(super) const STATUS: u64 = 1 << 16;
    pub(super) const CTRL_VQ: u64 = 1 << 17;
    pub(super) const CTRL_RX: u64 = 1 << 18;
    pub(super) const CTRL_VLAN: u64 = 1 << 19;
    pub(super) const CTRL_RX_EXTRA: u64 = 1 << 20;
    pub(super) const CTRL_MAC_ADDR: u64 = 1 << 23;
}

/// Status bit: the link is up.
const LINK_UP: u16 = 1;
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
const QUEUE_SIZE: u16 = 256;
/// Frames that wait for buffers of the driver's; what comes then waits in the back end.
const WAITING: usize = 64;

/// What is part of the machine's state.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    mac: [u8; 6],
    filter: Filter,
}

impl SavedState for State {
    const KIND: &'static str = "virtio-net";
    const VERSION: u32 = 1;
}

/// Frames that have come for the driver.
#[derive(Default)]
struct Arrived {
    frames: VecDeque<Vec<u8>>,
    /// The request that waits for the next one.
    waiter: Option<Waker>,
    /// The back end has one for which there was no room.
    refused: bool,
}

/// A network device.
pub struct Net {
    station: MacAddress,
    mtu: Option<u16>,
    backend: Option<Arc<dyn NetBackend>>,
    handle: OnceLock<DeviceHandle>,
    state: Mutex<State>,
    arrived: Mutex<Arrived>,
    counters: Arc<Counters>,
    /// There is somebody at the other end of the cable.
    link: AtomicBool,
    /// The driver takes frames.
    active: AtomicBool,
    /// It has accepted VERSION_1, so that the header of a frame has two bytes more (virtio 1.3, 5.1.6.1).
    modern: AtomicBool,
}

impl Net {
    /// A device with this address; without a back end no cable is plugged in. With an `mtu` it says that the network has that.
    #[must_use]
    pub fn new(
        mac: MacAddress,
        mtu: Option<u16>,
        backend: Option<Arc<dyn NetBackend>>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let this = Arc::new(Self {
            station: mac,
            mtu,
            handle: OnceLock::new(),
            state: Mutex::new(State { mac: mac.0, filter: Filter::default() }),
            arrived: Mutex::default(),
            counters: counters.clone(),
            link: AtomicBool::new(backend.as_ref().is_some_and(|b| b.link())),
            active: AtomicBool::new(false),
            modern: AtomicBool::new(false),
            backend,
        });
        if let Some(backend) = &this.backend {
            let client: Weak<Self> = Arc::downgrade(&this);
            backend.connect(client);
        }
        this
    }

    fn header(&self) -> usize {
        if self.modern.load(Ordering::Acquire) { 12 } else { 10 }
    }

    /// The next frame for a buffer with room for `room` bytes; longer ones are lost.
    async fn arrival(&self, room: usize) -> Vec<u8> {
        poll_fn(|context| {
            let mut arrived = self.arrived.lock();
            while let Some(frame) = arrived.frames.pop_front() {
                if frame.len() <= room {
                    return Poll::Ready(frame);
                }
                self.counters.add(Metric::Anomalies, 1);
            }
            arrived.waiter = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn receive(&self, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let header = self.header();
        let room = (chain.writable_len() as usize).checked_sub(header).filter(|room| *room > 0);
        let room = room.ok_or(QueueFault::Malformed("a receive buffer without room for a frame"))?;
        let frame = self.arrival(room).await;
        if std::mem::take(&mut self.arrived.lock().refused)
            && let Some(backend) = &self.backend
        {
            backend.room();
        }
        let mut bytes = vec![0; header];
        if let Some(buffers) = bytes.get_mut(10) {
            *buffers = 1;
        }
        bytes.extend_from_slice(&frame);
        Ok(chain.write(memory, 0, bytes).await?.len() as u32)
    }

    async fn transmit(&self, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let header = self.header();
        let length = (chain.readable_len() as usize).checked_sub(header);
        let length = length.ok_or(QueueFault::Malformed("a frame without its header"))?;
        if !(1..=MAX_FRAME).contains(&length) {
            self.counters.add(Metric::Anomalies, 1);
            return Ok(0);
        }
        let frame = chain.read(memory, header as u64, vec![0; length]).await?;
        if let Some(backend) = self.backend.as_ref().filter(|_| self.link.load(Ordering::Acquire)) {
            backend.send(&frame);
        }
        Ok(0)
    }

    async fn control(&self, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let length = chain.readable_len().min(control::LONGEST as u64) as usize;
        if chain.writable_len() == 0 {
            return Err(QueueFault::Malformed("a command without room for its answer"));
        }
        let command = chain.read(memory, 0, vec![0; length]).await?;
        let obeyed = {
            let mut state = self.state.lock();
            let State { mac, filter } = &mut *state;
            control::obey(&command, mac, filter)
        };
        chain.write(memory, 0, vec![u8::from(!obeyed)]).await?;
        Ok(1)
    }
}

impl NetClient for Net {
    fn receive(&self, frame: &[u8]) -> Receipt {
        if !self.active.load(Ordering::Acquire) || !self.link.load(Ordering::Acquire) {
            return Receipt::Taken;
        }
        {
            let state = self.state.lock();
            if !state.filter.wants(frame, &state.mac) {
                return Receipt::Taken;
            }
        }
        let waiter = {
            let mut arrived = self.arrived.lock();
            if arrived.frames.len() >= WAITING {
                arrived.refused = true;
                return Receipt::NoRoom;
            }
            arrived.frames.push_back(frame.to_vec());
            arrived.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        Receipt::Taken
    }

    fn link(&self, up: bool) {
        if self.link.swap(up, Ordering::AcqRel) != up
            && let Some(handle) = self.handle.get()
        {
            handle.config_changed();
        }
    }
}

impl VirtioDevice for Net {
    fn kind(&self) -> DeviceKind {
        DeviceKind { id: 1, pci_class: 0x02_0000 }
    }
    fn features(&self) -> u64 {
        use offer::{CTRL_MAC_ADDR, CTRL_RX, CTRL_RX_EXTRA, CTRL_VLAN, CTRL_VQ, MAC, MTU, STATUS};
        let mtu = if self.mtu.is_some() { MTU } else { 0 };
        MAC | STATUS | CTRL_VQ | CTRL_RX | CTRL_RX_EXTRA | CTRL_VLAN | CTRL_MAC_ADDR | mtu
    }
    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE, QUEUE_SIZE, 64]
    }
    fn config_read(&self, offset: u64, out: &mut [u8]) {
        let mut config = [0; 12];
        config[..6].copy_from_slice(&self.state.lock().mac);
        let status = if self.link.load(Ordering::Acquire) { LINK_UP } else { 0 };
        config[6..8].copy_from_slice(&status.to_le_bytes());
        config[8..10].copy_from_slice(&1_u16.to_le_bytes());
        config[10..].copy_from_slice(&self.mtu.unwrap_or(0).to_le_bytes());
        copy_config(&config, offset, out);
    }
    /// Only a legacy driver writes the address here (virtio 1.3, 5.1.4.3).
    fn config_write(&self, offset: u64, bytes: &[u8]) {
        if self.modern.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock();
        for (at, byte) in (offset..6).zip(bytes) {
            if let Some(place) = usize::try_from(at).ok().and_then(|at| state.mac.get_mut(at)) {
                *place = *byte;
            }
        }
    }
    fn attach(&self, handle: DeviceHandle) {
        let _ = self.handle.set(handle);
    }
    fn activate(&self, features: u64) {
        self.modern.store(features & feature::VERSION_1 != 0, Ordering::Release);
        if features & offer::CTRL_VLAN == 0 {
            self.state.lock().filter.take_all_vlans();
        }
        self.active.store(true, Ordering::Release);
    }
    fn process(self: Arc<Self>, queue: u16, chain: Chain, memory: GuestMemory) -> Request {
        Request::new(async move {
            match queue {
                RECEIVE => Self::receive(&self, &chain, &memory).await,
                TRANSMIT => self.transmit(&chain, &memory).await,
                _ => self.control(&chain, &memory).await,
            }
        })
    }
    fn start(&self) -> io::Result<()> {
        self.backend.as_ref().map_or(Ok(()), |backend| backend.start())
    }
    fn pause(&self) {
        if let Some(backend) = &self.backend {
            backend.pause();
        }
    }
    /// Frames that have come are lost, as on a cable.
    fn reset(&self) {
        self.active.store(false, Ordering::Release);
        self.modern.store(false, Ordering::Release);
        *self.state.lock() = State { mac: self.station.0, filter: Filter::default() };
        let refused = {
            let mut arrived = self.arrived.lock();
            arrived.frames.clear();
            arrived.waiter = None;
            std::mem::take(&mut arrived.refused)
        };
        if let Some(backend) = self.backend.as_ref().filter(|_| refused) {
            backend.room();
        }
    }
    fn halt(&self) {
        if let Some(backend) = &self.backend {
            backend.halt();
        }
    }
    fn save(&self, name: &str) -> Payload {
        Payload::new(name, &self.state.lock().clone())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        if !state.filter.is_possible() {
            return Err(saved.unfit("its filter has more entries than there is room for"));
        }
        Ok(Restore::new(move || {
            VirtioDevice::reset(self);
            *self.state.lock() = state;
        }))
    }
}
