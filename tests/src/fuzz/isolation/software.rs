//! What software does with the SMMU, and what the checker is told of it.

use std::sync::{Arc, Weak};

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, MmioDevice, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{DirectPort, DmaClient, DmaPort, Master, Ports, StallTag, Stalls};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_mmu::{Regime, TlbiListener, TlbiScope};
use emu_smmu::v3::profile::Profile;
use emu_smmu::v3::{Config, Smmuv3};
use parking_lot::Mutex;

use super::super::Random;
use super::checker::{Checker, Scope};
use super::entries::{Registers, World as StreamWorld};
use super::memory::{Memory, RAM, RAM_SIZE};
use super::spaces::{DATA, DATA_IPA, DATA_SIZE, Space, hot, one_in, pick};
use super::world::{STREAM_TABLE, STREAMS, World};
use super::{Answer, Fuzz};

const COMMANDS: u64 = RAM + 0x8000;
const EVENTS: u64 = RAM + 0x9000;
/// Bytes of it.
const EVENTS_SIZE: usize = 32 * 32;

const CMD_SYNC: u64 = 0x46;

/// Stalled transactions that were answered.
#[derive(Default)]
struct Told(Mutex<Vec<(StallTag, bool)>>);

impl DmaClient for Told {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.0.lock().push((tag, retry));
    }
}

/// What the newest stall's record says: StreamID, STAG, input address.
type StallRecord = (u32, u64, u64);

/// The SMMU and its masters.
pub(super) struct Rig {
    smmu: Arc<Smmuv3>,
    pub(super) ports: Vec<Arc<dyn DmaPort>>,
    told: Arc<Told>,
    stalled: Option<StallRecord>,
}

impl Rig {
    pub(super) fn new(ram: &'static GuestRam) -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("it is the only region");
        let smmu = Smmuv3::new(Config {
            name: "smmuv3".to_owned(),
            profile: Profile { ats: false, stall_max: 8, ..Profile::FULL },
            bus: bus.clone(),
            clock: Clock::new(Mode::Counted),
            wires: [0, 1, 2, 3].map(|line| IrqLine::new(Arc::new(Unconnected), line)),
            messages: Arc::new(DirectPort::new(bus, Master::new(0xff00, Stalls::Never))),
            send_event: None,
            counters: Arc::default(),
        });
        let told = Arc::<Told>::default();
        let client: Weak<dyn DmaClient> = Arc::<Told>::downgrade(&told);
        let stalls = |n| if Self::may_stall(n) { Stalls::Notify(client.clone()) } else { Stalls::Never };
        let port = |(n, stream): (usize, &u32)| smmu.port(Master::new(*stream, stalls(n)));
        let ports = STREAMS.iter().enumerate().map(port).collect();
        Self { smmu, ports, told, stalled: None }
    }

    /// One of the masters cannot wait.
    pub(super) fn may_stall(master: usize) -> bool {
        master != 1
    }

    fn w(&self, offset: u64, size: Size, value: u64) {
        let _ = MmioDevice::write(&*self.smmu, offset, size, value, Requester::Cpu(0));
    }

    fn r(&self, offset: u64) -> u64 {
        MmioDevice::read(&*self.smmu, offset, Size::B4, Requester::Cpu(0)).unwrap_or(0)
    }

    /// Takes all events from the queue, which is memory that only the SMMU writes.
    pub(super) fn drain_events(&mut self, memory: &mut Memory) {
        memory.accept(EVENTS, EVENTS_SIZE);
        let (prod, cons) = (self.r(0x1_00a8), self.r(0x1_00ac));
        self.stalled = None;
        if prod != cons {
            let at = EVENTS + 32 * (prod.wrapping_sub(1) & 31);
            let [first, second, address] = [0, 8, 16].map(|n| memory.get(at + n));
            let stalls = second >> 31 & 1 != 0;
            self.stalled = stalls.then_some(((first >> 32) as u32, second & 0xffff, address));
            self.w(0x1_00ac, Size::B4, prod);
        }
    }

    /// Has one command executed. One that is an error is skipped, as drivers do.
    fn command(&self, memory: &mut Memory, [first, second]: [u64; 2]) {
        let prod = self.r(0x98);
        let at = COMMANDS + 16 * (prod & 15);
        memory.put(at, first);
        memory.put(at + 8, second);
        self.w(0x98, Size::B4, (prod + 1) & 31);
        if self.r(0x60) != self.r(0x64) {
            memory.put(at, CMD_SYNC);
            self.w(0x64, Size::B4, self.r(0x60));
        }
    }
}

impl Fuzz {
    /// From reset on.
    pub(super) fn begin(&mut self, world: &World, r: &mut Random) {
        self.rig.smmu.reset();
        self.rig.told.0.lock().clear();
        self.checker = Checker::default();
        self.rig.w(0x90, Size::B8, COMMANDS | 4);
        self.rig.w(0xa0, Size::B8, EVENTS | 5);
        self.rig.w(0x20, Size::B4, 0xc);
        self.switch_on(world, r);
    }

    /// Registers that are guarded by SMMUEN, and SMMUEN.
    fn switch_on(&mut self, world: &World, r: &mut Random) {
        let cr2 = r.below(8);
        let registers = Registers {
            enabled: true,
            aborts: self.checker.registers.aborts,
            e2h: cr2 & 1 != 0,
            private: cr2 & 4 != 0,
            table: STREAM_TABLE,
            shape: world.shape(r),
        };
        self.rig.w(0x80, Size::B8, registers.table);
        self.rig.w(0x88, Size::B4, registers.shape);
        self.rig.w(0x2c, Size::B4, cr2);
        self.invalidate_all();
        self.rig.w(0x20, Size::B4, 0xd);
        self.checker.registers = registers;
    }

    /// Nothing is translated for a while.
    pub(super) fn switch_off_and_on(&mut self, world: &World, r: &mut Random) {
        self.rig.w(0x20, Size::B4, 0xc);
        self.checker.registers.enabled = false;
        self.checker.registers.aborts = one_in(r, 2);
        let aborts = u64::from(self.checker.registers.aborts);
        self.rig.w(0x44, Size::B4, 1 << 31 | aborts << 20);
        let (mut dma, len) = super::access(world, r);
        if one_in(r, 2) {
            dma.address = DATA + r.below(DATA_SIZE - len as u64);
        }
        self.transact(world, r, &dma, len);
        self.switch_on(world, r);
    }

    fn command(&mut self, words: [u64; 2]) {
        self.rig.command(&mut self.memory, words);
    }

    fn invalidation(&mut self, words: [u64; 2], scope: Scope) {
        self.command(words);
        self.checker.invalidate(scope);
    }

    pub(super) fn sync(&mut self) {
        self.command([CMD_SYNC, 0]);
        self.checker.sync();
    }

    pub(super) fn invalidate_all(&mut self) {
        self.invalidation([0x04, 31], Scope::Streams(0, u32::MAX));
        self.invalidation([0x30, 0], Scope::World { el1: true });
        self.invalidation([0x20, 0], Scope::World { el1: false });
        self.sync();
    }

    /// One invalidation, and mostly a CMD_SYNC.
    pub(super) fn invalidate(&mut self, world: &World, r: &mut Random) {
        if one_in(r, 3) {
            self.invalidate_configuration(r)
        } else {
            self.invalidate_tlb(world, r)
        }
        if !one_in(r, 6) {
            self.sync();
        }
    }

    fn invalidate_configuration(&mut self, r: &mut Random) {
        let stream = pick(r, &STREAMS);
        let (id, leaf) = (u64::from(stream) << 32, r.below(2));
        match r.below(5) {
            0 => self.invalidation([0x03 | id, leaf], Scope::Streams(stream, stream)),
            1 => {
                let bits = 1 + r.below(8);
                let within = (1 << bits) - 1;
                let scope = Scope::Streams(stream & !within, stream | within);
                self.invalidation([0x04 | id, bits - 1], scope);
            }
            2 => {
                let index = r.below(4);
                let scope = Scope::Contexts(stream, Some(index as u32));
                self.invalidation([0x05 | id | index << 12, leaf], scope);
            }
            3 => self.invalidation([0x06 | id, 0], Scope::Contexts(stream, None)),
            _ => self.invalidation([0x04, 31], Scope::Streams(0, u32::MAX)),
        }
    }

    fn invalidate_tlb(&mut self, world: &World, r: &mut Random) {
        let plan = pick(r, &world.plans);
        let group = r.below(2) as usize;
        let asid = pick(r, &world.contexts[group]).asid;
        let (in_vm, of_asid) = (plan.vmid << 32, asid << 48);
        let el2 = if self.checker.registers.e2h { StreamWorld::E2h } else { StreamWorld::El2 };
        let space = &world.one[group][r.below(2) as usize];
        let upper = r.next() & 1 != 0;
        let of_el2 = Some(asid).filter(|_| el2 == StreamWorld::E2h);
        match r.below(10) {
            0 => self.invalidation([0x10 | in_vm, 0], Scope::Vm { vmid: plan.vmid, stage2: false }),
            1 => self.invalidation([0x28 | in_vm, 0], Scope::Vm { vmid: plan.vmid, stage2: true }),
            2 => {
                let scope = Scope::Asid { el1: true, vmid: plan.vmid, asid };
                self.invalidation([0x11 | in_vm | of_asid, 0], scope);
            }
            3 => self.invalidation([0x21 | of_asid, 0], Scope::Asid { el1: false, vmid: 0, asid }),
            4 => self.invalidation([0x30, 0], Scope::World { el1: true }),
            5 => self.invalidation([0x20, 0], Scope::World { el1: false }),
            6 => {
                let space = &world.two[r.below(2) as usize];
                let ([first, second], range, page) = addresses(r, space, false);
                let scope = Scope::Ipa { vmid: plan.vmid, range, page };
                self.invalidation([first | 0x2a | in_vm, second], scope);
            }
            7 => {
                let ([first, second], range, page) = addresses(r, space, upper);
                let world = StreamWorld::El1;
                let scope = Scope::Va { world, vmid: plan.vmid, asid: Some(asid), range, page };
                self.invalidation([first | 0x12 | in_vm | of_asid, second], scope);
            }
            8 => {
                let ([first, second], range, page) = addresses(r, space, upper);
                let scope = Scope::Va { world: StreamWorld::El1, vmid: plan.vmid, asid: None, range, page };
                self.invalidation([first | 0x13 | in_vm, second], scope);
            }
            _ => {
                let ([first, second], range, page) = addresses(r, space, upper && el2 == StreamWorld::E2h);
                let scope = Scope::Va { world: el2, vmid: 0, asid: of_el2, range, page };
                self.invalidation([first | 0x22 | of_asid, second], scope);
            }
        }
    }

    /// TLB maintenance of a CPU. It concerns an SMMU that is on and takes part.
    pub(super) fn broadcast(&mut self, world: &World, r: &mut Random) {
        let group = r.below(2) as usize;
        let (vmid, asid) = (pick(r, &world.plans).vmid, pick(r, &world.contexts[group]).asid);
        let regime = Regime::El10;
        let (vm, id) = (vmid as u16, asid as u16);
        let (theirs, ours) = match r.below(3) {
            0 => (TlbiScope::AllEl1, Scope::World { el1: true }),
            1 => (TlbiScope::Context { regime, vmid: vm }, Scope::Vm { vmid, stage2: true }),
            _ => (TlbiScope::Asid { regime, vmid: vm, asid: id }, Scope::Asid { el1: true, vmid, asid }),
        };
        TlbiListener::invalidate(&**self.rig.smmu.core(), &theirs);
        if self.checker.registers.enabled && !self.checker.registers.private {
            self.checker.broadcast(ours);
        }
    }

    /// Software changes a page or a block, and mostly invalidates something.
    pub(super) fn change_descriptor(&mut self, world: &World, r: &mut Random) {
        let two = one_in(r, 3);
        let (group, n) = (r.below(2) as usize, r.below(2) as usize);
        let space = if two { &world.two[n] } else { &world.one[group][n] };
        let Some(leaf) = hot(r, &space.leaves) else { return };
        let old = self.memory.get(leaf.at);
        let low = super::entries::span(space.granule.0, leaf.level);
        let attributes = space.attributes(r, leaf.level);
        let target = if !two && group == 1 { DATA_IPA } else { DATA };
        let output = pick(r, &[target, target, target, RAM, 0]) + r.below(DATA_SIZE);
        let new = match r.below(8) {
            0 => 0,
            1 | 2 => old ^ 1 << 7,
            3 | 4 => old ^ 1 << 10,
            5 => old & 0x0000_ffff_ffff_f000 | attributes,
            _ => output >> low << low | attributes,
        };
        self.memory.put(leaf.at, new);
        match r.below(6) {
            0 => {}
            1 => self.invalidate_all(),
            2 => self.invalidate(world, r),
            _ if two => self.invalidate_page(world, r, None, leaf.address),
            _ => {
                let half = pick(r, &[0, u64::MAX << space.input]);
                self.invalidate_page(world, r, Some(group), leaf.address | half);
            }
        }
    }

    /// No more than what was made of one page or block: of stage 1, for each context of a group, or of stage 2.
    fn invalidate_page(&mut self, world: &World, r: &mut Random, group: Option<usize>, address: u64) {
        let at = address & !0xfff;
        let range = (at, at | 0xfff);
        let all_asids = one_in(r, 2);
        for vmid in 0..3 {
            let in_vm = vmid << 32;
            let Some(group) = group else {
                self.invalidation([0x2a | in_vm, at], Scope::Ipa { vmid, range, page: None });
                continue;
            };
            let va = |asid| Scope::Va { world: StreamWorld::El1, vmid, asid, range, page: None };
            if all_asids {
                self.invalidation([0x13 | in_vm, at], va(None));
                continue;
            }
            for context in &world.contexts[group] {
                self.invalidation([0x12 | in_vm | context.asid << 48, at], va(Some(context.asid)));
            }
        }
        self.sync();
    }

    /// Software changes a stream or a context, and mostly says so.
    pub(super) fn change_configuration(&mut self, world: &mut World, r: &mut Random) {
        if one_in(r, 2) {
            let n = r.below(STREAMS.len() as u64) as usize;
            world.stream(&mut self.memory, r, n);
        } else {
            let (group, index) = (r.below(2) as usize, r.below(4) as usize);
            world.context(&mut self.memory, r, group, index);
        }
        match r.below(4) {
            0 => {}
            1 => self.invalidate(world, r),
            _ => self.invalidate_all(),
        }
    }

    /// A bit of some structure flips, or all of a doubleword.
    pub(super) fn damage(&mut self, world: &World, r: &mut Random) {
        let n = r.below(STREAMS.len() as u64) as usize;
        let space = &world.one[r.below(2) as usize][r.below(2) as usize];
        let leaf = hot(r, &space.leaves).map_or(space.table, |l| l.at);
        let at = match r.below(6) {
            0 | 1 => world.ste(n) + 8 * r.below(4),
            2 | 3 => World::cd(r.below(2) as usize, r.below(4) as usize) + 8 * r.below(3),
            4 => leaf,
            _ => (RAM + r.below(DATA - RAM)) & !7,
        };
        if (COMMANDS..EVENTS + 0x1000).contains(&at) {
            return;
        }
        let value = if one_in(r, 8) { r.next() } else { self.memory.get(at) ^ 1 << r.below(64) };
        self.memory.put(at, value);
        if !one_in(r, 4) {
            self.invalidate_all();
        }
    }

    /// What changes nothing: registers that are guarded or cannot be written, and commands that there are not.
    pub(super) fn disturb(&mut self, r: &mut Random) {
        if one_in(r, 2) {
            let offset = pick(r, &[0x0, 0x4, 0x14, 0x1c, 0x2c, 0x80, 0x88, 0x90, 0xa0, 0x200, 0x1_0080]);
            let (size, value) = (pick(r, &[Size::B4, Size::B8]), r.next());
            self.rig.w(offset, size, value);
        } else {
            let opcode = pick(r, &[0x00, 0x07, 0x14, 0x47, 0x80, 0xff]);
            self.command([opcode | r.next() << 8, r.next()]);
        }
    }

    /// Software answers a stalled transaction, in one way or another; the last time so that it is over.
    pub(super) fn answer(&mut self, world: &World, r: &mut Random, tag: StallTag, last: bool) -> Answer {
        let Some((stream, stag, address)) = self.rig.stalled else { panic!("{tag:?} has no record") };
        let id = u64::from(stream) << 32;
        if one_in(r, 3) {
            self.change_descriptor(world, r);
        }
        let (words, answer) = match if last { 3 } else { r.below(6) } {
            0..3 => ([0x44 | 1 << 12 | id, stag], Answer::Again),
            3 => ([0x44 | 1 << 13 | id, stag], Answer::Over),
            4 => ([0x44 | id, stag], Answer::Zero(address)),
            _ => ([0x45 | id, 0], Answer::Over),
        };
        self.command(words);
        let told = std::mem::take(&mut *self.rig.told.0.lock());
        assert_eq!(told, [(tag, !matches!(answer, Answer::Over))], "stream {stream:#x}, STAG {stag:#x}");
        answer
    }
}

/// The parts of a command that name addresses of a space: a page, or a range; which ones, and of which granule.
fn addresses(r: &mut Random, space: &Space, upper: bool) -> ([u64; 2], (u64, u64), Option<u32>) {
    let high = if upper { u64::MAX << space.input } else { 0 };
    let at = hot(r, &space.leaves).map_or(0, |l| l.address) & !0xfff | high;
    if one_in(r, 2) {
        return ([0, at], (at, at | 0xfff), None);
    }
    let page = space.granule.0;
    let (num, scale) = (1 + r.below(31), r.below(4));
    let start = at >> page << page;
    let end = start.saturating_add(((num + 1) << (scale + u64::from(page))) - 1);
    let tg = u64::from(page - 10) / 2;
    ([num << 12 | scale << 20, start | tg << 10], (start, end), Some(page))
}
