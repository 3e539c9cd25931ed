//! A device that obeys instead of printing: test suites for guests end the machine by it.
//!
//! A command is a letter with a decimal number before it, and perhaps white space around the number. The only one is `q`:
//! the machine ends with the exit status `2 * number + 1`.

use std::io::{self, Write};

use crate::quit::{OnQuit, Quit};
use crate::terminal::output::Output;

/// See the module's head.
pub struct TestDevice {
    number: u32,
    on_quit: OnQuit,
}

impl TestDevice {
    /// Asks `on_quit` to end the machine.
    pub fn new(on_quit: OnQuit) -> Self {
        Self { number: 0, on_quit }
    }
}

impl Write for TestDevice {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    self.number = self.number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
                }
                b' ' | b'\t'..=b'\r' => {}
                b'q' => {
                    // As the status of a process is eight bits.
                    (self.on_quit)(Quit::Status((self.number << 1 | 1) as u8));
                    self.number = 0;
                }
                _ => self.number = 0,
            }
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Output for TestDevice {}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    fn ends(text: &[&str]) -> Vec<Quit> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let s = seen.clone();
        let mut device = TestDevice::new(Arc::new(move |q| s.lock().push(q)));
        for part in text {
            device.write_all(part.as_bytes()).unwrap();
        }
        let ends = seen.lock().clone();
        drop(device);
        ends
    }

    #[test]
    fn a_number_and_q_end_the_machine() {
        assert_eq!(ends(&["0q"]), [Quit::Status(1)]);
        assert_eq!(ends(&[" 1", "2 \n", "q"]), [Quit::Status(25)]);
        assert_eq!(ends(&["q"]), [Quit::Status(1)]);
        assert_eq!(ends(&["5x3q"]), [Quit::Status(7)]);
        assert_eq!(ends(&["127q"]), [Quit::Status(255)]);
        assert_eq!(ends(&["128q"]), [Quit::Status(1)], "eight bits");
        assert_eq!(ends(&["12"]), []);
    }
}
