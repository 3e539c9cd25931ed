//! The console (virtio 1.2, 5.3): one port.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::device::copy_config;
use super::{Chain, DeviceHandle, DeviceKind, GuestMemory, Placement, QueueFault, VirtioDevice};

/// Feature bits (virtio 1.2, 5.3.3).
const SIZE: u64 = 1 << 0;
const EMERG_WRITE: u64 = 1 << 2;

/// The receive queue.
const RX: u16 = 0;
/// Offset of the emergency write register in the configuration space.
const EMERGENCY: u64 = 8;
/// Input that is kept while the guest has no buffers for it.
const INPUT_LIMIT: usize = 64 << 10;
/// The longest output that is taken in one request.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// Takes what the guest prints.
pub trait ConsoleBackend: Send + Sync {
    /// The guest prints `bytes`. Called on the console's own thread.
    fn write(&self, bytes: &[u8]);
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    columns: u16,
    rows: u16,
    input: VecDeque<u8>,
}

/// A console with a single port.
pub struct Console {
    backend: Arc<dyn ConsoleBackend>,
    handle: OnceLock<DeviceHandle>,
    state: Mutex<State>,
}

impl Console {
    /// A console that prints to `backend`.
    #[must_use]
    pub fn new(backend: Arc<dyn ConsoleBackend>) -> Arc<Self> {
        let state = Mutex::new(State { columns: 80, rows: 25, ..State::default() });
        Arc::new(Self { backend, handle: OnceLock::new(), state })
    }

    /// The user types `bytes`. Gives how many were taken; the rest is to be offered again later.
    pub fn input(&self, bytes: &[u8]) -> usize {
        let taken = {
            let mut state = self.state.lock();
            let room = INPUT_LIMIT.saturating_sub(state.input.len());
            let taken = bytes.len().min(room);
            state.input.extend(&bytes[..taken]);
            taken
        };
        if let Some(handle) = self.handle.get() {
            handle.kick(RX);
        }
        taken
    }

    /// The user's terminal has another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        {
            let mut state = self.state.lock();
            state.columns = columns;
            state.rows = rows;
        }
        if let Some(handle) = self.handle.get() {
            handle.config_changed();
        }
    }

    fn receive(&self, chain: &Chain, memory: &GuestMemory<'_>) -> Result<u32, QueueFault> {
        let room = chain.writable_len();
        if room == 0 {
            return Err(QueueFault::Malformed("a receive buffer that cannot be written"));
        }
        let mut state = self.state.lock();
        let n = (state.input.len() as u64).min(room) as usize;
        chain.write(memory, 0, &state.input.make_contiguous()[..n])?;
        // Only now: a request that stalls is executed again.
        state.input.drain(..n);
        Ok(n as u32)
    }

    fn transmit(&self, chain: &Chain, memory: &GuestMemory<'_>) -> Result<u32, QueueFault> {
        let len = chain.readable_len();
        if len > OUTPUT_LIMIT {
            return Err(QueueFault::Malformed("an output of more than 1 MiB"));
        }
        let mut bytes = vec![0; len as usize];
        chain.read(memory, 0, &mut bytes)?;
        self.backend.write(&bytes);
        Ok(0)
    }
}

impl VirtioDevice for Console {
    fn kind(&self) -> DeviceKind {
        DeviceKind { id: 3, pci_class: 0x07_8000 }
    }
    fn features(&self) -> u64 {
        SIZE | EMERG_WRITE
    }
    fn queue_sizes(&self) -> &[u16] {
        &[128, 128]
    }
    fn config_read(&self, offset: u64, out: &mut [u8]) {
        let mut config = [0; 12];
        {
            let state = self.state.lock();
            config[..2].copy_from_slice(&state.columns.to_le_bytes());
            config[2..4].copy_from_slice(&state.rows.to_le_bytes());
        }
        // One port.
        config[4] = 1;
        copy_config(&config, offset, out);
    }
    fn config_write(&self, offset: u64, bytes: &[u8]) {
        if offset == EMERGENCY
            && let Some(byte) = bytes.get(..1)
        {
            self.backend.write(byte);
        }
    }
    fn placement(&self) -> Placement {
        // Standard output may be a pipe that nobody reads.
        Placement::Worker
    }
    fn attach(&self, handle: DeviceHandle) {
        let _ = self.handle.set(handle);
    }
    fn ready(&self, queue: u16) -> bool {
        queue != RX || !self.state.lock().input.is_empty()
    }
    fn process(&self, queue: u16, chain: &Chain, memory: &GuestMemory<'_>) -> Result<u32, QueueFault> {
        if queue == RX { self.receive(chain, memory) } else { self.transmit(chain, memory) }
    }
    fn reset(&self) {
        // What the user has typed is still on its way, whatever the guest does with its device.
    }
    fn save(&self) -> Value {
        serde_json::to_value(&*self.state.lock()).unwrap_or(Value::Null)
    }
    fn restore(&self, state: &Value) -> Result<(), String> {
        *self.state.lock() = State::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }
}
