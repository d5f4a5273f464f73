//! Scalar math in pairs `<name>_f64` and `<name>_f32`, defined for every argument as PyTorch's operators define it.
//!
//! Elementary functions are those of `libm`, within 1 ulp or so. Special functions are computed in double precision by
//! series, continued fractions, asymptotic expansions or quadrature, to a relative error of about 1e-12 away from zeros;
//! their float32 forms round that. Where a convergence loop depends on an argument it has a fixed bound.

pub(crate) mod airy;
pub(crate) mod bessel;
mod bessel_jy;
pub(crate) mod elementary;
pub(crate) mod gamma;
pub(crate) mod integer;
pub(crate) mod normal;
pub(crate) mod polynomial;
pub(crate) mod remainder;

/// Functions of one argument with an implementation for each width.
macro_rules! unary {
    ($($doc:literal $wide:ident $narrow:ident = $f64:expr, $f32:expr;)*) => {
        $crate::export::number_exports! {$(
            #[doc = $doc]
            fn $wide(x: f64) -> f64 { $f64(x) }
            #[doc = $doc]
            fn $narrow(x: f32) -> f32 { $f32(x) }
        )*}
    };
}
pub(crate) use unary;

/// Functions of one argument whose float32 form rounds the float64 one.
macro_rules! unary_rounded {
    ($($doc:literal $wide:ident $narrow:ident = $f64:expr;)*) => {
        $crate::math::unary! {$($doc $wide $narrow = $f64, |x: f32| $f64(f64::from(x)) as f32;)*}
    };
}
pub(crate) use unary_rounded;

/// Functions of two arguments with an implementation for each width.
macro_rules! binary {
    ($($doc:literal $wide:ident $narrow:ident = $f64:expr, $f32:expr;)*) => {
        $crate::export::number_exports! {$(
            #[doc = $doc]
            fn $wide(x: f64, y: f64) -> f64 { $f64(x, y) }
            #[doc = $doc]
            fn $narrow(x: f32, y: f32) -> f32 { $f32(x, y) }
        )*}
    };
}
pub(crate) use binary;

/// Functions of two arguments whose float32 form rounds the float64 one.
macro_rules! binary_rounded {
    ($($doc:literal $wide:ident $narrow:ident = $f64:expr;)*) => {
        $crate::math::binary! {$($doc $wide $narrow = $f64, |x: f32, y: f32| $f64(f64::from(x), f64::from(y)) as f32;)*}
    };
}
pub(crate) use binary_rounded;

/// The polynomial with these coefficients, highest power first.
pub(crate) fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

/// Whether a whole number is odd. (The remainder operator of floats would call the platform's `fmod`.)
pub(crate) fn is_odd(n: f64) -> bool {
    let half = n / 2.0;
    half != libm::floor(half)
}

#[cfg(test)]
mod recorded {
    //! Values recorded from PyTorch 2.15 in float64 by `fixtures/record_math.py`: lines `name arguments = result`.

    use crate::export::Kind;

    const RECORDED: &str = include_str!("../../fixtures/math.txt");
    type F1 = extern "C" fn(f64) -> f64;
    type F2 = extern "C" fn(f64, f64) -> f64;
    type G1 = extern "C" fn(f32) -> f32;
    type G2 = extern "C" fn(f32, f32) -> f32;

    fn call(name: &str, args: &[f64]) -> f64 {
        let symbol = crate::symbol(&format!("kiln_rt1_{name}_f64")).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(symbol.params, vec![Kind::F64; args.len()], "{name}");
        // SAFETY: the signature was just compared.
        unsafe {
            match args {
                [x] => core::mem::transmute::<*const (), F1>(symbol.address)(*x),
                [x, y] => core::mem::transmute::<*const (), F2>(symbol.address)(*x, *y),
                _ => panic!("{name} has {} arguments", args.len()),
            }
        }
    }

    fn call_f32(name: &str, args: &[f64]) -> f32 {
        let symbol = crate::symbol(&format!("kiln_rt1_{name}_f32")).unwrap_or_else(|| panic!("no {name}"));
        // SAFETY: the table gives the pair the same number of float32 arguments.
        unsafe {
            match args {
                [x] => core::mem::transmute::<*const (), G1>(symbol.address)(*x as f32),
                [x, y] => core::mem::transmute::<*const (), G2>(symbol.address)(*x as f32, *y as f32),
                _ => panic!("{name} has {} arguments", args.len()),
            }
        }
    }

    fn close(got: f64, expected: f64, tolerance: f64) -> bool {
        if expected.is_nan() || expected.is_infinite() {
            return got.is_nan() == expected.is_nan() && (expected.is_nan() || got == expected);
        }
        (got - expected).abs() <= tolerance * expected.abs().max(1e-4)
    }

    /// What PyTorch itself is off by: its Bessel functions up to 4e-7 from 5 on, its Airy function up to 3e-6 below 0
    /// (compared with tables; the values here are right to 1e-12).
    fn tolerance(name: &str) -> f64 {
        match name {
            "j0" | "j1" | "y0" | "y1" => 5e-7,
            "airy_ai" => 3e-6,
            _ => 1e-9,
        }
    }

    #[test]
    fn math_agrees_with_pytorch() {
        let (mut cases, mut wrong) = (0, Vec::new());
        for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
            let (head, expected) = line.split_once(" = ").unwrap();
            let mut words = head.split(' ');
            let name = words.next().unwrap();
            let args: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
            let expected: f64 = expected.parse().unwrap();
            cases += 1;
            let got = call(name, &args);
            if !close(got, expected, tolerance(name)) {
                wrong.push(format!("{line}, got {got}"));
            }
            let exact = args.iter().all(|&x| f64::from(x as f32) == x) && expected.abs() < 1e30;
            let narrow = f64::from(call_f32(name, &args));
            if exact
                && expected.abs() > 1e-30
                && !name.starts_with("hermite")
                && !close(narrow, expected, tolerance(name).max(2e-6))
            {
                wrong.push(format!("{line}, got {narrow} in float32"));
            }
        }
        assert!(wrong.is_empty(), "{} of {cases} differ:\n{}", wrong.len(), wrong.join("\n"));
        assert!(cases > 1500, "only {cases} cases");
    }
}
