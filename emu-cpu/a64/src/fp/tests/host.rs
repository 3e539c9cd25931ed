//! The exact functions against the host's FPU (values) and wider arithmetic (flags), and the fast paths against the
//! exact functions.

use emu_core::random::SplitMix64;

use crate::fp::format::{F32, F64, Format, IntSpec};
use crate::fp::{FpEnv, Rounding, fpcr, fpsr, host, soft_arith, soft_compare, soft_convert};

const ROUNDS: u64 = 60_000;

struct Rng(SplitMix64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
    fn next(&mut self) -> u64 {
        self.0.number()
    }
    /// Special and ordinary numbers; exponents mostly near each other, fractions often short.
    fn float<F: Format>(&mut self) -> u64 {
        let r = self.next();
        let top = (1 << F::EXP) - 1;
        let exp = match r & 15 {
            0 => 0,
            1 => 1,
            2 => top,
            3 => top - 1,
            4 => self.next() & top,
            _ => (F::BIAS as u64 + (r >> 8 & 31)) - 16,
        };
        let ones = (1 << F::FRAC) - 1;
        let frac = match r >> 4 & 7 {
            0 => 0,
            1 => 1,
            2 => ones,
            3 => self.next() & ones & ones << (F::FRAC - 5),
            4 => F::QUIET,
            _ => self.next() & ones,
        };
        ((r >> 63) * F::SIGN) | exp << F::FRAC | frac
    }
}

/// Equal values; a NaN is only compared as such (the host's choice among NaNs is another).
fn same<F: Format>(a: u64, b: u64) -> bool {
    let nan = |v: u64| v & !F::SIGN > F::INF;
    a == b || nan(a) && nan(b)
}

fn f(v: u64) -> f32 {
    f32::from_bits(v as u32)
}

fn d(v: u64) -> f64 {
    f64::from_bits(v)
}

#[test]
fn values_of_the_exact_functions() {
    let mut rng = Rng::new(1);
    let env = &mut FpEnv::default();
    for _ in 0..ROUNDS {
        let [a, b, c] = [(); 3].map(|()| rng.float::<F32>());
        let check = |got: u64, want: f32, what| {
            assert!(
                same::<F32>(got, want.to_bits().into()),
                "{what} {a:08x} {b:08x} {c:08x}: {got:08x} {want:e}"
            );
        };
        check(soft_arith::add::<F32>(env, a, b), f(a) + f(b), "add");
        check(soft_arith::sub::<F32>(env, a, b), f(a) - f(b), "sub");
        check(soft_arith::mul::<F32>(env, a, b), f(a) * f(b), "mul");
        check(soft_arith::div::<F32>(env, a, b), f(a) / f(b), "div");
        check(soft_arith::sqrt::<F32>(env, a), f(a).sqrt(), "sqrt");
        check(soft_arith::mul_add::<F32>(env, c, a, b), f(a).mul_add(f(b), f(c)), "mul_add");
        let near = u64::from((-(f(a) * f(b))).to_bits());
        check(soft_arith::mul_add::<F32>(env, near, a, b), f(a).mul_add(f(b), f(near)), "cancelling mul_add");
        let d64 = soft_convert::convert::<F32, F64>(env, a, Rounding::TieEven);
        assert!(same::<F64>(d64, f64::from(f(a)).to_bits()));
    }
    for _ in 0..ROUNDS {
        let [a, b, c] = [(); 3].map(|()| rng.float::<F64>());
        let check = |got: u64, want: f64, what| {
            assert!(
                same::<F64>(got, want.to_bits()),
                "{what} {a:016x} {b:016x} {c:016x}: {got:016x} {want:e}"
            );
        };
        check(soft_arith::add::<F64>(env, a, b), d(a) + d(b), "add");
        check(soft_arith::sub::<F64>(env, a, b), d(a) - d(b), "sub");
        check(soft_arith::mul::<F64>(env, a, b), d(a) * d(b), "mul");
        check(soft_arith::div::<F64>(env, a, b), d(a) / d(b), "div");
        check(soft_arith::sqrt::<F64>(env, a), d(a).sqrt(), "sqrt");
        check(soft_arith::mul_add::<F64>(env, c, a, b), d(a).mul_add(d(b), d(c)), "mul_add");
        let near = (-(d(a) * d(b))).to_bits();
        check(soft_arith::mul_add::<F64>(env, near, a, b), d(a).mul_add(d(b), d(near)), "cancelling mul_add");
        let single = soft_convert::convert::<F64, F32>(env, a, Rounding::TieEven);
        assert!(same::<F32>(single, (d(a) as f32).to_bits().into()));
        let spec = |bits, signed| IntSpec { bits, signed, fbits: 0 };
        assert_eq!(soft_convert::to_int::<F64>(env, a, spec(64, true), Rounding::Zero), d(a) as i64 as u64);
        assert_eq!(soft_convert::to_int::<F64>(env, a, spec(64, false), Rounding::Zero), d(a) as u64);
        assert_eq!(
            soft_convert::to_int::<F64>(env, a, spec(32, true), Rounding::Zero),
            u64::from(d(a) as i32 as u32)
        );
        check(soft_convert::from_int::<F64>(env, a, spec(64, true)), a as i64 as f64, "scvtf");
        check(soft_convert::from_int::<F64>(env, a, spec(64, false)), a as f64, "ucvtf");
    }
}

#[test]
fn inexact_by_wider_arithmetic() {
    let mut rng = Rng::new(2);
    for _ in 0..ROUNDS {
        let (a, b) = (rng.float::<F32>(), rng.float::<F32>());
        let (x, y) = (f64::from(f(a)), f64::from(f(b)));
        let mut env = FpEnv::default();
        let r = f(soft_arith::mul::<F32>(&mut env, a, b));
        if r.is_finite() {
            // A product of singles is exact in double precision.
            assert_eq!(env.fpsr & fpsr::IXC != 0, f64::from(r) != x * y, "{a:08x} * {b:08x}");
            // Tiny before rounding and inexact.
            let tiny = (x * y).abs() < f64::from(f32::MIN_POSITIVE);
            assert_eq!(env.fpsr & fpsr::UFC != 0, tiny && f64::from(r) != x * y, "{a:08x} * {b:08x}");
        }
    }
}

/// All of these must do the same on the way that a format prefers and on the exact one.
#[test]
fn fast_paths() {
    fast_paths_of::<F32>(3);
    fast_paths_of::<F64>(4);
    let mut rng = Rng::new(5);
    for _ in 0..ROUNDS {
        let (a, b) = (rng.float::<F32>(), rng.float::<F64>());
        let env = environment(rng.next());
        let (mut e1, mut e2) = (env, env);
        let mode = env.rounding();
        let wide = (host::single_to_double(&mut e1, a), soft_convert::convert::<F32, F64>(&mut e2, a, mode));
        assert_eq!((wide.0, e1), (wide.1, e2));
        let narrow =
            (host::double_to_single(&mut e1, b), soft_convert::convert::<F64, F32>(&mut e2, b, mode));
        assert_eq!((narrow.0, e1), (narrow.1, e2), "{b:016x}");
    }
}

/// Mostly the default mode, with and without IXC.
fn environment(r: u64) -> FpEnv {
    let bits = if r & 3 == 0 { (r >> 8) as u32 & (fpcr::RMODE | fpcr::FZ | fpcr::DN) } else { 0 };
    FpEnv { fpcr: bits, fpsr: if r & 4 != 0 { fpsr::IXC } else { 0 } }
}

fn fast_paths_of<F: Format>(seed: u64) {
    let mut rng = Rng::new(seed);
    for _ in 0..ROUNDS {
        let [a, b, c] = [(); 3].map(|()| rng.float::<F>());
        let env = environment(rng.next());
        let check = |what: &str, fast: &dyn Fn(&mut FpEnv) -> u64, exact: &dyn Fn(&mut FpEnv) -> u64| {
            let (mut e1, mut e2) = (env, env);
            let (r1, r2) = (fast(&mut e1), exact(&mut e2));
            assert_eq!((r1, e1), (r2, e2), "{what} {a:x} {b:x} {c:x}");
        };
        check("add", &|e| F::add(e, a, b), &|e| soft_arith::add::<F>(e, a, b));
        check("sub", &|e| F::sub(e, a, b), &|e| soft_arith::sub::<F>(e, a, b));
        check("mul", &|e| F::mul(e, a, b), &|e| soft_arith::mul::<F>(e, a, b));
        check("div", &|e| F::div(e, a, b), &|e| soft_arith::div::<F>(e, a, b));
        check("sqrt", &|e| F::sqrt(e, a), &|e| soft_arith::sqrt::<F>(e, a));
        check("mul_add", &|e| F::mul_add(e, c, a, b), &|e| soft_arith::mul_add::<F>(e, c, a, b));
        check("compare", &|e| host::compare::<F>(e, a, b, true).into(), &|e| {
            soft_compare::compare::<F>(e, a, b, true).into()
        });
        check("eq", &|e| host::eq::<F>(e, a, b), &|e| soft_compare::eq::<F>(e, a, b));
        check("ge", &|e| host::ge::<F>(e, a, b), &|e| soft_compare::ge::<F>(e, a, b));
        check("gt", &|e| host::gt::<F>(e, a, b), &|e| soft_compare::gt::<F>(e, a, b));
        for x in [false, true] {
            check("max", &|e| host::max_min::<F>(e, a, b, x), &|e| soft_compare::max_min::<F>(e, a, b, x));
            check("maxnm", &|e| host::max_min_num::<F>(e, a, b, x), &|e| {
                soft_compare::max_min_num::<F>(e, a, b, x)
            });
            for imm in 0..5 {
                let mode = Rounding::from_imm(imm, &env);
                check("round_int", &|e| F::round_int(e, a, mode, x), &|e| {
                    soft_convert::round_int::<F>(e, a, mode, x)
                });
            }
        }
        // Exact quotients and roots are kept without IXC.
        let exact = F::mul(&mut FpEnv::default(), a, b);
        check("div back", &|e| F::div(e, exact, b), &|e| soft_arith::div::<F>(e, exact, b));
        let square = F::mul(&mut FpEnv::default(), a, a);
        check("sqrt back", &|e| F::sqrt(e, square), &|e| soft_arith::sqrt::<F>(e, square));
        for (bits, signed) in [(32, true), (32, false), (64, true), (64, false)] {
            let spec = IntSpec { bits, signed, fbits: 0 };
            check("to_int", &|e| F::to_int(e, a, spec, Rounding::Zero), &|e| {
                soft_convert::to_int::<F>(e, a, spec, Rounding::Zero)
            });
            for int in [c, c >> (b & 63), ((c as i64) >> (b & 63)) as u64] {
                let int = int & u64::MAX >> (64 - bits);
                check("from_int", &|e| F::from_int(e, int, spec), &|e| {
                    soft_convert::from_int::<F>(e, int, spec)
                });
            }
        }
    }
}
