//! Loads and stores.

use super::{Machine, Next, PC, lower, run};
use crate::ir::{Acc, MemSize, Op, Order};

const A: u64 = 0x8000;

/// Runs with X1 = [`A`], bytes 0x80, 0x81 ... at `A - 16` and up, and X2 and X3 as given.
fn mem(words: &[u32], x2: u64, x3: u64) -> (Machine, Next) {
    run(words, |m| {
        m.put(A - 16, &std::array::from_fn::<u8, 64, _>(|i| 0x80 + i as u8));
        m.regs.x[..4].copy_from_slice(&[u64::MAX, A, x2, x3]);
        m.regs.v[0] = u128::MAX;
        m.regs.v[2] = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
        m.regs.v[3] = 0x2f2e_2d2c_2b2a_2928_2726_2524_2322_2120;
    })
}

fn load(word: u32) -> u64 {
    mem(&[word], 2, 0xffff_fffe).0.regs.x[0]
}

fn bytes(m: &Machine, addr: u64, n: u64) -> Vec<u8> {
    (addr..addr + n).map(|a| m.mem[&a]).collect()
}

/// How the memory operation of an instruction is made.
fn acc(word: u32) -> Acc {
    let block = lower(&[word]);
    let found = block.insts.iter().find_map(|i| match i.op {
        Op::Load { acc, .. }
        | Op::Store { acc, .. }
        | Op::LoadEx { acc, .. }
        | Op::StoreEx { acc, .. }
        | Op::Rmw { acc, .. }
        | Op::Cas { acc, .. } => Some(acc),
        _ => None,
    });
    found.expect("the instruction accesses memory")
}

#[test]
fn sizes_and_extensions() {
    assert_eq!(load(0xf940_0020 /* ldr x0, [x1] */), 0x9796_9594_9392_9190);
    assert_eq!(load(0xb940_0420 /* ldr w0, [x1, #4] */), 0x9796_9594);
    assert_eq!(load(0x7940_0420 /* ldrh w0, [x1, #2] */), 0x9392);
    assert_eq!(load(0x3940_1420 /* ldrb w0, [x1, #5] */), 0x95);
    assert_eq!(load(0x39c0_0020 /* ldrsb w0, [x1] */), 0xffff_ff90);
    assert_eq!(load(0x3980_0020 /* ldrsb x0, [x1] */), 0xffff_ffff_ffff_ff90);
    assert_eq!(load(0x79c0_0020 /* ldrsh w0, [x1] */), 0xffff_9190);
    assert_eq!(load(0x7980_0020 /* ldrsh x0, [x1] */), 0xffff_ffff_ffff_9190);
    assert_eq!(load(0xb980_0020 /* ldrsw x0, [x1] */), 0xffff_ffff_9392_9190);
}

#[test]
fn addresses() {
    assert_eq!(load(0x385f_f020 /* ldurb w0, [x1, #-1] */), 0x8f);
    assert_eq!(load(0x3840_1820 /* ldtrb w0, [x1, #1] */), 0x91);
    assert_eq!(load(0x3862_6820 /* ldrb w0, [x1, x2] */), 0x92);
    assert_eq!(load(0x7862_7820 /* ldrh w0, [x1, x2, lsl #1] */), 0x9594);
    assert_eq!(load(0xf863_d820 /* ldr x0, [x1, w3, sxtw #3] */), 0x8786_8584_8382_8180);
    assert_eq!(load(0x3863_c820 /* ldrb w0, [x1, w3, sxtw] */), 0x8e);
    assert_eq!(
        mem(&[0x3863_4820 /* ldrb w0, [x1, w3, uxtw] */], 0, u64::MAX).1,
        Next::Fault(A + 0xffff_ffff)
    );
    assert_eq!(mem(&[0x3863_e820 /* ldrb w0, [x1, x3, sxtx] */], 0, u64::MAX).0.regs.x[0], 0x8f);
    let (m, _) = run(
        &[
            0xd503_201f, /* nop */
            0x5800_0040, /* ldr x0, .+8 */
            0x9800_0022, /* ldrsw x2, .+4 */
        ],
        |m| m.put(PC + 8, &[0xff; 16]),
    );
    assert_eq!((m.regs.x[0], m.regs.x[2]), (u64::MAX, u64::MAX));
}

#[test]
fn writeback() {
    let both = |word| {
        let x = mem(&[word], 0, 0).0.regs.x;
        (x[0], x[1])
    };
    assert_eq!(both(0x3840_4420 /* ldrb w0, [x1], #4 */), (0x90, A + 4));
    assert_eq!(both(0x385f_cc20 /* ldrb w0, [x1, #-4]! */), (0x8c, A - 4));
    // LDR X1, [X1], #8: the writeback is suppressed.
    assert_eq!(both(0xf840_8421), (u64::MAX, 0x9796_9594_9392_9190));
    // STR X1, [X1], #8: the value from before is stored.
    let m = mem(&[0xf800_8421], 0, 0).0;
    assert_eq!((bytes(&m, A, 2), m.regs.x[1]), (vec![0, 0x80], A + 8));
    // A fault leaves everything as it was.
    let (m, next) = mem(&[0xf84f_8c20 /* ldr x0, [x1, #248]! */], 0, 0);
    assert_eq!((next, m.regs.x[0], m.regs.x[1]), (Next::Fault(A + 248), u64::MAX, A));
}

#[test]
fn stores() {
    let stored = |word, n| bytes(&mem(&[word], 0x0706_0504_0302_0100, 0).0, A, n);
    assert_eq!(stored(0xf900_0022 /* str x2, [x1] */, 9), [0, 1, 2, 3, 4, 5, 6, 7, 0x98]);
    assert_eq!(stored(0xb900_0022 /* str w2, [x1] */, 5), [0, 1, 2, 3, 0x94]);
    assert_eq!(stored(0x7900_0022 /* strh w2, [x1] */, 3), [0, 1, 0x92]);
    assert_eq!(stored(0x3800_0022 /* sturb w2, [x1] */, 2), [0, 0x91]);
    assert_eq!(stored(0xf900_003f /* str xzr, [x1] */, 2), [0, 0]);
    assert_eq!(stored(0x889f_fc22 /* stlr w2, [x1] */, 5), [0, 1, 2, 3, 0x94]);
}

#[test]
fn pairs() {
    let pair = |word| {
        let x = mem(&[word], 0, 0).0.regs.x;
        (x[0], x[2], x[1])
    };
    let low = 0x9796_9594_9392_9190;
    assert_eq!(pair(0xa940_0820 /* ldp x0, x2, [x1] */), (low, 0x9f9e_9d9c_9b9a_9998, A));
    assert_eq!(pair(0xa8ff_0820 /* ldp x0, x2, [x1], #-16 */), (low, 0x9f9e_9d9c_9b9a_9998, A - 16));
    assert_eq!(pair(0x29c1_0820 /* ldp w0, w2, [x1, #8]! */), (0x9b9a_9998, 0x9f9e_9d9c, A + 8));
    assert_eq!(pair(0x6940_0820 /* ldpsw x0, x2, [x1] */), (0xffff_ffff_9392_9190, 0xffff_ffff_9796_9594, A));
    assert_eq!(pair(0x2840_0820 /* ldnp w0, w2, [x1] */), (0x9392_9190, 0x9796_9594, A));
    let m = mem(&[0xa9bf_0c22 /* stp x2, x3, [x1, #-16]! */], 0x11, 0x22).0;
    assert_eq!((m.regs.x[1], m.mem[&(A - 16)], m.mem[&(A - 8)]), (A - 16, 0x11, 0x22));
    let m = mem(&[0x2900_0c22 /* stp w2, w3, [x1] */], 0x11, 0x22).0;
    assert_eq!(bytes(&m, A, 9), [0x11, 0, 0, 0, 0x22, 0, 0, 0, 0x98]);
    assert_eq!(
        acc(0xa940_0be0 /* ldp x0, x2, [sp] */),
        Acc { sp_base: true, elem_align: Some(MemSize::B8), ..Acc::PLAIN }
    );
}

#[test]
fn vector_registers() {
    let v = |word| mem(&[word], 0, 0).0.regs.v;
    assert_eq!(v(0x3d40_0020 /* ldr b0, [x1] */)[0], 0x90);
    assert_eq!(v(0xbd40_0420 /* ldr s0, [x1, #4] */)[0], 0x9796_9594);
    assert_eq!(v(0xfc5f_8020 /* ldur d0, [x1, #-8] */)[0], 0x8f8e_8d8c_8b8a_8988);
    assert_eq!(v(0x3cc1_0420 /* ldr q0, [x1], #16 */)[0], 0x9f9e_9d9c_9b9a_9998_9796_9594_9392_9190);
    assert_eq!(v(0x7c62_7820 /* ldr h0, [x1, x2, lsl #1] */)[0], 0x9190);
    assert_eq!(v(0x2d40_0420 /* ldp s0, s1, [x1] */)[..2], [0x9392_9190, 0x9796_9594]);
    assert_eq!(v(0x6d40_0420 /* ldp d0, d1, [x1] */)[..2], [0x9796_9594_9392_9190, 0x9f9e_9d9c_9b9a_9998]);
    let q = v(0xadff_8420 /* ldp q0, q1, [x1, #-16]! */);
    assert_eq!((q[0] as u8, q[1] as u8), (0x80, 0x90));
    assert_eq!(bytes(&mem(&[0xbd00_0022 /* str s2, [x1] */], 0, 0).0, A, 5), [0, 1, 2, 3, 0x94]);
    assert_eq!(
        bytes(&mem(&[0x2d00_0c22 /* stp s2, s3, [x1] */], 0, 0).0, A, 9),
        [0, 1, 2, 3, 0x20, 0x21, 0x22, 0x23, 0x98]
    );
    let m = mem(&[0x6d00_0c22 /* stp d2, d3, [x1] */], 0, 0).0;
    assert_eq!((m.mem[&(A + 7)], m.mem[&(A + 8)], m.mem[&(A + 15)]), (7, 0x20, 0x27));
    let m = mem(&[0xad00_0c22 /* stp q2, q3, [x1] */], 0, 0).0;
    assert_eq!((m.mem[&(A + 15)], m.mem[&(A + 31)]), (0x0f, 0x2f));
}

#[test]
fn exclusives() {
    let m = mem(&[0xc85f_7c20 /* ldxr x0, [x1] */, 0xc803_7c22 /* stxr w3, x2, [x1] */], 7, 9).0;
    assert_eq!((m.regs.x[0], m.regs.x[3], m.mem[&A]), (0x9796_9594_9392_9190, 0, 7));
    let m = mem(&[0xc803_fc22 /* stlxr w3, x2, [x1] */], 7, 9).0;
    assert_eq!((m.regs.x[3], m.mem[&A]), (1, 0x90));
    let m = mem(
        &[
            0x885f_fc20, /* ldaxr w0, [x1] */
            0xd503_3f5f, /* clrex */
            0x8803_7c22, /* stxr w3, w2, [x1] */
        ],
        7,
        9,
    )
    .0;
    assert_eq!(m.regs.x[3], 1);
    let m = mem(&[0xc87f_1020 /* ldxp x0, x4, [x1] */, 0xc825_0c22 /* stxp w5, x2, x3, [x1] */], 7, 9).0;
    assert_eq!((m.regs.x[4], m.regs.x[5], m.mem[&A], m.mem[&(A + 8)]), (0x9f9e_9d9c_9b9a_9998, 0, 7, 9));
    let m = mem(&[0x887f_9020 /* ldaxp w0, w4, [x1] */, 0x8825_8c22 /* stlxp w5, w2, w3, [x1] */], 7, 9).0;
    assert_eq!((m.regs.x[0], m.regs.x[4], m.mem[&(A + 4)]), (0x9392_9190, 0x9796_9594, 9));
}

#[test]
fn orders() {
    let order = |word| acc(word).order;
    assert_eq!(order(0xf940_0020 /* ldr x0, [x1] */), Order::Plain);
    assert_eq!(order(0xc8df_fc20 /* ldar x0, [x1] */), Order::Acquire);
    assert_eq!(order(0xc8df_7c20 /* ldlar x0, [x1] */), Order::Acquire);
    assert_eq!(order(0xf8bf_c020 /* ldapr x0, [x1] */), Order::AcquirePc);
    assert_eq!(order(0x1980_1020 /* ldapursb x0, [x1, #1] */), Order::AcquirePc);
    assert_eq!(order(0x5900_2020 /* stlurh w0, [x1, #2] */), Order::Release);
    assert_eq!(order(0x089f_7c20 /* stllrb w0, [x1] */), Order::Release);
    assert_eq!(order(0x085f_fc20 /* ldaxrb w0, [x1] */), Order::Acquire);
    assert_eq!(order(0x4802_fc20 /* stlxrh w2, w0, [x1] */), Order::Release);
    assert_eq!(order(0xf8e0_0022 /* ldaddal x0, x2, [x1] */), Order::AcqRel);
    assert_eq!(order(0xf8e0_003f /* ldaddal x0, xzr, [x1] */), Order::Release);
    assert_eq!(order(0xf8a0_8022 /* swpa x0, x2, [x1] */), Order::Acquire);
    assert_eq!(order(0xc8a0_fc22 /* casl x0, x2, [x1] */), Order::Release);
    assert_eq!(order(0x4860_fc82 /* caspal x0, x1, x2, x3, [x4] */), Order::AcqRel);
    assert!(acc(0xf800_0820 /* sttr x0, [x1] */).unpriv);
    assert!(acc(0xf940_07e0 /* ldr x0, [sp, #8] */).sp_base);
    assert!(!acc(0x5800_0040 /* ldr x0, .+8 */).sp_base);
}

#[test]
fn atomics() {
    let rmw = |word, x2| {
        let m = mem(&[word], x2, 0).0;
        (m.regs.x[0], bytes(&m, A, 2))
    };
    assert_eq!(rmw(0xf822_0020 /* ldadd x2, x0, [x1] */, 1), (0x9796_9594_9392_9190, vec![0x91, 0x91]));
    assert_eq!(rmw(0x3822_0020 /* ldaddb w2, w0, [x1] */, 0x170), (0x90, vec![0, 0x91]));
    assert_eq!(rmw(0x7822_1020 /* ldclrh w2, w0, [x1] */, 0xffff_fff0), (0x9190, vec![0, 0]));
    assert_eq!(rmw(0xb822_3020 /* ldset w2, w0, [x1] */, 0x0f), (0x9392_9190, vec![0x9f, 0x91]));
    assert_eq!(rmw(0xb8e2_2020 /* ldeoral w2, w0, [x1] */, 0x90), (0x9392_9190, vec![0, 0x91]));
    assert_eq!(rmw(0x3822_4020 /* ldsmaxb w2, w0, [x1] */, 1), (0x90, vec![1, 0x91]));
    assert_eq!(rmw(0x3822_5020 /* ldsminb w2, w0, [x1] */, 1), (0x90, vec![0x90, 0x91]));
    assert_eq!(rmw(0x3822_6020 /* ldumaxb w2, w0, [x1] */, 1), (0x90, vec![0x90, 0x91]));
    assert_eq!(rmw(0x3822_7020 /* lduminb w2, w0, [x1] */, 1), (0x90, vec![1, 0x91]));
    assert_eq!(rmw(0x7822_8020 /* swph w2, w0, [x1] */, 0x1_0203), (0x9190, vec![3, 2]));
    assert_eq!(rmw(0xf822_003f /* stadd x2, [x1] */, 1), (u64::MAX, vec![0x91, 0x91]));
}

#[test]
fn compare_and_swap() {
    let m = mem(&[0x08a2_7c23 /* casb w2, w3, [x1] */], 0xff90, 0x55).0;
    assert_eq!((m.regs.x[2], m.mem[&A]), (0x90, 0x55));
    let m = mem(&[0x88e2_fc23 /* casal w2, w3, [x1] */], 1, 0x55).0;
    assert_eq!((m.regs.x[2], m.mem[&A]), (0x9392_9190, 0x90));
    let pair = |word, x2: u64, x3: u64| {
        let (m, _) = run(&[word], |m| {
            m.put(A, &[0x11; 16]);
            m.regs.x[..6].copy_from_slice(&[0, A, x2, x3, 0x22, 0x33]);
        });
        (m.regs.x[2], m.regs.x[3], m.mem[&A], m.mem[&(A + 4)], m.mem[&(A + 8)])
    };
    let (w, x) = (0x1111_1111, 0x1111_1111_1111_1111);
    assert_eq!(pair(0x0822_7c24 /* casp w2, w3, w4, w5, [x1] */, w, w), (w, w, 0x22, 0x33, 0x11));
    assert_eq!(pair(0x4822_7c24 /* casp x2, x3, x4, x5, [x1] */, x, x), (x, x, 0x22, 0, 0x33));
    assert_eq!(pair(0x4822_7c24 /* casp x2, x3, x4, x5, [x1] */, x, 0), (x, x, 0x11, 0x11, 0x11));
    // Odd registers.
    let odd = lower(&[0x4822_7c24 /* casp x2, x3, x4, x5, [x1] */ | 1]);
    assert_eq!(odd.term, crate::ir::Term::Exception(crate::ir::ExcOp::Undefined));
}
