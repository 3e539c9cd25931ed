//! What all exact operations share: unpacking, rounding, NaN rules (Arm ARM, shared/functions/float).

use super::format::Format;
use super::{FpEnv, Rounding, fpcr, fpsr};

/// The kind of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Zero,
    Finite,
    Infinity,
    QNaN,
    SNaN,
}

/// A finite value: (-1)^sign * sig * 2^exp. The lowest bit of `sig` may stand for a nonzero rest ("sticky").
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) sign: bool,
    pub(super) exp: i32,
    pub(super) sig: u128,
}

/// A number taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Num {
    pub(super) class: Class,
    pub(super) sign: bool,
    /// Exponent of the significand's lowest bit.
    pub(super) exp: i32,
    /// Significand as an integer; 0 unless the number is finite and not zero.
    pub(super) sig: u64,
}

impl Num {
    pub(super) fn is_nan(self) -> bool {
        matches!(self.class, Class::QNaN | Class::SNaN)
    }
    pub(super) fn is_inf(self) -> bool {
        self.class == Class::Infinity
    }
    pub(super) fn is_zero(self) -> bool {
        self.class == Class::Zero
    }
    pub(super) fn parts(self) -> Parts {
        Parts { sign: self.sign, exp: self.exp, sig: u128::from(self.sig) }
    }
    /// The exact product of two finite numbers.
    pub(super) fn times(self, other: Self) -> Parts {
        Parts {
            sign: self.sign != other.sign,
            exp: self.exp + other.exp,
            sig: u128::from(self.sig) * u128::from(other.sig),
        }
    }
    /// Infinity times zero, either way round.
    pub(super) fn inf_times_zero(self, other: Self) -> bool {
        self.is_inf() && other.is_zero() || self.is_zero() && other.is_inf()
    }
}

/// How denormals and the all-ones exponent are read and written.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Denormals are flushed to zero.
    pub(super) flush: bool,
    /// Alternative half precision: the largest exponent is an ordinary one.
    pub(super) alt_half: bool,
}

/// FPUnpack: for arithmetic (half precision is never the alternative one).
#[inline]
pub(super) fn unpack<F: Format>(env: &mut FpEnv, v: u64) -> Num {
    let rules = Rules { flush: F::flushes(env), alt_half: false };
    unpack_with::<F>(env, v, rules)
}

/// FPUnpackBase.
#[inline]
pub(super) fn unpack_with<F: Format>(env: &mut FpEnv, v: u64, rules: Rules) -> Num {
    let sign = v & F::SIGN != 0;
    let exp_field = (v & F::INF) >> F::FRAC;
    let frac = v & ((1 << F::FRAC) - 1);
    let exp = (exp_field.max(1)) as i32 - F::BIAS - F::FRAC as i32;
    let (class, sig) = if exp_field == 0 {
        if frac == 0 {
            (Class::Zero, 0)
        } else if rules.flush {
            if F::FLUSH_RAISES {
                env.raise(fpsr::IDC);
            }
            (Class::Zero, 0)
        } else {
            (Class::Finite, frac)
        }
    } else if v & F::INF == F::INF && !rules.alt_half {
        match (frac == 0, frac & F::QUIET != 0) {
            (true, _) => (Class::Infinity, 0),
            (false, true) => (Class::QNaN, 0),
            (false, false) => (Class::SNaN, 0),
        }
    } else {
        (Class::Finite, frac | 1 << F::FRAC)
    };
    Num { class, sign, exp, sig }
}

/// `v` with the sign given.
#[inline]
pub(super) fn signed<F: Format>(sign: bool, v: u64) -> u64 {
    if sign { v | F::SIGN } else { v }
}

/// FPRound: for arithmetic.
#[inline]
pub(super) fn round<F: Format>(env: &mut FpEnv, p: Parts, mode: Rounding) -> u64 {
    let rules = Rules { flush: F::flushes(env), alt_half: false };
    round_with::<F>(env, p, mode, rules)
}

/// FPRoundBase. `p.sig` is not zero. Underflow is found before rounding.
#[inline(never)]
pub(super) fn round_with<F: Format>(env: &mut FpEnv, p: Parts, mode: Rounding, rules: Rules) -> u64 {
    let lz = p.sig.leading_zeros();
    let sig = p.sig << lz;
    // Now p = 1.xxx * 2^exponent with the leading one in bit 127 of sig.
    let exponent = p.exp + 127 - lz as i32;
    if rules.flush && exponent < F::EMIN {
        env.raise(fpsr::UFC);
        return signed::<F>(p.sign, 0);
    }
    let tiny = exponent < F::EMIN;
    let biased = if tiny { 0 } else { (exponent - F::EMIN) as u64 };
    let drop = (127 - F::FRAC).saturating_add(if tiny { F::EMIN.abs_diff(exponent) } else { 0 });
    let (mut mant, rest) = split(sig, drop);
    if tiny && rest != Rest::Exact {
        env.raise(fpsr::UFC);
    }
    let odd = mant & 1 != 0;
    let (up, to_inf) = match mode {
        Rounding::TieEven => (rest == Rest::Above || rest == Rest::Half && odd, true),
        Rounding::TieAway => (rest == Rest::Above || rest == Rest::Half, true),
        Rounding::PlusInf => (rest != Rest::Exact && !p.sign, !p.sign),
        Rounding::MinusInf => (rest != Rest::Exact && p.sign, p.sign),
        Rounding::Zero | Rounding::Odd => (false, false),
        Rounding::OddInf => (false, true),
    };
    if matches!(mode, Rounding::Odd | Rounding::OddInf) && rest != Rest::Exact {
        mant |= 1;
    }
    // The leading one of a normal significand adds itself to the exponent, as does a carry out of rounding.
    let magnitude = (biased << F::FRAC).saturating_add(mant + u64::from(up));
    if rules.alt_half {
        if magnitude >= F::SIGN {
            env.raise(fpsr::IOC);
            return signed::<F>(p.sign, F::SIGN - 1);
        }
    } else if magnitude >= F::INF {
        env.raise(fpsr::OFC | fpsr::IXC);
        return signed::<F>(p.sign, if to_inf { F::INF } else { F::MAX_NORMAL });
    }
    if rest != Rest::Exact {
        env.raise(fpsr::IXC);
    }
    signed::<F>(p.sign, magnitude)
}

/// What was cut off, in units of the last place kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    Exact,
    Below,
    Half,
    Above,
}

/// `sig >> drop` and what was dropped; the part kept must fit 64 bits.
pub(super) fn split(sig: u128, drop: u32) -> (u64, Rest) {
    if drop == 0 {
        return (sig as u64, Rest::Exact);
    }
    if drop > 128 {
        return (0, if sig == 0 { Rest::Exact } else { Rest::Below });
    }
    let kept = if drop == 128 { 0 } else { sig >> drop };
    let lost = sig << (128 - drop);
    let rest = match lost.cmp(&(1 << 127)) {
        _ if lost == 0 => Rest::Exact,
        std::cmp::Ordering::Less => Rest::Below,
        std::cmp::Ordering::Equal => Rest::Half,
        std::cmp::Ordering::Greater => Rest::Above,
    };
    (kept as u64, rest)
}

/// Shift right; what is lost sets the lowest bit.
fn shift_jam(sig: u128, n: u32) -> u128 {
    match n {
        0 => sig,
        1..=127 => sig >> n | u128::from(sig << (128 - n) != 0),
        _ => u128::from(sig != 0),
    }
}

/// The sum of two finite values, exact but for a sticky lowest bit; `sig` is 0 if it is zero.
///
/// Both leading ones are brought to bit 125. Operands have at most 106 bits, so bits are only lost if the exponents are
/// far apart; then there is no cancellation and the sticky bit is far below what rounding looks at.
pub(super) fn sum(p: Parts, q: Parts) -> Parts {
    if p.sig == 0 {
        return q;
    }
    if q.sig == 0 {
        return p;
    }
    let norm = |x: Parts| {
        let n = x.sig.leading_zeros() - 2;
        Parts { exp: x.exp - n as i32, sig: x.sig << n, ..x }
    };
    let (p, q) = (norm(p), norm(q));
    let (big, small) = if (p.exp, p.sig) >= (q.exp, q.sig) { (p, q) } else { (q, p) };
    let small_sig = shift_jam(small.sig, big.exp.abs_diff(small.exp));
    let sig = if big.sign == small.sign { big.sig + small_sig } else { big.sig - small_sig };
    Parts { sign: big.sign, exp: big.exp, sig }
}

/// FPProcessNaN.
pub(super) fn process_nan<F: Format>(env: &mut FpEnv, class: Class, v: u64) -> u64 {
    if class == Class::SNaN {
        env.raise(fpsr::IOC);
    }
    if env.is(fpcr::DN) { F::DEFAULT_NAN } else { v | F::QUIET }
}

/// FPProcessNaNs and FPProcessNaNs3: the first signalling NaN, else the first quiet one, quieted.
#[inline]
pub(super) fn process_nans<F: Format, const N: usize>(env: &mut FpEnv, ops: [(Num, u64); N]) -> Option<u64> {
    if ops.iter().all(|(n, _)| !n.is_nan()) {
        return None;
    }
    let first = |class| ops.iter().find(|(n, _)| n.class == class).map(|&(_, v)| (class, v));
    let (class, v) = first(Class::SNaN).or_else(|| first(Class::QNaN))?;
    Some(process_nan::<F>(env, class, v))
}

/// The default NaN, for an invalid operation.
pub(super) fn invalid<F: Format>(env: &mut FpEnv) -> u64 {
    env.raise(fpsr::IOC);
    F::DEFAULT_NAN
}

/// Rounds a sum that may be zero: an exact zero of unlike signs is negative only when rounding down.
pub(super) fn round_sum<F: Format>(env: &mut FpEnv, p: Parts, mode: Rounding) -> u64 {
    if p.sig == 0 { signed::<F>(mode == Rounding::MinusInf, 0) } else { round::<F>(env, p, mode) }
}
