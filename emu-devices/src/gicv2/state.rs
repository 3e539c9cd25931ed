//! The life of the GIC: reset, save, restore.

use emu_core::lifecycle::{Component, RestoreError, Saved};

use super::{Cpu, Gicv2, State};

const NAME: &str = "gicv2";
const VERSION: u32 = 1;

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

    fn save(&self) -> Saved {
        Saved::new(NAME, VERSION, &*self.state.lock())
    }

    fn restore(&self, saved: &Saved) -> Result<(), RestoreError> {
        let state: State = saved.get(VERSION)?;
        self.change(|s| {
            if s.cpus.len() != state.cpus.len() || !s.distributor.same_shape(&state.distributor) {
                let why = "it has other CPUs, or another number of SPIs".to_owned();
                return Err(RestoreError::Form { name: NAME.to_owned(), why });
            }
            *s = state;
            Ok(())
        })
    }
}
