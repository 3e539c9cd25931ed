//! The physical bus: which region answers at which physical address.
//!
//! The map is replaced as a whole (a [`BusView`] is immutable and shared); a vCPU keeps the view that it has and
//! looks at [`Bus::generation`] to learn that there is a newer one. A device may be remapped, or a flash switched
//! between array and command mode, at any time.
//!
//! A region is in the physical address space of its base. What answers in several has a region in each.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::RwLock;
use thiserror::Error;

use crate::addr::{PAGE_SIZE, Pa, Size};
use crate::atomic::Atomic;
use crate::page::{DirectWriters, Place, is_same};
use crate::ram::GuestRam;
use crate::registers::Listed;

/// Who makes an access on the bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Requester {
    /// A vCPU, by its index.
    Cpu(u32),
    /// A device: its StreamID, which is also the DeviceID that an ITS sees.
    Device(u32),
    /// The machine itself: loaders, debuggers, tests.
    Machine,
}

/// The bus has no good answer: an external abort for a CPU, an aborted transaction for a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BusFault {
    /// Nothing decodes the address.
    #[error("nothing answers at this address")]
    Unmapped,
    /// The region does not take an access of this size or kind.
    #[error("the device refuses this access")]
    Refused,
}

/// A device with registers. Offsets are from the start of its region; values are little-endian, zero-extended.
/// Accesses come from several threads at once.
pub trait MmioDevice: Send + Sync {
    /// A short name for logs and maps, as `pl011@9000000`.
    fn name(&self) -> &str;
    /// Reads `size` at `offset`.
    fn read(&self, offset: u64, size: Size, from: Requester) -> Result<u64, BusFault>;
    /// Writes `size` at `offset`.
    fn write(&self, offset: u64, size: Size, value: u64, from: Requester) -> Result<(), BusFault>;
    /// Devices do not reach it: the bus refuses their accesses. For one whose own DMA would wait for itself here, and for
    /// windows behind which there is one.
    fn cpu_only(&self) -> bool {
        false
    }
    /// The registers with their values, as `from` would see them. Nothing is changed by that.
    fn registers(&self, _from: Requester) -> Vec<Listed> {
        Vec::new()
    }
}

/// What stands behind a region. Memory is mapped by whole pages of 4 KiB.
#[derive(Clone)]
pub enum Backing {
    /// RAM: `ram` from byte `offset` on.
    Ram(&'static GuestRam, u64),
    /// Read as memory, written through the device: ROM, or flash in array mode.
    Rom(&'static GuestRam, u64, Arc<dyn MmioDevice>),
    /// Registers.
    Mmio(Arc<dyn MmioDevice>),
}

/// A part of the physical address space.
#[derive(Clone)]
pub struct Region {
    /// First address.
    pub base: Pa,
    /// Length in bytes.
    pub size: u64,
    /// What answers.
    pub backing: Backing,
    /// Not to devices: [`MmioDevice::cpu_only`].
    pub cpu_only: bool,
}

impl Region {
    fn new(base: Pa, size: u64, backing: Backing) -> Self {
        let cpu_only = match &backing {
            Backing::Ram(..) => false,
            Backing::Rom(_, _, device) | Backing::Mmio(device) => device.cpu_only(),
        };
        Self { base, size, backing, cpu_only }
    }

    fn admits(&self, from: Requester) -> Result<(), BusFault> {
        match from {
            Requester::Device(_) if self.cpu_only => Err(BusFault::Refused),
            _ => Ok(()),
        }
    }

    fn contains(&self, pa: Pa) -> bool {
        pa.0.wrapping_sub(self.base.0) < self.size
    }

    /// The block of memory behind the region, and where it begins there.
    fn block(&self) -> Option<(&'static GuestRam, u64)> {
        match self.backing {
            Backing::Ram(ram, offset) | Backing::Rom(ram, offset, _) => Some((ram, offset)),
            Backing::Mmio(_) => None,
        }
    }

    /// The page of a region is the page of its block.
    fn is_whole_pages(&self) -> bool {
        self.block().is_none_or(|(ram, offset)| {
            let within = offset.checked_add(self.size).is_some_and(|end| end <= ram.size());
            within && (self.base.0 | self.size | offset).is_multiple_of(PAGE_SIZE)
        })
    }
}

/// What a physical address leads to.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// RAM.
    Ram(Place),
    /// Memory that reads like RAM and is written through a device.
    Rom(Place),
    /// Registers.
    Mmio,
}

/// Two regions would overlap.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the region at {base} of {size:#x} bytes overlaps another one")]
pub struct Overlap {
    /// First address of the region that was refused.
    pub base: Pa,
    /// Its size in bytes.
    pub size: u64,
}

/// The map at one moment; regions are sorted and do not overlap.
#[derive(Clone, Default)]
pub struct BusView {
    regions: Vec<Region>,
    /// The place of the largest one that is RAM: it is mostly asked for.
    main_ram: usize,
}

impl BusView {
    /// The region that holds `pa`.
    #[must_use]
    pub fn find(&self, pa: Pa) -> Option<&Region> {
        if let Some(region) = self.regions.get(self.main_ram).filter(|r| r.contains(pa)) {
            return Some(region);
        }
        let i = self.regions.partition_point(|r| r.base <= pa);
        self.regions[..i].last().filter(|r| r.contains(pa))
    }

    /// What is at `pa`; `None` if nothing is.
    #[inline]
    #[must_use]
    pub fn target(&self, pa: Pa) -> Option<Target> {
        let region = self.find(pa)?;
        let at = pa.0 - region.base.0;
        match region.backing {
            Backing::Ram(ram, offset) => ram.place(offset + at).map(Target::Ram),
            Backing::Rom(ram, offset, _) => ram.place(offset + at).map(Target::Rom),
            Backing::Mmio(_) => Some(Target::Mmio),
        }
    }

    /// All regions by address.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn insert(&mut self, region: Region) -> Result<(), Overlap> {
        debug_assert!(region.is_whole_pages(), "memory at {} is not whole pages of its block", region.base);
        let overlap = Overlap { base: region.base, size: region.size };
        let end = region.base.0.checked_add(region.size).ok_or(Overlap { ..overlap })?;
        let i = self.regions.partition_point(|r| r.base < region.base);
        let clash_before = i > 0 && self.regions[i - 1].base.0 + self.regions[i - 1].size > region.base.0;
        let clash_after = self.regions.get(i).is_some_and(|r| r.base.0 < end);
        if region.size == 0 || clash_before || clash_after {
            return Err(overlap);
        }
        self.regions.insert(i, region);
        self.find_main_ram();
        Ok(())
    }

    fn remove(&mut self, base: Pa) {
        self.regions.retain(|r| r.base != base);
        self.find_main_ram();
    }

    fn find_main_ram(&mut self) {
        let ram = self.regions.iter().enumerate().filter(|(_, r)| matches!(r.backing, Backing::Ram(..)));
        self.main_ram = ram.max_by_key(|(_, r)| r.size).map_or(0, |(i, _)| i);
    }
}

/// Called around every access through the bus itself: those of devices, and not those that CPUs make by their own means.
pub trait AccessHook: Any + Send + Sync {
    /// An access begins; it ends when what this gives is dropped. The same thread may begin another one meanwhile, for registers
    /// may lead to memory again.
    fn enter(&self) -> Box<dyn Entered + '_>;
}

/// Whatever ends with an access.
pub trait Entered {}

impl<T> Entered for T {}

/// What every access looks at and hardly any changes: in lines of its own, so that locks beside it slow down nobody.
#[derive(Default)]
#[repr(align(128))]
struct Steady {
    generation: AtomicU64,
    hook: OnceLock<Arc<dyn AccessHook>>,
}

/// The physical bus of a machine.
#[derive(Default)]
pub struct Bus {
    view: RwLock<Arc<BusView>>,
    steady: Steady,
    /// Who writes to memory directly, now and when there is more of it.
    writers: RwLock<Vec<Weak<dyn DirectWriters>>>,
}

impl Bus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hook that is called around accesses, from now on if there was none: then `make` gives it. Accesses under way do not
    /// know of it.
    pub fn access_hook(&self, make: impl FnOnce() -> Arc<dyn AccessHook>) -> Arc<dyn AccessHook> {
        self.steady.hook.get_or_init(make).clone()
    }

    fn enter(&self) -> Option<Box<dyn Entered + '_>> {
        self.steady.hook.get().map(|hook| hook.enter())
    }

    /// The map as it is now.
    #[must_use]
    pub fn view(&self) -> Arc<BusView> {
        self.view.read().clone()
    }

    /// A number that grows whenever the map changes: who caches a translation to host memory drops it then.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.steady.generation.load(Ordering::Acquire)
    }

    /// Adds a region.
    pub fn map(&self, base: Pa, size: u64, backing: Backing) -> Result<(), Overlap> {
        self.change(|v| v.insert(Region::new(base, size, backing)))
    }

    /// Replaces the region that starts at `old` by one at `base` (dynamic remapping: a BAR that moves, a flash that
    /// leaves array mode). `old` without a region only adds.
    pub fn remap(&self, old: Pa, base: Pa, size: u64, backing: Backing) -> Result<(), Overlap> {
        self.change(|v| {
            v.remove(old);
            v.insert(Region::new(base, size, backing))
        })
    }

    /// Takes the region that starts at `base` away.
    pub fn unmap(&self, base: Pa) {
        let _ = self.change(|v| {
            v.remove(base);
            Ok(())
        });
    }

    /// Takes all regions away. A machine that is taken apart needs it: a device that has the bus and stands on it would else be
    /// there for ever, and the bus with it.
    pub fn clear(&self) {
        let _ = self.change(|v| {
            *v = BusView::default();
            Ok(())
        });
    }

    /// `writers` keep host addresses of the machine's memory to write by: all blocks, also those to come, know them.
    pub fn attach(&self, writers: &Arc<dyn DirectWriters>) {
        let mut all = self.writers.write();
        if !all.iter().any(|w| is_same(writers, w)) {
            all.push(Arc::downgrade(writers));
        }
        self.view().regions.iter().filter_map(Region::block).for_each(|(ram, _)| ram.attach(writers));
    }

    fn change(&self, f: impl FnOnce(&mut BusView) -> Result<(), Overlap>) -> Result<(), Overlap> {
        let writers = self.writers.read();
        let mut slot = self.view.write();
        let mut next = (**slot).clone();
        f(&mut next)?;
        for writers in writers.iter().filter_map(Weak::upgrade) {
            next.regions.iter().filter_map(Region::block).for_each(|(ram, _)| ram.attach(&writers));
        }
        *slot = Arc::new(next);
        self.steady.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// One access of up to 8 bytes, wherever it goes.
    pub fn read(&self, pa: Pa, size: Size, from: Requester) -> Result<u64, BusFault> {
        let _entered = self.enter();
        self.view().read(pa, size, from)
    }

    /// One access of up to 8 bytes, wherever it goes.
    pub fn write(&self, pa: Pa, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        let _entered = self.enter();
        self.view().write(pa, size, value, from)
    }

    /// Copies bytes out of a block that an address led to ([`BusView::target`]). The caller has looked whether the map is still
    /// the same ([`Bus::generation`]).
    #[inline]
    pub fn read_block(&self, ram: &GuestRam, offset: u64, out: &mut [u8]) -> Result<(), BusFault> {
        let _entered = self.enter();
        ram.read(offset, out).ok_or(BusFault::Unmapped)
    }

    /// As [`Bus::read_block`], into a block that is RAM.
    #[inline]
    pub fn write_block(&self, ram: &GuestRam, offset: u64, bytes: &[u8]) -> Result<(), BusFault> {
        let _entered = self.enter();
        ram.write(offset, bytes).ok_or(BusFault::Unmapped)
    }

    /// As [`Bus::read_block`], an atomic access to a block that is RAM.
    pub fn atomic_block(&self, ram: &GuestRam, offset: u64, atomic: Atomic) -> Result<u64, BusFault> {
        let _entered = self.enter();
        ram.atomic(offset, atomic).ok_or(BusFault::Unmapped)
    }

    /// An atomic access to RAM; gives what was there. Nothing else has such.
    pub fn atomic(&self, pa: Pa, atomic: Atomic, from: Requester) -> Result<u64, BusFault> {
        let _entered = self.enter();
        let view = self.view();
        let region = view.find(pa).ok_or(BusFault::Unmapped)?;
        region.admits(from)?;
        match &region.backing {
            Backing::Ram(ram, o) => ram.atomic(o + (pa.0 - region.base.0), atomic).ok_or(BusFault::Unmapped),
            Backing::Rom(..) | Backing::Mmio(_) => Err(BusFault::Refused),
        }
    }

    /// Copies bytes out of memory and registers; stops at the first fault.
    pub fn read_bytes(&self, pa: Pa, out: &mut [u8], from: Requester) -> Result<(), BusFault> {
        let _entered = self.enter();
        let view = self.view();
        view.spans(pa, out.len() as u64, from, |region, offset, at, len| {
            let part = &mut out[at as usize..(at + len) as usize];
            match &region.backing {
                Backing::Ram(ram, o) | Backing::Rom(ram, o, _) => {
                    ram.read(o + offset, part).ok_or(BusFault::Unmapped)
                }
                Backing::Mmio(dev) => pieces(offset, len, |o, done, size| {
                    let v = dev.read(o, size, from)?.to_le_bytes();
                    let n = size.bytes() as usize;
                    part[done as usize..done as usize + n].copy_from_slice(&v[..n]);
                    Ok(())
                }),
            }
        })
    }

    /// Copies bytes into memory and registers; stops at the first fault.
    pub fn write_bytes(&self, pa: Pa, bytes: &[u8], from: Requester) -> Result<(), BusFault> {
        let _entered = self.enter();
        let view = self.view();
        view.spans(pa, bytes.len() as u64, from, |region, offset, at, len| {
            let part = &bytes[at as usize..(at + len) as usize];
            match &region.backing {
                Backing::Ram(ram, o) => ram.write(o + offset, part).ok_or(BusFault::Unmapped),
                Backing::Rom(_, _, dev) | Backing::Mmio(dev) => pieces(offset, len, |o, done, size| {
                    let mut v = [0; 8];
                    let n = size.bytes() as usize;
                    v[..n].copy_from_slice(&part[done as usize..done as usize + n]);
                    dev.write(o, size, u64::from_le_bytes(v), from)
                }),
            }
        })
    }
}

/// Cuts `len` bytes at `offset` into naturally aligned accesses of at most 8 bytes.
fn pieces(
    offset: u64,
    len: u64,
    mut f: impl FnMut(u64, u64, Size) -> Result<(), BusFault>,
) -> Result<(), BusFault> {
    let mut done = 0;
    while done < len {
        let at = offset + done;
        let fits = |s: &Size| at.is_multiple_of(s.bytes()) && s.bytes() <= len - done;
        let size = [Size::B8, Size::B4, Size::B2].into_iter().find(fits).unwrap_or(Size::B1);
        f(at, done, size)?;
        done += size.bytes();
    }
    Ok(())
}

impl BusView {
    /// One access of up to 8 bytes.
    pub fn read(&self, pa: Pa, size: Size, from: Requester) -> Result<u64, BusFault> {
        let region = self.find(pa).ok_or(BusFault::Unmapped)?;
        region.admits(from)?;
        let offset = pa.0 - region.base.0;
        match &region.backing {
            Backing::Mmio(dev) => dev.read(offset, size, from).map(|v| v & size.mask()),
            Backing::Ram(ram, o) | Backing::Rom(ram, o, _) => match size {
                Size::B1 => ram.load_u8(o + offset).map(u64::from),
                Size::B2 => ram.load_u16(o + offset).map(u64::from),
                Size::B4 => ram.load_u32(o + offset).map(u64::from),
                Size::B8 => ram.load_u64(o + offset),
            }
            .ok_or(BusFault::Unmapped),
        }
    }

    /// One access of up to 8 bytes.
    pub fn write(&self, pa: Pa, size: Size, value: u64, from: Requester) -> Result<(), BusFault> {
        let region = self.find(pa).ok_or(BusFault::Unmapped)?;
        region.admits(from)?;
        let offset = pa.0 - region.base.0;
        match &region.backing {
            Backing::Mmio(dev) | Backing::Rom(_, _, dev) => {
                dev.write(offset, size, value & size.mask(), from)
            }
            Backing::Ram(ram, o) => match size {
                Size::B1 => ram.store_u8(o + offset, value as u8),
                Size::B2 => ram.store_u16(o + offset, value as u16),
                Size::B4 => ram.store_u32(o + offset, value as u32),
                Size::B8 => ram.store_u64(o + offset, value),
            }
            .ok_or(BusFault::Unmapped),
        }
    }

    fn spans(
        &self,
        pa: Pa,
        len: u64,
        from: Requester,
        mut f: impl FnMut(&Region, u64, u64, u64) -> Result<(), BusFault>,
    ) -> Result<(), BusFault> {
        let mut done = 0;
        while done < len {
            let at = Pa(pa.0.checked_add(done).ok_or(BusFault::Unmapped)?);
            let region = self.find(at).ok_or(BusFault::Unmapped)?;
            region.admits(from)?;
            let offset = at.0 - region.base.0;
            let n = (len - done).min(region.size - offset);
            f(region, offset, done, n)?;
            done += n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    struct Log(Mutex<Vec<(u64, Size, u64)>>);
    impl MmioDevice for Log {
        fn name(&self) -> &str {
            "log"
        }
        fn read(&self, offset: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
            Ok(offset | 0xff00)
        }
        fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
            self.0.lock().push((offset, size, value));
            Ok(())
        }
    }

    #[test]
    fn decodes_and_refuses_overlap() {
        let bus = Bus::new();
        let ram = GuestRam::new(0x2000).unwrap();
        let dev = Arc::new(Log(Mutex::default()));
        bus.map(Pa(0x1000), 0x2000, Backing::Ram(ram, 0)).unwrap();
        bus.map(Pa(0x3000), 0x1000, Backing::Mmio(dev.clone())).unwrap();
        assert!(bus.map(Pa(0x2fff), 2, Backing::Mmio(dev.clone())).is_err());
        let me = Requester::Machine;
        assert_eq!(bus.read(Pa(0x4000), Size::B1, me), Err(BusFault::Unmapped));
        assert_eq!(bus.read(Pa(0x3004), Size::B1, me), Ok(0x04));
        bus.write_bytes(Pa(0x2ffe), &[1, 2, 3, 4, 5, 6, 7], me).unwrap();
        assert_eq!(bus.read(Pa(0x2ffe), Size::B2, me), Ok(0x0201));
        assert_eq!(*dev.0.lock(), [(0, Size::B4, 0x0605_0403), (4, Size::B1, 7)]);
    }

    /// A device that no device reaches.
    struct Private;
    impl MmioDevice for Private {
        fn name(&self) -> &str {
            "private"
        }
        fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
            Ok(7)
        }
        fn write(&self, _: u64, _: Size, _: u64, _: Requester) -> Result<(), BusFault> {
            Ok(())
        }
        fn cpu_only(&self) -> bool {
            true
        }
    }

    #[test]
    fn devices_are_refused_where_only_cpus_go() {
        let bus = Bus::new();
        bus.map(Pa(0x1000), 0x1000, Backing::Mmio(Arc::new(Private))).unwrap();
        for from in [Requester::Cpu(0), Requester::Machine] {
            assert_eq!(bus.read(Pa(0x1000), Size::B4, from), Ok(7));
            assert_eq!(bus.write_bytes(Pa(0x1000), &[0; 8], from), Ok(()));
        }
        let from = Requester::Device(0);
        assert_eq!(bus.read(Pa(0x1000), Size::B4, from), Err(BusFault::Refused));
        assert_eq!(bus.write(Pa(0x1000), Size::B4, 0, from), Err(BusFault::Refused));
        assert_eq!(bus.read_bytes(Pa(0x1000), &mut [0], from), Err(BusFault::Refused));
        assert_eq!(bus.write_bytes(Pa(0x1000), &[0], from), Err(BusFault::Refused));
    }

    /// Counts accesses that have begun, and those that are under way.
    #[derive(Default)]
    struct Counts {
        begun: AtomicU64,
        now: AtomicU64,
    }

    struct Under<'a>(&'a Counts);

    impl Drop for Under<'_> {
        fn drop(&mut self) {
            self.0.now.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl AccessHook for Counts {
        fn enter(&self) -> Box<dyn Entered + '_> {
            self.begun.fetch_add(1, Ordering::Relaxed);
            self.now.fetch_add(1, Ordering::Relaxed);
            Box::new(Under(self))
        }
    }

    #[test]
    fn a_hook_is_around_every_access() {
        struct During(Arc<Counts>);
        impl MmioDevice for During {
            fn name(&self) -> &str {
                "during"
            }
            fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
                Ok(self.0.now.load(Ordering::Relaxed))
            }
            fn write(&self, _: u64, _: Size, _: u64, _: Requester) -> Result<(), BusFault> {
                assert_eq!(self.0.now.load(Ordering::Relaxed), 1);
                Ok(())
            }
        }
        let (bus, counts, me) = (Bus::new(), Arc::new(Counts::default()), Requester::Device(1));
        bus.map(Pa(0), 0x1000, Backing::Mmio(Arc::new(During(counts.clone())))).unwrap();
        assert_eq!(bus.read(Pa(0), Size::B1, me), Ok(0));
        let hook = counts.clone();
        bus.access_hook(|| hook);
        bus.access_hook(|| panic!("there is one"));
        assert_eq!(bus.read(Pa(0), Size::B1, me), Ok(1));
        bus.write(Pa(0), Size::B1, 0, me).unwrap();
        bus.write_bytes(Pa(0), &[0; 3], me).unwrap();
        bus.read_bytes(Pa(0), &mut [0; 3], me).unwrap();
        let ram = GuestRam::new(0x1000).unwrap();
        bus.write_block(ram, 8, &[7]).unwrap();
        let mut there = [0; 2];
        bus.read_block(ram, 7, &mut there).unwrap();
        assert_eq!(there, [0, 7]);
        assert_eq!(bus.read_block(ram, 0xfff, &mut there), Err(BusFault::Unmapped));
        assert_eq!((counts.begun.load(Ordering::Relaxed), counts.now.load(Ordering::Relaxed)), (7, 0));
    }

    #[test]
    fn remap_moves_a_region() {
        let bus = Bus::new();
        let ram = GuestRam::new(0x1000).unwrap();
        bus.map(Pa(0x1000), 0x1000, Backing::Ram(ram, 0)).unwrap();
        let before = bus.generation();
        bus.remap(Pa(0x1000), Pa(0x9000), 0x1000, Backing::Ram(ram, 0)).unwrap();
        assert!(bus.generation() > before);
        assert_eq!(bus.read(Pa(0x1000), Size::B4, Requester::Machine), Err(BusFault::Unmapped));
        assert_eq!(bus.read(Pa(0x9000), Size::B4, Requester::Machine), Ok(0));
    }

    #[test]
    fn a_bus_that_is_cleared_keeps_no_device() {
        let bus = Bus::new();
        let dev = Arc::new(Log(Mutex::default()));
        bus.map(Pa(0x3000), 0x1000, Backing::Mmio(dev.clone())).unwrap();
        let before = bus.generation();
        assert_eq!(Arc::strong_count(&dev), 2);
        bus.clear();
        assert_eq!(Arc::strong_count(&dev), 1);
        assert!(bus.generation() > before);
        assert_eq!(bus.read(Pa(0x3000), Size::B4, Requester::Machine), Err(BusFault::Unmapped));
    }
}
