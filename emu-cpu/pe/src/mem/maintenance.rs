//! TLBI, AT, DC and IC (Arm ARM, C5.3 to C5.5), after their access checks.

use emu_a64::level::El;
use emu_mmu::{Access, Fault, Regime, Request, TlbiContext, TlbiScope, at};

use super::Mem;
use super::access;
use super::context::{context_for, controller_of, current_vmid, regime_of};
use super::translate::{self, AccessRequest, abort_of};
use super::watch;
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop};
use crate::level::Banked;
use crate::sysreg::{AtOp, DCZID, DcOp, IcOp, Reach, Reg, SysInsn, TlbiOp, hcr};
use emu_core::metrics::Metric;

/// Bytes that DC ZVA clears: 2 to the power of DCZID_EL0.BS words.
pub const ZVA_BYTES: u64 = 4 << DCZID;
/// Bytes of a line of the data cache (CTR_EL0.DminLine = 4).
const LINE_BYTES: u64 = 64;

impl Mem {
    /// Does a TLBI on this vCPU.
    pub(super) fn invalidate(&mut self, scope: &TlbiScope) {
        self.tlb.invalidate(scope);
        self.fast.invalidate(scope);
    }

    /// Tells others of TLB maintenance; the next DSB waits until the other vCPUs have done it.
    pub(super) fn broadcast(&mut self, scope: TlbiScope) {
        self.shared.broadcast(self.index, scope);
        self.unsynchronised |= self.shared.has_peers();
    }
}

/// Executes a system instruction whose operand is `val`.
pub fn maintenance(cpu: &mut Cpu, insn: SysInsn, val: u64) -> Result<(), Stop> {
    match insn {
        SysInsn::Tlbi(op, reach) => {
            tlbi(cpu, op, reach, val);
            Ok(())
        }
        SysInsn::At(op) => Ok(address_translation(cpu, op, val)?),
        SysInsn::Dc(op) => data_cache(cpu, op, val),
        // Translated code follows every write (see `emu_core::page`): only the address is checked.
        SysInsn::Ic(IcOp::Ivau) => check_address(cpu, val, Access::CacheClean),
        SysInsn::Ic(_) | SysInsn::Predict => Ok(()),
    }
}

/// The instructions that name EL1 act on EL2&0: in a host with TGE set.
fn acts_on_host(cpu: &Cpu) -> bool {
    cpu.pstate.el == El::El2 && cpu.is_in_host(El::El0)
}

fn tlbi(cpu: &mut Cpu, op: TlbiOp, reach: Reach, val: u64) {
    use emu_mmu::TlbiOp as M;
    let kind = match op {
        TlbiOp::VmallE1 => M::VmAllE1,
        TlbiOp::Vae1 | TlbiOp::Vale1 => M::VaE1,
        TlbiOp::Aside1 => M::AsidE1,
        TlbiOp::Vaae1 | TlbiOp::Vaale1 => M::VaaE1,
        TlbiOp::Ipas2e1 | TlbiOp::Ipas2le1 => M::IpaS2E1,
        TlbiOp::Alle2 => M::AllE2,
        TlbiOp::Vae2 | TlbiOp::Vale2 => M::VaE2,
        TlbiOp::Alle1 => M::AllE1,
        TlbiOp::Vmalls12e1 => M::VmAllS12E1,
        TlbiOp::Rvae1 | TlbiOp::Rvale1 => M::RvaE1,
        TlbiOp::Rvaae1 | TlbiOp::Rvaale1 => M::RvaaE1,
        TlbiOp::Ripas2e1 | TlbiOp::Ripas2le1 => M::RipaS2E1,
        TlbiOp::Rvae2 | TlbiOp::Rvale2 => M::RvaE2,
    };
    cpu.counters.bump(Metric::TlbInvalidations);
    let h = cpu.hcr();
    let e2h = h & hcr::E2H != 0;
    let host = acts_on_host(cpu);
    let regime = match op {
        TlbiOp::Alle2 | TlbiOp::Vae2 | TlbiOp::Vale2 | TlbiOp::Rvae2 | TlbiOp::Rvale2 => {
            regime_of(cpu, El::El2)
        }
        _ if host => Regime::El20,
        _ => Regime::El10,
    };
    let asid16 = cpu.mem.translation.asid16 && regime.has_asids() && tcr_as(cpu, regime);
    let context = TlbiContext { vmid: current_vmid(cpu), host, e2h, asid16, ds: range_ds(cpu, op, regime) };
    let Some(scope) = kind.scope(val, &context) else { return };
    let serials = cpu.mem.fast.serials();
    cpu.mem.invalidate(&scope);
    // The way to the next instruction may be another one.
    cpu.derived.note_change_if(cpu.mem.fast.serials() != serials);
    // HCR_EL2.FB makes EL1's local maintenance reach the Inner Shareable domain.
    if reach != Reach::Local || cpu.pstate.el == El::El1 && h & hcr::FB != 0 {
        cpu.mem.broadcast(scope);
    }
}

/// How a range operation counts its base (TCR_ELx.DS, VTCR_EL2.DS); the others do not ask.
fn range_ds(cpu: &Cpu, op: TlbiOp, regime: Regime) -> bool {
    match op {
        TlbiOp::Ripas2e1 | TlbiOp::Ripas2le1 => {
            context_for(cpu, Regime::El10, true, false).stage2.is_some_and(|s| s.ds)
        }
        TlbiOp::Rvae1
        | TlbiOp::Rvale1
        | TlbiOp::Rvaae1
        | TlbiOp::Rvaale1
        | TlbiOp::Rvae2
        | TlbiOp::Rvale2 => context_for(cpu, regime, true, false).stage1.halves[0].ds,
        _ => false,
    }
}

/// TCR_ELx.AS: the ASID has 16 bits.
fn tcr_as(cpu: &Cpu, regime: Regime) -> bool {
    cpu.sys[Banked::TCR.at(controller_of(regime))] >> 36 & 1 != 0
}

fn address_translation(cpu: &mut Cpu, op: AtOp, val: u64) -> Result<(), Exception> {
    use AtOp::*;
    let write = matches!(op, S1E1W | S1E0W | S1E1WP | S1E2W | S12E1W | S12E0W);
    let privileged = !matches!(op, S1E0R | S1E0W | S12E0R | S12E0W);
    let both = matches!(op, S12E1R | S12E1W | S12E0R | S12E0W);
    let regime = match op {
        S1E2R | S1E2W => regime_of(cpu, El::El2),
        S12E1R | S12E1W | S12E0R | S12E0W => Regime::El10,
        _ if acts_on_host(cpu) => Regime::El20,
        _ => Regime::El10,
    };
    let request = Request {
        va: val,
        access: if write { Access::AtWrite } else { Access::AtRead },
        privileged,
        pan: matches!(op, S1E1RP | S1E1WP) && cpu.pstate.pan,
        unaligned: false,
        stage1_only: !both,
    };
    let context = context_for(cpu, regime, privileged, request.pan);
    let result = cpu.mem.walk_only(&context, &request);
    match at::par(&result, cpu.pstate.el == El::El1) {
        Ok(par) => {
            cpu.sys[Reg::PAR_EL1] = par;
            Ok(())
        }
        Err(fault) => Err(abort(&fault)),
    }
}

fn abort(fault: &Fault) -> Exception {
    Exception::Data(abort_of(fault, true))
}

fn data_cache(cpu: &mut Cpu, op: DcOp, val: u64) -> Result<(), Stop> {
    match op {
        DcOp::Isw | DcOp::Csw | DcOp::Cisw => Ok(()),
        DcOp::Ivac => {
            check_address(cpu, val, Access::CacheInvalidate)?;
            Ok(watch::check_invalidation(cpu, val & !(LINE_BYTES - 1), LINE_BYTES)?)
        }
        DcOp::Cvac | DcOp::Cvau | DcOp::Cvap | DcOp::Cvadp | DcOp::Civac => {
            check_address(cpu, val, Access::CacheClean)
        }
        DcOp::Zva => access::zero_block(cpu, val & !(ZVA_BYTES - 1), val),
    }
}

/// Memory is coherent: cache maintenance by address only makes the faults that it must.
fn check_address(cpu: &mut Cpu, va: u64, access: Access) -> Result<(), Stop> {
    if access == Access::CacheClean && cpu.mem.fast.read::<1>(va).is_some() {
        return Ok(());
    }
    let context = cpu.mem.fast.context();
    if access == Access::CacheClean && context.privileged() {
        // A page is cleaned line by line. What can be read is kept for the next line, and has no fault here.
        let asked = AccessRequest { access: Access::Read, bytes: 0, unaligned: false, unprivileged: false };
        if translate::data(cpu, va, asked).is_ok() {
            return Ok(());
        }
    }
    let request = Request {
        va,
        access,
        privileged: context.privileged(),
        pan: context.pan(),
        unaligned: false,
        stage1_only: false,
    };
    let (result, _) = cpu.mem.translate(&context, &request);
    result.map(|_| ()).map_err(|f| abort(&f).into())
}
