//! What instructions do.

use std::task::Poll;

use emu_core::dma::{Dma, Task};

use super::channel::{Access, Purpose, Status, Wanted, check_control};
use super::instruction::{Instruction, Place, When, decode, length};
use super::registers::{FIFO_BYTES, fault};
use super::{State, Way};

/// What is told of anomalies: what, and the address of the instruction.
pub(super) type Anomaly<'a> = &'a dyn Fn(&str, u64);

impl Wanted {
    fn begin(self, way: &Way, slot: usize) -> Access {
        let Self { purpose, direction, attrs, segments, bytes } = self;
        let dma = Dma::new(way.port.clone(), way.stalls.clone(), slot as u16, attrs);
        let task = Task::new(async move { dma.transfer(direction, segments, bytes).await });
        Access { purpose, task }
    }
}

impl State {
    /// DMASEV: an interrupt if INTEN says so, else an event.
    pub(super) fn send(&mut self, event: u32) {
        if self.enabled >> event & 1 != 0 {
            self.pending |= 1 << event;
            return;
        }
        let waits = |c: &&mut super::Channel| c.status == Status::WaitingForEvent && c.event == event;
        let mut anyone = false;
        for channel in self.channels.iter_mut().filter(waits) {
            channel.status = Status::Executing;
            channel.pc = channel.pc.wrapping_add(2);
            anyone = true;
        }
        if !anyone {
            self.pending |= 1 << event;
        }
    }

    /// A step of each channel; false if none of them could do one.
    pub(super) fn round(&mut self, way: &Way, anomaly: Anomaly<'_>) -> bool {
        let mut went_on = false;
        for n in 0..self.channels.len() {
            went_on |= self.step(n, way, anomaly);
        }
        went_on || self.look_for_lock_up(anomaly)
    }

    /// Channels that wait for room while no access is under way wait for ever (DDI 0424, 2.8.3, "Watchdog abort").
    fn look_for_lock_up(&mut self, anomaly: Anomaly<'_>) -> bool {
        let locked = self.channels.iter().any(|c| c.wants_room)
            && !self.channels.iter().any(|c| c.access.is_some() && !c.fifo.is_empty());
        if !locked || self.watchdog & 1 != 0 {
            self.locked_up = locked;
            return false;
        }
        for channel in self.channels.iter_mut().filter(|c| c.wants_room) {
            anomaly("the MFIFO has locked up at the instruction", channel.pc.into());
            channel.fail(fault::LOCK_UP);
        }
        true
    }

    /// A step of channel `n`; false if there is none that it could do.
    fn step(&mut self, n: usize, way: &Way, anomaly: Anomaly<'_>) -> bool {
        let channel = &mut self.channels[n];
        if channel.status != Status::Executing {
            return false;
        }
        if let Some(access) = &mut channel.access {
            let purpose = access.purpose;
            let Poll::Ready(outcome) = access.task.poll() else { return false };
            channel.access = None;
            match outcome {
                Ok(bytes) => channel.complete(purpose, bytes),
                Err(_) => {
                    anomaly("an access was aborted, of the instruction", channel.pc.into());
                    channel.fail(match purpose {
                        Purpose::Fetch(_) => fault::FETCH,
                        Purpose::Load => fault::READ,
                        Purpose::Store(_) => fault::WRITE,
                    });
                }
            }
            return true;
        }
        let bytes = match channel.instruction() {
            Ok(bytes) => bytes,
            Err(line) => {
                channel.access = Some(line.begin(way, n));
                return true;
            }
        };
        let Some(what) = decode(bytes) else { return self.fail(n, fault::UNDEFINED, anomaly) };
        self.execute(n, what, length(bytes[0]) as u32, way, anomaly)
    }

    fn fail(&mut self, n: usize, why: u32, anomaly: Anomaly<'_>) -> bool {
        let channel = &mut self.channels[n];
        anomaly("a channel aborts at the instruction", channel.pc.into());
        channel.fail(why);
        true
    }

    fn execute(&mut self, n: usize, what: Instruction, length: u32, way: &Way, anomaly: Anomaly<'_>) -> bool {
        let room = FIFO_BYTES - self.channels.iter().map(|c| c.fifo.len() + promised(c)).sum::<usize>();
        let channel = &mut self.channels[n];
        let next = channel.pc.wrapping_add(length);
        match what {
            // A request would be single.
            Instruction::Load(When::Burst) | Instruction::Store(When::Burst) => {}
            Instruction::Load(when) => {
                let wanted = channel.load(when);
                channel.wants_room = wanted.bytes.len() > room;
                if !channel.wants_room {
                    channel.access = Some(wanted.begin(way, n));
                }
                return !channel.wants_room;
            }
            Instruction::Store(when) => {
                let Some(wanted) = channel.store(when) else { return self.fail(n, fault::NO_DATA, anomaly) };
                channel.access = Some(wanted.begin(way, n));
                return true;
            }
            Instruction::StoreZeros => {
                channel.access = Some(channel.store_zeros().begin(way, n));
                return true;
            }
            Instruction::End | Instruction::Kill => {
                channel.pc = next;
                channel.stop();
                return true;
            }
            Instruction::LoopEnd { when: When::Burst, .. } => {}
            Instruction::LoopEnd { forever, counter, back, .. } => {
                let left = channel.counters[counter];
                if forever || left != 0 {
                    channel.counters[counter] = if forever { left } else { left - 1 };
                    channel.pc = channel.pc.wrapping_sub(back.into());
                    return true;
                }
            }
            Instruction::Loop(counter, value) => channel.counters[counter] = value,
            Instruction::Add(Place::Source, by) => channel.source = channel.source.wrapping_add(by),
            Instruction::Add(_, by) => channel.destination = channel.destination.wrapping_add(by),
            Instruction::Move(Place::Source, value) => channel.source = value,
            Instruction::Move(Place::Destination, value) => channel.destination = value,
            Instruction::Move(Place::Control, value) => match check_control(value) {
                Ok(()) => channel.control = value & super::registers::CCR_BITS,
                Err(why) => return self.fail(n, why, anomaly),
            },
            Instruction::Nop => {}
            Instruction::Barrier => way.port.fence(),
            Instruction::SendEvent(event) => {
                channel.pc = next;
                self.send(event);
                return true;
            }
            Instruction::WaitForEvent { event, invalidate } => {
                if invalidate {
                    channel.forget_instructions();
                }
                if self.pending & !self.enabled & 1 << event == 0 {
                    channel.status = Status::WaitingForEvent;
                    channel.event = event;
                    return true;
                }
                self.pending &= !(1 << event);
            }
            Instruction::Peripheral => return self.fail(n, fault::OPERAND, anomaly),
            // The manager's.
            Instruction::Go { .. } => return self.fail(n, fault::UNDEFINED, anomaly),
        }
        self.channels[n].pc = next;
        true
    }
}

/// Bytes of the MFIFO that a load under way will fill: no more than the longest burst has.
fn promised(channel: &super::Channel) -> usize {
    match &channel.access {
        Some(Access { purpose: Purpose::Load, .. }) => channel.load(When::Always).bytes.len(),
        _ => 0,
    }
}
