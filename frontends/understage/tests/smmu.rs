//! The board's SMMU where it is: a function's DMA goes through it with its requester ID, that of masters on the system bus with
//! StreamIDs of their own, and a fault reaches a queue in memory, or registers, and an SPI.

use std::ffi::OsString;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::Requester;
use understage::board::build::Board;
use understage::load::plan::Plan;
use understage::monitor::smmu::answer;
use understage::qemu::{self, Request};

const RAM: u64 = 0x4000_0000;
/// Configuration space of 00:03.0, and where its BAR is put.
const CONFIG: u64 = 0x40_1000_0000 + (3 << 15);
const EDU: u64 = 0x1000_0000;
const GICD: u64 = 0x0800_0000;
/// The SMMUv2, its first context bank, and SPIs of global faults and of that bank.
const SMMUV2: u64 = 0x0b00_0000;
const BANK: u64 = SMMUV2 + 0x2_0000;
const GLOBAL: u64 = 176;
const BANK_SPI: u64 = 177;
/// The first test master, and the last virtio-mmio transport.
const MASTER: u64 = 0x0c10_0000;
const TRANSPORT: u64 = 0x0a00_3e00;

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
        self.tables();
    }

    /// The page at 0x1000 is [`DATA`].
    fn tables(&self) {
        self.set_double(LEVEL1, LEVEL2 | 3);
        self.set_double(LEVEL2, LEVEL3 | 3);
        self.set_double(LEVEL3 + 8, DATA | 1 << 10 | 3 << 8 | 1 << 6 | 3);
    }

    /// The same with an SMMUv2: the stream has context bank 0.
    fn translate_by_bank(&self, stream: u64) {
        let w = |at, value| self.set_word(SMMUV2 + at, value);
        self.tables();
        // SMR0 and S2CR0; CBA2R0.VA64; CBAR0: stage 1, and stage 2 bypassed.
        w(0x800, 1 << 31 | stream);
        w(0xc00, 0);
        w(0x1800, 1);
        w(0x1000, 1 << 16);
        // TCR2: 48 bits, 16-bit ASIDs, SEP of the upstream bus. TCR: T0SZ 25, EPD1. SCTLR: M, TRE, AFE, CFRE, CFIE,
        // and HUPCF, so that a fault stops nothing else.
        self.set_word(BANK + 0x10, 5 | 1 << 4 | 7 << 15);
        self.set_word(BANK + 0x30, 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23);
        self.set_double(BANK + 0x20, LEVEL1 | 5 << 48);
        self.set_word(BANK + 0x38, 0xff);
        self.set_word(BANK, 0x167);
        // sCR0: GFRE, GFIE, GCFGFRE, GCFGFIE, USFCFG, VMIDPNE, PTM; not CLIENTPD.
        w(0, 0x1c36);
    }

    /// The test master writes eight bytes of its buffer to an address. Returns TM_STATUS.
    fn master_writes(&self, address: u64, value: u64) -> u64 {
        self.set_double(MASTER + 0x1000, value);
        self.set_word(MASTER + 0x1c, 1);
        self.set_double(MASTER + 0x20, address);
        self.set_word(MASTER + 0x28, 8);
        self.set_word(MASTER + 4, 1);
        self.word(MASTER + 8)
    }

    /// A linear stream table of 2^15 entries, an event queue of 16, interrupts, and all of it enabled.
    fn enable(&self) {
        self.set_double(self.smmu + 0x80, STREAMS);
        self.set_word(self.smmu + 0x88, 15);
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

#[test]
fn an_smmuv2_translates_a_functions_dma_and_tells_of_its_fault() {
    let machine = Machine::new("-M virt,gic-version=3,iommu=smmuv2", SMMUV2);
    machine.set_word(CONFIG + 0x10, EDU);
    machine.set(CONFIG + 4, Size::B2, 6);
    machine.translate_by_bank(0x18);
    machine.set_double(DATA, 0x0123_4567_89ab_cdef);
    machine.transfer(0x1000);
    machine.set_double(DATA, 0);
    assert!(!machine.spi(BANK_SPI));
    machine.transfer(0x2000);
    assert_eq!(machine.double(DATA), 0x0123_4567_89ab_cdef, "the last bytes that arrived");
    // TF; the address; a read by stream 0x18, at level 3.
    assert_eq!((machine.word(BANK + 0x58), machine.double(BANK + 0x60)), (0x402, 0x2000));
    assert_eq!((machine.word(BANK + 0x68), machine.word(SMMUV2 + 0x1400)), (0x103, 0x18));
    assert!(machine.spi(BANK_SPI) && !machine.spi(GLOBAL));
    machine.set_word(BANK + 0x58, 0x402);
    assert!(!machine.spi(BANK_SPI), "a level");
    // Another stream than that of the group.
    machine.set_word(SMMUV2 + 0x800, 1 << 31 | 0x10);
    machine.transfer(0x1000);
    // USF, twice, and whose.
    assert_eq!((machine.word(SMMUV2 + 0x48), machine.word(SMMUV2 + 0x54)), (1 << 31 | 2, 0x18));
    assert!(machine.spi(GLOBAL));
    machine.board.components.iter().for_each(|c| c.reset());
    assert_eq!((machine.word(SMMUV2), machine.word(SMMUV2 + 0x48)), (1, 0));
    assert!(!machine.spi(GLOBAL));
}

#[test]
fn a_monitor_looks_inside_an_smmuv2() {
    let options = "-M virt,gic-version=3,iommu=smmuv2 -device test-master";
    let machine = Machine::new(options, SMMUV2);
    let ask = |words: &str| answer(&machine.board.smmu_view(), &words.split(' ').collect::<Vec<_>>());
    assert_eq!(ask("faults"), "no fault is recorded\n");
    machine.translate_by_bank(0x7f40);
    machine.master_writes(0x1000, 1);
    machine.master_writes(0x2000, 1);
    let fault = "CB 0: TF (translation): stream 0x7f40, write of 0x2000, level 3\n";
    assert_eq!(ask("faults"), fault);
    let streams = ask("streams");
    let row = streams.lines().find(|line| line.starts_with("0x7f40 ")).unwrap();
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..8], ["0x7f40", "test-master@c100000", "2", "8", "0", "0", "2", "1"], "{streams}");
    let walk = ask("walk 0x7f40 0x1010 write");
    assert!(
        walk.starts_with("stream 0x7f40\nSMR 0: ID 0x7f40, MASK 0x0; S2CR: context bank 0\nCB 0: "),
        "{walk}"
    );
    assert!(walk.ends_with("\nphysical 0x40006010, intermediate 0x40006010\n"), "{walk}");
    assert_eq!(ask("walk 0x7f40.1 0x1010"), "an SMMUv2 has no SubstreamIDs\n");
    assert!(ask("events").starts_with("an SMMUv2 has no event queue: 'smmu faults' "));
    assert!(ask("lint 0x7f40").starts_with("an SMMUv2 has no STEs and CDs: "));
    assert!(ask("tlb").contains("asked for: 2: "));
    // SCTLR.CFCFG: the next one waits.
    machine.set_word(BANK + 0x58, 0x402);
    machine.set_word(BANK, 0x1c7);
    machine.master_writes(0x3000, 1);
    let stalled = ask("stalled");
    assert!(stalled.starts_with("stream 0x7f40, write to 0x3000, for "), "{stalled}");
    assert!(ask("faults").ends_with(", level 3; SS: it waits for RESUME\n"));
    let machine = Machine::new("-M virt,iommu=smmuv3", 0x0905_0000);
    let told = answer(&machine.board.smmu_view(), &["faults"]);
    assert!(told.starts_with("an SMMUv3 records faults as events: "), "{told}");
}

#[test]
fn a_test_master_is_behind_whichever_smmu_there_is() {
    const DONE: u64 = 1 << 2;
    const ABORTED: u64 = 1 << 3;
    let written = |machine: &Machine| {
        assert_eq!(machine.word(MASTER + 0x14), 0x7f40, "TM_STREAM");
        assert_eq!(machine.master_writes(0x1008, 0xfeed), DONE);
        assert_eq!(machine.double(DATA + 8), 0xfeed);
        assert_eq!(machine.master_writes(0x2008, 1), ABORTED);
        assert!(machine.spi(116), "its interrupt");
    };
    // Whichever comes first on the command line.
    let v3 = "-M virt,gic-version=3 -device test-master -device arm-smmuv3,primary-bus=pcie.0";
    for options in ["-M virt,gic-version=3,iommu=smmuv3 -device test-master", v3] {
        let machine = Machine::new(options, if options == v3 { 0x0c00_0000 } else { 0x0905_0000 });
        machine.translate(0x7f40);
        machine.enable();
        machine.set_word(MASTER + 0xc, 1);
        written(&machine);
        assert_eq!(machine.double(EVENTS), 0x7f40 << 32 | 0x10, "F_TRANSLATION");
    }
    let machine = Machine::new("-M virt,gic-version=3,iommu=smmuv2 -device test-master", SMMUV2);
    machine.translate_by_bank(0x7f40);
    machine.set_word(MASTER + 0xc, 1);
    written(&machine);
    assert_eq!((machine.word(BANK + 0x58), machine.word(SMMUV2 + 0x1400)), (0x402, 0x7f40));
    // With none, addresses are physical.
    let machine = Machine::new("-M virt,gic-version=3 -device test-master", 0);
    assert_eq!(machine.master_writes(DATA, 0xbeef), DONE);
    assert_eq!(machine.double(DATA), 0xbeef);
}

/// A queue of one buffer, all of it in the page at 0x1000, which is somewhere else in memory.
#[test]
fn a_virtio_mmio_device_that_asks_for_it_is_behind_the_smmu() {
    let device = "-global virtio-mmio.force-legacy=off -device virtio-rng-device,iommu_platform=on";
    for (smmu, at) in [("smmuv2", SMMUV2), ("smmuv3", 0x0905_0000)] {
        let machine = Machine::new(&format!("-M virt,gic-version=3,iommu={smmu} {device}"), at);
        match smmu {
            "smmuv2" => machine.translate_by_bank(0x7f1f),
            _ => {
                machine.translate(0x7f1f);
                machine.enable();
            }
        }
        let transport = machine.board.components.iter().find(|c| c.name() == "virtio-mmio@a003e00").unwrap();
        transport.start().unwrap();
        transport.resume();
        let w = |offset, value| machine.set_word(TRANSPORT + offset, value);
        // Reset, ACKNOWLEDGE, DRIVER; VERSION_1 and ACCESS_PLATFORM; FEATURES_OK.
        for (at, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 3), (0x70, 0xb)] {
            w(at, value);
        }
        assert_eq!(machine.word(TRANSPORT + 0x70), 0xb, "FEATURES_OK");
        // Queue 0, of 4: descriptors at 0x1000, the driver's ring at 0x1100, the device's at 0x1200; DRIVER_OK.
        for (at, value) in
            [(0x30, 0), (0x38, 4), (0x80, 0x1000), (0x90, 0x1100), (0xa0, 0x1200), (0x44, 1), (0x70, 0xf)]
        {
            w(at, value);
        }
        // 64 bytes at 0x1400 for the device to write.
        machine.set_double(DATA, 0x1400);
        machine.set_double(DATA + 8, 64 | 2 << 32);
        machine.set_word(DATA + 0x100, 1 << 16);
        w(0x50, 0);
        while machine.word(DATA + 0x200) >> 16 == 0 {
            std::thread::yield_now();
        }
        assert_eq!(machine.double(DATA + 0x204) >> 32, 64, "bytes that were written");
        assert!((0..8).any(|n| machine.double(DATA + 0x400 + 8 * n) != 0), "random bytes");
        let counts = machine.board.smmu.as_ref().unwrap().core().counts();
        assert!(counts.iter().any(|(stream, count)| *stream == 0x7f1f && count.bytes > 64), "{smmu}");
        transport.halt();
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
