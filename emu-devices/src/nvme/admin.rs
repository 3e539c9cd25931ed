//! The admin command set (NVMe 1.4, 5).

use emu_core::dma::{Direction, Task};

use super::command::{Command, Completion};
use super::pointer::buffers;
use super::queues::{Completions, Ring, Submission};
use super::registers::{MQES, cc};
use super::status::{Outcome, Status};
use super::{Live, Nvme};

/// Opcodes.
pub(super) mod opcode {
    pub(crate) const DELETE_SQ: u8 = 0x00;
    pub(crate) const CREATE_SQ: u8 = 0x01;
    pub(crate) const GET_LOG_PAGE: u8 = 0x02;
    pub(crate) const DELETE_CQ: u8 = 0x04;
    pub(crate) const CREATE_CQ: u8 = 0x05;
    pub(crate) const IDENTIFY: u8 = 0x06;
    pub(crate) const ABORT: u8 = 0x08;
    pub(crate) const SET_FEATURES: u8 = 0x09;
    pub(crate) const GET_FEATURES: u8 = 0x0a;
    pub(crate) const ASYNC_EVENT_REQUEST: u8 = 0x0c;
    /// All that there are.
    pub(crate) const ALL: [u8; 10] = [
        DELETE_SQ,
        CREATE_SQ,
        GET_LOG_PAGE,
        DELETE_CQ,
        CREATE_CQ,
        IDENTIFY,
        ABORT,
        SET_FEATURES,
        GET_FEATURES,
        ASYNC_EVENT_REQUEST,
    ];
}

/// What becomes of a command.
pub(super) enum Step {
    /// It has ended.
    Done(Outcome),
    /// It goes on.
    Task(Task<Outcome>),
    /// It waits for an event.
    Held,
}

impl From<Outcome> for Step {
    fn from(outcome: Outcome) -> Self {
        Self::Done(outcome)
    }
}

impl Nvme {
    /// Begins an admin command that is executed in `slot`.
    pub(super) fn admin(&self, live: &mut Live, slot: u16, command: &Command) -> Step {
        // SGLs are not for these.
        if command.is_fused() || command.psdt() != 0 {
            return Err(Status::INVALID_FIELD).into();
        }
        match command.opcode() {
            opcode::DELETE_SQ => self.delete_sq(live, command).into(),
            opcode::CREATE_SQ => self.create_sq(live, command).into(),
            opcode::GET_LOG_PAGE => {
                let page = self.log_page(live, command);
                self.give(live, slot, command, page)
            }
            opcode::DELETE_CQ => Self::delete_cq(live, command).into(),
            opcode::CREATE_CQ => self.create_cq(live, command).into(),
            opcode::IDENTIFY => self.give(live, slot, command, self.identify(command)),
            opcode::ABORT => self.abort(live, command).into(),
            opcode::SET_FEATURES => self.set_features(live, command).into(),
            opcode::GET_FEATURES => self.get_features(live, command).into(),
            opcode::ASYNC_EVENT_REQUEST => {
                match live.events.request(command.id(), usize::from(self.options.events) + 1) {
                    Ok(()) => Step::Held,
                    Err(status) => Err(status).into(),
                }
            }
            _ => Err(Status::INVALID_OPCODE).into(),
        }
    }

    /// Gives software what it asked for.
    fn give(&self, live: &Live, slot: u16, command: &Command, bytes: Result<Vec<u8>, Status>) -> Step {
        let (dma, page, command) = (self.dma(slot), cc::page(live.regs.cc), *command);
        match bytes {
            Err(status) => Err(status).into(),
            Ok(bytes) => Step::Task(Task::new(async move {
                let segments = buffers(&dma, &command, bytes.len() as u32, page).await?;
                dma.transfer(Direction::ToMemory, segments, bytes).await?;
                Ok(0)
            })),
        }
    }

    /// The ring that a command for a new queue describes. It is contiguous, and in as many pages as it needs.
    fn ring(live: &Live, command: &Command) -> Result<Ring, Status> {
        let (size, base) = (command.word(10) >> 16, command.prp1());
        if size == 0 || u64::from(size) > MQES || !cc::has_entry_sizes(live.regs.cc) {
            return Err(Status::INVALID_QUEUE_SIZE);
        }
        if base & (cc::page(live.regs.cc) - 1) != 0 {
            return Err(Status::INVALID_PRP_OFFSET);
        }
        if command.word(11) & 1 == 0 {
            return Err(Status::INVALID_FIELD);
        }
        Ok(Ring::new(base, size as u16 + 1))
    }

    fn create_cq(&self, live: &mut Live, command: &Command) -> Outcome {
        let (id, word) = (command.word(10) as u16, command.word(11));
        if id == 0 || id > live.features.queues.1 || live.cqs.contains_key(&id) {
            return Err(Status::INVALID_QUEUE_ID);
        }
        let ring = Self::ring(live, command)?;
        let vector = (word >> 16) as u16;
        let vectors = if self.has_msix() { self.options.vectors } else { 1 };
        if vector >= vectors {
            return Err(Status::INVALID_VECTOR);
        }
        let vector = (word & 2 != 0).then_some(vector);
        live.cqs.insert(id, Completions { ring, phase: true, vector, ..Completions::default() });
        Ok(0)
    }

    fn create_sq(&self, live: &mut Live, command: &Command) -> Outcome {
        let (id, cq) = (command.word(10) as u16, (command.word(11) >> 16) as u16);
        if cq == 0 || !live.cqs.contains_key(&cq) {
            return Err(Status::INVALID_CQ);
        }
        if id == 0 || id > live.features.queues.0 || live.sqs.contains_key(&id) {
            return Err(Status::INVALID_QUEUE_ID);
        }
        let ring = Self::ring(live, command)?;
        live.sqs.insert(id, Submission { ring, cq, ..Submission::default() });
        Ok(0)
    }

    fn delete_cq(live: &mut Live, command: &Command) -> Outcome {
        let id = command.word(10) as u16;
        if id == 0 || !live.cqs.contains_key(&id) {
            return Err(Status::INVALID_QUEUE_ID);
        }
        if live.sqs.values().any(|sq| sq.cq == id) {
            return Err(Status::INVALID_QUEUE_DELETION);
        }
        live.cqs.remove(&id);
        Ok(0)
    }

    /// Its commands end before the queue does.
    fn delete_sq(&self, live: &mut Live, command: &Command) -> Outcome {
        let id = command.word(10) as u16;
        if id == 0 {
            return Err(Status::INVALID_QUEUE_ID);
        }
        let sq = live.sqs.remove(&id).ok_or(Status::INVALID_QUEUE_ID)?;
        let mut ended = Vec::new();
        for slot in &mut live.commands {
            if let Some(running) = slot.take_if(|r| r.queue == Some(id)) {
                ended.push(Completion::new(id, running.command.id(), Err(Status::ABORTED_BY_SQ_DELETION)));
            }
        }
        if !ended.is_empty() {
            // What the disk was told is done before software hears that the commands are aborted.
            self.drain();
        }
        if let Some(cq) = live.cqs.get_mut(&sq.cq) {
            cq.waiting.extend(ended);
        }
        Ok(0)
    }

    /// Only a request for an event can be aborted; bit 0 of the result says that the command was not.
    fn abort(&self, live: &mut Live, command: &Command) -> Outcome {
        let (queue, id) = (command.word(10) as u16, (command.word(10) >> 16) as u16);
        if !live.sqs.contains_key(&queue) {
            return Err(Status::INVALID_FIELD);
        }
        if queue != 0 || !live.events.abort(id) {
            return Ok(1);
        }
        live.complete(0, Completion::new(0, id, Err(Status::ABORTED_BY_REQUEST)));
        Ok(0)
    }
}
