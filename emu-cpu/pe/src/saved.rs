//! Saving and restoring a PE: its complete guest-visible state as plain data.

use emu_a64::level::Levels;
use emu_a64::regs::{Pstate, Regs};
use emu_core::lifecycle::{Payload, RestoreError, SavedState, Source};
use emu_core::random::SplitMix64;
use serde::{Deserialize, Serialize};

use crate::cpu::{Cpu, Entry};
use crate::gic::CpuInterfaceState;
use crate::requests::Requests;
use crate::sysreg::SysState;

/// What a snapshot holds of a PE.
#[derive(Serialize, Deserialize)]
pub struct CpuState {
    /// The model's name: a state only fits the same CPU.
    model: String,
    levels: Levels,
    x: Vec<u64>,
    /// Low and high half: a JSON number has no 128 bits.
    v: Vec<[u64; 2]>,
    pc: u64,
    nzcv: u32,
    fpcr: u32,
    fpsr: u32,
    pstate: Pstate,
    sys: SysState,
    /// None if the CPU interface is the GIC's.
    gic: Option<CpuInterfaceState>,
    timer_levels: [bool; 4],
    pmu_level: bool,
    random: u64,
    serror: Option<u32>,
    standby: bool,
    event: bool,
    entry: Entry,
}

impl SavedState for CpuState {
    const KIND: &'static str = "cpu";
    const VERSION: u32 = 3;
}

impl Cpu {
    /// The component's name in a snapshot.
    #[must_use]
    pub fn component(&self) -> String {
        format!("cpu{}", self.identity.index())
    }

    /// The complete state. The PE does not run meanwhile.
    #[must_use]
    pub fn save(&self) -> Payload {
        let event = self.wires.doorbell().take_event();
        if event {
            self.wires.doorbell().send_event();
        }
        let r = &self.regs;
        let state = CpuState {
            model: self.identity.model().name.to_owned(),
            levels: self.identity.levels(),
            x: r.x.to_vec(),
            v: r.v.iter().map(|v| [*v as u64, (*v >> 64) as u64]).collect(),
            pc: r.pc,
            nzcv: r.nzcv,
            fpcr: r.fpcr,
            fpsr: r.fpsr,
            pstate: self.pstate.clone(),
            sys: self.sys.clone(),
            gic: self.gic.save(),
            timer_levels: self.timers.levels(),
            pmu_level: self.pmu.level(),
            random: self.random.state(),
            serror: self.requests.serror(),
            standby: self.requests.standby(),
            event,
            entry: self.entry,
        };
        Payload::new(&self.component(), &state)
    }

    /// Takes what [`Cpu::save`] gave out of `saved`. Nothing changes.
    pub fn check_saved(&self, saved: &mut Source) -> Result<CpuState, RestoreError> {
        let state: CpuState = saved.state()?;
        if state.model != self.identity.model().name || state.levels != self.identity.levels() {
            let highest = state.levels.highest();
            return Err(saved.unfit(format!("it is of a {} with {highest}", state.model)));
        }
        let (regs, pstate) = (&self.regs, &state.pstate);
        let stack = pstate.el.is_privileged() || !pstate.sp_sel;
        if state.x.len() != regs.x.len() || state.v.len() != regs.v.len() {
            return Err(saved.unfit("its registers are not those of this CPU"));
        }
        if !self.has_el(pstate.el) || !stack || pstate.daif > 15 || pstate.btype > 3 {
            return Err(saved.unfit("its PSTATE is one that there is not"));
        }
        if !self.gic.fits(state.gic.as_ref()) {
            return Err(saved.unfit("its GIC has no such CPU interface, or another number of list registers"));
        }
        Ok(state)
    }

    /// Goes into a state that [`Cpu::save`] gave for the same model. The PE does not run meanwhile. On an error nothing has
    /// changed.
    pub fn restore(&mut self, payload: Payload) -> Result<(), RestoreError> {
        let state = Source::read(payload, &self.component(), |saved| self.check_saved(saved))?;
        self.apply_saved(state);
        Ok(())
    }

    /// Goes into a state that [`Cpu::check_saved`] gave. What is cached of memory is forgotten; the exclusive monitor is open to
    /// nothing.
    pub fn apply_saved(&mut self, state: CpuState) {
        let mut regs =
            Regs { pc: state.pc, nzcv: state.nzcv, fpcr: state.fpcr, fpsr: state.fpsr, ..Regs::default() };
        regs.x.copy_from_slice(&state.x);
        for (to, [low, high]) in regs.v.iter_mut().zip(state.v) {
            *to = u128::from(low) | u128::from(high) << 64;
        }
        self.gic.restore(state.gic);
        self.regs = regs;
        self.pstate = state.pstate;
        self.sys = state.sys;
        self.requests = Requests::new(state.serror, state.standby);
        self.entry = state.entry;
        self.wires.doorbell().take_event();
        if state.event {
            self.wires.doorbell().send_event();
        }
        self.timers.restore(state.timer_levels);
        self.pmu.restore(state.pmu_level);
        self.random = SplitMix64::new(state.random);
        self.mem.reset();
        self.refresh();
        self.timers.update(&self.sys);
        self.restart_pmu();
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::level::El;

    use crate::model::Model;
    use crate::requests::Requests;
    use crate::sysreg::Reg;
    use crate::test_pe::{bench, max};

    #[test]
    fn round_trip_through_text() {
        let mut a = max();
        let c = &mut a.cpu;
        c.regs.x[5] = 55;
        c.regs.v[31] = u128::MAX - 9;
        c.regs.pc = 0xffff_0000_0000_1000;
        c.set_level(El::El1, true);
        c.regs.x[31] = 0x1111;
        c.sys[Reg::VTTBR_EL2] = 0x7_0000_1000;
        c.wires.doorbell().send_event();
        c.requests = Requests::new(Some(3), false);
        let text = serde_json::to_string(&c.save()).unwrap();
        let mut b = max();
        b.cpu.restore(serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(b.cpu.regs.v[31], u128::MAX - 9);
        assert_eq!(b.cpu.regs.x[31], 0x1111);
        assert!(b.cpu.wires.doorbell().take_event());
        b.cpu.wires.doorbell().send_event();
        assert_eq!(b.cpu.save(), a.cpu.save());
    }

    #[test]
    fn another_model_is_refused() {
        let a = max();
        let mut b = bench(Model::cortex_a72());
        let e = b.cpu.restore(a.cpu.save()).unwrap_err();
        assert_eq!(e.to_string(), "the state of cpu0 does not fit: it is of a max with EL2");
    }
}
