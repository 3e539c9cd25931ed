//! Devices driven from outside: QEMU's qtest protocol (its documentation, "QTest Device Emulation Testing Framework").
//!
//! No CPU runs. A client sends lines at a character device, each a command: accesses of memory and registers, steps of virtual
//! time, which stands still otherwise, wires of interrupts. Each gets one line of an answer, `OK ...` or `FAIL ...`; lines
//! `IRQ raise N` and `IRQ lower N` come in between where the client has asked for them. When it leaves, the machine ends.
//!
//! | module | what lives there |
//! |---|---|
//! | [`command`] | the commands |
//! | [`words`] | numbers and bytes in their words |
//! | [`intercept`] | the wires to the interrupt controller |
//! | [`log`] | `-qtest-log` |

mod command;
pub mod intercept;
mod log;
mod words;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use emu_core::bus::Bus;
use emu_core::clock::Clock;
use signal_hook::consts::SIGTERM;

use self::command::Devices;
use self::intercept::Intercept;
use self::log::Log;
use crate::character::{Bell, Port};
use crate::config::{Accel, MachineConfig, QtestLog};
use crate::error::{UserError, reason, user_error};
use crate::quit::{OnQuit, Quit};

/// What signals ask for: with a driven machine SIGTERM is how its client ends it, and no failure.
#[must_use]
pub fn of_signals(config: &MachineConfig, on_quit: OnQuit) -> OnQuit {
    if config.accel != Accel::Qtest {
        return on_quit;
    }
    Arc::new(move |why| match why {
        Quit::Signal(SIGTERM) => on_quit(Quit::Status(0)),
        why => on_quit(why),
    })
}

/// Bytes of a line at most: what comes beyond them is dropped, and the line fails.
const LONGEST: usize = 32 << 20;
/// How long a command waits at most for what has come for devices before it, and how often that is looked at.
const SETTLED: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_micros(100);
/// How often it is looked whether answers are taken.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is driven.
pub struct Parts {
    /// The physical address space.
    pub bus: Arc<Bus>,
    /// The machine's time: counted.
    pub clock: Arc<Clock>,
    /// The wires of interrupts.
    pub wires: Arc<Intercept>,
    /// Connections by which others send to devices.
    pub outside: Vec<Arc<Port>>,
    /// Ends the machine.
    pub on_quit: OnQuit,
}

/// Lines out of bytes.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// The line is too long.
    over: bool,
}

impl Lines {
    /// One byte; a line that it ends. `Err` if that was too long.
    fn feed(&mut self, byte: u8) -> Option<Result<String, ()>> {
        if byte != b'\n' {
            self.over |= self.bytes.len() == LONGEST;
            if !self.over {
                self.bytes.push(byte);
            }
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        if std::mem::take(&mut self.over) {
            return Some(Err(()));
        }
        Some(Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned()))
    }
}

/// A client's end, which puts out whole lines.
struct Client {
    port: Arc<Port>,
    log: Log,
}

impl Client {
    fn say(&self, line: &str) {
        self.log.sent(line);
        self.port.write(format!("{line}\n").as_bytes());
    }
}

/// Serves the client at `port` in a thread of its own, until it leaves.
pub fn start(parts: Parts, port: Arc<Port>, log: &QtestLog) -> Result<(), UserError> {
    let client = Arc::new(Client { port: port.clone(), log: Log::open(log)? });
    let bell = Arc::new(Bell::default());
    let (notified, opened, on_quit) = (bell.clone(), client.clone(), parts.on_quit.clone());
    port.input().set_notify(Arc::new(move || notified.ring(false)));
    port.on_open(Box::new(move |open| {
        opened.log.connection(open);
        if !open {
            on_quit(Quit::Status(0));
        }
    }));
    let told = client.clone();
    let outside = parts.outside.clone();
    let devices = Devices::new(parts, Arc::new(move |line: &str| told.say(line)));
    thread::Builder::new()
        .name("qtest".into())
        .spawn(move || serve(&devices, &client, &bell, &outside))
        .map(drop)
        .map_err(|e| user_error!("cannot start a thread for qtest: {}", reason(&e)))
}

/// What was sent to a device before a command is with the device when the command is executed, as if there were one thread. A
/// device that has no room leaves it where it is, so that nobody waits for ever.
fn settle(outside: &[Arc<Port>]) {
    let until = Instant::now() + SETTLED;
    while !outside.iter().all(|port| port.is_settled()) && Instant::now() < until {
        thread::sleep(LOOK);
    }
}

fn serve(devices: &Devices, client: &Client, bell: &Bell, outside: &[Arc<Port>]) {
    let mut lines = Lines::default();
    let mut bytes = vec![0; 4096];
    loop {
        let n = client.port.input().take(&mut bytes);
        if n == 0 {
            bell.wait();
            continue;
        }
        for line in bytes[..n].iter().filter_map(|byte| lines.feed(*byte)) {
            // Who does not read the answers gets no more of them.
            while !client.port.room() {
                thread::sleep(PATIENCE);
            }
            match line {
                Ok(line) => {
                    client.log.received(&line);
                    settle(outside);
                    client.say(&devices.answer(&line));
                }
                Err(()) => client.say(&format!("FAIL a line has at most {LONGEST} bytes")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_a_line_feed_and_have_an_upper_limit() {
        let mut lines = Lines::default();
        let mut feed = |text: &[u8]| text.iter().filter_map(|b| lines.feed(*b)).collect::<Vec<_>>();
        assert_eq!(feed(b"read"), []);
        assert_eq!(feed(b"b 0\r\n\nx\n"), [Ok("readb 0".to_owned()), Ok(String::new()), Ok("x".to_owned())]);
        assert_eq!(feed(&vec![b'x'; LONGEST + 1]), []);
        assert_eq!(feed(b"y\nz\n"), [Err(()), Ok("z".to_owned())]);
    }
}
