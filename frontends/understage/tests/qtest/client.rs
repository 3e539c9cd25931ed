//! A client of the qtest protocol, and the program that it drives.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::Instant;

use super::driven::{LIMIT, Program, start};

/// A machine without CPUs that run.
pub(crate) struct Machine {
    program: Program,
    stream: Option<BufReader<UnixStream>>,
    /// Wires that are high, as far as they are listened to.
    pub(crate) high: Vec<u32>,
}

impl Machine {
    /// Starts one with these options beside the necessary ones; words are separated by spaces.
    pub(crate) fn start(options: &str) -> Self {
        let (program, stream) = start(&format!("-qtest-log none {options}"), "-qtest");
        Self { program, stream: Some(stream), high: Vec::new() }
    }

    /// Sends a line; the answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let stream = self.stream.as_mut().unwrap();
        stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        loop {
            let mut answer = String::new();
            assert!(stream.read_line(&mut answer).unwrap() > 0, "the machine is gone after '{line}'");
            let answer = answer.trim_end();
            match answer.split(' ').collect::<Vec<_>>()[..] {
                ["IRQ", "raise", wire] => self.high.push(wire.parse().unwrap()),
                ["IRQ", "lower", wire] => self.high.retain(|w| w.to_string() != wire),
                _ => return answer.to_owned(),
            }
        }
    }

    /// Sends a line that must succeed; what follows `OK`.
    pub(crate) fn ok(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        let value = answer.strip_prefix("OK").unwrap_or_else(|| panic!("'{line}': {answer}"));
        value.trim_start().to_owned()
    }

    /// Reads 1 (`b`), 2 (`w`), 4 (`l`) or 8 bytes (`q`).
    pub(crate) fn read(&mut self, size: char, at: u64) -> u64 {
        let value = self.ok(&format!("read{size} {at:#x}"));
        u64::from_str_radix(value.trim_start_matches("0x"), 16).unwrap()
    }

    /// Writes as [`Machine::read`] reads.
    pub(crate) fn write(&mut self, size: char, at: u64, value: u64) {
        self.ok(&format!("write{size} {at:#x} {value:#x}"));
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&mut self, at: u64, len: usize) -> Vec<u8> {
        let hex = self.ok(&format!("read {at:#x} {len}"));
        hex.as_bytes()[2..]
            .chunks(2)
            .map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    }

    /// Writes bytes of memory.
    pub(crate) fn set_bytes(&mut self, at: u64, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        self.ok(&format!("write {at:#x} {} 0x{hex}", bytes.len()));
    }

    /// Asks until it is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < LIMIT, "{what} does not come");
            std::thread::yield_now();
        }
    }

    /// The client leaves; how the program ends.
    pub(crate) fn leave(mut self) -> ExitStatus {
        self.stream = None;
        self.program.0.wait().unwrap()
    }
}
