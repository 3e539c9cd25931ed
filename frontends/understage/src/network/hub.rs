//! A hub: what one port sends, all others receive.

use std::io;
use std::sync::{Arc, Weak};

use emu_devices::net::{Inbox, NetBackend, NetClient};
use parking_lot::RwLock;

/// The ports of a hub.
#[derive(Default)]
pub(super) struct Hub {
    ports: RwLock<Vec<Arc<Inbox>>>,
}

impl Hub {
    /// One more port.
    pub(super) fn port(self: &Arc<Self>, name: &str) -> Arc<Port> {
        let own = Arc::<Inbox>::default();
        self.ports.write().push(own.clone());
        Arc::new(Port { name: name.to_owned(), hub: self.clone(), own })
    }
}

/// A port of a hub.
pub(super) struct Port {
    name: String,
    hub: Arc<Hub>,
    own: Arc<Inbox>,
}

impl NetBackend for Port {
    fn name(&self) -> &str {
        &self.name
    }
    fn connect(&self, client: Weak<dyn NetClient>) {
        self.own.connect(client);
    }
    fn start(&self) -> io::Result<()> {
        self.own.start();
        Ok(())
    }
    fn pause(&self) {
        self.own.pause();
    }
    fn halt(&self) {
        self.own.halt();
    }
    fn send(&self, frame: &[u8]) {
        // A device that receives may answer: no lock is held then.
        let others: Vec<_> =
            self.hub.ports.read().iter().filter(|port| !Arc::ptr_eq(port, &self.own)).cloned().collect();
        others.iter().for_each(|port| port.take(frame));
    }
    fn room(&self) {
        self.own.room();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_devices::net::Receipt;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Card(Mutex<Vec<u8>>);

    impl NetClient for Card {
        fn receive(&self, frame: &[u8]) -> Receipt {
            self.0.lock().push(frame[0]);
            Receipt::Taken
        }
    }

    #[test]
    fn a_frame_comes_to_all_ports_but_its_own() {
        let hub = Arc::<Hub>::default();
        let ends = ["a", "b", "c"].map(|name| {
            let (port, card) = (hub.port(name), Arc::<Card>::default());
            port.connect(Arc::downgrade(&card) as Weak<dyn NetClient>);
            port.start().unwrap();
            (port, card)
        });
        ends[0].0.send(&[1; 60]);
        ends[2].0.send(&[2; 60]);
        let seen = ends.each_ref().map(|(_, card)| card.0.lock().clone());
        assert_eq!(seen, [vec![2], vec![1, 2], vec![1]]);
    }
}
