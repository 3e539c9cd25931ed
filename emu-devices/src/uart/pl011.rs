//! PL011 UART (Arm DDI 0183, r1p5).
//!
//! Characters take no time on the wire: what is written goes to the back end at once, as long as that takes it, and
//! waits in the transmit FIFO otherwise. The UART sends and receives without UARTEN too, because early consoles expect
//! that firmware has left it running.
//!
//! The identification says revision 1: from revision 3 on, drivers take the FIFOs for 32 deep; these are 16 deep.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::clock::{Clock, Timer};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::{Listed, Map, constants, word};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::registers::{PCELL_ID, RegisterBank, WINDOW, periph_id};

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// Data.
    Dr,
    /// Receive status; a write clears the errors.
    Rsr,
    /// Flags.
    Fr,
    /// IrDA low-power counter.
    Ilpr,
    /// Baud rate, integer part.
    Ibrd,
    /// Baud rate, fractional part.
    Fbrd,
    /// Line control.
    LcrH,
    /// Control.
    Cr,
    /// Interrupt FIFO level select.
    Ifls,
    /// Interrupt mask.
    Imsc,
    /// Raw interrupt status.
    Ris,
    /// Masked interrupt status.
    Mis,
    /// Interrupt clear.
    Icr,
    /// DMA control.
    Dmacr,
}

/// UARTCR after reset.
const CR_RESET: u32 = cr::TXE | cr::RXE;
/// UARTIFLS after reset.
const IFLS_RESET: u32 = 0x12;

/// The registers (DDI 0183, table 3-1).
pub static MAP: Map<Reg> = Map {
    specification: "Arm DDI 0183 (PL011)",
    window: WINDOW,
    rows: &[
        // Twelve bits to read, of which eight can be written.
        word("UARTDR", 0x000, Reg::Dr).bits(0xfff).writes(0xff).read_has_effect(),
        word("UARTRSR/UARTECR", 0x004, Reg::Rsr).bits(0xf).writes(0xffff_ffff),
        word("UARTFR", 0x018, Reg::Fr).read_only(0x1ff).reset((fr::RXFE | fr::TXFE) as u64),
        word("UARTILPR", 0x020, Reg::Ilpr).bits(0xff),
        word("UARTIBRD", 0x024, Reg::Ibrd).bits(0xffff),
        word("UARTFBRD", 0x028, Reg::Fbrd).bits(0x3f),
        word("UARTLCR_H", 0x02c, Reg::LcrH).bits(0xff),
        word("UARTCR", 0x030, Reg::Cr).bits(0xff87).reset(CR_RESET as u64),
        word("UARTIFLS", 0x034, Reg::Ifls).bits(0x3f).reset(IFLS_RESET as u64),
        word("UARTIMSC", 0x038, Reg::Imsc).bits(int::ALL),
        word("UARTRIS", 0x03c, Reg::Ris).read_only(int::ALL),
        word("UARTMIS", 0x040, Reg::Mis).read_only(int::ALL),
        word("UARTICR", 0x044, Reg::Icr).write_only(int::ALL),
        word("UARTDMACR", 0x048, Reg::Dmacr).bits(7),
        constants("UARTPeriphID", 0xfe0, &periph_id(0x11, 1)),
        constants("UARTPCellID", 0xff0, PCELL_ID),
    ],
};

/// Flag register (3.3.3).
mod fr {
    pub(super) const CTS: u32 = 1;
    pub(super) const DSR: u32 = 1 << 1;
    pub(super) const DCD: u32 = 1 << 2;
    pub(super) const BUSY: u32 = 1 << 3;
    pub(super) const RXFE: u32 = 1 << 4;
    pub(super) const TXFF: u32 = 1 << 5;
    pub(super) const RXFF: u32 = 1 << 6;
    pub(super) const TXFE: u32 = 1 << 7;
    pub(super) const RI: u32 = 1 << 8;
}

/// Control register (3.3.8).
mod cr {
    pub(super) const LBE: u32 = 1 << 7;
    pub(super) const TXE: u32 = 1 << 8;
    pub(super) const RXE: u32 = 1 << 9;
    pub(super) const DTR: u32 = 1 << 10;
    pub(super) const RTS: u32 = 1 << 11;
    pub(super) const OUT1: u32 = 1 << 12;
    pub(super) const OUT2: u32 = 1 << 13;
}

/// Interrupt bits (3.3.10).
mod int {
    pub(super) const MODEM: u32 = 0xf;
    pub(super) const RX: u32 = 1 << 4;
    pub(super) const TX: u32 = 1 << 5;
    pub(super) const RT: u32 = 1 << 6;
    pub(super) const OE: u32 = 1 << 10;
    pub(super) const ALL: u64 = 0x7ff;
}

/// LCR_H.FEN: the FIFOs are on.
const FEN: u32 = 1 << 4;
/// Data register: the overrun error bit.
const DR_OE: u16 = 1 << 11;
/// Depth of each FIFO.
const DEPTH: usize = 16;
/// UARTCLK of the board, Hz.
const UARTCLK: u64 = 24_000_000;

/// What is at the other end of the line. Called with the UART locked: it must not call back into the UART.
pub trait CharBackend: Send + Sync {
    /// Takes a character; false if it cannot now. Then it calls [`Pl011::transmit_ready`] when it can again.
    fn transmit(&self, byte: u8) -> bool;
}

/// Told when the receive FIFO has room again after [`Pl011::receive`] did not take everything. Not called with the UART
/// locked.
pub type RoomCallback = Box<dyn Fn() + Send + Sync>;

#[derive(Clone, Serialize, Deserialize)]
struct State {
    rx: VecDeque<u16>,
    tx: VecDeque<u8>,
    rsr: u32,
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    ris: u32,
    dmacr: u32,
    /// Modem inputs as they were last seen: FR bits RI, DCD, DSR, CTS.
    modem: u32,
    /// The next received character also reports an overrun.
    overrun: bool,
    /// When the receive timeout strikes, virtual nanoseconds.
    timeout: Option<u64>,
    /// Somebody waits for room: not the guest's matter.
    #[serde(skip)]
    wanted: bool,
}

impl SavedState for State {
    const KIND: &'static str = "pl011";
    const VERSION: u32 = 1;
}

impl State {
    fn new() -> Self {
        Self {
            rx: VecDeque::new(),
            tx: VecDeque::new(),
            rsr: 0,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: CR_RESET,
            ifls: IFLS_RESET,
            imsc: 0,
            ris: 0,
            dmacr: 0,
            modem: 0,
            overrun: false,
            timeout: None,
            wanted: false,
        }
    }

    fn depth(&self) -> usize {
        if self.lcr_h & FEN != 0 { DEPTH } else { 1 }
    }

    /// A trigger level of IFLS: 1/8, 1/4, 1/2, 3/4, 7/8 of the FIFO; one character without FIFOs.
    fn trigger(&self, select: u32) -> usize {
        if self.lcr_h & FEN == 0 {
            return 1;
        }
        [2, 4, 8, 12, 14, 14, 14, 14][(select & 7) as usize]
    }

    fn rx_trigger(&self) -> usize {
        self.trigger(self.ifls >> 3)
    }

    fn flags(&self) -> u32 {
        let mut f = self.modem;
        for (bit, on) in [
            (fr::RXFE, self.rx.is_empty()),
            (fr::RXFF, self.rx.len() >= self.depth()),
            (fr::TXFE, self.tx.is_empty()),
            (fr::TXFF, self.tx.len() >= self.depth()),
            (fr::BUSY, !self.tx.is_empty()),
        ] {
            if on {
                f |= bit;
            }
        }
        f
    }

    /// A register whose reading changes nothing.
    fn peek(&self, reg: Reg) -> u32 {
        match reg {
            Reg::Rsr => self.rsr,
            Reg::Fr => self.flags(),
            Reg::Ilpr => self.ilpr,
            Reg::Ibrd => self.ibrd,
            Reg::Fbrd => self.fbrd,
            Reg::LcrH => self.lcr_h,
            Reg::Cr => self.cr,
            Reg::Ifls => self.ifls,
            Reg::Imsc => self.imsc,
            Reg::Ris => self.ris,
            Reg::Mis => self.ris & self.imsc,
            Reg::Dmacr => self.dmacr,
            // One takes a character, the other is write-only.
            Reg::Dr | Reg::Icr => 0,
        }
    }

    /// 32 bit times at the programmed rate (at 115,200 baud while none is), in nanoseconds.
    fn timeout_ns(&self) -> u64 {
        let divisor = u64::from(self.ibrd) * 64 + u64::from(self.fbrd);
        if divisor == 0 { 277_778 } else { 32 * divisor * 16 * 1_000_000_000 / (64 * UARTCLK) }
    }

    fn room(&self) -> usize {
        let enabled = self.cr & cr::RXE != 0 && self.cr & cr::LBE == 0;
        if enabled { self.depth().saturating_sub(self.rx.len()) } else { 0 }
    }

    fn push_rx(&mut self, byte: u8, now: u64) {
        if self.rx.len() >= self.depth() {
            self.overrun = true;
            self.ris |= int::OE;
            return;
        }
        let error = if std::mem::take(&mut self.overrun) { DR_OE } else { 0 };
        self.rx.push_back(u16::from(byte) | error);
        if self.rx.len() >= self.rx_trigger() {
            self.ris |= int::RX;
        }
        self.timeout = (self.lcr_h & FEN != 0).then(|| now.saturating_add(self.timeout_ns()));
    }

    fn pop_rx(&mut self) -> u32 {
        let Some(c) = self.rx.pop_front() else { return 0 };
        self.rsr = u32::from(c >> 8);
        if self.rx.len() < self.rx_trigger() {
            self.ris &= !int::RX;
        }
        if self.rx.is_empty() {
            self.ris &= !int::RT;
            self.timeout = None;
        }
        u32::from(c)
    }

    /// Clears interrupts. What waits in the FIFO is idle from now on, so that its timeout strikes again after another 32
    /// bit times (2.8.3): a driver that clears before it reads loses nothing.
    fn clear_interrupts(&mut self, bits: u32, now: u64) {
        self.ris &= !bits;
        if bits & int::RT != 0 && self.timeout.is_none() && self.lcr_h & FEN != 0 && !self.rx.is_empty() {
            self.timeout = Some(now.saturating_add(self.timeout_ns()));
        }
    }

    /// Modem inputs: all inactive, or the outputs in loopback.
    fn update_modem(&mut self) {
        let mut now = 0;
        if self.cr & cr::LBE != 0 {
            for (output, input) in
                [(cr::RTS, fr::CTS), (cr::DTR, fr::DSR), (cr::OUT1, fr::DCD), (cr::OUT2, fr::RI)]
            {
                if self.cr & output != 0 {
                    now |= input;
                }
            }
        }
        let changed = now ^ self.modem;
        self.modem = now;
        // RIS: RI, CTS, DCD, DSR in bits 0 to 3.
        for (input, interrupt) in [(fr::RI, 1), (fr::CTS, 2), (fr::DCD, 4), (fr::DSR, 8)] {
            if changed & input != 0 {
                self.ris |= interrupt & int::MODEM;
            }
        }
    }

    /// Sends what the back end takes; `written` if a character has just been added.
    fn drain(&mut self, backend: &dyn CharBackend, now: u64, written: bool) {
        let before = self.tx.len();
        if self.cr & cr::TXE != 0 {
            while let Some(&byte) = self.tx.front() {
                if self.cr & cr::LBE != 0 {
                    self.push_rx(byte, now);
                } else if !backend.transmit(byte) {
                    break;
                }
                self.tx.pop_front();
            }
        }
        let level = if self.lcr_h & FEN != 0 { self.trigger(self.ifls) } else { 0 };
        let fell = self.tx.len() < before;
        if self.tx.len() <= level && fell {
            self.ris |= int::TX;
        } else if written && self.tx.len() > level {
            self.ris &= !int::TX;
        }
    }
}

/// The UART.
pub struct Pl011 {
    bank: RegisterBank<Reg>,
    state: Mutex<State>,
    clock: Arc<Clock>,
    timer: Timer,
    irq: IrqLine,
    backend: Box<dyn CharBackend>,
    room: Mutex<Option<RoomCallback>>,
}

impl Pl011 {
    /// A UART after reset.
    pub fn new(
        name: &str,
        clock: &Arc<Clock>,
        irq: IrqLine,
        backend: Box<dyn CharBackend>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|weak: &Weak<Self>| {
            let weak = weak.clone();
            let timer = Timer::new(clock, move || {
                if let Some(uart) = weak.upgrade() {
                    uart.timed_out();
                }
            });
            Self {
                bank: RegisterBank::new(name, &MAP, counters),
                state: Mutex::new(State::new()),
                clock: clock.clone(),
                timer,
                irq,
                backend,
                room: Mutex::new(None),
            }
        })
    }

    /// Whom to tell when there is room again.
    pub fn set_room_callback(&self, callback: RoomCallback) {
        *self.room.lock() = Some(callback);
    }

    /// How many characters [`Pl011::receive`] would take now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.state.lock().room()
    }

    /// Characters from the line. Takes as many as fit and gives their number; if that is not all, the room callback is
    /// called when there is room again.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let now = self.clock.now_ns();
        self.with(|s| {
            let n = bytes.len().min(s.room());
            for &b in &bytes[..n] {
                s.push_rx(b, now);
            }
            s.wanted = n < bytes.len();
            n
        })
    }

    /// The back end takes characters again.
    pub fn transmit_ready(&self) {
        let now = self.clock.now_ns();
        self.with(|s| s.drain(&*self.backend, now, false));
    }

    /// Changes the state, then brings the interrupt line, the timer and who waits for room up to date.
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut s = self.state.lock();
        let before = s.timeout;
        let result = f(&mut s);
        // Under the lock, so that two threads cannot set the line in the wrong order.
        self.irq.set(s.ris & s.imsc != 0);
        let timeout = s.timeout.filter(|_| s.timeout != before);
        let tell = s.wanted && s.room() > 0;
        s.wanted &= !tell;
        drop(s);
        if let Some(at) = timeout {
            self.timer.set(at);
        }
        if tell && let Some(callback) = &*self.room.lock() {
            callback();
        }
        result
    }

    /// The line was idle for 32 bit times and characters are waiting (DDI 0183, 2.8.3).
    fn timed_out(&self) {
        let now = self.clock.now_ns();
        self.with(|s| {
            if s.timeout.is_some_and(|at| now >= at) {
                s.timeout = None;
                if !s.rx.is_empty() {
                    s.ris |= int::RT;
                }
            }
        });
    }

    fn read_word(&self, reg: Reg) -> u32 {
        if reg == Reg::Dr { self.with(State::pop_rx) } else { self.state.lock().peek(reg) }
    }

    fn write_word(&self, reg: Reg, value: u32) {
        let now = self.clock.now_ns();
        let lost = self.with(|s| {
            match reg {
                Reg::Dr if s.tx.len() >= s.depth() => return true,
                Reg::Dr => {
                    s.tx.push_back(value as u8);
                    s.drain(&*self.backend, now, true);
                }
                Reg::Rsr => {
                    s.rsr = 0;
                    s.ris &= !int::OE;
                }
                Reg::Ilpr => s.ilpr = value,
                Reg::Ibrd => s.ibrd = value,
                Reg::Fbrd => s.fbrd = value,
                Reg::LcrH => {
                    // Switching the FIFOs empties them.
                    if (s.lcr_h ^ value) & FEN != 0 {
                        s.rx.clear();
                        s.tx.clear();
                        s.timeout = None;
                    }
                    s.lcr_h = value;
                }
                Reg::Cr => {
                    s.cr = value;
                    s.update_modem();
                    s.drain(&*self.backend, now, false);
                }
                Reg::Ifls => s.ifls = value,
                Reg::Imsc => s.imsc = value,
                Reg::Icr => s.clear_interrupts(value, now),
                Reg::Dmacr => s.dmacr = value,
                // Read-only: the map lets no write through.
                Reg::Fr | Reg::Ris | Reg::Mis => {}
            }
            false
        });
        if lost {
            self.bank.anomaly(0, "character written to a full FIFO");
        }
    }
}

impl MmioDevice for Pl011 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        Ok(self.bank.read(offset, size, |reg, _| self.read_word(reg)))
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        self.bank.write(offset, size, value, |reg, _, v| self.write_word(reg, v));
        Ok(())
    }
    fn registers(&self, _: Requester) -> Vec<Listed> {
        let s = self.state.lock();
        MAP.list(0, |reg, _| Some(s.peek(reg).into()))
    }
}

impl Component for Pl011 {
    fn name(&self) -> &str {
        self.bank.name()
    }
    fn reset(&self) {
        // Somebody who waits for room must hear of it.
        self.with(|s| *s = State { wanted: s.wanted, ..State::new() });
    }
    fn save(&self) -> Payload {
        Payload::new(self.bank.name(), &*self.state.lock())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        if state.rx.len() > DEPTH || state.tx.len() > DEPTH {
            return Err(saved.unfit("its FIFOs are too long"));
        }
        if !MAP.holds(|reg, _| Some(state.peek(reg).into())) {
            return Err(saved.unfit("a register has bits that there are not"));
        }
        Ok(Restore::new(move || {
            let timeout = state.timeout;
            self.with(|s| *s = State { wanted: s.wanted, ..state });
            match timeout {
                Some(at) => self.timer.set(at),
                None => self.timer.clear(),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use emu_core::clock::Mode;
    use test_kit::master::{read, write};
    use test_kit::wires::Wires;

    use super::*;

    const DR: u64 = 0x000;
    const FR: u64 = 0x018;
    const IBRD: u64 = 0x024;
    const FBRD: u64 = 0x028;
    const LCR_H: u64 = 0x02c;
    const CR: u64 = 0x030;
    const IFLS: u64 = 0x034;
    const IMSC: u64 = 0x038;
    const RIS: u64 = 0x03c;
    const MIS: u64 = 0x040;
    const ICR: u64 = 0x044;

    #[derive(Default)]
    struct Wire {
        out: Mutex<Vec<u8>>,
        full: AtomicBool,
        irq: Arc<Wires>,
    }
    struct End(Arc<Wire>);
    impl CharBackend for End {
        fn transmit(&self, byte: u8) -> bool {
            let takes = !self.0.full.load(Ordering::SeqCst);
            if takes {
                self.0.out.lock().push(byte);
            }
            takes
        }
    }

    fn uart() -> (Arc<Pl011>, Arc<Wire>, Arc<Clock>) {
        let clock = Clock::new(Mode::Counted);
        let wire = Arc::new(Wire::default());
        let irq = IrqLine::new(wire.irq.clone(), 0);
        (Pl011::new("pl011", &clock, irq, Box::new(End(wire.clone())), &Arc::default()), wire, clock)
    }
    /// As a driver starts the port: 115,200 baud, 8n1, FIFOs on.
    fn start(u: &Pl011) {
        write(u, CR, 0);
        write(u, IBRD, 13);
        write(u, FBRD, 1);
        write(u, LCR_H, 0x70);
        write(u, ICR, 0x7ff);
        write(u, CR, 0x301);
    }

    #[test]
    fn reset_values_and_identification() {
        let (u, ..) = uart();
        assert_eq!((read(&*u, FR), read(&*u, CR), read(&*u, IFLS)), (0x90, 0x300, 0x12));
        let id: Vec<u32> = (0..8).map(|i| read(&*u, 0xfe0 + i * 4)).collect();
        assert_eq!(id, [0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
        assert_eq!(read(&*u, 0x100), 0);
    }

    #[test]
    fn transmits_and_interrupts() {
        let (u, wire, _) = uart();
        start(&u);
        write(&*u, DR, b'A'.into());
        MmioDevice::write(&*u, DR, Size::B1, b'B'.into(), Requester::Cpu(0)).unwrap();
        assert_eq!(*wire.out.lock(), b"AB");
        assert_eq!(read(&*u, RIS), int::TX);
        assert!(!wire.irq.level(0));
        write(&*u, IMSC, int::TX);
        assert!(wire.irq.level(0));
        assert_eq!(read(&*u, MIS), int::TX);
        write(&*u, ICR, int::TX);
        assert!(!wire.irq.level(0));
    }

    #[test]
    fn a_slow_back_end_fills_the_fifo() {
        let (u, wire, _) = uart();
        start(&u);
        wire.full.store(true, Ordering::SeqCst);
        for i in 0..17 {
            write(&*u, DR, i);
        }
        assert_eq!(read(&*u, FR) & (fr::TXFF | fr::BUSY | fr::TXFE), fr::TXFF | fr::BUSY);
        assert_eq!(read(&*u, RIS) & int::TX, 0);
        wire.full.store(false, Ordering::SeqCst);
        u.transmit_ready();
        assert_eq!(wire.out.lock().len(), 16, "the seventeenth was lost");
        assert_eq!(read(&*u, RIS) & int::TX, int::TX);
        assert_eq!(read(&*u, FR), 0x90);
    }

    #[test]
    fn receive_trigger_and_back_pressure() {
        let (u, wire, _) = uart();
        start(&u);
        write(&*u, IMSC, int::RX);
        let told = Arc::new(AtomicUsize::new(0));
        let t = told.clone();
        u.set_room_callback(Box::new(move || {
            t.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!(u.receive(&[1; 7]), 7);
        assert!(!wire.irq.level(0));
        assert_eq!(u.receive(&[2; 20]), 9);
        assert!(wire.irq.level(0));
        assert_eq!((u.room(), read(&*u, FR) & fr::RXFF), (0, fr::RXFF));
        assert_eq!(told.load(Ordering::SeqCst), 0);
        assert_eq!(read(&*u, DR), 1);
        assert_eq!((told.load(Ordering::SeqCst), u.room()), (1, 1));
        for _ in 0..15 {
            read(&*u, DR);
        }
        assert!(!wire.irq.level(0));
        assert_eq!((read(&*u, FR) & fr::RXFE, told.load(Ordering::SeqCst)), (fr::RXFE, 1));
    }

    #[test]
    fn receive_timeout() {
        let (u, wire, clock) = uart();
        start(&u);
        write(&*u, IMSC, int::RT);
        u.receive(b"x");
        clock.advance(200_000);
        u.receive(b"y");
        clock.advance(200_000);
        assert_eq!(read(&*u, RIS) & int::RT, 0, "the second character starts the time again");
        clock.advance(100_000);
        assert_eq!(read(&*u, MIS), int::RT);
        assert!(wire.irq.level(0));
        assert_eq!((read(&*u, DR), read(&*u, DR)), (b'x'.into(), b'y'.into()));
        assert!(!wire.irq.level(0));
    }

    #[test]
    fn the_receive_timeout_strikes_again_while_characters_wait() {
        let (u, wire, clock) = uart();
        start(&u);
        write(&*u, IMSC, int::RT);
        u.receive(b"xy");
        clock.advance(300_000);
        for _ in 0..3 {
            assert_eq!(read(&*u, MIS), int::RT);
            write(&*u, ICR, int::RT);
            assert!(!wire.irq.level(0));
            clock.advance(200_000);
            assert_eq!(read(&*u, RIS) & int::RT, 0, "not before 32 bit times");
            clock.advance(100_000);
        }
        assert!(wire.irq.level(0));
        assert_eq!((read(&*u, DR), read(&*u, DR)), (b'x'.into(), b'y'.into()));
        write(&*u, ICR, int::RT);
        clock.advance(1_000_000);
        assert_eq!(read(&*u, RIS) & int::RT, 0, "an empty FIFO has no timeout");
    }

    #[test]
    fn one_character_without_fifos() {
        let (u, ..) = uart();
        assert_eq!(u.receive(b"ab"), 1);
        assert_eq!(read(&*u, RIS) & int::RX, int::RX);
        assert_eq!(read(&*u, FR) & fr::RXFF, fr::RXFF);
    }

    #[test]
    fn loopback() {
        let (u, wire, _) = uart();
        start(&u);
        write(&*u, CR, 0x301 | cr::LBE | cr::RTS);
        write(&*u, DR, 0x55);
        assert_eq!((read(&*u, DR), wire.out.lock().len()), (0x55, 0));
        assert_eq!(read(&*u, FR) & fr::CTS, fr::CTS);
        assert_eq!(read(&*u, RIS) & int::MODEM, 2);
        for i in 0..17 {
            write(&*u, DR, i);
        }
        assert_eq!(read(&*u, RIS) & int::OE, int::OE);
    }

    #[test]
    fn save_and_restore() {
        let (u, ..) = uart();
        start(&u);
        write(&*u, IMSC, int::RT);
        u.receive(b"hello");
        let saved = u.save();
        let (v, wire, clock) = uart();
        v.restore(saved.clone()).unwrap();
        assert_eq!(v.save(), saved);
        clock.advance(1_000_000);
        assert!(wire.irq.level(0), "the timeout still strikes");
        v.reset();
        assert_eq!((read(&*v, FR), read(&*v, IMSC)), (0x90, 0));
        assert!(!wire.irq.level(0));
    }
}
