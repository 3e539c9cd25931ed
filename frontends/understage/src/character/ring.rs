//! The last bytes of what the guest sent, for the monitor.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::terminal::output::Output;

/// A buffer whose oldest bytes give way.
#[derive(Clone)]
pub struct Ring {
    size: usize,
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl Ring {
    /// Room for `size` bytes.
    pub fn new(size: usize) -> Self {
        Self { size, bytes: Arc::default() }
    }

    /// Takes up to `n` of the oldest bytes.
    pub fn take(&self, n: usize) -> Vec<u8> {
        let mut bytes = self.bytes.lock();
        let n = n.min(bytes.len());
        bytes.drain(..n).collect()
    }
}

impl Write for Ring {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.bytes.lock();
        let new = &bytes[bytes.len().saturating_sub(self.size)..];
        let over = (kept.len() + new.len()).saturating_sub(self.size);
        kept.drain(..over);
        kept.extend(new);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Output for Ring {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_bytes_give_way() {
        let mut ring = Ring::new(4);
        ring.write_all(b"ab").unwrap();
        ring.write_all(b"cde").unwrap();
        assert_eq!((ring.take(2), ring.take(100), ring.take(1)), (b"bc".to_vec(), b"de".to_vec(), vec![]));
        ring.write_all(b"0123456789").unwrap();
        assert_eq!(ring.take(9), b"6789");
    }
}
