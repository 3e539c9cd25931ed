//! The board `virt` with all its devices, for inputs that talk to it.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::Requester;
use understage::board::build::Board;
use understage::config::{Bus, CharBackend, Device, MachineConfig, Topology};
use understage::device::block::Block;
use understage::device::entropy::Entropy;
use understage::device::fw_cfg::Item;
use understage::device::serial_bus::ConsolePorts;
use understage::load::plan::Plan;
use understage::map;
use understage::quit::OnQuit;
use understage::terminal::InputQueue;

/// Bytes of RAM.
pub(super) const RAM_SIZE: u64 = 1 << 20;

/// A board that runs, apart from its CPUs.
pub(super) struct Running {
    board: Board,
}

/// One device of each kind.
fn devices(bus: Bus) -> [Device; 3] {
    [
        Device::new(Block::memory(vec![0x5a; 64 << 10]), bus),
        Device::new(Entropy::default(), bus),
        Device::new(ConsolePorts::single(CharBackend::Null), bus),
    ]
}

impl Running {
    fn new() -> Self {
        let config = MachineConfig {
            topology: Topology::flat(2),
            memory: RAM_SIZE,
            devices: [Bus::PCI, Bus::MMIO].into_iter().flat_map(devices).collect(),
            serial: CharBackend::Null,
            ..MachineConfig::default()
        };
        let plan = Plan {
            segments: Vec::new(),
            flash: [None, None],
            fw_cfg: vec![Item { key: 0x11, bytes: vec![0xa5; 5000] }],
            fw_cfg_files: vec![("opt/x".into(), vec![0x5a; 300])],
            dtb: Vec::new(),
            boot: None,
        };
        let on_quit = |_| -> OnQuit { Arc::new(|_| {}) };
        let board = Board::new(&config, &plan, &on_quit).unwrap_or_else(|e| panic!("{e}"));
        board.components.iter().for_each(|c| c.start().expect("the host can start a thread"));
        Self { board }
    }

    /// To the state after power-on, with RAM zero.
    fn reset(&self) {
        self.board.components.iter().rev().for_each(|c| c.pause());
        self.board.components.iter().for_each(|c| c.reset());
        self.board.ram.write(0, &vec![0; RAM_SIZE as usize]).expect("it is as large as RAM");
        self.board.components.iter().for_each(|c| c.resume());
    }

    /// Saves the devices and restores them from what was saved, as a snapshot does. Not the flash, whose 128 MiB are the
    /// same as before for nearly every input.
    pub(super) fn save_and_restore(&self) {
        self.board.components.iter().rev().for_each(|c| c.pause());
        for c in self.board.components.iter().filter(|c| !c.name().starts_with("flash")) {
            let saved = c.save();
            c.restore(saved).unwrap_or_else(|e| panic!("{}: {e}", c.name()));
        }
        self.board.components.iter().for_each(|c| c.resume());
    }

    /// The regions of the bus: first address and size.
    pub(super) fn regions(&self) -> Vec<(u64, u64)> {
        self.board.bus.view().regions().iter().map(|r| (r.base.0, r.size)).collect()
    }

    /// A read by the first CPU. It may be refused.
    pub(super) fn read(&self, pa: u64, size: Size) -> u64 {
        self.board.bus.read(Pa(pa), size, Requester::Cpu(0)).unwrap_or(0)
    }

    /// A write by the first CPU. It may be refused.
    pub(super) fn write(&self, pa: u64, size: Size, value: u64) {
        let _ = self.board.bus.write(Pa(pa), size, value, Requester::Cpu(0));
    }

    /// What is typed on its way to the serial port.
    pub(super) fn serial_input(&self) -> &InputQueue {
        self.board.serial.input()
    }

    /// A configuration register of a function on bus 0.
    pub(super) fn config(&self, device: u64, offset: u64) -> u64 {
        map::PCIE_ECAM_HIGH.base + (device << 15) + offset
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.board.components.iter().rev().for_each(|c| c.halt());
    }
}

thread_local! {
    /// One for each thread: RAM and flash are never given back.
    static BOARD: OnceCell<Running> = const { OnceCell::new() };
}

/// Does something with the board after power-on.
pub(super) fn with(what: impl FnOnce(&Running)) {
    BOARD.with(|cell| {
        let board = cell.get_or_init(Running::new);
        board.reset();
        what(board);
    });
}
