//! The commands.

use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{BusFault, Requester};
use emu_core::irq::IrqSink;
use emu_core::security::Security;

use super::Parts;
use super::words::{MOST, base64, bytes, hex, length, number, to_base64};
use crate::map;

/// What names the interrupt controller where QEMU's clients name a device by a path.
const CONTROLLER: &str = "/machine/gic";
/// What QEMU calls the inputs of a device that have no name.
const INPUTS: &str = "unnamed-gpio-in";
/// Wires of devices to the interrupt controller.
const WIRES: u64 = 256;
/// Bytes that are filled together.
const PIECE: usize = 64 << 10;

/// Puts out a line of its own accord.
type Says = Arc<dyn Fn(&str) + Send + Sync>;

/// What commands are about.
pub(super) struct Devices {
    parts: Parts,
    says: Says,
}

/// What a command makes of the words behind its name: what follows `OK`, or what follows `FAIL`.
type Run = fn(&Devices, &[&str]) -> Result<String, String>;

/// Name, number of words behind it, what it does.
type Command = (&'static str, std::ops::RangeInclusive<usize>, Run);

/// All commands.
const COMMANDS: &[Command] = &[
    ("clock_step", 0..=1, Devices::clock_step),
    ("clock_set", 1..=1, Devices::clock_set),
    ("inb", 1..=1, |d, w| d.port_read(w, Size::B1)),
    ("inw", 1..=1, |d, w| d.port_read(w, Size::B2)),
    ("inl", 1..=1, |d, w| d.port_read(w, Size::B4)),
    ("outb", 2..=2, |d, w| d.port_write(w, Size::B1)),
    ("outw", 2..=2, |d, w| d.port_write(w, Size::B2)),
    ("outl", 2..=2, |d, w| d.port_write(w, Size::B4)),
    ("readb", 1..=1, |d, w| d.read(w, Size::B1)),
    ("readw", 1..=1, |d, w| d.read(w, Size::B2)),
    ("readl", 1..=1, |d, w| d.read(w, Size::B4)),
    ("readq", 1..=1, |d, w| d.read(w, Size::B8)),
    ("writeb", 2..=2, |d, w| d.write(w, Size::B1)),
    ("writew", 2..=2, |d, w| d.write(w, Size::B2)),
    ("writel", 2..=2, |d, w| d.write(w, Size::B4)),
    ("writeq", 2..=2, |d, w| d.write(w, Size::B8)),
    ("read", 2..=2, |d, w| d.read_bytes(w).map(|b| hex(&b))),
    ("write", 3..=3, |d, w| d.write_bytes(w[0], &bytes(w[2], length(w[1])?)?)),
    ("b64read", 2..=2, |d, w| d.read_bytes(w).map(|b| to_base64(&b))),
    ("b64write", 3..=3, |d, w| d.write_bytes(w[0], &base64(w[2], length(w[1])?)?)),
    ("memset", 3..=3, Devices::fill),
    ("irq_intercept_in", 1..=1, Devices::intercept),
    ("irq_intercept_out", 1..=1, |_, w| Err(no_outputs(w[0]))),
    ("set_irq_in", 4..=4, Devices::drive),
    // The machine's, and that of what is read and written.
    ("endianness", 0..=0, |_, _| Ok("little".to_owned())),
];

fn no_outputs(path: &str) -> String {
    format!(
        "the outputs of '{path}' cannot be listened to: the inputs of {CONTROLLER} can (irq_intercept_in)"
    )
}

fn controller(path: &str) -> Result<(), String> {
    match path == CONTROLLER {
        true => Ok(()),
        false => Err(format!("there is no device '{path}' with wires: there is {CONTROLLER}")),
    }
}

/// As a CPU would, or nothing: what no device answers reads as zeros, and is lost when it is written, as in QEMU.
fn or_nothing<T: Default>(access: Result<T, BusFault>) -> T {
    access.unwrap_or_default()
}

const FROM: Requester = Requester::Cpu(0);

impl Devices {
    pub(super) fn new(parts: Parts, says: Says) -> Self {
        Self { parts, says }
    }

    /// The answer to a line.
    pub(super) fn answer(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some((name, words)) = words.split_first() else { return "FAIL there is no command".to_owned() };
        let Some((_, count, run)) = COMMANDS.iter().find(|(n, ..)| n == name) else {
            return format!("FAIL Unknown command '{name}'");
        };
        if !count.contains(&words.len()) {
            return format!("FAIL {name} has {} words behind it, not {}", count.end(), words.len());
        }
        match run(self, words) {
            Ok(value) if value.is_empty() => "OK".to_owned(),
            Ok(value) => format!("OK {value}"),
            Err(why) => format!("FAIL {why}"),
        }
    }

    /// An address in physical memory.
    fn at(word: &str) -> Result<Pa, String> {
        let address = number(word)?;
        Pa::new(address, Security::NonSecure).ok_or_else(|| format!("{word} is beyond all memory"))
    }

    fn read(&self, words: &[&str], size: Size) -> Result<String, String> {
        let value = or_nothing(self.parts.bus.read(Self::at(words[0])?, size, FROM));
        Ok(format!("{value:#018x}"))
    }

    fn write(&self, words: &[&str], size: Size) -> Result<String, String> {
        let (at, value) = (Self::at(words[0])?, number(words[1])?);
        or_nothing(self.parts.bus.write(at, size, value & size.mask(), FROM));
        Ok(String::new())
    }

    /// An I/O port, in the window of the PCIe host.
    fn port(word: &str) -> Result<Pa, String> {
        match number(word)? {
            port if port < map::PCIE_PIO.size => Ok(Pa(map::PCIE_PIO.base + port)),
            port => Err(format!("there is no I/O port {port:#x}")),
        }
    }

    fn port_read(&self, words: &[&str], size: Size) -> Result<String, String> {
        let value = or_nothing(self.parts.bus.read(Self::port(words[0])?, size, FROM));
        Ok(format!("{value:#06x}"))
    }

    fn port_write(&self, words: &[&str], size: Size) -> Result<String, String> {
        let (port, value) = (Self::port(words[0])?, number(words[1])?);
        or_nothing(self.parts.bus.write(port, size, value & size.mask(), FROM));
        Ok(String::new())
    }

    fn read_bytes(&self, words: &[&str]) -> Result<Vec<u8>, String> {
        let mut buffer = vec![0; length(words[1])?];
        or_nothing(self.parts.bus.read_bytes(Self::at(words[0])?, &mut buffer, FROM));
        Ok(buffer)
    }

    fn write_bytes(&self, address: &str, data: &[u8]) -> Result<String, String> {
        or_nothing(self.parts.bus.write_bytes(Self::at(address)?, data, FROM));
        Ok(String::new())
    }

    fn fill(&self, words: &[&str]) -> Result<String, String> {
        const GIB: u64 = 1 << 30;
        let (at, mut left) = (Self::at(words[0])?, number(words[1])?);
        let value = number(words[2])? as u8;
        if left > GIB {
            return Err(format!("{left} bytes are more than the {GIB} that are filled by one command"));
        }
        let piece = [value; PIECE];
        let mut next = at;
        while left > 0 {
            let n = left.min(PIECE as u64);
            if self.parts.bus.write_bytes(next, &piece[..n as usize], FROM).is_err() {
                break;
            }
            next = next.offset(n);
            left -= n;
        }
        Ok(String::new())
    }

    /// To the next timer, or on by so many nanoseconds.
    fn clock_step(&self, words: &[&str]) -> Result<String, String> {
        let clock = &self.parts.clock;
        let step = match words.first() {
            Some(word) => number(word)?,
            None => {
                let next = clock.next_deadline().ok_or("no timer is armed")?;
                next.saturating_sub(clock.now_ns())
            }
        };
        clock.advance(step);
        Ok(clock.now_ns().to_string())
    }

    /// On to a time. It does not go back.
    fn clock_set(&self, words: &[&str]) -> Result<String, String> {
        let clock = &self.parts.clock;
        let now = clock.now_ns();
        let step = number(words[0])?.checked_sub(now).ok_or_else(|| format!("it is {now} already"))?;
        clock.advance(step);
        Ok(clock.now_ns().to_string())
    }

    fn intercept(&self, words: &[&str]) -> Result<String, String> {
        controller(words[0])?;
        let says = self.says.clone();
        self.parts.wires.listen(Arc::new(move |line, level| {
            says(&format!("IRQ {} {line}", if level { "raise" } else { "lower" }));
        }));
        Ok(String::new())
    }

    fn drive(&self, words: &[&str]) -> Result<String, String> {
        let &[path, name, line, level] = words else { return Err("set_irq_in has 4 words".to_owned()) };
        controller(path)?;
        if name != INPUTS {
            return Err(format!("{CONTROLLER} has no inputs '{name}': its inputs are {INPUTS}"));
        }
        match number(line)? {
            line if line < WIRES => self.parts.wires.set_level(line as u32, number(level)? != 0),
            line => return Err(format!("{CONTROLLER} has no input {line}: it has {WIRES}")),
        }
        Ok(String::new())
    }
}

const _: () = assert!(MOST as usize * 2 + 64 < super::LONGEST, "what can be written is a line");

#[cfg(test)]
mod tests {
    use emu_core::bus::{Backing, Bus};
    use emu_core::clock::{Clock, Mode, Timer};
    use emu_core::irq::Unconnected;
    use emu_core::ram::GuestRam;
    use parking_lot::Mutex;

    use super::super::intercept::Intercept;
    use super::*;

    fn devices() -> (Devices, Arc<Mutex<Vec<String>>>) {
        let (bus, ram) = (Arc::new(Bus::new()), GuestRam::new(0x1_0000).unwrap());
        bus.map(Pa(0x4000_0000), 0x1_0000, Backing::Ram(ram, 0)).unwrap();
        let parts = Parts {
            bus,
            clock: Clock::new(Mode::Counted),
            wires: Intercept::new(Arc::new(Unconnected)),
            outside: Vec::new(),
            on_quit: Arc::new(|_| ()),
        };
        let said = Arc::<Mutex<Vec<String>>>::default();
        let says = said.clone();
        (Devices::new(parts, Arc::new(move |line| says.lock().push(line.to_owned()))), said)
    }

    /// Lines and their answers.
    fn talk(devices: &Devices, lines: &[(&str, &str)]) {
        for (line, answer) in lines {
            assert_eq!(devices.answer(line), *answer, "{line}");
        }
    }

    #[test]
    fn memory_is_read_and_written_in_every_form() {
        talk(
            &devices().0,
            &[
                ("writel 0x40000000 0x12345678", "OK"),
                ("readb 0x40000001", "OK 0x0000000000000056"),
                ("readw 0x40000000", "OK 0x0000000000005678"),
                ("writeq 0x40000008 18446744073709551615", "OK"),
                ("writeb 0x40000009 0x1ff00", "OK"),
                ("readq 0x40000008", "OK 0xffffffffffff00ff"),
                ("read 0x40000000 6", "OK 0x785634120000"),
                ("write 0x40000010 4 0x0102", "OK"),
                ("b64read 0x40000010 0x4", "OK AQIAAA=="),
                ("b64write 0x40000020 3 YWJj", "OK"),
                ("memset 0x40000021 2 0x7a", "OK"),
                ("read 0x40000020 4", "OK 0x617a7a00"),
                ("endianness", "OK little"),
                // Nobody is there.
                ("writel 0x1000 1", "OK"),
                ("readq 0x1000", "OK 0x0000000000000000"),
                ("read 0x1000 2", "OK 0x0000"),
                ("memset 0x4000ffff 0x20000000 1", "OK"),
                ("readb 0x4000ffff", "OK 0x0000000000000001"),
            ],
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        talk(
            &devices().0,
            &[
                ("", "FAIL there is no command"),
                ("module_load x y", "FAIL Unknown command 'module_load'"),
                ("readb", "FAIL readb has 1 words behind it, not 0"),
                ("readb 1 2", "FAIL readb has 1 words behind it, not 2"),
                ("readb x", "FAIL 'x' is no number of 64 bits"),
                ("readb 0xffffffffffffffff", "FAIL 0xffffffffffffffff is beyond all memory"),
                ("read 0x40000000 0x1000000", "FAIL 16777216 bytes are more than the 8388608 of one command"),
                (
                    "memset 0 0x40000001 0",
                    "FAIL 1073741825 bytes are more than the 1073741824 that are filled by one command",
                ),
                ("write 0x40000000 1 1", "FAIL data begins with 0x"),
                ("inb 0x10000", "FAIL there is no I/O port 0x10000"),
                ("inb 0xffff", "OK 0x0000"),
                (
                    "irq_intercept_out /machine/gic",
                    "FAIL the outputs of '/machine/gic' cannot be listened to: the inputs of /machine/gic can (irq_intercept_in)",
                ),
                ("irq_intercept_in x", "FAIL there is no device 'x' with wires: there is /machine/gic"),
                (
                    "set_irq_in /machine/gic a 0 1",
                    "FAIL /machine/gic has no inputs 'a': its inputs are unnamed-gpio-in",
                ),
                (
                    "set_irq_in /machine/gic unnamed-gpio-in 256 1",
                    "FAIL /machine/gic has no input 256: it has 256",
                ),
            ],
        );
    }

    #[test]
    fn time_stands_until_it_is_moved() {
        let (devices, _) = devices();
        let clock = devices.parts.clock.clone();
        let fired = Arc::<Mutex<u32>>::default();
        let fires = fired.clone();
        let timer = Timer::new(&clock, move || *fires.lock() += 1);
        timer.set(1000);
        talk(
            &devices,
            &[
                ("clock_step 999", "OK 999"),
                ("clock_step", "OK 1000"),
                ("clock_step", "FAIL no timer is armed"),
                ("clock_set 5000", "OK 5000"),
                ("clock_set 1", "FAIL it is 5000 already"),
            ],
        );
        assert_eq!(*fired.lock(), 1);
    }

    #[test]
    fn wires_are_heard_and_driven() {
        let (devices, said) = devices();
        let set = |level| format!("set_irq_in /machine/gic unnamed-gpio-in 7 {level}");
        talk(
            &devices,
            &[
                (&set(0), "OK"),
                ("irq_intercept_in /machine/gic", "OK"),
                (&set(1), "OK"),
                (&set(1), "OK"),
                (&set(0), "OK"),
            ],
        );
        assert_eq!(*said.lock(), ["IRQ raise 7", "IRQ lower 7"]);
    }
}
