//! The images that devices of a machine use, as monitors see them.

use std::sync::{Arc, Weak};

use emu_devices::block::DiskQueue;
use parking_lot::Mutex;

use crate::config::Disk;
use crate::error::{UserError, reason, user_error};

/// See the module's head.
#[derive(Default)]
pub struct Disks(Mutex<Vec<Image>>);

struct Image {
    disk: Disk,
    /// As long as a device has it.
    queue: Weak<DiskQueue>,
}

impl Disks {
    /// A device has opened `disk`.
    pub(super) fn add(&self, disk: &Disk, queue: &Arc<DiskQueue>) {
        let mut images = self.0.lock();
        images.retain(|image| image.queue.strong_count() > 0);
        images.push(Image { disk: disk.clone(), queue: Arc::downgrade(queue) });
    }

    /// All of them, in the order in which they were opened.
    #[must_use]
    pub fn list(&self) -> Vec<(Disk, Arc<DiskQueue>)> {
        self.0.lock().iter().filter_map(|image| Some((image.disk.clone(), image.queue.upgrade()?))).collect()
    }

    /// Gives the one called `id` another size in bytes.
    pub fn resize(&self, id: &str, bytes: u64) -> Result<(), UserError> {
        let found = self.list().into_iter().find(|(disk, _)| disk.id.0.as_deref() == Some(id));
        let (_, queue) = found.ok_or_else(|| user_error!("Cannot find device='{id}' nor node-name=''"))?;
        queue.resize(bytes).map_err(|e| user_error!("cannot resize '{id}': {}", reason(&e)))
    }
}
