//! The entries of queues: commands (NVMe 1.4, 4.2) and completions (4.6).

use serde::{Deserialize, Serialize};

use super::status::{Outcome, Status};

/// Bytes of a submission queue entry.
pub(super) const COMMAND: usize = 64;
/// Bytes of a completion queue entry.
pub(super) const COMPLETION: usize = 16;

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Command([u32; 16]);

impl Command {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        Self(std::array::from_fn(|n| words.get(n).map_or(0, |w| u32::from_le_bytes(*w))))
    }

    /// Dword `n`; zero if there is none.
    pub(super) fn word(&self, n: usize) -> u32 {
        self.0.get(n).copied().unwrap_or(0)
    }

    fn double(&self, n: usize) -> u64 {
        u64::from(self.word(n + 1)) << 32 | u64::from(self.word(n))
    }

    pub(super) fn opcode(&self) -> u8 {
        self.word(0) as u8
    }

    /// It is one of a fused pair.
    pub(super) fn is_fused(&self) -> bool {
        self.word(0) >> 8 & 3 != 0
    }

    /// PRP or SGL for Data Transfer.
    pub(super) fn psdt(&self) -> u32 {
        self.word(0) >> 14 & 3
    }

    /// Command Identifier.
    pub(super) fn id(&self) -> u16 {
        (self.word(0) >> 16) as u16
    }

    /// Namespace Identifier.
    pub(super) fn nsid(&self) -> u32 {
        self.word(1)
    }

    pub(super) fn prp1(&self) -> u64 {
        self.double(6)
    }

    pub(super) fn prp2(&self) -> u64 {
        self.double(8)
    }

    /// Starting LBA.
    pub(super) fn lba(&self) -> u64 {
        self.double(10)
    }
}

/// What is told of the end of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Completion {
    pub(super) result: u32,
    /// The submission queue.
    pub(super) queue: u16,
    pub(super) id: u16,
    /// See [`Status`].
    pub(super) status: u16,
}

impl Completion {
    pub(super) fn new(queue: u16, id: u16, outcome: Outcome) -> Self {
        let (result, Status(status)) = match outcome {
            Ok(result) => (result, Status(0)),
            Err(status) => (0, status),
        };
        Self { result, queue, id, status }
    }

    /// The entry, with the submission queue's head and the phase tag.
    pub(super) fn bytes(&self, head: u16, phase: bool) -> Vec<u8> {
        let words = [
            self.result,
            0,
            u32::from(self.queue) << 16 | u32::from(head),
            u32::from(self.status << 1 | u16::from(phase)) << 16 | u32::from(self.id),
        ];
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}
