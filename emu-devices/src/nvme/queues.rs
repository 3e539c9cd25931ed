//! Submission and completion queues (NVMe 1.4, 4.1).

use std::collections::VecDeque;

use emu_core::dma::{Aborted, Task};
use serde::{Deserialize, Serialize};

use super::command::{COMMAND, COMPLETION, Completion};

/// A submission queue.
#[derive(Default)]
pub(super) struct Submission {
    pub(super) ring: Ring,
    /// The completion queue.
    pub(super) cq: u16,
    /// An entry is being read.
    pub(super) fetching: Option<Task<Result<Vec<u8>, Aborted>>>,
    /// Commands that were begun and have not ended.
    pub(super) running: u16,
}

/// A completion queue.
#[derive(Default)]
pub(super) struct Completions {
    pub(super) ring: Ring,
    /// The phase tag of the entry at the tail.
    pub(super) phase: bool,
    /// Its interrupt vector, if it raises interrupts.
    pub(super) vector: Option<u16>,
    /// What is to be written there, in order.
    pub(super) waiting: VecDeque<Completion>,
    /// The first of those is being written.
    pub(super) posting: Option<Task<Result<Vec<u8>, Aborted>>>,
    /// There are entries that no interrupt was raised for.
    pub(super) untold: bool,
}

/// A ring in contiguous memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ring {
    pub(super) base: u64,
    /// Entries, 2 to 4096.
    pub(super) size: u16,
    pub(super) head: u16,
    pub(super) tail: u16,
}

impl Ring {
    pub(super) fn new(base: u64, size: u16) -> Self {
        Self { base, size, head: 0, tail: 0 }
    }

    fn after(&self, index: u16) -> u16 {
        if index + 1 >= self.size { 0 } else { index + 1 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    pub(super) fn is_full(&self) -> bool {
        self.after(self.tail) == self.head
    }

    /// Entries between head and tail.
    fn used(&self) -> u16 {
        if self.tail >= self.head { self.tail - self.head } else { self.size - self.head + self.tail }
    }

    pub(super) fn take(&mut self) {
        self.head = self.after(self.head);
    }

    /// Goes on behind the tail; true if it is at the beginning again.
    pub(super) fn put(&mut self) -> bool {
        self.tail = self.after(self.tail);
        self.tail == 0
    }

    /// Software frees entries up to `head`; false if they are not all used.
    pub(super) fn release(&mut self, head: u16) -> bool {
        let freed = Self { tail: head, ..*self }.used();
        let good = head < self.size && freed <= self.used();
        if good {
            self.head = head;
        }
        good
    }

    /// It is one that a queue can have.
    pub(super) fn is_possible(&self) -> bool {
        (2..=4096).contains(&self.size) && self.head < self.size && self.tail < self.size
    }

    pub(super) fn command_at_head(&self) -> u64 {
        self.base.wrapping_add(u64::from(self.head) * COMMAND as u64)
    }

    pub(super) fn completion_at_tail(&self) -> u64 {
        self.base.wrapping_add(u64::from(self.tail) * COMPLETION as u64)
    }
}
