//! A PE that runs what an input says, and is stopped after a while.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::Clock;
use emu_core::irq::GicConnection;
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_devices::gic::{GicConfig, Gicv3, REDISTRIBUTOR_STRIDE};
use emu_engine::interp::vcpu::Vcpu;
use emu_pe::cpu::{Cpu, CpuConfig, Entry};
use emu_pe::doorbell::{Doorbell, reason};
use emu_pe::model::Model;
use firmware::guest_tests::layout::{GICD, GICR, RAM};
use test_kit::pe::alone;

use crate::machine::Execution;

/// Bytes of RAM.
pub(super) const RAM_SIZE: u64 = 1 << 20;
/// A loop without an exit is ended after this time of the host.
const LOOP: Duration = Duration::from_micros(500);

/// What a PE finds at physical addresses: first address and size.
pub(super) const PLACES: &[(u64, u64)] =
    &[(RAM, RAM_SIZE), (RAM, RAM_SIZE), (RAM, 0x1_0000), (GICD, 0x1_0000), (GICR, REDISTRIBUTOR_STRIDE)];

/// Rings while `running`, at intervals; ends with the PE.
fn metronome(bell: Weak<Doorbell>, running: Arc<AtomicBool>) {
    let mut before = false;
    while let Some(bell) = bell.upgrade() {
        let now = running.load(Ordering::Acquire);
        if now && before {
            bell.ring(reason::CONTROL);
        }
        before = now;
        drop(bell);
        std::thread::sleep(LOOP);
    }
}

/// A machine of RAM, a GIC and one PE.
pub(crate) struct Pe {
    pub(crate) vcpu: Vcpu,
    ram: &'static GuestRam,
    gic: Arc<Gicv3>,
    pub(crate) clock: Arc<Clock>,
    running: Arc<AtomicBool>,
}

impl Pe {
    /// Of a model; keeps so much host code.
    pub(crate) fn new(model: Model, execution: Execution, code_bytes: usize) -> Self {
        let ram = GuestRam::new(RAM_SIZE).expect("the host has a MiB of address space");
        let bus = Arc::new(Bus::new());
        let map = |base, size, backing| bus.map(Pa(base), size, backing).expect("the regions do not overlap");
        map(RAM, RAM_SIZE, Backing::Ram(ram, 0));
        let gic = Gicv3::new(GicConfig {
            cpus: &[0],
            spis: 64,
            its: false,
            bus: bus.clone(),
            counters: Arc::default(),
        })
        .expect("a GIC for one PE");
        map(GICD, 0x1_0000, Backing::Mmio(gic.distributor()));
        map(GICR, REDISTRIBUTOR_STRIDE, Backing::Mmio(gic.redistributors(0, 1).expect("there is one")));
        let port = GicConnection::SystemRegisters(gic.port(0).expect("there is one"));
        let config = CpuConfig { port, ..alone(model, bus) };
        let (bell, clock) = (config.doorbell.clone(), config.clock.clone());
        gic.set_kick(0, bell.clone());
        let cpu = Cpu::new(config);
        let running = Arc::<AtomicBool>::default();
        let (weak, flag) = (Arc::downgrade(&bell), running.clone());
        std::thread::spawn(move || metronome(weak, flag));
        let mut vcpu = Vcpu::new(cpu);
        execution.apply(&mut vcpu, code_bytes);
        Self { vcpu, ram, gic, clock, running }
    }

    /// Resets everything and loads `image` at the start of RAM; the rest of RAM is zero.
    pub(crate) fn load(&mut self, image: &[u8]) {
        let mut memory = vec![0; RAM_SIZE as usize];
        memory[..image.len()].copy_from_slice(image);
        self.ram.write(0, &memory).expect("it is as large as RAM");
        self.clock.set_now(0);
        self.gic.reset();
        let bell = self.vcpu.cpu.wires.doorbell().clone();
        bell.take();
        bell.take_event();
        self.vcpu.cpu.reset(Entry { pc: RAM, x0: 0 });
        self.vcpu.reset_caches();
    }

    /// Runs for a number of turns (see [`Vcpu::run_turns`]), or until a turn takes too long.
    pub(super) fn run(&mut self, turns: usize) {
        self.running.store(true, Ordering::Release);
        self.vcpu.run_turns(turns);
        self.running.store(false, Ordering::Release);
    }
}

/// Host code that a PE keeps: little, so that it is dropped often.
const CODE_BYTES: usize = 512 << 10;

thread_local! {
    /// One of each model for each thread: RAM is never given back.
    static PES: RefCell<Vec<((&'static str, Execution), Pe)>> = const { RefCell::new(Vec::new()) };
}

/// Does something with the PE of a model.
pub(super) fn with(model: fn() -> Model, execution: Execution, what: impl FnOnce(&mut Pe)) {
    PES.with_borrow_mut(|pes| {
        let made = model();
        let name = (made.name, execution);
        let at = pes.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
            pes.push((name, Pe::new(made, execution, CODE_BYTES)));
            pes.len() - 1
        });
        what(&mut pes[at].1);
    });
}
