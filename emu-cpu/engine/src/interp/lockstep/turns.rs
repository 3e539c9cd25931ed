//! Who may change memory while a vCPU runs the same code twice: nobody else.

use std::any::Any;
use std::sync::Arc;

use emu_core::bus::{AccessHook, Bus, Entered};
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockWriteGuard};

/// The turns of all vCPUs on one bus, and of devices' accesses between them.
#[derive(Default)]
pub(super) struct Turns {
    turn: Mutex<()>,
    /// Held for reading by accesses of devices, and for writing by a stretch.
    accesses: RwLock<()>,
}

impl Turns {
    /// Those of `bus`; `None` if somebody else is called around its accesses.
    pub(super) fn of(bus: &Bus) -> Option<Arc<Self>> {
        let hook: Arc<dyn Any + Send + Sync> = bus.access_hook(|| Arc::<Self>::default());
        hook.downcast().ok()
    }

    /// Waits until no other vCPU has its turn.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    /// Waits for devices' accesses under way, and holds back others until the guard is dropped. An access that began before the
    /// bus knew of the turns is not waited for.
    pub(super) fn hold_devices(&self) -> RwLockWriteGuard<'_, ()> {
        self.accesses.write()
    }
}

impl AccessHook for Turns {
    fn enter(&self) -> Box<dyn Entered + '_> {
        Box::new(self.accesses.read_recursive())
    }
}
