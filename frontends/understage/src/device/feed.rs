//! Between a device's characters and the host's: UART and console on one side, [`Port`] on the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_devices::uart::pl011::{CharBackend, Pl011};
use emu_devices::virtio::{Console, ConsoleBackend};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::character::Port;
use crate::terminal::InputQueue;

/// What the UART sends.
pub(super) struct UartOutput(pub(super) Arc<Port>);

impl CharBackend for UartOutput {
    fn transmit(&self, byte: u8) -> bool {
        let room = self.0.room();
        if room {
            self.0.write(&[byte]);
        }
        room
    }
}

/// What the console prints.
pub(super) struct ConsoleOutput(pub(super) Arc<Port>);

impl ConsoleBackend for ConsoleOutput {
    fn write(&self, bytes: &[u8]) {
        self.0.write(bytes);
    }
    fn ready(&self) -> bool {
        self.0.room()
    }
    fn may_wait(&self) -> bool {
        self.0.may_wait()
    }
}

/// Offers bytes to a device; gives how many it took.
type Give = dyn Fn(&[u8]) -> usize + Send + Sync;

/// Carries bytes from a queue to a device that takes as many as it has room for.
pub(super) struct Feeder {
    name: String,
    queue: Arc<InputQueue>,
    /// Bytes that were taken from the queue and not yet by the device.
    waiting: Mutex<Vec<u8>>,
    /// Somebody wants it to look again: there is input, or room.
    asked: AtomicBool,
    /// The machine is: what arrives waits.
    paused: AtomicBool,
    give: Box<Give>,
}

/// What is saved beside the bytes.
#[derive(Serialize, Deserialize)]
struct Waiting {
    /// How many wait.
    count: usize,
}

impl SavedState for Waiting {
    const KIND: &'static str = "character-input";
    const VERSION: u32 = 1;
}

/// What the bytes that wait are called in a saved state.
const BYTES: &str = "bytes";

impl Component for Feeder {
    fn name(&self) -> &str {
        &self.name
    }

    /// What has arrived is still on its way.
    fn reset(&self) {}

    fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        // Whoever carries bytes is done then.
        drop(self.waiting.lock());
    }

    fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
        self.pump();
    }

    fn save(&self) -> Payload {
        let waiting = self.waiting.lock().clone();
        Payload::new(&self.name, &Waiting { count: waiting.len() }).blob(BYTES, waiting)
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Waiting { count } = saved.state()?;
        let bytes = saved.blob(BYTES)?;
        if bytes.len() != count {
            return Err(saved.unfit("it has another number of bytes"));
        }
        Ok(Restore::new(move || *self.waiting.lock() = bytes))
    }
}

impl Feeder {
    fn new(name: String, port: &Port, give: Box<Give>) -> Arc<Self> {
        let (asked, paused) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { name, queue: port.input().clone(), waiting: Mutex::default(), asked, paused, give })
    }

    /// Goes on until the queue is empty or the device is full. Any thread may call this at any time, also the device from
    /// within [`Feeder::give`]: whoever carries bytes looks again before it leaves.
    fn pump(&self) {
        self.asked.store(true, Ordering::SeqCst);
        while self.asked.load(Ordering::SeqCst) && !self.paused.load(Ordering::SeqCst) {
            let Some(mut waiting) = self.waiting.try_lock() else { return };
            self.asked.store(false, Ordering::SeqCst);
            self.carry(&mut waiting);
        }
    }

    fn carry(&self, waiting: &mut Vec<u8>) {
        loop {
            if waiting.is_empty() {
                let mut some = [0; 64];
                let n = self.queue.take(&mut some);
                waiting.extend_from_slice(&some[..n]);
            }
            if waiting.is_empty() {
                return;
            }
            let taken = (self.give)(waiting).min(waiting.len());
            waiting.drain(..taken);
            if !waiting.is_empty() {
                return;
            }
        }
    }
}

/// Connects the port's input to the UART's receiver, and tells the UART when the port takes output again.
pub(super) fn feed_uart(port: &Arc<Port>, uart: &Arc<Pl011>) -> Arc<Feeder> {
    let weak: Weak<Pl011> = Arc::downgrade(uart);
    let room = weak.clone();
    port.on_room(Box::new(move || {
        if let Some(uart) = room.upgrade() {
            uart.transmit_ready();
        }
    }));
    let give = move |bytes: &[u8]| weak.upgrade().map_or(0, |u| u.receive(bytes));
    let feeder = Feeder::new(format!("{} input", Component::name(&**uart)), port, Box::new(give));
    let (again, on_input) = (feeder.clone(), feeder.clone());
    uart.set_room_callback(Box::new(move || again.pump()));
    port.input().set_notify(Arc::new(move || on_input.pump()));
    feeder
}

/// The same for a port of a console, which keeps some input for a guest that does not listen yet, and tells the guest
/// whether somebody is at the other end.
pub(super) fn feed_console(
    device: &str,
    port: &Arc<Port>,
    console: &Arc<Console>,
    number: u32,
) -> Arc<Feeder> {
    let weak = Arc::downgrade(console);
    let (room, open) = (weak.clone(), weak.clone());
    port.on_room(Box::new(move || {
        if let Some(console) = room.upgrade() {
            console.output_ready(number);
        }
    }));
    port.on_open(Box::new(move |there| {
        if let Some(console) = open.upgrade() {
            console.set_host_open(number, there);
        }
    }));
    let give = move |bytes: &[u8]| weak.upgrade().map_or(0, |c| c.input(number, bytes));
    let feeder = Feeder::new(format!("{device} port {number} input"), port, Box::new(give));
    let (again, on_input) = (feeder.clone(), feeder.clone());
    console.set_room_callback(number, Box::new(move || again.pump()));
    port.input().set_notify(Arc::new(move || on_input.pump()));
    feeder
}
