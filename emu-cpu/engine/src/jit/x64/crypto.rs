//! Steps of AES, SHA-1 and SHA-256 by the host's instructions for them.

use dynasmrt::DynasmApi;
use emu_a64::simd::CryptoOp;

use super::sse::{self, Insn, PSHUFD, PXOR, Shift, Src};
use super::{Emitter, RAX, asm, constant};

const SHA1RNDS4: Insn = sse::plain(3, 0xcc);
const SHA256RNDS2: Insn = sse::plain(2, 0xcb);
const SHA256MSG1: Insn = sse::plain(2, 0xcc);
const SHA256MSG2: Insn = sse::plain(2, 0xcd);
/// The opposite order of words.
const REVERSED: u8 = 0x1b;
/// Words in the opposite order in each doubleword.
const SWAPPED: u8 = 0xb1;
const BYTES_LEFT: Shift = Shift::BYTES_LEFT;

impl Emitter<'_> {
    /// As `simd`.
    pub(super) fn crypto(&mut self, op: CryptoOp, s: [u8; 4]) -> bool {
        use CryptoOp as C;
        let [d, a, b, c] = s;
        match op {
            C::AesE | C::AesD | C::AesMc | C::AesImc if self.host.aes => self.aes(op, [d, a, b]),
            C::Sha1C if self.host.sha => self.sha1_rounds(0, Src::Mem(constant!(sha1_choose)), s),
            C::Sha1P if self.host.sha => self.sha1_rounds(1, Src::Mem(constant!(sha1_parity)), s),
            C::Sha1M if self.host.sha => self.sha1_rounds(2, Src::Mem(constant!(sha1_majority)), s),
            C::Sha1H => {
                self.low_word(a);
                asm!(self; rol eax, 30);
                self.vstore_general(d, RAX, 4);
            }
            C::Sha1Su0 => {
                let x = self.vread(a, 0);
                let y = self.vread(b, 1);
                let z = self.vsrc(c);
                self.op3i(sse::PALIGNR, 2, y, Src::Reg(x), 8);
                self.op3(PXOR, 2, 2, Src::Reg(x));
                self.op3(PXOR, 0, 2, z);
                self.vstore(d, 0);
            }
            C::Sha256H if self.host.sha => self.sha256_rounds(true, d, [a, b, c]),
            C::Sha256H2 if self.host.sha => self.sha256_rounds(false, d, [b, a, c]),
            C::Sha256Su0 if self.host.sha => {
                self.vload(0, a);
                let y = self.vsrc(b);
                self.legacy(SHA256MSG1, 0, y);
                self.vstore(d, 0);
            }
            C::Sha256Su1 if self.host.sha => {
                let x = self.vread(b, 0);
                let y = self.vread(c, 1);
                let z = self.vsrc(a);
                self.op3i(sse::PALIGNR, 2, y, Src::Reg(x), 4);
                self.op3(sse::PADDD, 2, 2, z);
                self.legacy(SHA256MSG2, 2, Src::Reg(y));
                self.vstore(d, 2);
            }
            _ => return false,
        }
        true
    }

    fn aes(&mut self, op: CryptoOp, s: [u8; 3]) {
        let [d, a, b] = s;
        let x = self.vread(a, 0);
        let key = self.vsrc(b);
        let t = self.vresult(d, &[], 0);
        match op {
            CryptoOp::AesE | CryptoOp::AesD => {
                let last = if op == CryptoOp::AesE { sse::AESENCLAST } else { sse::AESDECLAST };
                self.op3(PXOR, 0, x, key);
                self.clear(1);
                self.op3(last, t, 0, Src::Reg(1));
            }
            CryptoOp::AesMc => {
                // What the one undoes, the other has done before it mixes.
                self.clear(1);
                self.op3(sse::AESDECLAST, 0, x, Src::Reg(1));
                self.op3(sse::AESENC, t, 0, Src::Reg(1));
            }
            _ => self.op2(sse::AESIMC, t, Src::Reg(x)),
        }
        self.vstore(d, t);
    }

    /// SHA1C, SHA1P, SHA1M. The host has the words in the opposite order, and adds the constant of the rounds, which Arm
    /// expects in the schedule.
    fn sha1_rounds(&mut self, function: u8, constant: Src, s: [u8; 4]) {
        let [d, a, b, c] = s;
        let (state, schedule) = (self.vsrc(a), self.vsrc(c));
        self.op2i(PSHUFD, 0, state, REVERSED);
        self.op2i(PSHUFD, 1, schedule, REVERSED);
        self.op3(sse::PSUBD, 1, 1, constant);
        // The fifth word of the state goes into the first round.
        self.vload_low(2, b, 4);
        self.shift(BYTES_LEFT, 2, 2, 12);
        self.op3(sse::PADDD, 1, 1, Src::Reg(2));
        self.legacy(SHA1RNDS4, 0, Src::Reg(1));
        self.ops.push(function);
        self.op2i(PSHUFD, 0, Src::Reg(0), REVERSED);
        self.vstore(d, 0);
    }

    /// SHA256H, SHA256H2: half of the state after four rounds. The host keeps a, b, e, f in one register and c, d, g, h in
    /// another, from the top, and does two rounds at a time with the schedule in xmm0.
    fn sha256_rounds(&mut self, first: bool, d: u8, s: [u8; 3]) {
        let [abcd, efgh, schedule] = s;
        let x = self.vread(efgh, 1);
        let y = self.vread(abcd, 2);
        self.op3(sse::PUNPCKLQDQ, 3, x, Src::Reg(y));
        self.op3(sse::PUNPCKHQDQ, 1, x, Src::Reg(y));
        self.op2i(PSHUFD, 3, Src::Reg(3), SWAPPED);
        self.op2i(PSHUFD, 1, Src::Reg(1), SWAPPED);
        self.vload(0, schedule);
        self.legacy(SHA256RNDS2, 1, Src::Reg(3));
        self.op2i(PSHUFD, 0, Src::Reg(0), 0xee);
        self.legacy(SHA256RNDS2, 3, Src::Reg(1));
        let halves = if first { sse::PUNPCKHQDQ } else { sse::PUNPCKLQDQ };
        self.op3(halves, 0, 3, Src::Reg(1));
        self.op2i(PSHUFD, 0, Src::Reg(0), SWAPPED);
        self.vstore(d, 0);
    }
}
