//! The board's SMMU where it is: a function's DMA goes through it with its requester ID, and a fault reaches a queue in memory and
//! an SPI.

use std::ffi::OsString;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::Requester;
use understage::board::build::Board;
use understage::load::plan::Plan;
use understage::qemu::{self, Request};

const RAM: u64 = 0x4000_0000;
/// Configuration space of 00:03.0, and where its BAR is put.
const CONFIG: u64 = 0x40_1000_0000 + (3 << 15);
const EDU: u64 = 0x1000_0000;
const GICD: u64 = 0x0800_0000;

/// Tables of the test, by page.
const STREAMS: u64 = RAM;
const CONTEXT: u64 = RAM + 0x1000;
const EVENTS: u64 = RAM + 0x2000;
const LEVEL1: u64 = RAM + 0x3000;
const LEVEL2: u64 = RAM + 0x4000;
const LEVEL3: u64 = RAM + 0x5000;
const DATA: u64 = RAM + 0x6000;

struct Machine {
    board: Board,
    smmu: u64,
}

impl Machine {
    fn new(options: &str, smmu: u64) -> Self {
        let line =
            format!("-cpu max -m 8M -serial null -device edu,addr=3.0 -display none -kernel none {options}");
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let Request::Run(config) = qemu::parse(&args).unwrap() else { panic!("{line}") };
        let plan = Plan {
            segments: Vec::new(),
            flash: [None, None],
            fw_cfg: Vec::new(),
            fw_cfg_files: Vec::new(),
            dtb: Vec::new(),
            boot: None,
        };
        let board = Board::new(&config, &plan, &|_| Arc::new(|_| {})).unwrap();
        Self { board, smmu }
    }

    fn get(&self, at: u64, size: Size) -> u64 {
        self.board.bus.read(Pa(at), size, Requester::Cpu(0)).unwrap()
    }
    fn word(&self, at: u64) -> u64 {
        self.get(at, Size::B4)
    }
    fn double(&self, at: u64) -> u64 {
        self.get(at, Size::B8)
    }
    fn set(&self, at: u64, size: Size, value: u64) {
        self.board.bus.write(Pa(at), size, value, Requester::Cpu(0)).unwrap();
    }
    fn set_word(&self, at: u64, value: u64) {
        self.set(at, Size::B4, value);
    }
    fn set_double(&self, at: u64, value: u64) {
        self.set(at, Size::B8, value);
    }

    /// The function moves eight bytes from `address` to its buffer and from there to [`DATA`], which the SMMU sees as 0x1000.
    fn transfer(&self, address: u64) {
        for (source, destination, command) in [(address, 0x4_0000, 1), (0x4_0000, 0x1000, 3)] {
            for (at, value) in [(0x80, source), (0x88, destination), (0x90, 8), (0x98, command)] {
                self.set_double(EDU + at, value);
            }
        }
    }

    /// The page at 0x1000 of stream 0x18 is [`DATA`], and nothing else is there.
    fn translate(&self, entry: u64) {
        self.set_double(STREAMS + entry * 64, 1 | 0b101 << 1 | CONTEXT);
        self.set_double(STREAMS + entry * 64 + 8, 1 << 44);
        // T0SZ 25, EPD1, V, IPS of 44 bits, AA64, R, A, ASET, ASID 1.
        let control = 25 | 1 << 30 | 1 << 31 | 4 << 32 | 1 << 41 | 1 << 45 | 1 << 46 | 1 << 47 | 1 << 48;
        self.set_double(CONTEXT, control);
        self.set_double(CONTEXT + 8, LEVEL1);
        self.set_double(CONTEXT + 0x18, 0xff);
        self.set_double(LEVEL1, LEVEL2 | 3);
        self.set_double(LEVEL2, LEVEL3 | 3);
        self.set_double(LEVEL3 + 8, DATA | 1 << 10 | 3 << 8 | 1 << 6 | 3);
    }

    /// A linear stream table of 256 entries, an event queue of 16, interrupts, and all of it enabled.
    fn enable(&self) {
        self.set_double(self.smmu + 0x80, STREAMS);
        self.set_word(self.smmu + 0x88, 8);
        self.set_double(self.smmu + 0xa0, EVENTS | 4);
        self.set_word(self.smmu + 0x50, 1 << 2);
        self.set_word(self.smmu + 0x20, 1 << 2 | 1);
        assert_eq!(self.word(self.smmu + 0x24), 5, "CR0ACK");
    }

    /// The SPI is edge-triggered; returns whether it is pending.
    fn spi(&self, spi: u64) -> bool {
        let id = 32 + spi;
        self.word(GICD + 0x200 + id / 32 * 4) >> (id % 32) & 1 != 0
    }
    fn make_edge(&self, spi: u64) {
        let id = 32 + spi;
        self.set_word(GICD + 0xc00 + id / 16 * 4, 2 << (id % 16 * 2));
    }
}

#[test]
fn a_functions_dma_is_translated_and_its_fault_is_told() {
    let pluggable = "-M virt,gic-version=3 -device arm-smmuv3,primary-bus=pcie.0,profile=full,stage=nested";
    for (options, smmu, eventq) in
        [("-M virt,gic-version=3,iommu=smmuv3", 0x0905_0000, 74), (pluggable, 0x0c00_0000, 112)]
    {
        let machine = Machine::new(options, smmu);
        machine.set_word(CONFIG + 0x10, EDU);
        machine.set(CONFIG + 4, Size::B2, 6);
        assert_eq!(machine.word(EDU), 0x0100_00ed);
        machine.make_edge(eventq);
        machine.translate(0x18);
        machine.enable();
        machine.set_double(DATA, 0x0123_4567_89ab_cdef);
        machine.transfer(0x1000);
        machine.set_double(DATA, 0);
        machine.transfer(0x2000);
        assert_eq!(machine.double(DATA), 0x0123_4567_89ab_cdef, "the last bytes that arrived");
        // F_TRANSLATION of stream 0x18 at 0x2000.
        assert_eq!(machine.word(smmu + 0x1_00a8), 1, "EVENTQ_PROD");
        assert_eq!(machine.double(EVENTS), 0x18 << 32 | 0x10);
        assert_eq!(machine.double(EVENTS + 16), 0x2000);
        assert!(machine.spi(eventq), "the interrupt of the event queue");
        machine.board.components.iter().for_each(|c| c.reset());
        assert_eq!(machine.word(smmu + 0x20), 0);
    }
}

/// Without one, and while it is not enabled, addresses are physical.
#[test]
fn without_an_smmu_and_while_it_is_off_addresses_are_physical() {
    for options in ["-M virt", "-M virt,iommu=smmuv3"] {
        let machine = Machine::new(&format!("{options} -global edu.dma_mask=0xffffffff"), 0x0905_0000);
        machine.set_word(CONFIG + 0x10, EDU);
        machine.set(CONFIG + 4, Size::B2, 6);
        machine.set_double(DATA, 0xfeed);
        for (source, destination, command) in [(DATA, 0x4_0000, 1), (0x4_0000, DATA + 8, 3)] {
            for (at, value) in [(0x80, source), (0x88, destination), (0x90, 8), (0x98, command)] {
                machine.set_double(EDU + at, value);
            }
        }
        assert_eq!(machine.double(DATA + 8), 0xfeed, "{options}");
    }
}
