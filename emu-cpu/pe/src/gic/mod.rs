//! The GIC's CPU interface as system registers, physical and virtual (Arm IHI 0069, chapters 4, 6 and 12).
//!
//! A [`CpuInterface`] belongs to one vCPU thread and has no locks. It talks to the distributor side through its PE's
//! [`GicPort`]. A PE that is attached to a GICv2 has none ([`Attachment`]). There is one Security state and no EL3; system registers are always on (ICC_SRE_ELx.SRE is RAO/WI),
//! so Group 0 is signalled as FIQ and Group 1 as IRQ.
//!
//! Use: [`CpuInterface::access`] says what an access does; if it is allowed, [`CpuInterface::read`] or
//! [`CpuInterface::write`] does it. After a kick, after any write, and after a read of ICC_IAR0/1_EL1,
//! [`CpuInterface::signals`] says which interrupts are signalled to the PE.

mod attachment;
mod control;
mod hypervisor;
mod regs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use emu_a64::level::{El, Levels};
use emu_core::irq::{GicPort, Group, Pending, Sgi, Signals, ppi};
use serde::{Deserialize, Serialize};

pub use attachment::Attachment;
pub use regs::{Direction, GicReg};

use control::{Control, PRIORITY_MASK, index};
use hypervisor::{Virtual, hcr, lr};

/// Whether this value of a list register is an interrupt that is pending.
pub(crate) const fn is_pending(list_register: u64) -> bool {
    list_register & lr::PENDING != 0
}

/// The INTID that says "nothing to acknowledge". 1020 to 1022 are for systems with two Security states.
const SPURIOUS: u32 = 1023;
/// The first special INTID.
const FIRST_SPECIAL: u32 = 1020;
/// The first LPI.
const FIRST_LPI: u32 = 8192;

/// ICC_SRE_EL1 and ICC_SRE_EL2: SRE, DFB and DIB, all RAO/WI.
const SRE_FIXED: u64 = 0b111;
/// ICC_SRE_EL2.Enable: EL1 may access ICC_SRE_EL1.
const SRE_ENABLE: u64 = 1 << 3;

/// HCR_EL2.FMO.
const HCR_FMO: u64 = 1 << 3;
/// HCR_EL2.IMO.
const HCR_IMO: u64 = 1 << 4;

/// INTIDs 1020 to 1023.
const fn is_special(intid: u32) -> bool {
    matches!(intid, FIRST_SPECIAL..=SPURIOUS)
}

/// What of the PE decides how a register access behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Env {
    /// Current Exception level.
    pub el: El,
    /// The effective value of HCR_EL2.
    pub hcr_el2: u64,
    /// The levels that the PE has.
    pub levels: Levels,
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterAccess {
    /// It is done.
    Allowed,
    /// The instruction is UNDEFINED.
    Undefined,
    /// A system register trap to EL2 (EC 0x18).
    TrapToEl2,
}

/// Who controls a register.
#[derive(Clone, Copy)]
enum Rule {
    /// Both groups: ICH_HCR_EL2.TC traps; virtual with IMO or FMO.
    Common,
    /// One group: TALL0 or TALL1 traps; virtual with FMO or IMO.
    Group(Group),
    /// As [`Rule::Common`], and TDIR traps too.
    Deactivate,
    /// TC traps, and so do IMO and FMO: there are no virtual SGI registers.
    Sgi,
    /// ICC_SRE_EL2.Enable lets EL1 through.
    SreEl1,
    /// EL2 only.
    El2,
}

impl Rule {
    fn of(reg: GicReg) -> Self {
        use GicReg as R;
        match reg {
            R::ICC_PMR_EL1 | R::ICC_RPR_EL1 | R::ICC_CTLR_EL1 => Self::Common,
            R::ICC_DIR_EL1 => Self::Deactivate,
            R::ICC_SGI0R_EL1 | R::ICC_SGI1R_EL1 | R::ICC_ASGI1R_EL1 => Self::Sgi,
            R::ICC_SRE_EL1 => Self::SreEl1,
            R::ICC_IAR0_EL1
            | R::ICC_EOIR0_EL1
            | R::ICC_HPPIR0_EL1
            | R::ICC_BPR0_EL1
            | R::ICC_AP0R_EL1(_)
            | R::ICC_IGRPEN0_EL1 => Self::Group(Group::G0),
            R::ICC_IAR1_EL1
            | R::ICC_EOIR1_EL1
            | R::ICC_HPPIR1_EL1
            | R::ICC_BPR1_EL1
            | R::ICC_AP1R_EL1(_)
            | R::ICC_IGRPEN1_EL1 => Self::Group(Group::G1),
            _ => Self::El2,
        }
    }

    /// HCR_EL2 bits that give EL1 the virtual register instead of the physical one.
    const fn virtualised_by(self) -> u64 {
        match self {
            Self::Common | Self::Deactivate => HCR_FMO | HCR_IMO,
            Self::Group(Group::G0) => HCR_FMO,
            Self::Group(Group::G1) => HCR_IMO,
            Self::Sgi | Self::SreEl1 | Self::El2 => 0,
        }
    }

    /// ICH_HCR_EL2 bits that trap EL1.
    const fn trapped_by(self) -> u64 {
        match self {
            Self::Common | Self::Sgi => hcr::TC,
            Self::Deactivate => hcr::TC | hcr::TDIR,
            Self::Group(Group::G0) => hcr::TALL0,
            Self::Group(Group::G1) => hcr::TALL1,
            Self::SreEl1 | Self::El2 => 0,
        }
    }
}

/// Everything that a snapshot holds of a CPU interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInterfaceState {
    physical: Control,
    hypervisor: Virtual,
    sre_el2_enable: bool,
    /// The level of the maintenance interrupt as the redistributor was last told.
    maintenance: bool,
}

/// One PE's CPU interface and virtual CPU interface.
pub struct CpuInterface {
    port: Arc<dyn GicPort>,
    state: CpuInterfaceState,
    /// ICH_VTR_EL2, read at every world switch.
    vtr: u64,
}

impl CpuInterface {
    /// A CPU interface after reset, with 1 to 16 list registers (a number outside is brought inside).
    #[must_use]
    pub fn new(port: Arc<dyn GicPort>, list_registers: usize) -> Self {
        let hypervisor = Virtual::new(list_registers);
        let vtr = hypervisor.vtr();
        let physical = Control::default();
        let state = CpuInterfaceState { physical, hypervisor, sre_el2_enable: false, maintenance: false };
        Self { port, state, vtr }
    }

    /// To the state after a reset of the PE. The redistributor learns of it.
    pub fn reset(&mut self) {
        self.state.physical = Control::default();
        self.state.hypervisor = Virtual::new(self.state.hypervisor.list_registers());
        self.state.sre_el2_enable = false;
        self.port.set_group_enables(false, false);
        self.update_maintenance();
    }

    /// The complete state.
    #[must_use]
    pub fn save(&self) -> CpuInterfaceState {
        self.state.clone()
    }

    /// False of a saved state that has another number of list registers.
    #[must_use]
    pub fn fits(&self, state: &CpuInterfaceState) -> bool {
        let count = self.state.hypervisor.list_registers();
        state.hypervisor.is_sound() && state.hypervisor.list_registers() == count
    }

    /// Takes a saved state that fits. What the GIC knows of this PE is in the GIC's own state.
    pub fn restore(&mut self, state: CpuInterfaceState) {
        self.state = state;
    }

    /// True if the number of list registers and of priority bits give the PE this register.
    fn exists(&self, reg: GicReg, levels: Levels) -> bool {
        let has_el2 = levels.contains(El::El2);
        use GicReg as R;
        match reg {
            // 5 bits of preemption need one active priorities register per group.
            R::ICC_AP0R_EL1(n) | R::ICC_AP1R_EL1(n) => n == 0,
            R::ICH_AP0R_EL2(n) | R::ICH_AP1R_EL2(n) => has_el2 && n == 0,
            R::ICH_LR_EL2(n) => has_el2 && usize::from(n) < self.state.hypervisor.list_registers(),
            _ => has_el2 || !matches!(Rule::of(reg), Rule::El2),
        }
    }

    /// What an access of `reg` does, in the order of the architecture's access pseudocode.
    #[must_use]
    pub fn access(&self, reg: GicReg, write: bool, env: &Env) -> RegisterAccess {
        let direction = if write { Direction::ReadOnly } else { Direction::WriteOnly };
        if env.el == El::El0 || !self.exists(reg, env.levels) || reg.direction() == direction {
            return RegisterAccess::Undefined;
        }
        if env.el >= El::El2 {
            return RegisterAccess::Allowed;
        }
        let rule = Rule::of(reg);
        if matches!(rule, Rule::El2) {
            return RegisterAccess::Undefined;
        }
        let trapped = match rule {
            Rule::SreEl1 => !self.state.sre_el2_enable,
            Rule::Sgi => env.hcr_el2 & (HCR_FMO | HCR_IMO) != 0 || self.state.hypervisor.hcr & hcr::TC != 0,
            _ => self.state.hypervisor.hcr & rule.trapped_by() != 0,
        };
        if env.levels.contains(El::El2) && trapped {
            RegisterAccess::TrapToEl2
        } else {
            RegisterAccess::Allowed
        }
    }

    /// True if the access is one of the virtual register.
    fn is_virtual(reg: GicReg, env: &Env) -> bool {
        env.el == El::El1 && env.levels.contains(El::El2) && env.hcr_el2 & Rule::of(reg).virtualised_by() != 0
    }

    /// Reads a register; the access is allowed.
    pub fn read(&mut self, reg: GicReg, env: &Env) -> u64 {
        use GicReg as R;
        let group = match reg {
            R::ICH_VTR_EL2 => return self.vtr,
            R::ICH_LR_EL2(n) => return self.state.hypervisor.lr(n),
            R::ICC_IAR0_EL1 => Group::G0,
            R::ICC_IAR1_EL1 => Group::G1,
            _ => return self.look(reg, Self::is_virtual(reg, env)),
        };
        if Self::is_virtual(reg, env) {
            let intid = self.state.hypervisor.acknowledge(group);
            self.update_maintenance();
            return intid;
        }
        self.acknowledge(group)
    }

    /// Reads a register as a debugger does, without side effects: ICC_IAR0/1_EL1 read as ICC_HPPIR0/1_EL1, write-only
    /// registers as zero. `ICV_*` is read in place of `ICC_*` if `virt`.
    #[must_use]
    pub fn look(&self, reg: GicReg, virt: bool) -> u64 {
        use GicReg as R;
        let (s, h) = (&self.state, &self.state.hypervisor);
        let c = if virt { &h.control } else { &s.physical };
        match reg {
            R::ICC_PMR_EL1 => c.pmr.into(),
            R::ICC_IAR0_EL1 | R::ICC_HPPIR0_EL1 => self.hppir(Group::G0, virt),
            R::ICC_IAR1_EL1 | R::ICC_HPPIR1_EL1 => self.hppir(Group::G1, virt),
            R::ICC_BPR0_EL1 => c.bpr(Group::G0),
            R::ICC_BPR1_EL1 => c.bpr(Group::G1),
            R::ICC_AP0R_EL1(0) => c.active[0].into(),
            R::ICC_AP1R_EL1(0) => c.active[1].into(),
            R::ICC_RPR_EL1 => c.running().into(),
            R::ICC_CTLR_EL1 => c.ctlr(),
            R::ICC_SRE_EL1 => SRE_FIXED,
            R::ICC_IGRPEN0_EL1 => c.enabled[0].into(),
            R::ICC_IGRPEN1_EL1 => c.enabled[1].into(),
            R::ICC_SRE_EL2 => SRE_FIXED | if s.sre_el2_enable { SRE_ENABLE } else { 0 },
            R::ICH_AP0R_EL2(0) => h.control.active[0].into(),
            R::ICH_AP1R_EL2(0) => h.control.active[1].into(),
            R::ICH_HCR_EL2 => h.hcr,
            R::ICH_VTR_EL2 => self.vtr,
            R::ICH_MISR_EL2 => h.misr(),
            R::ICH_EISR_EL2 => h.eisr(),
            R::ICH_ELRSR_EL2 => h.elrsr(),
            R::ICH_VMCR_EL2 => h.vmcr(),
            R::ICH_LR_EL2(n) => h.lr(n),
            R::ICC_EOIR0_EL1
            | R::ICC_EOIR1_EL1
            | R::ICC_DIR_EL1
            | R::ICC_SGI0R_EL1
            | R::ICC_SGI1R_EL1
            | R::ICC_ASGI1R_EL1
            | R::ICC_AP0R_EL1(_)
            | R::ICC_AP1R_EL1(_)
            | R::ICH_AP0R_EL2(_)
            | R::ICH_AP1R_EL2(_) => 0,
        }
    }

    /// Writes a register; the access is allowed.
    pub fn write(&mut self, reg: GicReg, value: u64, env: &Env) {
        use GicReg as R;
        match reg {
            R::ICH_LR_EL2(n) => self.state.hypervisor.set_lr(n, value),
            R::ICH_HCR_EL2 => self.state.hypervisor.hcr = value & hcr::WRITABLE,
            R::ICH_VMCR_EL2 => self.state.hypervisor.set_vmcr(value),
            R::ICH_AP0R_EL2(0) => self.state.hypervisor.control.active[0] = value as u32,
            R::ICH_AP1R_EL2(0) => self.state.hypervisor.control.active[1] = value as u32,
            R::ICC_SRE_EL2 => self.state.sre_el2_enable = value & SRE_ENABLE != 0,
            R::ICC_SGI1R_EL1 | R::ICC_ASGI1R_EL1 => self.port.send_sgi(sgi(Group::G1, value)),
            R::ICC_SGI0R_EL1 => self.port.send_sgi(sgi(Group::G0, value)),
            _ => return self.write_interface(reg, value, Self::is_virtual(reg, env)),
        }
        self.update_maintenance();
    }

    /// Writes a register that exists once for the physical and once for the virtual interface.
    fn write_interface(&mut self, reg: GicReg, value: u64, virt: bool) {
        use GicReg as R;
        match reg {
            R::ICC_EOIR0_EL1 => return self.end_of_interrupt(Group::G0, value, virt),
            R::ICC_EOIR1_EL1 => return self.end_of_interrupt(Group::G1, value, virt),
            R::ICC_DIR_EL1 => return self.deactivate(value, virt),
            _ => {}
        }
        let s = &mut self.state;
        let c = if virt { &mut s.hypervisor.control } else { &mut s.physical };
        match reg {
            R::ICC_PMR_EL1 => c.set_pmr(value),
            R::ICC_BPR0_EL1 => c.set_bpr(Group::G0, value),
            R::ICC_BPR1_EL1 => c.set_bpr(Group::G1, value),
            R::ICC_AP0R_EL1(0) => c.active[0] = value as u32,
            R::ICC_AP1R_EL1(0) => c.active[1] = value as u32,
            R::ICC_CTLR_EL1 => c.set_ctlr(value),
            R::ICC_IGRPEN0_EL1 => self.enable(Group::G0, value & 1 != 0, virt),
            R::ICC_IGRPEN1_EL1 => self.enable(Group::G1, value & 1 != 0, virt),
            // ICC_SRE_EL1 is RAO/WI; read-only registers do not come here.
            _ => {}
        }
    }

    fn enable(&mut self, group: Group, on: bool, virt: bool) {
        if virt {
            self.state.hypervisor.control.enabled[index(group)] = on;
            self.update_maintenance();
        } else if self.state.physical.is_enabled(group) != on {
            self.state.physical.enabled[index(group)] = on;
            let [g0, g1] = self.state.physical.enabled;
            self.port.set_group_enables(g0, g1);
        }
    }

    /// Which interrupts are signalled.
    #[must_use]
    pub fn signals(&self) -> Signals {
        let physical = self.candidate().filter(|p| self.state.physical.takes(p.group, p.priority));
        let physical = physical.map(|p| p.group);
        let virt = self.state.hypervisor.signalled();
        Signals {
            irq: physical == Some(Group::G1),
            fiq: physical == Some(Group::G0),
            virq: virt == Some(Group::G1),
            vfiq: virt == Some(Group::G0),
        }
    }

    /// The highest-priority pending physical interrupt, its priority cut to the implemented bits.
    fn candidate(&self) -> Option<Pending> {
        let p = self.port.highest_pending()?;
        let enabled = self.state.physical.is_enabled(p.group);
        enabled.then_some(Pending { priority: p.priority & PRIORITY_MASK, ..p })
    }

    fn hppir(&self, group: Group, virt: bool) -> u64 {
        if virt {
            return self.state.hypervisor.hppir(group);
        }
        self.candidate().filter(|p| p.group == group).map_or(SPURIOUS, |p| p.intid).into()
    }

    /// ICC_IAR0/1_EL1.
    fn acknowledge(&mut self, group: Group) -> u64 {
        // The candidate may be taken away (or another PE may take it) between the two calls; then there is another
        // one, or none. That this happens again and again is as good as spurious.
        for _ in 0..8 {
            let Some(p) = self.candidate() else { break };
            if p.group != group || !self.state.physical.takes(p.group, p.priority) {
                break;
            }
            if self.port.acknowledge(p.intid) {
                self.state.physical.activate(p.group, p.priority);
                return p.intid.into();
            }
        }
        SPURIOUS.into()
    }

    /// ICC_EOIR0/1_EL1. One that does not belong to what is being serviced is UNPREDICTABLE: ignored.
    fn end_of_interrupt(&mut self, group: Group, value: u64, virt: bool) {
        if virt {
            self.state.hypervisor.end_of_interrupt(group, value, &*self.port);
            return self.update_maintenance();
        }
        let intid = value as u32 & 0xff_ffff;
        let c = &mut self.state.physical;
        let known = !(FIRST_SPECIAL..FIRST_LPI).contains(&intid);
        if !known || c.highest_active().is_none_or(|(g, _)| g != group) {
            return;
        }
        c.drop_priority();
        if !c.split_eoi && intid < FIRST_SPECIAL {
            self.port.deactivate(intid);
        }
    }

    /// ICC_DIR_EL1: works in EOImode 1 only.
    fn deactivate(&mut self, value: u64, virt: bool) {
        if virt {
            self.state.hypervisor.deactivate_interrupt(value, &*self.port);
            return self.update_maintenance();
        }
        let intid = value as u32 & 0xff_ffff;
        if self.state.physical.split_eoi && intid < FIRST_SPECIAL {
            self.port.deactivate(intid);
        }
    }

    /// Drives the maintenance interrupt.
    fn update_maintenance(&mut self) {
        let level = self.state.hypervisor.maintenance();
        if level != self.state.maintenance {
            self.state.maintenance = level;
            self.port.set_ppi(ppi::MAINTENANCE, level);
        }
    }
}

/// Reads the fields of ICC_SGI0R_EL1 and ICC_SGI1R_EL1.
fn sgi(group: Group, value: u64) -> Sgi {
    Sgi {
        intid: (value >> 24) as u32 & 0xf,
        group,
        all_others: value >> 40 & 1 != 0,
        aff: [(value >> 48) as u8, (value >> 32) as u8, (value >> 16) as u8],
        range: (value >> 44) as u8 & 0xf,
        targets: value as u16,
    }
}
