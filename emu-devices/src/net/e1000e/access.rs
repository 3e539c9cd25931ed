//! What reading and writing a register does.

use std::collections::VecDeque;

use super::interrupts::cause;
use super::registers::{Reg, at};
use super::state::State;
use super::{Shared, control, control_ext, receive_control};

/// Bits of STATUS.
mod status {
    pub(super) const FULL_DUPLEX: u32 = 1;
    pub(super) const LINK: u32 = 1 << 1;
    /// 1000 Mb/s.
    pub(super) const SPEED: u32 = 2 << 6;
    pub(super) const INITIALISED: u32 = 1 << 9;
    pub(super) const MASTER: u32 = 1 << 19;
}
/// MDIC: an interrupt at the end.
const MDIC_INTERRUPT: u32 = 1 << 29;
/// SWSM: the semaphore of drivers, which a read takes.
const SEMAPHORE: u32 = 1;

impl Shared {
    /// Follows what the link depends on; tells if it changes.
    pub(super) fn update_link(&self, state: &mut State) {
        let up = state.has_partner();
        if std::mem::replace(&mut state.link, up) != up {
            self.raise(state, cause::LSC);
        }
    }

    /// Reads a register without what that does.
    pub(super) fn peek(&self, state: &State, reg: Reg, offset: u32) -> u32 {
        match reg {
            Reg::Status if offset == 8 => {
                let link = if state.link { status::LINK } else { 0 };
                let master = if state.is_master() { status::MASTER } else { 0 };
                status::FULL_DUPLEX | status::SPEED | status::INITIALISED | link | master
            }
            Reg::Eeprom => state.get(offset) | (state.get(offset) & 0x40) << 1,
            Reg::Cause => state.causes(),
            Reg::Time => (state.time(self.clock.now_ns()) >> (8 * (offset - at::SYSTIML))) as u32,
            Reg::Stored
            | Reg::Kick
            | Reg::Control
            | Reg::Status
            | Reg::ControlExt
            | Reg::EepromRead
            | Reg::EepromWrite
            | Reg::Mdic
            | Reg::CauseSet
            | Reg::Mask
            | Reg::MaskClear
            | Reg::Semaphore
            | Reg::TimeIncrement
            | Reg::Statistic => state.get(offset),
        }
    }

    pub(super) fn read(&self, reg: Reg, offset: u32) -> u32 {
        let state = &mut *self.state.lock();
        if reg == Reg::Cause {
            return self.read_causes(state);
        }
        let value = self.peek(state, reg, offset);
        match reg {
            Reg::Statistic => state.set(offset, 0),
            Reg::Semaphore => state.set(offset, value | SEMAPHORE),
            _ => {}
        }
        value
    }

    /// Writes a register, all but the reset.
    pub(super) fn write(&self, reg: Reg, offset: u32, value: u32) {
        let state = &mut *self.state.lock();
        match reg {
            Reg::Stored | Reg::Semaphore => state.set(offset, value),
            Reg::Kick => {
                state.set(offset, value);
                if !state.has(at::RCTL, receive_control::ENABLE) {
                    state.backlog.iter_mut().for_each(VecDeque::clear);
                }
            }
            Reg::Control => {
                state.set(offset, value & !(control::RESET | control::PHY_RESET));
                if value & control::PHY_RESET != 0 {
                    state.phy.reset();
                }
                self.update_link(state);
            }
            Reg::ControlExt => {
                state.set(offset, value & !control_ext::EEPROM_RESET);
                if value & control_ext::EEPROM_RESET != 0 {
                    state.load_address();
                }
            }
            Reg::Eeprom => state.set(at::EECD, 0x300 | value),
            Reg::EepromRead => {
                let value = state.nvm.read(value);
                state.set(at::EERD, value);
            }
            Reg::EepromWrite => {
                let value = state.nvm.write(value);
                state.set(at::EEWR, value);
            }
            Reg::Mdic => {
                let link = state.link;
                let result = state.phy.command(value, link);
                state.set(at::MDIC, result);
                self.update_link(state);
                if value & MDIC_INTERRUPT != 0 {
                    self.raise(state, cause::MDAC);
                }
            }
            Reg::Time | Reg::TimeIncrement => {
                let now = self.clock.now_ns();
                let time = state.time(now);
                state.set_time(time, now);
                state.set(offset, value);
            }
            Reg::Cause => self.clear_causes(state, value),
            Reg::CauseSet => self.raise(state, value),
            Reg::Mask => self.unmask(state, value),
            Reg::MaskClear => self.mask(state, value),
            // Read-only: the map lets no write through.
            Reg::Status | Reg::Statistic => {}
        }
    }
}
