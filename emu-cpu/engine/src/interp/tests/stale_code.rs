//! Code that somebody else than a CPU writes over.

use emu_core::dma::{DirectPort, DmaAttrs, DmaFault, DmaPort, Master, Stalls};
use emu_core::metrics::Metric;

use super::{RAM, vcpu};
use crate::interp::vcpu::Vcpu;

/// A call of the function in the last two words of RAM.
const CALL: [u32; 3] = [
    0xd2a8_0003,               // movz x3, #0x4000, lsl #16
    0xf280_0003 | 0xfff8 << 5, // movk x3, #0xfff8
    0xd63f_0060,               // blr x3
];
const FUNCTION: u64 = 0xfff8;

/// A function that gives `n`.
fn function(n: u32) -> [u32; 2] {
    [0xd280_0000 | n << 5, 0xd65f_03c0]
}

fn call(v: &mut Vcpu) -> u64 {
    let before = v.cpu.counters.get(Metric::ExcToEl2);
    v.cpu.regs.pc = RAM;
    while v.cpu.counters.get(Metric::ExcToEl2) == before {
        v.run_turns(1);
    }
    v.cpu.regs.x[0]
}

/// The first half of a transaction that goes on beyond memory changes the code: interpreted and as host code the new one runs.
#[test]
fn a_dma_write_that_aborts_half_way_is_seen() {
    for jit in [false, true] {
        let (mut v, ram) = vcpu(&CALL);
        assert!(!jit || v.use_jit(8 << 20, 1));
        for (at, word) in (FUNCTION..).step_by(4).zip(function(1)) {
            ram.store_u32(at, word).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(call(&mut v), 1);
        }
        let port = DirectPort::new(v.cpu.mem.bus().clone(), Master::new(8, Stalls::Never));
        let bytes: Vec<u8> = function(2).into_iter().chain([0; 2]).flat_map(u32::to_le_bytes).collect();
        let written = port.write(DmaAttrs::default(), RAM + FUNCTION, &bytes);
        assert_eq!(written, Err(DmaFault::Abort));
        assert_eq!(call(&mut v), 2, "host code: {jit}");
    }
}
