use std::sync::Arc;

use emu_a64::level::El;
use emu_mmu::{Regime, TlbiListener, TlbiScope};
use parking_lot::Mutex;

use crate::cpu::Cpu;
use crate::mem::maintenance;
use crate::sysreg::{Reach, Reg, SysInsn, TlbiOp, hcr};
use crate::test_pe::max;

/// A TLB that is not a CPU's.
#[derive(Default)]
struct Elsewhere(Mutex<Vec<TlbiScope>>);

impl TlbiListener for Elsewhere {
    fn invalidate(&self, scope: &TlbiScope) {
        self.0.lock().push(*scope);
    }
}

fn tlbi(cpu: &mut Cpu, op: TlbiOp, reach: Reach, operand: u64) {
    maintenance(cpu, SysInsn::Tlbi(op, reach), operand).unwrap();
}

/// Maintenance that is broadcast reaches whoever listens, also on a machine with one PE; local maintenance does not, but for that
/// of EL1 which HCR_EL2.FB makes broadcast.
#[test]
fn others_than_cpus_hear_of_maintenance() {
    let mut b = max();
    let other = Arc::new(Elsewhere::default());
    b.cpu.mem.shared.listen(other.clone());
    let heard = || std::mem::take(&mut *other.0.lock());
    tlbi(&mut b.cpu, TlbiOp::Alle1, Reach::Local, 0);
    assert_eq!(heard(), []);
    tlbi(&mut b.cpu, TlbiOp::Alle1, Reach::Inner, 0);
    tlbi(&mut b.cpu, TlbiOp::Vae2, Reach::Outer, 0x1234);
    let page = TlbiScope::Va { regime: Regime::El2, vmid: 0, asid: None, start: 0x123_4000, end: 0x123_4fff };
    assert_eq!(heard(), [TlbiScope::AllEl1, page]);
    b.cpu.pstate.el = El::El1;
    tlbi(&mut b.cpu, TlbiOp::VmallE1, Reach::Local, 0);
    assert_eq!(heard(), []);
    b.cpu.sys[Reg::HCR_EL2] |= hcr::FB;
    b.cpu.refresh();
    tlbi(&mut b.cpu, TlbiOp::VmallE1, Reach::Local, 0);
    assert_eq!(heard(), [TlbiScope::Context { regime: Regime::El10, vmid: 0 }]);
}
