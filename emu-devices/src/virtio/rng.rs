//! The entropy device (virtio 1.2, 5.4).

use std::sync::Arc;

use emu_core::lifecycle::{Payload, Restore, RestoreError, SavedState, Source};
use emu_core::random::SplitMix64;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Chain, DeviceKind, GuestMemory, QueueFault, Request, VirtioDevice};

/// Bytes that one request gets at most; the driver asks again for more.
const LIMIT: u64 = 4096;

/// Where random bytes come from. The host's generator is the board's to give.
pub trait EntropySource: Send + Sync {
    /// Fills `out`; does not wait.
    fn fill(&self, out: &mut [u8]);
    /// The state, for a source that is to go on where it was.
    fn save(&self) -> Option<u64> {
        None
    }
    /// Goes on from what [`EntropySource::save`] gave.
    fn restore(&self, _state: u64) {}
}

/// The same bytes for the same seed: for repeatable runs, not for secrets.
pub struct SeededEntropy(Mutex<SplitMix64>);

impl SeededEntropy {
    /// A source that is determined by `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(SplitMix64::new(seed)))
    }
}

impl EntropySource for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut numbers = self.0.lock();
        for piece in out.chunks_mut(8) {
            piece.copy_from_slice(&numbers.number().to_le_bytes()[..piece.len()]);
        }
    }
    fn save(&self) -> Option<u64> {
        Some(self.0.lock().state())
    }
    fn restore(&self, state: u64) {
        *self.0.lock() = SplitMix64::new(state);
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    /// Of a source that goes on where it was.
    source: Option<u64>,
}

impl SavedState for State {
    const KIND: &'static str = "virtio-rng";
    const VERSION: u32 = 1;
}

/// A source of randomness for the guest.
pub struct Rng(Arc<dyn EntropySource>);

impl Rng {
    /// A device that hands out the bytes of `source`.
    #[must_use]
    pub fn new(source: Arc<dyn EntropySource>) -> Arc<Self> {
        Arc::new(Self(source))
    }
}

impl VirtioDevice for Rng {
    fn kind(&self) -> DeviceKind {
        DeviceKind { id: 4, pci_class: 0x00_ff00 }
    }
    fn features(&self) -> u64 {
        0
    }
    fn queue_sizes(&self) -> &[u16] {
        &[8]
    }
    fn config_read(&self, _: u64, out: &mut [u8]) {
        out.fill(0);
    }
    fn process(self: Arc<Self>, _: u16, chain: Chain, memory: GuestMemory) -> Request {
        Request::new(async move {
            let n = chain.writable_len().min(LIMIT);
            if n == 0 {
                return Err(QueueFault::Malformed("a request for randomness with no room for it"));
            }
            let mut bytes = vec![0; n as usize];
            self.0.fill(&mut bytes);
            chain.write(&memory, 0, bytes).await?;
            Ok(n as u32)
        })
    }
    fn reset(&self) {}
    fn save(&self, name: &str) -> Payload {
        Payload::new(name, &State { source: self.0.save() })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { source } = saved.state()?;
        if source.is_some() != self.0.save().is_some() {
            return Err(saved.unfit("only one of the two has a source that can be repeated"));
        }
        Ok(Restore::new(move || source.into_iter().for_each(|s| self.0.restore(s))))
    }
}
