//! A network without a thread, for who wants to say what happens when.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::counts::Counts;
use crate::engine::Engine;
use crate::watch::Watch;

/// The same network as that of [`crate::UserNet`], which does something when it is told to.
pub struct Stepper {
    engine: Engine,
    watch: Arc<Watch>,
}

impl Stepper {
    /// A network.
    ///
    /// # Errors
    /// The configuration is none, or the host refuses a socket.
    pub fn new(config: Config) -> io::Result<Self> {
        config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let watch = Arc::new(Watch::new()?);
        Ok(Self { engine: Engine::new(config, Arc::clone(&watch))?, watch })
    }

    /// At this time since the start, the guest sends these frames, and the sockets have what they have. Gives the frames for
    /// the guest, which takes all of them.
    pub fn step(&mut self, now: Duration, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
        let ready = self.watch.wait(Some(0));
        self.engine.turn(now, frames.into_iter(), &ready, 0).frames.into()
    }

    /// What happened to frames.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.engine.counts()
    }
}
