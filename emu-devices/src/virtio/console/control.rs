//! Control messages (virtio 1.2, 5.3.6.2).

use crate::virtio::{Chain, GuestMemory, QueueFault};

/// Bytes of a message without what follows it: port, event, value.
const HEADER: u64 = 8;

/// What a message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    DeviceReady = 0,
    PortAdd = 1,
    PortRemove = 2,
    PortReady = 3,
    ConsolePort = 4,
    Resize = 5,
    PortOpen = 6,
    PortName = 7,
}

const EVENTS: [Event; 8] = [
    Event::DeviceReady,
    Event::PortAdd,
    Event::PortRemove,
    Event::PortReady,
    Event::ConsolePort,
    Event::Resize,
    Event::PortOpen,
    Event::PortName,
];

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) port: u32,
    pub(super) event: Event,
    pub(super) value: u16,
    /// What follows it.
    text: String,
}

impl Message {
    pub(super) fn new(port: u32, event: Event, value: u16) -> Self {
        Self { port, event, value, text: String::new() }
    }

    /// The name of a port, which has no NUL behind it.
    pub(super) fn named(port: u32, name: &str) -> Self {
        Self { text: name.to_owned(), ..Self::new(port, Event::PortName, 1) }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.port.to_le_bytes().to_vec();
        bytes.extend((self.event as u16).to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
        bytes.extend(self.text.as_bytes());
        bytes
    }

    /// What the driver has sent; `None` if it is no message.
    pub(super) async fn read(chain: &Chain, memory: &GuestMemory) -> Result<Option<Self>, QueueFault> {
        if chain.readable_len() < HEADER {
            return Ok(None);
        }
        let raw = chain.read(memory, 0, vec![0; HEADER as usize]).await?;
        let Some(&[p0, p1, p2, p3, e0, e1, v0, v1]) = raw.first_chunk::<8>() else { return Ok(None) };
        let event = EVENTS.get(usize::from(u16::from_le_bytes([e0, e1]))).copied();
        Ok(event.map(|event| {
            Self::new(u32::from_le_bytes([p0, p1, p2, p3]), event, u16::from_le_bytes([v0, v1]))
        }))
    }
}
