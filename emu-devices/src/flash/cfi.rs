//! A bank of parallel NOR flash: two 16-bit devices side by side on a 32-bit bus, as on the `virt` board.
//!
//! While both devices are in array mode the bank is memory on the bus ([`Backing::Rom`]) and reads never come here; a
//! command remaps it as registers, and the command that returns to array mode maps the memory again. Array contents
//! therefore only change while nothing maps them as memory; that they have changed the memory knows by itself
//! ([`emu_core::page`]), so that instructions fetched from here are not used longer than they are good.
//!
//! A lane of 16 bits belongs to one device; a word write gives each its half. Block locks are off after reset.

use std::io;
use std::sync::{Arc, Weak};

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, BusFault, MmioDevice, Overlap, Requester};
use emu_core::host::reason;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, Runs, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::ram::{GuestRam, RamError};
use emu_core::registers::{Listed, Shown};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chip::{BLOCK, Chip, QUERY, ReadMode, Work, status};
use super::store::{FlashStore, Programming};

/// Bytes in an erase sector of the bank: one block of each device.
pub const SECTOR: u64 = 2 * BLOCK;

/// Why a bank cannot be made.
#[derive(Debug, Error)]
pub enum FlashError {
    /// The size is not a power of two of at least one sector.
    #[error("a flash of {0} bytes: the size must be a power of two from 256 KiB to 1 GiB")]
    Size(u64),
    /// The image has another size. One that is never written back may be shorter.
    #[error("the flash image has {found} bytes, the flash has {expected}")]
    Image {
        /// Bytes in the image.
        found: u64,
        /// Bytes in the flash.
        expected: u64,
    },
    /// No memory.
    #[error(transparent)]
    Ram(#[from] RamError),
}

/// What is saved beside the bytes of the array.
#[derive(Serialize, Deserialize)]
struct Chips {
    chips: [Chip; 2],
    /// Which pages of the array are not blank.
    written: Runs,
}

impl SavedState for Chips {
    const KIND: &'static str = "cfi-flash";
    const VERSION: u32 = 3;
}

/// What the bytes of the array are called in a saved state.
const ARRAY: &str = "array";
/// A byte of the array that is not programmed.
const BLANK: u8 = 0xff;

struct State {
    chips: [Chip; 2],
    /// The bus sees memory.
    mapped_as_array: bool,
}

impl State {
    fn array_mode(&self) -> bool {
        self.chips.iter().all(|c| c.read_mode == ReadMode::Array)
    }
}

/// The bank.
pub struct CfiFlash {
    name: String,
    size: u64,
    array: &'static GuestRam,
    state: Mutex<State>,
    store: Option<Box<dyn FlashStore>>,
    place: Mutex<Option<(Weak<Bus>, Pa)>>,
    counters: Arc<Counters>,
    this: Weak<Self>,
}

impl CfiFlash {
    /// A bank of `size` bytes with the contents of `image`, blank after its end.
    pub fn new(
        name: &str,
        size: u64,
        image: &[u8],
        programming: Programming,
        counters: &Arc<Counters>,
    ) -> Result<Arc<Self>, FlashError> {
        if !size.is_power_of_two() || !(SECTOR..=1 << 30).contains(&size) {
            return Err(FlashError::Size(size));
        }
        let (store, protected) = match programming {
            Programming::Protected => (None, true),
            Programming::Lost => (None, false),
            Programming::Kept(store) => (Some(store), false),
        };
        let found = image.len() as u64;
        if found > size || store.is_some() && found != size {
            return Err(FlashError::Image { found, expected: size });
        }
        let array = GuestRam::filled(size, BLANK)?;
        array.write(0, image);
        let chip = Chip::new(size / 2, protected);
        Ok(Arc::new_cyclic(|this| Self {
            name: name.to_owned(),
            size,
            array,
            state: Mutex::new(State { chips: [chip.clone(), chip], mapped_as_array: true }),
            store,
            place: Mutex::new(None),
            counters: counters.clone(),
            this: this.clone(),
        }))
    }

    /// Puts the bank on the bus.
    pub fn attach(&self, bus: &Arc<Bus>, base: Pa) -> Result<(), Overlap> {
        let mut s = self.state.lock();
        *self.place.lock() = Some((Arc::downgrade(bus), base));
        s.mapped_as_array = s.array_mode();
        match self.backing(s.mapped_as_array) {
            Some(backing) => bus.map(base, self.size, backing),
            None => Ok(()),
        }
    }

    fn backing(&self, array: bool) -> Option<Backing> {
        let this = self.this.upgrade()?;
        Some(if array { Backing::Rom(self.array, 0, this) } else { Backing::Mmio(this) })
    }

    /// Makes the map follow the mode.
    fn follow_mode(&self, s: &mut State) {
        let array = s.array_mode();
        if array == s.mapped_as_array {
            return;
        }
        s.mapped_as_array = array;
        let place = self.place.lock();
        let Some((bus, base)) = place.as_ref().and_then(|(b, base)| Some((b.upgrade()?, *base))) else {
            return;
        };
        if let Some(backing) = self.backing(array) {
            // The bank replaces itself in its own place: nothing can overlap.
            let _ = bus.remap(base, base, self.size, backing);
        }
    }

    fn anomaly(&self, what: &str, offset: u64) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
    }

    /// Does what device `lane` asks of its array; false if the contents could not be kept.
    fn work(&self, lane: u64, work: &Work) -> io::Result<()> {
        match work {
            Work::None | Work::Unknown => Ok(()),
            Work::Program(words) => {
                let (mut first, mut last) = (u64::MAX, 0);
                for &(word, value) in words {
                    let at = word * 4 + lane * 2;
                    let old = self.array.load_u16(at).unwrap_or(0);
                    // Programming clears bits; only an erase sets them.
                    self.array.store_u16(at, old & value);
                    (first, last) = (first.min(at), last.max(at + 2));
                }
                self.keep(first, last)
            }
            Work::Erase(block) => {
                let start = block * SECTOR;
                for word in 0..SECTOR / 4 {
                    self.array.store_u16(start + word * 4 + lane * 2, 0xffff);
                }
                self.keep(start, start + SECTOR)
            }
        }
    }

    /// Writes the bytes of the array from `start` up to `end` back.
    fn keep(&self, start: u64, end: u64) -> io::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        match self.array.read(start, &mut bytes) {
            Some(()) => store.write_at(start, &bytes),
            None => Ok(()),
        }
    }

    fn flush(&self) {
        if let Some(Err(e)) = self.store.as_ref().map(|s| s.flush()) {
            tracing::error!("{}: the image cannot be flushed: {}", self.name, reason(&e));
        }
    }

    /// One 16-bit write to the device of its lane.
    fn write_lane(&self, s: &mut State, offset: u64, value: u16) {
        let (word, lane) = (offset / 4, offset / 2 % 2);
        let chip = &mut s.chips[lane as usize];
        let work = chip.write(word, value);
        if work == Work::Unknown {
            self.anomaly("unknown flash command", offset);
        }
        if let Err(e) = self.work(lane, &work) {
            tracing::error!("{}: the image cannot be written: {}", self.name, reason(&e));
            let erase = matches!(work, Work::Erase(_));
            s.chips[lane as usize].failed(if erase { status::ERASE } else { status::PROGRAM });
        }
    }

    fn read_lane(&self, s: &State, offset: u64) -> u16 {
        let chip = &s.chips[(offset / 2 % 2) as usize];
        match chip.read_mode {
            ReadMode::Array => self.array.load_u16(offset & !1).unwrap_or(0),
            _ => chip.read(offset / 4),
        }
    }
}

impl MmioDevice for CfiFlash {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let s = self.state.lock();
        let first = offset & !1;
        let lanes = (offset - first + size.bytes()).div_ceil(2);
        let value = (0..lanes)
            .fold(0u128, |v, i| v | u128::from(self.read_lane(&s, first.wrapping_add(2 * i))) << (16 * i));
        Ok((value >> (8 * (offset - first))) as u64 & size.mask())
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        if offset & 1 != 0 || offset >= self.size {
            self.anomaly("unaligned write", offset);
            return Ok(());
        }
        let mut s = self.state.lock();
        for i in 0..size.bytes().div_ceil(2) {
            self.write_lane(&mut s, offset + 2 * i, (value >> (16 * i)) as u16);
        }
        self.follow_mode(&mut s);
        Ok(())
    }

    /// The status of the first device, and its query structure at the offsets where reads give it in that mode.
    fn registers(&self, _: Requester) -> Vec<Listed> {
        let s = self.state.lock();
        let chip = &s.chips[0];
        let value = Shown::Value(chip.status().into());
        let status = Listed { name: "Status", number: None, offset: 0, bytes: 2, value, reset: None };
        let mut list = QUERY.list(0, |field, index| Some(chip.peek(field, index)));
        list.iter_mut().for_each(|l| l.offset *= 4);
        list.insert(0, status);
        list
    }
}

impl Component for CfiFlash {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&self) {
        let mut s = self.state.lock();
        s.chips.iter_mut().for_each(Chip::reset);
        self.follow_mode(&mut s);
    }

    fn pause(&self) {
        self.flush();
    }

    fn halt(&self) {
        self.flush();
    }

    fn save(&self) -> Payload {
        let s = self.state.lock();
        let (written, bytes) = Runs::save(self.array, BLANK);
        Payload::new(&self.name, &Chips { chips: s.chips.clone(), written }).blob(ARRAY, bytes)
    }

    /// An image that cannot be written is told of as when the guest programs it.
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Chips { chips, written } = saved.state()?;
        let bytes = saved.blob(ARRAY)?;
        if !chips.iter().zip(&self.state.lock().chips).all(|(a, b)| a.fits(b)) {
            return Err(saved.unfit("the flash has another size, or is otherwise protected"));
        }
        if !written.fits(self.array, &bytes) {
            return Err(saved.unfit("its array is not one of this size"));
        }
        Ok(Restore::new(move || {
            let mut s = self.state.lock();
            written.apply(self.array, BLANK, &bytes);
            s.chips = chips;
            self.follow_mode(&mut s);
            if let Err(e) = self.keep(0, self.size) {
                tracing::error!("{}: the image cannot be written: {}", self.name, reason(&e));
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use emu_core::bus::Target;

    use super::*;

    const ME: Requester = Requester::Cpu(0);
    const SIZE: u64 = 1 << 20;
    const BASE: u64 = 0x400_0000;

    struct Bench {
        flash: Arc<CfiFlash>,
        bus: Arc<Bus>,
        counters: Arc<Counters>,
    }

    impl Bench {
        fn new(image: &[u8], programming: Programming) -> Self {
            let counters = Arc::new(Counters::default());
            let flash = CfiFlash::new("flash0", SIZE, image, programming, &counters).unwrap();
            let bus = Arc::new(Bus::new());
            flash.attach(&bus, Pa(BASE)).unwrap();
            Self { flash, bus, counters }
        }
        fn rd(&self, offset: u64) -> u32 {
            self.bus.read(Pa(BASE + offset), Size::B4, ME).unwrap() as u32
        }
        fn wr(&self, offset: u64, value: u32) {
            self.bus.write(Pa(BASE + offset), Size::B4, value.into(), ME).unwrap();
        }
        /// The same command to both devices.
        fn cmd(&self, offset: u64, command: u32) {
            self.wr(offset, command << 16 | command);
        }
        fn is_memory(&self) -> bool {
            matches!(self.bus.view().find(Pa(BASE)).map(|r| r.backing.clone()), Some(Backing::Rom(..)))
        }
    }

    #[test]
    fn array_mode_is_memory() {
        let b = Bench::new(&[1, 2, 3, 4], Programming::Lost);
        assert!(b.is_memory());
        assert_eq!((b.rd(0), b.rd(4)), (0x0403_0201, 0xffff_ffff));
        let before = b.bus.generation();
        b.cmd(0, 0x70);
        assert!(!b.is_memory() && b.bus.generation() > before);
        assert_eq!(b.rd(0), 0x0080_0080);
        b.cmd(0, 0xff);
        assert!(b.is_memory());
        assert_eq!(b.rd(0), 0x0403_0201);
    }

    #[test]
    fn identification_and_query() {
        let b = Bench::new(&[], Programming::Lost);
        b.cmd(0, 0x90);
        assert_eq!((b.rd(0), b.rd(4), b.rd(8)), (0x0089_0089, 0x0018_0018, 0));
        b.cmd(0x55 * 4, 0x98);
        let query = |at: u64| b.rd(at * 4) as u16 as u8;
        assert_eq!([query(0x10), query(0x11), query(0x12)], *b"QRY");
        assert_eq!((query(0x13), query(0x15)), (1, 0x31));
        // Each device: 512 KiB, 4 blocks of 128 KiB, a buffer of 1 KiB.
        assert_eq!((query(0x27), query(0x2a), query(0x2c)), (19, 10, 1));
        assert_eq!([query(0x2d), query(0x2e), query(0x2f), query(0x30)], [3, 0, 0, 2]);
        assert_eq!([query(0x31), query(0x32), query(0x33)], *b"PRI");
        assert_eq!(b.bus.read(Pa(BASE + 0x42), Size::B2, ME), Ok(u64::from(b'Q')));
    }

    #[test]
    fn program_clears_bits_and_erase_sets_them() {
        let b = Bench::new(&[], Programming::Lost);
        b.cmd(SECTOR, 0x40);
        b.wr(SECTOR, 0x1234_5678);
        assert_eq!(b.rd(SECTOR), 0x0080_0080, "status until told otherwise");
        b.cmd(SECTOR, 0x10);
        b.wr(SECTOR, 0x0fff_ffff);
        b.cmd(0, 0xff);
        assert_eq!((b.rd(SECTOR), b.rd(SECTOR + 4)), (0x0234_5678, u32::MAX));
        b.cmd(SECTOR + 0x100, 0x20);
        b.cmd(SECTOR + 0x100, 0xd0);
        b.cmd(0, 0xff);
        assert_eq!(b.rd(SECTOR), u32::MAX);
    }

    #[test]
    fn what_was_fetched_is_known_to_change() {
        let b = Bench::new(&[], Programming::Lost);
        let view = b.bus.view();
        let watch = |at: u64| match view.target(Pa(BASE + at)) {
            Some(Target::Rom(place)) => place.page().watch(ME).1,
            other => panic!("{other:?}"),
        };
        let (code, other) = (watch(SECTOR + 8), watch(2 * SECTOR));
        b.cmd(SECTOR, 0x40);
        assert!(code.holds(), "a command is not yet a change");
        b.wr(SECTOR + 8, 0x1234_5678);
        assert!(!code.holds() && other.holds());
        let code = watch(SECTOR + 8);
        b.cmd(SECTOR, 0x20);
        b.cmd(SECTOR, 0xd0);
        assert!(!code.holds() && other.holds());
        let saved = b.flash.save();
        b.cmd(2 * SECTOR, 0x40);
        b.wr(2 * SECTOR, 0);
        let other = watch(2 * SECTOR);
        b.flash.restore(saved).unwrap();
        assert!(!other.holds(), "it is blank again");
    }

    #[test]
    fn one_lane_is_one_device() {
        let b = Bench::new(&[], Programming::Lost);
        b.bus.write(Pa(BASE), Size::B2, 0x40, ME).unwrap();
        b.bus.write(Pa(BASE), Size::B2, 0xabcd, ME).unwrap();
        assert_eq!(b.rd(0), 0xffff_0080);
        b.bus.write(Pa(BASE), Size::B2, 0xff, ME).unwrap();
        assert_eq!(b.rd(0), 0xffff_abcd);
        assert!(b.is_memory());
    }

    #[test]
    fn buffered_program() {
        let b = Bench::new(&[], Programming::Lost);
        b.cmd(0x1000, 0xe8);
        assert_eq!(b.rd(0x1000), 0x0080_0080);
        b.cmd(0x1000, 3);
        for i in 0..4 {
            b.wr(0x1000 + 4 * i, 0x1111_1111 * (i as u32 + 1));
        }
        b.cmd(0x1000, 0xd0);
        assert_eq!(b.rd(0), 0x0080_0080);
        b.cmd(0, 0xff);
        assert_eq!((b.rd(0x1000), b.rd(0x100c), b.rd(0x1010)), (0x1111_1111, 0x4444_4444, u32::MAX));
    }

    #[test]
    fn sequence_errors_are_in_the_status() {
        let b = Bench::new(&[], Programming::Lost);
        let error = 0x00b0_00b0;
        b.cmd(0, 0x20);
        b.cmd(0, 0xff);
        assert_eq!(b.rd(0), error);
        b.cmd(0, 0x50);
        assert_eq!(b.rd(0), 0x0080_0080);
        // Too many words; another block; no confirmation.
        for writes in [
            &[(0, 0xe8), (0, 512)][..],
            &[(0, 0xe8), (0, 1), (SECTOR, 7)],
            &[(0, 0xe8), (0, 0), (0, 7), (0, 0x33)],
        ] {
            b.cmd(0, 0x50);
            for &(at, value) in writes {
                b.cmd(at, value);
            }
            assert_eq!(b.rd(0), error);
        }
        b.cmd(0, 0x50);
        b.cmd(0, 0x12);
        assert_eq!(b.counters.get(Metric::Anomalies), 2);
        b.bus.write(Pa(BASE + 1), Size::B1, 0xff, ME).unwrap();
        assert_eq!(b.counters.get(Metric::Anomalies), 3);
    }

    #[test]
    fn locks() {
        let b = Bench::new(&[], Programming::Lost);
        b.cmd(SECTOR, 0x60);
        b.cmd(SECTOR, 0x01);
        b.cmd(0, 0x90);
        assert_eq!((b.rd(8), b.rd(SECTOR + 8)), (0, 0x0001_0001));
        b.cmd(SECTOR, 0x40);
        b.wr(SECTOR, 0);
        assert_eq!(b.rd(0), 0x0092_0092);
        b.cmd(0, 0x50);
        b.cmd(SECTOR, 0x20);
        b.cmd(SECTOR, 0xd0);
        assert_eq!(b.rd(0), 0x00a2_00a2);
        b.cmd(0, 0x50);
        b.cmd(SECTOR, 0x60);
        b.cmd(SECTOR, 0xd0);
        b.cmd(SECTOR, 0x40);
        b.wr(SECTOR, 0);
        b.cmd(0, 0xff);
        assert_eq!(b.rd(SECTOR), 0);
    }

    #[test]
    fn what_is_protected_stays_as_it_is() {
        let b = Bench::new(&[0x55; 16], Programming::Protected);
        let blank = |b: &Bench| b.cmd(0, 0x50);
        for reset in [false, true] {
            // Unlocking is a command that has no effect.
            b.cmd(0, 0x60);
            b.cmd(0, 0xd0);
            b.cmd(0, 0x90);
            assert_eq!(b.rd(8), 0x0001_0001);
            for word in [0x40, 0x10] {
                b.cmd(0, word);
                b.wr(0, 0);
                assert_eq!(b.rd(0), 0x0092_0092);
                blank(&b);
            }
            b.cmd(0, 0xe8);
            b.cmd(0, 0);
            b.wr(0, 0);
            b.cmd(0, 0xd0);
            assert_eq!(b.rd(0), 0x0092_0092);
            blank(&b);
            b.cmd(0, 0x20);
            b.cmd(0, 0xd0);
            assert_eq!(b.rd(0), 0x00a2_00a2);
            b.cmd(0, 0xff);
            assert_eq!((b.rd(0), b.rd(16)), (0x5555_5555, u32::MAX));
            if !reset {
                b.flash.reset();
            }
        }
        let other = Bench::new(&[], Programming::Lost);
        assert!(other.flash.restore(b.flash.save()).is_err());
    }

    #[test]
    fn changes_reach_the_image() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let image = vec![0x55; SIZE as usize];
        std::fs::write(file.path(), &image).unwrap();
        let b = Bench::new(&image, Programming::Kept(Box::new(file.reopen().unwrap())));
        b.cmd(0, 0x20);
        b.cmd(0, 0xd0);
        b.cmd(8, 0x40);
        b.wr(8, 0x0403_0201);
        b.flash.halt();
        let now = std::fs::read(file.path()).unwrap();
        assert_eq!(now[7..13], [0xff, 1, 2, 3, 4, 0xff]);
        assert_eq!((now.len() as u64, now[SECTOR as usize]), (SIZE, 0x55));
    }

    #[test]
    fn a_broken_image_is_an_error_status() {
        struct Broken;
        impl FlashStore for Broken {
            fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&self) -> io::Result<()> {
                Ok(())
            }
        }
        let b = Bench::new(&vec![0xff; SIZE as usize], Programming::Kept(Box::new(Broken)));
        b.cmd(0, 0x40);
        b.wr(0, 0);
        assert_eq!(b.rd(0), 0x0090_0090);
    }

    #[test]
    fn sizes_are_checked() {
        let new =
            |size, image: &[u8], programming| CfiFlash::new("f", size, image, programming, &Arc::default());
        assert!(matches!(new(SECTOR * 3, &[], Programming::Lost), Err(FlashError::Size(_))));
        assert!(matches!(
            new(SECTOR, &vec![0; SECTOR as usize + 1], Programming::Lost),
            Err(FlashError::Image { .. })
        ));
        let store = Box::new(tempfile::tempfile().unwrap());
        assert!(matches!(new(SECTOR, &[0], Programming::Kept(store)), Err(FlashError::Image { .. })));
    }

    #[test]
    fn save_and_restore() {
        let a = Bench::new(&[9, 8, 7, 6], Programming::Lost);
        a.cmd(SECTOR, 0x60);
        a.cmd(SECTOR, 0x01);
        a.cmd(0, 0xe8);
        a.cmd(0, 1);
        a.wr(0x40, 0x0101_0101);
        let saved = a.flash.save();
        let b = Bench::new(&[], Programming::Lost);
        b.flash.restore(saved.clone()).unwrap();
        assert_eq!(b.flash.save(), saved);
        assert!(!b.is_memory());
        b.wr(0x44, 0x0202_0202);
        b.cmd(0, 0xd0);
        b.flash.reset();
        assert!(b.is_memory());
        assert_eq!((b.rd(0), b.rd(0x40), b.rd(0x44)), (0x0607_0809, 0x0101_0101, 0x0202_0202));
        let other = CfiFlash::new("flash0", 2 * SIZE, &[], Programming::Lost, &Arc::default()).unwrap();
        assert!(other.restore(saved).is_err());
    }
}
