//! virtio-rng.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use emu_devices::virtio::{EntropySource, Rng, VirtioDevice};
use parking_lot::Mutex;

use super::kind::{Given, Model, Reference, Row, RunOption, Takes, To};
use super::site::Site;
use crate::config::{HostFile, Settings};
use crate::error::{UserError, reason, user_error};

/// A source of entropy, with the bytes of this file of the host, or else of the host's own generator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entropy(pub Option<HostFile>);

impl Settings for Entropy {}

/// The row.
pub static GENERATOR: Row<Entropy> = Row {
    name: "virtio-rng",
    about: "entropy",
    given: Given::Anywhere,
    option: Some(RunOption { name: "--rng", about: "Add a virtio source of entropy", takes: Takes::Nothing }),
    properties: &[],
    references: &[Reference { name: "rng", to: To::Random(|e, file| e.0 = file), required: false }],
    check: |_, _| Ok(()),
    model: Model::Virtio(build),
};

fn build(entropy: &Entropy, _: &mut dyn Site) -> Result<Arc<dyn VirtioDevice>, UserError> {
    let file = match &entropy.0 {
        Some(file) => crate::file::open(file)?,
        None => File::open("/dev/urandom")
            .map_err(|e| user_error!("cannot open '/dev/urandom': {}", reason(&e)))?,
    };
    Ok(Rng::new(Arc::new(Bytes(Mutex::new(file)))))
}

/// Random bytes that a file gives.
struct Bytes(Mutex<File>);

impl EntropySource for Bytes {
    fn fill(&self, out: &mut [u8]) {
        if let Err(e) = self.0.lock().read_exact(out) {
            tracing::warn!("the host gives no random numbers: {}", reason(&e));
        }
    }
}
