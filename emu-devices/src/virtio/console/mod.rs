//! The console (virtio 1.2, 5.3): one port, or several that the control queues tell of.

mod control;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use emu_core::lifecycle::{Payload, Restore, RestoreError, SavedState, Source};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::control::{Event, Message};
use super::device::copy_config;
use super::{Chain, DeviceHandle, DeviceKind, GuestMemory, Placement, QueueFault, Request, VirtioDevice};

/// Feature bits (virtio 1.2, 5.3.3).
const SIZE: u64 = 1 << 0;
const MULTIPORT: u64 = 1 << 1;
const EMERG_WRITE: u64 = 1 << 2;

/// Offset of the emergency write register in the configuration space.
const EMERGENCY: u64 = 8;
/// Input that is kept for a port while the guest has no buffers for it.
const INPUT_LIMIT: usize = 64 << 10;
/// There is room again when so much of it is free, so that input comes in pieces that are worth it.
const ROOM: usize = INPUT_LIMIT / 2;
/// The longest output that is taken in one request.
const OUTPUT_LIMIT: u64 = 1 << 20;
/// Control messages that are kept while the guest has no buffers for them. A driver that asks for more loses some.
const CONTROL_LIMIT: usize = 256;
/// Requests that fit in a queue.
const QUEUE_SIZE: u16 = 128;

/// The most ports that a console has: their queues and the control queues are 64.
pub const MAX_PORTS: u32 = 31;

/// Takes what the guest sends on a port.
pub trait ConsoleBackend: Send + Sync {
    /// The guest sends `bytes`. Called on the console's own thread.
    fn write(&self, bytes: &[u8]);
    /// Whether it takes more now, which may be up to 1 MiB at a time. Whoever says no calls [`Console::output_ready`] when
    /// that has changed.
    fn ready(&self) -> bool {
        true
    }
    /// Whether a write may wait for the host. Where none does, a notification is served before the guest goes on: what a
    /// write sets off, such as the end of the machine, comes before whatever the guest does next.
    fn may_wait(&self) -> bool {
        true
    }
}

/// Called when there is room for input again; no lock of the console's is held.
pub type RoomCallback = Box<dyn Fn() + Send + Sync>;

/// One port of a console.
pub struct PortOptions {
    /// Its number, below the console's number of ports.
    pub number: u32,
    /// The guest may use it as a terminal.
    pub console: bool,
    /// What the guest knows it by; may be empty.
    pub name: String,
    /// Something is at the other end from the beginning.
    pub host_open: bool,
    /// Where the guest's bytes go.
    pub backend: Arc<dyn ConsoleBackend>,
}

/// What is part of the machine's state.
#[derive(Clone, Default, Serialize, Deserialize)]
struct PortState {
    /// Bytes of their own in a saved state.
    #[serde(skip)]
    input: VecDeque<u8>,
    /// The guest has opened its end; meaningful with MULTIPORT.
    guest_open: bool,
    /// There is somebody at our end: a matter of this process.
    #[serde(skip)]
    host_open: bool,
}

struct Port {
    options: PortOptions,
    state: Mutex<PortState>,
    room: OnceLock<RoomCallback>,
    /// Input was refused for want of room, and whoever has it is to be told.
    wanted: AtomicBool,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    columns: u16,
    rows: u16,
    /// The driver has said DEVICE_READY.
    driver_ready: bool,
    /// Messages on their way to the driver.
    control: VecDeque<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    state: State,
    ports: Vec<(u32, PortState)>,
}

impl SavedState for Saved {
    const KIND: &'static str = "virtio-console";
    const VERSION: u32 = 2;
}

/// What the input of a port is called in a saved state.
fn blob(port: u32) -> String {
    format!("input {port}")
}

/// What a queue is for (virtio 1.2, 5.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Receive(u32),
    Transmit(u32),
    ControlIn,
    ControlOut,
}

const CONTROL_IN: u16 = 2;

fn role(queue: u16) -> Role {
    match queue {
        0 => Role::Receive(0),
        1 => Role::Transmit(0),
        CONTROL_IN => Role::ControlIn,
        3 => Role::ControlOut,
        _ if queue.is_multiple_of(2) => Role::Receive(u32::from(queue / 2 - 1)),
        _ => Role::Transmit(u32::from(queue / 2 - 1)),
    }
}

/// The receive queue of a port; the transmit queue is the next one.
fn receive_queue(number: u32) -> u16 {
    if number == 0 { 0 } else { 2 * (number as u16 + 1) }
}

/// A console.
pub struct Console {
    ports: Vec<Port>,
    max_ports: u32,
    queues: Vec<u16>,
    handle: OnceLock<DeviceHandle>,
    state: Mutex<State>,
    /// The driver has accepted MULTIPORT.
    multiport: AtomicBool,
}

impl Console {
    /// A console with a single port, which prints to `backend`.
    #[must_use]
    pub fn new(backend: Arc<dyn ConsoleBackend>) -> Arc<Self> {
        let only = PortOptions { number: 0, console: true, name: String::new(), host_open: true, backend };
        Self::with_ports(1, vec![only])
    }

    /// A console that says it has up to `max_ports` ports, of which there are these. With more than one it has the
    /// control queues.
    ///
    /// # Panics
    /// If there are more than [`MAX_PORTS`], or a number is not below `max_ports`: an error of the board.
    #[must_use]
    pub fn with_ports(max_ports: u32, ports: Vec<PortOptions>) -> Arc<Self> {
        assert!((1..=MAX_PORTS).contains(&max_ports) && ports.iter().all(|p| p.number < max_ports));
        let queues = if max_ports == 1 { 2 } else { 2 * (max_ports as usize + 1) };
        let port = |options: PortOptions| {
            let state = PortState { host_open: options.host_open, ..PortState::default() };
            Port { options, state: Mutex::new(state), room: OnceLock::new(), wanted: AtomicBool::new(false) }
        };
        Arc::new(Self {
            ports: ports.into_iter().map(port).collect(),
            max_ports,
            queues: vec![QUEUE_SIZE; queues],
            handle: OnceLock::new(),
            state: Mutex::new(State { columns: 80, rows: 25, ..State::default() }),
            multiport: AtomicBool::new(false),
        })
    }

    fn port(&self, number: u32) -> Option<&Port> {
        self.ports.iter().find(|p| p.options.number == number)
    }

    fn kick(&self, queue: u16) {
        if let Some(handle) = self.handle.get() {
            handle.kick(queue);
        }
    }

    fn is_multiport(&self) -> bool {
        self.multiport.load(Ordering::Acquire)
    }

    /// Whom to tell when there is room for input on a port again. The first one stays.
    pub fn set_room_callback(&self, number: u32, callback: RoomCallback) {
        if let Some(port) = self.port(number) {
            let _ = port.room.set(callback);
        }
    }

    /// `bytes` arrive at a port. Gives how many were taken; if that is not all, the room callback is called when there
    /// is room again.
    pub fn input(&self, number: u32, bytes: &[u8]) -> usize {
        let Some(port) = self.port(number) else { return 0 };
        let taken = {
            let mut state = port.state.lock();
            let room = INPUT_LIMIT.saturating_sub(state.input.len());
            let taken = bytes.len().min(room);
            state.input.extend(&bytes[..taken]);
            if taken < bytes.len() {
                port.wanted.store(true, Ordering::Release);
            }
            taken
        };
        self.kick(receive_queue(number));
        taken
    }

    /// A port's backend takes output again.
    pub fn output_ready(&self, number: u32) {
        self.kick(receive_queue(number) + 1);
    }

    /// Somebody has come to a port's end, or has left it.
    pub fn set_host_open(&self, number: u32, open: bool) {
        let Some(port) = self.port(number) else { return };
        let changed = std::mem::replace(&mut port.state.lock().host_open, open) != open;
        if changed && self.state.lock().driver_ready {
            self.tell(Message::new(number, Event::PortOpen, open.into()));
        }
    }

    /// The user's terminal has another size. (Which of several ports has one is not known.)
    pub fn resize(&self, columns: u16, rows: u16) {
        {
            let mut state = self.state.lock();
            state.columns = columns;
            state.rows = rows;
        }
        if let Some(handle) = self.handle.get().filter(|_| self.max_ports == 1) {
            handle.config_changed();
        }
    }

    /// Sends a control message to the driver.
    fn tell(&self, message: Message) {
        {
            let mut state = self.state.lock();
            if state.control.len() >= CONTROL_LIMIT {
                tracing::debug!("a control message is lost: the driver does not take those before it");
                return;
            }
            state.control.push_back(message.bytes());
        }
        self.kick(CONTROL_IN);
    }

    async fn receive(&self, number: u32, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let room = chain.writable_len();
        if room == 0 {
            return Err(QueueFault::Malformed("a receive buffer that cannot be written"));
        }
        let Some(port) = self.port(number) else { return Ok(0) };
        let input: Vec<u8> = port.state.lock().input.iter().copied().take(room as usize).collect();
        let n = chain.write(memory, 0, input).await?.len();
        // Only now: of a request that is cancelled, the input is still on its way. Nobody else takes any of it.
        let room = {
            let mut state = port.state.lock();
            state.input.drain(..n);
            INPUT_LIMIT.saturating_sub(state.input.len())
        };
        if room >= ROOM
            && port.wanted.swap(false, Ordering::AcqRel)
            && let Some(callback) = port.room.get()
        {
            callback();
        }
        Ok(n as u32)
    }

    async fn transmit(&self, number: u32, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let len = chain.readable_len();
        if len > OUTPUT_LIMIT {
            return Err(QueueFault::Malformed("an output of more than 1 MiB"));
        }
        let bytes = chain.read(memory, 0, vec![0; len as usize]).await?;
        if let Some(port) = self.port(number) {
            port.options.backend.write(&bytes);
        }
        Ok(0)
    }

    async fn control_in(&self, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let Some(mut message) = self.state.lock().control.front().cloned() else { return Ok(0) };
        message.truncate(chain.writable_len() as usize);
        let n = chain.write(memory, 0, message).await?.len();
        self.state.lock().control.pop_front();
        Ok(n as u32)
    }

    async fn control_out(&self, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        if let Some(message) = Message::read(chain, memory).await? {
            self.obey(message);
        }
        Ok(0)
    }

    /// What the driver says (virtio 1.2, 5.3.6.2).
    fn obey(&self, message: Message) {
        let on = message.value != 0;
        match message.event {
            Event::DeviceReady => {
                self.state.lock().driver_ready = on;
                for port in self.ports.iter().filter(|_| on) {
                    self.tell(Message::new(port.options.number, Event::PortAdd, 1));
                }
            }
            Event::PortReady => {
                let Some(port) = self.port(message.port).filter(|_| on) else { return };
                if port.options.console {
                    self.tell(Message::new(message.port, Event::ConsolePort, 1));
                }
                if !port.options.name.is_empty() {
                    self.tell(Message::named(message.port, &port.options.name));
                }
                if port.state.lock().host_open {
                    self.tell(Message::new(message.port, Event::PortOpen, 1));
                }
            }
            Event::PortOpen => {
                if let Some(port) = self.port(message.port) {
                    port.state.lock().guest_open = on;
                    self.kick(receive_queue(message.port));
                }
            }
            // These only go the other way.
            Event::PortAdd | Event::PortRemove | Event::ConsolePort | Event::Resize | Event::PortName => {}
        }
    }
}

impl VirtioDevice for Console {
    fn kind(&self) -> DeviceKind {
        DeviceKind { id: 3, pci_class: 0x07_8000 }
    }
    fn features(&self) -> u64 {
        EMERG_WRITE | if self.max_ports == 1 { SIZE } else { MULTIPORT }
    }
    fn queue_sizes(&self) -> &[u16] {
        &self.queues
    }
    fn config_read(&self, offset: u64, out: &mut [u8]) {
        let mut config = [0; 12];
        {
            let state = self.state.lock();
            config[..2].copy_from_slice(&state.columns.to_le_bytes());
            config[2..4].copy_from_slice(&state.rows.to_le_bytes());
        }
        config[4..8].copy_from_slice(&self.max_ports.to_le_bytes());
        copy_config(&config, offset, out);
    }
    fn config_write(&self, offset: u64, bytes: &[u8]) {
        if offset == EMERGENCY
            && let Some(byte) = bytes.get(..1)
            && let Some(port) = self.port(0)
        {
            port.options.backend.write(byte);
        }
    }
    fn placement(&self) -> Placement {
        // Standard output may be a pipe that nobody reads.
        let waits = self.ports.iter().any(|port| port.options.backend.may_wait());
        if waits { Placement::Worker } else { Placement::Inline }
    }
    fn attach(&self, handle: DeviceHandle) {
        let _ = self.handle.set(handle);
    }
    fn activate(&self, features: u64) {
        self.multiport.store(features & MULTIPORT != 0, Ordering::Release);
    }
    fn ready(&self, queue: u16) -> bool {
        match role(queue) {
            Role::Receive(number) => self.port(number).is_some_and(|port| {
                let state = port.state.lock();
                !state.input.is_empty() && (state.guest_open || !self.is_multiport())
            }),
            Role::Transmit(number) => self.port(number).is_none_or(|p| p.options.backend.ready()),
            Role::ControlIn => !self.state.lock().control.is_empty(),
            Role::ControlOut => true,
        }
    }
    fn process(self: Arc<Self>, queue: u16, chain: Chain, memory: GuestMemory) -> Request {
        Request::new(async move {
            match role(queue) {
                Role::Receive(number) => self.receive(number, &chain, &memory).await,
                Role::Transmit(number) => self.transmit(number, &chain, &memory).await,
                Role::ControlIn => self.control_in(&chain, &memory).await,
                Role::ControlOut => self.control_out(&chain, &memory).await,
            }
        })
    }
    fn reset(&self) {
        // What has arrived is still on its way, whatever the guest does with its device; what the driver said is not.
        self.multiport.store(false, Ordering::Release);
        {
            let mut state = self.state.lock();
            state.driver_ready = false;
            state.control.clear();
        }
        for port in &self.ports {
            port.state.lock().guest_open = false;
        }
    }
    fn save(&self, name: &str) -> Payload {
        let ports = self.ports.iter().map(|p| (p.options.number, p.state.lock().clone())).collect();
        let payload = Payload::new(name, &Saved { state: self.state.lock().clone(), ports });
        self.ports.iter().fold(payload, |payload, port| {
            payload.blob(&blob(port.options.number), port.state.lock().input.iter().copied().collect())
        })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Saved { state, ports } = saved.state()?;
        if ports.iter().map(|p| p.0).ne(self.ports.iter().map(|p| p.options.number)) {
            return Err(saved.unfit("it has other ports"));
        }
        let inputs: Vec<_> = ports.iter().map(|p| saved.blob(&blob(p.0))).collect::<Result<_, _>>()?;
        if state.control.len() > CONTROL_LIMIT || inputs.iter().any(|i| i.len() > INPUT_LIMIT) {
            return Err(saved.unfit("more is on its way than there is room for"));
        }
        Ok(Restore::new(move || {
            self.multiport.store(false, Ordering::Release);
            *self.state.lock() = state;
            for ((port, (_, state)), input) in self.ports.iter().zip(ports).zip(inputs) {
                let mut now = port.state.lock();
                *now = PortState { host_open: now.host_open, input: input.into(), ..state };
            }
        }))
    }
}
