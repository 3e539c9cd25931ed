use super::*;
use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::dma::DirectPorts;
use emu_core::ram::GuestRam;

use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const DATA: u64 = 0x00;
const SELECTOR: u64 = 0x08;
const DMA: u64 = 0x10;

fn device() -> (Arc<FwCfg>, &'static GuestRam, Arc<Counters>) {
    let (d, ram, counters, _) = device_on_bus();
    (d, ram, counters)
}

fn device_on_bus() -> (Arc<FwCfg>, &'static GuestRam, Arc<Counters>, Arc<Bus>) {
    let bus = Arc::new(Bus::new());
    let ram = GuestRam::new(0x4_0000).unwrap();
    bus.map(Pa(RAM), 0x4_0000, Backing::Ram(ram, 0)).unwrap();
    let counters = Arc::new(Counters::default());
    let ports = DirectPorts(bus.clone());
    (FwCfg::new("fw_cfg", &ports, 0x1_0000, &counters), ram, counters, bus)
}

fn select(d: &FwCfg, key: u16) {
    d.write(SELECTOR, Size::B2, key.swap_bytes().into(), CPU).unwrap();
}

fn bytes(d: &FwCfg, n: usize) -> Vec<u8> {
    (0..n).map(|_| d.read(DATA, Size::B1, CPU).unwrap() as u8).collect()
}

/// Runs a DMA request at the start of RAM and gives its control word afterwards.
fn dma(d: &FwCfg, ram: &GuestRam, control: u32, length: u32, address: u64) -> u32 {
    let mut r = control.to_be_bytes().to_vec();
    r.extend(length.to_be_bytes());
    r.extend(address.to_be_bytes());
    ram.write(0, &r).unwrap();
    d.write(DMA, Size::B8, RAM.swap_bytes(), CPU).unwrap();
    ram.load_u32(0).unwrap().swap_bytes()
}

#[test]
fn signature_and_features() {
    let (d, ..) = device();
    select(&d, 0);
    assert_eq!(bytes(&d, 6), b"QEMU\0\0");
    select(&d, 1);
    assert_eq!(d.read(DATA, Size::B4, CPU), Ok(3));
    assert_eq!(d.read(DMA, Size::B8, CPU).unwrap().swap_bytes(), 0x5145_4d55_2043_4647);
    assert_eq!(d.read(DMA + 4, Size::B4, CPU).unwrap().to_le_bytes()[..4], *b" CFG");
    select(&d, 0x7777);
    assert_eq!(bytes(&d, 2), [0, 0]);
}

#[test]
fn directory_lists_files() {
    let (d, ..) = device();
    assert_eq!(d.set_file("etc/b", vec![1; 5]), Ok(0x20));
    assert_eq!(d.set_file("etc/a", vec![2; 300]), Ok(0x21));
    assert_eq!(d.set_file("etc/b", b"hello!".to_vec()), Ok(0x20));
    select(&d, key::DIRECTORY);
    assert_eq!(bytes(&d, 4), [0, 0, 0, 2]);
    let entry = bytes(&d, 64);
    assert_eq!(entry[..8], [0, 0, 1, 44, 0, 0x21, 0, 0]);
    assert_eq!(&entry[8..14], b"etc/a\0");
    let entry = bytes(&d, 64);
    assert_eq!(entry[..8], [0, 0, 0, 6, 0, 0x20, 0, 0]);
    select(&d, 0x20);
    // The data register keeps the order of bytes at any width.
    assert_eq!(d.read(DATA, Size::B8, CPU).unwrap().to_le_bytes(), *b"hello!\0\0");
    assert_eq!(d.file("etc/b").as_deref(), Some(b"hello!".as_slice()));
}

#[test]
fn bad_items_are_refused() {
    let (d, ..) = device();
    assert!(matches!(d.set_file("", vec![]), Err(ItemError::Name(_))));
    assert!(matches!(d.set_file(&"x".repeat(56), vec![]), Err(ItemError::Name(_))));
    assert_eq!(d.set_key(key::DIRECTORY, vec![]), Err(ItemError::Key(0x19)));
    assert_eq!(d.set_key(0x20, vec![]), Err(ItemError::Key(0x20)));
    assert_eq!(d.set_key(0x05, vec![4, 0]), Ok(()));
}

#[test]
fn dma_reads_skips_and_selects() {
    let (d, ram, _) = device();
    let key = d.set_file("opt/data", (0..100).collect()).unwrap();
    let select_read = u32::from(key) << 16 | control::SELECT | control::READ;
    assert_eq!(dma(&d, ram, select_read, 10, RAM + 0x100), 0);
    assert_eq!(dma(&d, ram, control::SKIP, 80, 0), 0);
    assert_eq!(dma(&d, ram, control::READ, 20, RAM + 0x200), 0);
    let mut out = [0xff; 22];
    ram.read(0x100, &mut out[..10]).unwrap();
    assert_eq!(out[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    ram.read(0x200, &mut out).unwrap();
    assert_eq!((out[0], out[9], out[10]), (90, 99, 0), "zeros after the end");
    // The two-halves form of the address.
    ram.write(0, &(control::SELECT | u32::from(key) << 16).to_be_bytes()).unwrap();
    d.write(DMA, Size::B4, 0, CPU).unwrap();
    d.write(DMA + 4, Size::B4, u64::from((RAM as u32).swap_bytes()), CPU).unwrap();
    assert_eq!(bytes(&d, 2), [0, 1]);
    // More than one chunk.
    assert_eq!(dma(&d, ram, select_read, 0x2_0000, RAM + 0x1000), 0);
    assert_eq!((ram.load_u8(0x1063), ram.load_u8(0x1064)), (Some(99), Some(0)));
}

#[test]
fn dma_errors() {
    let (d, ram, counters) = device();
    let key = d.set_file("opt/data", vec![7; 16]).unwrap();
    let with = |op| u32::from(key) << 16 | control::SELECT | op;
    assert_eq!(dma(&d, ram, with(control::READ), 16, 0x1000), control::ERROR);
    assert_eq!(dma(&d, ram, with(control::WRITE), 4, RAM), control::ERROR);
    d.write(DMA, Size::B8, 0x10u64.swap_bytes(), CPU).unwrap();
    d.write(DATA, Size::B1, 1, CPU).unwrap();
    d.write(0x100, Size::B4, 1, CPU).unwrap();
    assert_eq!(d.read(0x100, Size::B4, CPU), Ok(0));
    assert_eq!(counters.get(Metric::Anomalies), 4);
}

#[test]
fn a_request_far_beyond_the_end_is_refused() {
    let (d, ram, _) = device();
    let key = d.set_file("opt/data", vec![7; 16]).unwrap();
    let read = u32::from(key) << 16 | control::SELECT | control::READ;
    assert_eq!(dma(&d, ram, read, u32::MAX, RAM + 0x100), control::ERROR);
    assert_eq!(ram.load_u8(0x100), Some(0), "nothing was copied");
    assert_eq!(dma(&d, ram, control::READ, 16, RAM + 0x100), 0);
    assert_eq!(ram.load_u8(0x100), Some(7));
}

#[test]
fn writable_files_save_and_reset() {
    let (d, ram, _) = device();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let hook: WriteHook = Arc::new(move |b| log.lock().push(b.to_vec()));
    let key = d.set_writable_file("etc/ramfb", vec![0; 4], hook.clone()).unwrap();
    ram.write(0x80, &[1, 2, 3, 4, 5]).unwrap();
    let write = u32::from(key) << 16 | control::SELECT | control::WRITE;
    assert_eq!(dma(&d, ram, write, 5, RAM + 0x80), control::ERROR, "does not fit");
    assert_eq!(dma(&d, ram, write, 4, RAM + 0x80), 0);
    assert_eq!(*seen.lock(), [[1, 2, 3, 4]]);
    let saved = d.save();
    let (e, ..) = device();
    assert!(e.restore(saved.clone()).is_err(), "the item is missing");
    e.set_writable_file("etc/ramfb", vec![0; 4], hook).unwrap();
    e.restore(saved.clone()).unwrap();
    assert_eq!(e.save(), saved);
    assert_eq!(e.file("etc/ramfb"), Some(vec![1, 2, 3, 4]));
    e.reset();
    assert_eq!(e.file("etc/ramfb"), Some(vec![0; 4]));
}

#[test]
fn a_request_aimed_at_the_device_itself_ends() {
    let (d, ram, counters, bus) = device_on_bus();
    bus.map(Pa(0x902_0000), 0x18, Backing::Mmio(d.clone())).unwrap();
    let key = d.set_file("opt/loop", RAM.to_be_bytes().to_vec()).unwrap();
    // The item is the address of this very request, copied into the DMA register.
    let control = u32::from(key) << 16 | control::SELECT | control::READ;
    assert_eq!(dma(&d, ram, control, 8, 0x902_0010), 0);
    assert_eq!(counters.get(Metric::Anomalies), 1);
}

/// A request whose transactions stall stands still, and goes on from there when software has answered.
#[test]
fn a_stalled_request_goes_on() {
    // The descriptor, the data, the outcome: the control word is the last that is touched.
    for (armed, retry) in [(RAM, true), (RAM + 0x1000, true), (RAM + 0x1000, false)] {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(0x4_0000).unwrap();
        bus.map(Pa(RAM), 0x4_0000, Backing::Ram(ram, 0)).unwrap();
        let port = StallingPort::new(bus.clone());
        let counters = Arc::new(Counters::default());
        let d = FwCfg::new("fw_cfg", &OnlyPort(port.clone()), 0x1_0000, &counters);
        let key = d.set_file("etc/a", b"contents".to_vec()).unwrap();
        port.arm(armed);
        let control = u32::from(key) << 16 | control::SELECT | control::READ;
        assert_eq!(dma(&d, ram, control, 8, RAM + 0x1000), control, "it is under way");
        assert_eq!(ram.load_u64(0x1000), Some(0));
        d.write(DMA, Size::B8, RAM.swap_bytes(), CPU).unwrap();
        assert_eq!(counters.get(Metric::Anomalies), 1, "one request at a time");
        // A machine that is restored meanwhile begins anew.
        let saved = d.save();
        let tag = port.stalled.lock().remove(0);
        port.answer_to(tag, retry);
        let outcome = if retry { 0 } else { control::ERROR };
        assert_eq!(ram.load_u32(0).unwrap().swap_bytes(), outcome);
        assert_eq!(ram.load_u64(0x1000).unwrap().to_le_bytes() == *b"contents", retry);
        port.answer_to(tag, true);
        ram.write(0, &control.to_be_bytes()).unwrap();
        ram.store_u64(0x1000, 0).unwrap();
        d.restore(saved).unwrap();
        assert_eq!(ram.load_u64(0x1000).unwrap().to_le_bytes(), *b"contents");
        // Reset cancels.
        port.arm(RAM + 0x1000);
        assert_eq!(dma(&d, ram, control, 8, RAM + 0x1000), control);
        let tag = port.stalled.lock().remove(0);
        d.reset();
        port.answer_to(tag, true);
        assert_eq!(ram.load_u32(0).unwrap().swap_bytes(), control);
        assert_eq!(dma(&d, ram, control, 8, RAM + 0x1000), 0);
    }
}
