//! The normal distribution and the error functions around it.

use core::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::math::{polynomial, unary_rounded};

/// Quantile of the standard normal distribution: `q` is the probability minus a half, `tail` the smaller of the
/// probability and its complement. Rational approximations in three ranges (Wichura, algorithm AS 241), accurate to
/// about 1e-16.
#[expect(clippy::excessive_precision, reason = "the coefficients as published")]
fn quantile(q: f64, tail: f64) -> f64 {
    const A: [f64; 8] = [
        2.509_080_928_730_122_672_7e3,
        3.343_057_558_358_812_810_5e4,
        6.726_577_092_700_870_085_3e4,
        4.592_195_393_154_987_145_7e4,
        1.373_169_376_550_946_112_5e4,
        1.971_590_950_306_551_442_7e3,
        1.331_416_678_917_843_774_5e2,
        3.387_132_872_796_366_608,
    ];
    const B: [f64; 8] = [
        5.226_495_278_852_854_561e3,
        2.872_908_573_572_194_267_4e4,
        3.930_789_580_009_271_061e4,
        2.121_379_430_158_659_586_7e4,
        5.394_196_021_424_751_107_7e3,
        6.871_870_074_920_579_083e2,
        4.231_333_070_160_091_125_2e1,
        1.0,
    ];
    const C: [f64; 8] = [
        7.745_450_142_783_414_076_4e-4,
        2.272_384_498_926_918_458_33e-2,
        2.417_807_251_774_506_117_7e-1,
        1.270_458_252_452_368_382_58,
        3.647_848_324_763_204_605_04,
        5.769_497_221_460_691_405_5,
        4.630_337_846_156_545_295_9,
        1.423_437_110_749_683_577_34,
    ];
    const D: [f64; 8] = [
        1.050_750_071_644_416_843_24e-9,
        5.475_938_084_995_344_946e-4,
        1.519_866_656_361_645_719_66e-2,
        1.481_039_764_274_800_745_9e-1,
        6.897_673_349_851_000_045_5e-1,
        1.676_384_830_183_803_849_4,
        2.053_191_626_637_758_821_87,
        1.0,
    ];
    const E: [f64; 8] = [
        2.010_334_399_292_288_132_65e-7,
        2.711_555_568_743_487_578_15e-5,
        1.242_660_947_388_078_438_6e-3,
        2.653_218_952_657_612_309_3e-2,
        2.965_605_718_285_048_912_3e-1,
        1.784_826_539_917_291_335_8,
        5.463_784_911_164_114_369_9,
        6.657_904_643_501_103_777_2,
    ];
    const F: [f64; 8] = [
        2.044_263_103_389_939_785_64e-15,
        1.421_511_758_316_445_888_7e-7,
        1.846_318_317_510_054_681_8e-5,
        7.868_691_311_456_132_591e-4,
        1.487_536_129_085_061_485_25e-2,
        1.369_298_809_227_358_053_1e-1,
        5.998_322_065_558_879_376_9e-1,
        1.0,
    ];
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(r, &A) / polynomial(r, &B);
    }
    let r = libm::sqrt(-libm::log(tail));
    let magnitude = if r <= 5.0 {
        polynomial(r - 1.6, &C) / polynomial(r - 1.6, &D)
    } else {
        polynomial(r - 5.0, &E) / polynomial(r - 5.0, &F)
    };
    libm::copysign(magnitude, q)
}

/// Inverse of erf: NaN outside [-1, 1].
pub(crate) fn erfinv(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 1.0 {
        return f64::NAN;
    }
    if x.abs() == 1.0 {
        return libm::copysign(f64::INFINITY, x);
    }
    quantile(x / 2.0, (1.0 - x.abs()) / 2.0) * FRAC_1_SQRT_2
}

/// `exp(x^2) erfc(x)`
pub(crate) fn erfcx(x: f64) -> f64 {
    if x < 25.0 {
        return libm::exp(x * x) * libm::erfc(x);
    }
    let z = 1.0 / (x * x);
    (1.0 - z / 2.0 * (1.0 - 1.5 * z * (1.0 - 2.5 * z))) / (x * libm::sqrt(PI))
}

/// Distribution function of the standard normal distribution.
fn ndtr(x: f64) -> f64 {
    libm::erfc(-x * FRAC_1_SQRT_2) / 2.0
}

/// Its inverse: NaN outside [0, 1].
fn ndtri(p: f64) -> f64 {
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    quantile(p - 0.5, p.min(1.0 - p))
}

/// Logarithm of the distribution function.
fn log_ndtr(x: f64) -> f64 {
    let t = x * FRAC_1_SQRT_2;
    if x < -1.0 { libm::log(erfcx(-t) / 2.0) - t * t } else { libm::log1p(-libm::erfc(t) / 2.0) }
}

unary_rounded! {
    "Inverse of erf." erfinv_f64 erfinv_f32 = erfinv;
    "exp(x^2) erfc(x)." erfcx_f64 erfcx_f32 = erfcx;
    "Distribution function of the standard normal distribution." ndtr_f64 ndtr_f32 = ndtr;
    "Its inverse." ndtri_f64 ndtri_f32 = ndtri;
    "Logarithm of the distribution function of the standard normal distribution." log_ndtr_f64 log_ndtr_f32 = log_ndtr;
}
