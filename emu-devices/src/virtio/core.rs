//! What all virtio devices share, whatever their transport.

mod running;
mod service;

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use emu_core::dma::{DmaClient, DmaPort, StallTable, StallTag};
use emu_core::lifecycle::{Payload, Restore, RestoreError, Source};
use emu_core::metrics::{Counters, Metric};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use self::running::{Running, Wakers, Whose};
use super::memory::Surroundings;
use super::{Placement, Queue, QueueConfig, QueueFault, VirtioDevice, feature, status};
use crate::worker::Worker;

/// The interfaces that a device has (virtio 1.2, 1.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Interfaces {
    /// That of virtio 1.0 and later.
    #[default]
    Modern,
    /// That of the drafts before it.
    Legacy,
    /// Both, for the driver to choose one: a transitional device. Only PCI has room for it.
    Transitional,
}

/// The interface that an access came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Interface {
    Modern,
    Legacy,
}

/// What a board may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtioOptions {
    /// The interfaces that drivers can use. [`Interfaces::Transitional`] is modern where there can be only one.
    pub interfaces: Interfaces,
    /// Offer and demand VIRTIO_F_ACCESS_PLATFORM: for devices behind an SMMU.
    pub iommu_platform: bool,
    /// Offer VIRTIO_F_EVENT_IDX.
    pub event_idx: bool,
    /// Offer VIRTIO_F_INDIRECT_DESC.
    pub indirect_desc: bool,
    /// Offer VIRTIO_F_RING_RESET.
    pub ring_reset: bool,
    /// Execute all requests on the notifying thread, so that a run in instruction-counted time is repeatable.
    pub deterministic: bool,
}

impl Default for VirtioOptions {
    fn default() -> Self {
        Self {
            interfaces: Interfaces::Modern,
            iommu_platform: false,
            event_idx: true,
            indirect_desc: true,
            ring_reset: false,
            deterministic: false,
        }
    }
}

/// How a transport tells the driver something.
pub(super) trait Signals: Send + Sync {
    /// Used buffers are in queue `queue`.
    fn queue(&self, queue: u16);
    /// The configuration, or the status, has changed.
    fn config(&self);
}

/// What the driver has written to the registers, and not yet to queues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Regs {
    pub(super) status: u8,
    pub(super) device_feature_select: u32,
    pub(super) driver_feature_select: u32,
    driver_features: u64,
    pub(super) queue_select: u16,
    pub(super) generation: u8,
    queues: Vec<QueueConfig>,
}

/// The queues, owned by whoever executes requests.
struct Live {
    active: bool,
    paused: bool,
    queues: Vec<Queue>,
    /// The requests of each queue that are under way, by their place among them.
    running: Vec<Vec<Option<Running>>>,
}

impl Live {
    fn cancel_all(&mut self) {
        self.running.iter_mut().flatten().for_each(|r| *r = None);
    }
}

/// The saved form of a [`VirtioCore`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CoreState {
    regs: Regs,
    active: bool,
    queues: Vec<Queue>,
}

/// What the state of the device type is called in that of the whole.
const DEVICE: &str = "device";

/// A virtio device without its registers.
pub struct VirtioCore {
    name: String,
    device: Arc<dyn VirtioDevice>,
    port: Arc<dyn DmaPort>,
    options: VirtioOptions,
    placement: Placement,
    signals: Arc<dyn Signals>,
    counters: Arc<Counters>,
    live: Mutex<Live>,
    regs: Mutex<Regs>,
    /// By queue for its rings, and by [`running::slot`] for requests.
    stalls: Arc<StallTable>,
    /// Of each queue, how its requests say that they can go on.
    wakers: Vec<Wakers>,
    /// Queues that have been notified and not looked at, one bit each.
    pending: AtomicU64,
    worker: Worker,
    around: Arc<Surroundings>,
}

/// Says that somebody waits for the request at hand, as long as it lives.
struct Awaiting<'a>(&'a AtomicU32);

impl<'a> Awaiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A device's means to ask for attention.
#[derive(Clone, Default)]
pub struct DeviceHandle(Weak<VirtioCore>);

impl DeviceHandle {
    /// `queue` can be served (again).
    pub fn kick(&self, queue: u16) {
        if let Some(core) = self.0.upgrade() {
            core.service_queue(queue);
        }
    }

    /// The device's configuration space has changed.
    pub fn config_changed(&self) {
        if let Some(core) = self.0.upgrade() {
            core.config_changed();
        }
    }
}

impl VirtioCore {
    /// `port` makes the way to memory; what is given to it is who is to be told of stalls.
    pub(super) fn new(
        name: &str,
        device: Arc<dyn VirtioDevice>,
        port: impl FnOnce(Weak<Self>) -> Arc<dyn DmaPort>,
        options: VirtioOptions,
        signals: Arc<dyn Signals>,
        counters: Arc<Counters>,
    ) -> Arc<Self> {
        let queues = device.queue_sizes().len();
        let depth = device.depth().clamp(1, running::MAX_DEPTH);
        debug_assert!(queues <= 64 && device.queue_sizes().iter().all(|s| s.is_power_of_two() && *s <= 1024));
        let placement = if options.deterministic { Placement::Inline } else { device.placement() };
        let core = Arc::new_cyclic(|this: &Weak<Self>| Self {
            name: name.to_owned(),
            port: port(this.clone()),
            options,
            placement,
            signals,
            counters,
            live: Mutex::new(Live {
                active: false,
                paused: false,
                queues: vec![Queue::default(); queues],
                running: (0..queues).map(|_| (0..depth).map(|_| None).collect()).collect(),
            }),
            wakers: (0..queues).map(|q| Wakers::new(this, q as u16, depth)).collect(),
            regs: Mutex::new(reset_regs(&*device)),
            stalls: Arc::default(),
            pending: AtomicU64::new(0),
            worker: Worker::default(),
            around: Arc::default(),
            device,
        });
        core.device.attach(DeviceHandle(Arc::downgrade(&core)));
        core
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn device(&self) -> &dyn VirtioDevice {
        &*self.device
    }

    /// The queues, for a register access: a CPU waits for it, and not for all of a long request.
    fn live(&self) -> MutexGuard<'_, Live> {
        let _awaiting = Awaiting::new(&self.around.awaited);
        self.live.lock()
    }

    /// The registers, for those accesses that only look or select.
    pub(super) fn regs(&self) -> MutexGuard<'_, Regs> {
        self.regs.lock()
    }

    /// An access that no sane driver makes.
    pub(super) fn anomaly(&self, what: &str) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }

    // Features and status.

    fn offered(&self, interface: Interface) -> u64 {
        let o = &self.options;
        let option = |on, bit| if on { bit } else { 0 };
        let common = self.device.features()
            | option(o.event_idx, feature::EVENT_IDX)
            | option(o.indirect_desc, feature::INDIRECT_DESC);
        match interface {
            Interface::Modern => {
                common
                    | feature::VERSION_1
                    | option(o.iommu_platform, feature::ACCESS_PLATFORM)
                    | option(o.ring_reset, feature::RING_RESET)
            }
            Interface::Legacy => (common | feature::ANY_LAYOUT) & feature::LEGACY,
        }
    }

    /// The 32 feature bits of the device that are selected.
    pub(super) fn device_features(&self, interface: Interface) -> u32 {
        half(self.offered(interface), self.regs().device_feature_select)
    }

    /// All feature bits that a legacy driver can see.
    pub(super) fn legacy_features(&self) -> u32 {
        self.offered(Interface::Legacy) as u32
    }

    /// The 32 feature bits of the driver that are selected.
    pub(super) fn driver_features(&self) -> u32 {
        let regs = self.regs();
        half(regs.driver_features, regs.driver_feature_select)
    }

    /// The driver accepts features among the 32 bits that are selected.
    pub(super) fn set_driver_features(&self, value: u32) {
        let live = self.live();
        let mut regs = self.regs();
        let shift = match regs.driver_feature_select {
            0 => 0,
            1 => 32,
            _ => return,
        };
        // A transitional device may be in the hands of a legacy driver.
        if regs.status & status::FEATURES_OK == 0 && !live.active {
            regs.driver_features = regs.driver_features & !(0xffff_ffff << shift) | u64::from(value) << shift;
        }
    }

    /// A legacy driver accepts features: all at once, and at any time (virtio 1.2, 3.1.2).
    pub(super) fn set_legacy_features(&self, value: u32) {
        let mut live = self.live();
        let accepted = u64::from(value) & self.offered(Interface::Legacy);
        self.regs().driver_features = accepted;
        if live.active {
            live.queues.iter_mut().for_each(|q| q.set_features(accepted));
            self.device.activate(accepted);
        }
    }

    /// The legacy features that the driver has accepted.
    pub(super) fn legacy_driver_features(&self) -> u32 {
        self.regs().driver_features as u32
    }

    fn acceptable(&self, accepted: u64) -> bool {
        let offered = self.offered(Interface::Modern);
        let demanded = feature::VERSION_1 | offered & feature::ACCESS_PLATFORM;
        accepted & !offered == 0 && accepted & demanded == demanded
    }

    /// The driver writes the status; zero resets the device, and has reset it when this returns.
    pub(super) fn set_status(&self, value: u8, interface: Interface) {
        if value == 0 {
            return self.reset();
        }
        let mut live = self.live();
        let mut regs = self.regs();
        let mut new = value & !regs.status;
        let negotiated = match interface {
            Interface::Modern => {
                if new & status::FEATURES_OK != 0 && !self.acceptable(regs.driver_features) {
                    self.anomaly("the driver's features are not acceptable");
                    new &= !status::FEATURES_OK;
                }
                (regs.status | new) & status::FEATURES_OK != 0
            }
            // There is no such bit, and nothing to agree on.
            Interface::Legacy => {
                new &= !status::FEATURES_OK;
                true
            }
        };
        regs.status |= new & !status::NEEDS_RESET;
        // What follows locks them again: a queue that is pending already may turn out to be damaged.
        drop(regs);
        if new & status::DRIVER_OK != 0 && negotiated {
            self.activate(&mut live);
            self.pending.store(u64::MAX, Ordering::Release);
        }
        drop(live);
        self.run_pending();
    }

    fn activate(&self, live: &mut Live) {
        let features = {
            let mut regs = self.regs();
            if regs.status & status::FEATURES_OK == 0 {
                // A legacy driver, perhaps after one that wrote features which nobody has looked at.
                regs.driver_features &= self.offered(Interface::Legacy);
            }
            regs.driver_features
        };
        live.queues.iter_mut().for_each(|q| q.set_features(features));
        live.active = true;
        self.device.activate(features);
    }

    /// To the state after power-on. Waits until the request that is being executed has ended or stands still.
    pub(super) fn reset(&self) {
        let mut live = self.live();
        let mut regs = self.regs();
        live.active = false;
        live.queues.fill(Queue::default());
        live.cancel_all();
        *regs = reset_regs(&*self.device);
        self.stalls.cancel_all();
        self.pending.store(0, Ordering::Release);
        drop(regs);
        self.device.reset();
    }

    fn needs_reset(&self, live: &mut Live, why: QueueFault) {
        tracing::warn!(device = self.name, "the driver must reset the device: {why}");
        self.counters.add(Metric::Anomalies, 1);
        live.active = false;
        live.cancel_all();
        let mut regs = self.regs();
        regs.status |= status::NEEDS_RESET;
        let tell = regs.status & status::DRIVER_OK != 0;
        drop(regs);
        if tell {
            self.signals.config();
        }
    }

    fn config_changed(&self) {
        let mut regs = self.regs();
        regs.generation = regs.generation.wrapping_add(1);
        let tell = regs.status & status::DRIVER_OK != 0;
        drop(regs);
        if tell {
            self.signals.config();
        }
    }

    // Queues.

    /// Number of queues.
    pub(super) fn queue_count(&self) -> u16 {
        self.device.queue_sizes().len() as u16
    }

    /// The largest size of the selected queue, 0 if there is none.
    pub(super) fn queue_max(&self) -> u16 {
        let selected = usize::from(self.regs().queue_select);
        self.device.queue_sizes().get(selected).copied().unwrap_or(0)
    }

    /// The selected queue's configuration.
    pub(super) fn queue(&self) -> QueueConfig {
        let regs = self.regs();
        regs.queues.get(usize::from(regs.queue_select)).copied().unwrap_or_default()
    }

    /// Changes the selected queue's configuration, which it takes only while it is disabled.
    pub(super) fn set_queue(&self, change: impl FnOnce(&mut QueueConfig)) {
        let mut regs = self.regs();
        let selected = usize::from(regs.queue_select);
        match regs.queues.get_mut(selected) {
            Some(q) if !q.enabled => change(q),
            _ => self.anomaly("a queue that is enabled or does not exist is configured"),
        }
    }

    /// The driver sets the selected queue's size.
    pub(super) fn set_queue_size(&self, size: u32) {
        let max = u32::from(self.queue_max());
        if size.is_power_of_two() && size <= max {
            self.set_queue(|q| q.size = size as u16);
        } else {
            self.anomaly("an impossible queue size");
        }
    }

    /// Enables the selected queue, or disables and resets it.
    pub(super) fn enable_queue(&self, enable: bool) {
        let mut live = self.live();
        let mut regs = self.regs();
        let selected = usize::from(regs.queue_select);
        let features = regs.driver_features;
        let Live { queues, running, .. } = &mut *live;
        let (Some(config), Some(queue), Some(running)) =
            (regs.queues.get_mut(selected), queues.get_mut(selected), running.get_mut(selected))
        else {
            return self.anomaly("a queue that does not exist is enabled");
        };
        if config.enabled != enable {
            config.enabled = enable;
            *queue = if enable { Queue::new(*config, features) } else { Queue::default() };
            // What such a request has asked of the host ends before the driver has its memory again.
            running.fill_with(|| None);
            self.device.drain();
            self.stalls.cancel(selected as u16);
        }
        drop(regs);
        drop(live);
        self.run_pending();
    }

    /// A legacy driver says how the selected queue's used ring is aligned.
    pub(super) fn set_queue_align(&self, align: u32) {
        if align.is_power_of_two() {
            self.set_queue(|q| q.legacy_align = align);
        } else {
            self.anomaly("an alignment of a queue that is no power of two");
        }
    }

    /// A legacy driver gives the selected queue's place in units of `page` bytes; 0 takes the queue away. From then on
    /// the device may be notified: such drivers use it before they say DRIVER_OK, or without saying it (virtio 1.2,
    /// 3.1.2).
    pub(super) fn set_queue_page(&self, number: u32, page: u32) {
        self.enable_queue(false);
        if number == 0 {
            return;
        }
        if !page.is_power_of_two() {
            return self.anomaly("a queue's page before the size of pages");
        }
        self.set_queue(|q| q.place_legacy(u64::from(number) * u64::from(page)));
        self.enable_queue(true);
        let mut live = self.live();
        if !live.active {
            self.activate(&mut live);
        }
    }

    /// The page of the selected queue, in units of `page` bytes.
    pub(super) fn queue_page(&self, page: u32) -> u32 {
        let q = self.queue();
        if q.enabled { q.desc.checked_div(page.into()).unwrap_or(0) as u32 } else { 0 }
    }

    /// Resets the selected queue alone (VIRTIO_F_RING_RESET; virtio 1.2, 2.6.1).
    pub(super) fn reset_queue(&self) {
        let (selected, negotiated) = {
            let regs = self.regs();
            (usize::from(regs.queue_select), regs.driver_features & feature::RING_RESET != 0)
        };
        if !negotiated {
            return self.anomaly("a queue is reset without the feature for it");
        }
        self.enable_queue(false);
        if let (Some(max), Some(q)) =
            (self.device.queue_sizes().get(selected), self.regs().queues.get_mut(selected))
        {
            *q = QueueConfig { size: *max, ..QueueConfig::default() };
        }
    }

    /// The driver notifies the device of new buffers in `queue`.
    pub(super) fn notify(&self, queue: u32) {
        self.counters.add(Metric::VirtioNotifies, 1);
        match u16::try_from(queue) {
            Ok(q) if q < self.queue_count() => self.service_queue(q),
            _ => self.anomaly("a notification for a queue that does not exist"),
        }
    }

    /// Marks `queue` as pending, and has it serviced.
    fn service_queue(&self, queue: u16) {
        self.pending.fetch_or(1_u64.wrapping_shl(queue.into()), Ordering::AcqRel);
        self.run_pending();
    }

    // Life.

    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        if self.placement == Placement::Worker {
            let core = self.clone();
            self.worker.start(&self.name, move |interrupted| core.run_worker(interrupted))?;
        }
        self.run_pending();
        self.device.start()
    }

    pub(super) fn pause(&self) {
        self.device.pause();
        let _awaiting = Awaiting::new(&self.around.awaited);
        self.worker.pause();
        self.live.lock().paused = true;
        self.device.drain();
    }

    pub(super) fn unpause(&self) {
        self.live.lock().paused = false;
        self.worker.resume();
        self.run_pending();
        if let Err(error) = self.device.start() {
            tracing::warn!("{} does not go on: {error}", self.name);
        }
    }

    pub(super) fn halt(&self) {
        let _awaiting = Awaiting::new(&self.around.awaited);
        self.worker.stop();
        self.device.halt();
    }

    pub(super) fn save(&self) -> CoreState {
        let live = self.live.lock();
        let regs = self.regs().clone();
        CoreState { regs, active: live.active, queues: live.queues.clone() }
    }

    /// The state of the device type.
    pub(super) fn save_device(&self) -> Payload {
        self.device.save(DEVICE)
    }

    /// Checks a state, and that of the device type, which is a part of `saved`.
    pub(super) fn check<'a>(
        &'a self,
        state: CoreState,
        saved: &mut Source,
    ) -> Result<Restore<'a>, RestoreError> {
        let queues = usize::from(self.queue_count());
        if state.queues.len() != queues || state.regs.queues.len() != queues {
            return Err(saved.unfit("it has another number of queues"));
        }
        let sizes = self.device.queue_sizes();
        let sized = |(config, max): (&QueueConfig, &u16)| config.is_possible(*max);
        if !state.regs.queues.iter().zip(sizes).all(sized)
            || !state.queues.iter().zip(sizes).all(|(queue, max)| queue.is_possible(*max))
        {
            return Err(saved.unfit("a queue has a size that it cannot have"));
        }
        let offered = self.offered(Interface::Modern) | self.offered(Interface::Legacy);
        if state.active && state.regs.driver_features & !offered != 0 {
            return Err(saved.unfit("its driver has features that the device does not offer"));
        }
        let device = saved.check_part(DEVICE, |part| self.device.check(part))?;
        Ok(Restore::new(move || {
            let mut live = self.live.lock();
            live.cancel_all();
            device.apply();
            if state.active {
                self.device.activate(state.regs.driver_features);
            }
            live.queues = state.queues;
            live.queues.iter_mut().for_each(Queue::begin_again);
            live.active = state.active;
            *self.regs() = state.regs;
            self.stalls.cancel_all();
            // Looking at an empty queue does no harm, so what was notified or parked need not be in the state.
            self.pending.store(u64::MAX, Ordering::Release);
        }))
    }
}

impl DmaClient for VirtioCore {
    fn resume(&self, tag: StallTag, retry: bool) {
        match self.stalls.resume(tag, retry).map(running::whose) {
            Some(Whose::Rings(queue)) => self.service_queue(queue),
            Some(Whose::Request(queue, place)) => {
                if let Some(wakers) = self.wakers.get(usize::from(queue)) {
                    wakers.wake(place);
                }
            }
            None => {}
        }
    }
}

fn reset_regs(device: &dyn VirtioDevice) -> Regs {
    let disabled = |size: &u16| QueueConfig { size: *size, ..QueueConfig::default() };
    Regs { queues: device.queue_sizes().iter().map(disabled).collect(), ..Regs::default() }
}

/// The 32 bits of `features` that a select register names.
fn half(features: u64, select: u32) -> u32 {
    match select {
        0 => features as u32,
        1 => (features >> 32) as u32,
        _ => 0,
    }
}
