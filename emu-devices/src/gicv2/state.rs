//! The life of the GIC: reset, save, restore.

use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};

use super::frame::Block;
use super::{Cpu, Gicv2, State, distributor, hypervisor, physical};

const NAME: &str = "gicv2";

impl SavedState for State {
    const KIND: &'static str = "gicv2";
    const VERSION: u32 = 1;
}

/// No register of a block has bits that it does not have.
fn is_possible<B: Block>(state: &State) -> bool {
    (0..state.cpus.len()).all(|cpu| B::MAP.holds(|reg, index| B::peek(state, cpu, reg, index).map(u64::from)))
}

impl Component for Gicv2 {
    fn name(&self) -> &str {
        NAME
    }

    fn reset(&self) {
        self.change(|s| {
            s.distributor.reset();
            s.cpus.fill(Cpu::default());
        });
    }

    fn save(&self) -> Payload {
        Payload::new(NAME, &*self.state.lock())
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        {
            let now = self.state.lock();
            if now.cpus.len() != state.cpus.len() || !now.distributor.same_shape(&state.distributor) {
                return Err(saved.unfit("it has other CPUs, or another number of SPIs"));
            }
        }
        let possible = is_possible::<distributor::Registers>(&state)
            && is_possible::<physical::Registers>(&state)
            && is_possible::<hypervisor::ControlRegisters>(&state)
            && is_possible::<hypervisor::InterfaceRegisters>(&state);
        if !possible {
            return Err(saved.unfit("a register has bits that there are not"));
        }
        Ok(Restore::new(move || self.change(|s| *s = state)))
    }
}
