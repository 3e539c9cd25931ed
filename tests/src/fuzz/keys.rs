//! What somebody types, or pipes, while the guest reads its serial port.

use std::sync::Arc;

use emu_core::addr::Size;
use parking_lot::Mutex;
use understage::character::Port;
use understage::character::mux::Mux;
use understage::config::CharBackend;
use understage::map;
use understage::quit::{OnQuit, Quit};
use understage::terminal::escape::HELP;

use super::board::{self, Running};
use super::source::Source;

/// Registers of the PL011 (DDI 0183, 3.2): data, flags, line control, control.
const DR: u64 = 0x00;
const FR: u64 = 0x18;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
/// The receive FIFO is empty.
const RXFE: u64 = 1 << 4;

/// What the keys mean, said another way than in the program.
#[derive(Default)]
struct Expected {
    bytes: Vec<u8>,
    quits: usize,
    helps: usize,
    after_escape: bool,
}

impl Expected {
    fn press(&mut self, key: u8, escapes: bool) {
        match (escapes && std::mem::take(&mut self.after_escape), key) {
            (true, b'x' | b'X') => self.quits += 1,
            (true, b'h' | b'H' | b'?') => self.helps += 1,
            (true, 1) => self.bytes.push(1),
            (true, _) => {}
            (false, 1) if escapes => self.after_escape = true,
            (false, key) => self.bytes.push(key),
        }
    }
}

/// The target: all that is for the guest reaches it, once and in order; all else does what its key says.
pub(super) fn run(data: &[u8]) {
    board::with(|machine| type_and_read(machine, data));
}

fn type_and_read(machine: &Running, data: &[u8]) {
    let uart = map::UARTS[0].range.base;
    machine.write(uart + LCR_H, Size::B4, 0x70);
    machine.write(uart + CR, Size::B4, 0x301);
    let mut source = Source::new(data);
    let escapes = source.one_in(2);
    let quits = Arc::new(Mutex::new(Vec::new()));
    let seen = quits.clone();
    let on_quit: OnQuit = Arc::new(move |why| seen.lock().push(why));
    // A terminal with one user, whose keys go on to the serial port; without escape keys it is the port's own.
    let terminal = Port::open(&CharBackend::Ring { size: 1 << 20 }, on_quit.clone()).map(Arc::new);
    let terminal = terminal.unwrap_or_else(|e| panic!("{e}"));
    let user = Mux::new(terminal.clone(), on_quit).user(Box::new(|| ()));
    let (mut expected, mut got) = (Expected::default(), Vec::new());
    while !source.is_empty() {
        let keys: Vec<u8> = (0..source.below(40)).map(|_| key(&mut source)).collect();
        keys.iter().for_each(|k| expected.press(*k, escapes));
        let queue = machine.serial_input();
        if escapes {
            assert_eq!(terminal.input().offer(&keys), keys.len());
            let mut some = [0; 64];
            let n = user.input().take(&mut some);
            assert_eq!(queue.offer(&some[..n]), n);
        } else {
            assert_eq!(queue.offer(&keys), keys.len());
        }
        for _ in 0..source.below(40) {
            got.extend(read(machine));
        }
    }
    got.extend(std::iter::from_fn(|| read(machine)));
    assert_eq!(got, expected.bytes);
    assert_eq!(*quits.lock(), vec![Quit::Keys; expected.quits]);
    let help = terminal.ring().map(|ring| ring.take(1 << 20));
    assert_eq!(help, Some(HELP.as_bytes().repeat(expected.helps)));
}

/// Keys that mean something come more often.
fn key(source: &mut Source<'_>) -> u8 {
    match source.u8() {
        0..=63 => 1,
        64..=95 => b'x',
        96..=127 => b'h',
        other => other,
    }
}

/// What the guest reads, if there is something.
fn read(machine: &Running) -> Option<u8> {
    let empty = machine.read(map::UARTS[0].range.base + FR, Size::B4) & RXFE != 0;
    (!empty).then(|| machine.read(map::UARTS[0].range.base + DR, Size::B4) as u8)
}
