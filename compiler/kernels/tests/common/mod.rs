//! Runs emitted kernels on this machine: executable memory, calls, guarded buffers, comparison.
#![allow(dead_code, reason = "each test crate uses a part")]

use kiln_kernels::kernels::conv::{ConvDesc, Window};
use kiln_kernels::kernels::epilogue::Epilogue;
use kiln_kernels::kernels::numbers::Numbers;
use kiln_kernels::kernels::{Arg, Kernel, KernelDesc, emit};
use kiln_kernels::target::{Features, Isa, TargetDesc};
use memmap2::{Mmap, MmapMut};

#[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
#[path = "../aarch64/mod.rs"]
pub mod aarch64;

/// The targets whose code this machine can run, by itself or by emulation.
pub fn runnable() -> Vec<TargetDesc> {
    let mut targets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            targets.push(TargetDesc::new(Isa::Avx2));
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            targets.push(TargetDesc::new(Isa::Avx512));
        }
    }
    #[cfg(target_arch = "aarch64")]
    targets.push(TargetDesc::new(Isa::Neon));
    #[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
    if aarch64::Emulator::get().is_some() {
        targets.push(TargetDesc::new(Isa::Neon));
    }
    targets
}

/// As [`runnable`], with every way in which products of bytes are computed.
pub fn runnable_with_extensions() -> Vec<TargetDesc> {
    let with = |target: &TargetDesc, features: Features| TargetDesc { features, ..*target };
    let extended = |target: &TargetDesc| match target.isa {
        Isa::Neon => vec![
            with(target, Features { dotprod: true, ..Features::default() }),
            with(target, Features { dotprod: true, i8mm: true, ..Features::default() }),
        ],
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if is_x86_feature_detected!("avx512vnni") => {
            vec![with(target, Features { vnni: true, ..Features::default() })]
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if is_x86_feature_detected!("avxvnni") => vec![with(target, Features { vnni: true, ..Features::default() })],
        _ => Vec::new(),
    };
    let targets = runnable();
    targets.iter().flat_map(|t| [vec![*t], extended(t)].concat()).collect()
}

/// Code that can be called.
pub enum Code {
    /// Mapped executable on this machine.
    Native(Mmap),
    /// Called in the emulator.
    #[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
    Emulated(&'static str, Vec<u8>),
}

impl Code {
    pub fn new(bytes: &[u8], target: &TargetDesc) -> Code {
        #[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
        if target.isa == Isa::Neon {
            let is_new = target.features.dotprod || target.features.i8mm;
            return Code::Emulated(if is_new { aarch64::NEWEST } else { aarch64::BASELINE }, bytes.to_vec());
        }
        let mut map = MmapMut::map_anon(bytes.len()).expect("memory");
        map[..bytes.len()].copy_from_slice(bytes);
        Code::Native(map.make_exec().expect("executable memory"))
    }

    /// Calls the code with eight integer arguments; those a kernel does not have are ignored by it. Emulated code can
    /// reach the heap only, neither the stack nor constants.
    pub fn call(&self, a: &[u64]) {
        let mut all = [0u64; 8];
        all[..a.len()].copy_from_slice(a);
        let map = match self {
            Code::Native(map) => map,
            #[cfg(all(target_os = "linux", not(target_arch = "aarch64")))]
            Code::Emulated(cpu, bytes) => {
                return aarch64::Emulator::get().expect("checked when the target was listed").call(cpu, bytes, &all);
            }
        };
        let [a, b, c, d, e, f, g, h] = all;
        // SAFETY: the bytes are a function of the platform's C convention that takes up to eight integers.
        unsafe {
            let f2: extern "C" fn(u64, u64, u64, u64, u64, u64, u64, u64) = std::mem::transmute(map.as_ptr());
            f2(a, b, c, d, e, f, g, h);
        }
    }
}

/// A kernel ready to run.
pub struct Ready {
    pub kernel: Kernel,
    pub code: Code,
}

/// A convolution of whole channels, pixels without gaps.
pub fn dense(numbers: Numbers, batch: usize, window: Window, [in_c, out_c]: [usize; 2], epilogue: Epilogue) -> ConvDesc {
    ConvDesc {
        numbers,
        batch: Some(batch),
        window,
        in_c,
        in_pitch: in_c,
        out_c,
        out_pitch: out_c,
        groups: 1,
        panel: None,
        epilogue,
    }
}

pub fn ready(desc: &KernelDesc, target: &TargetDesc) -> Ready {
    let kernel = emit(desc, target).unwrap_or_else(|e| panic!("{desc:?}: {e}"));
    let code = Code::new(&kernel.code, target);
    Ready { kernel, code }
}

/// Values for the arguments of a kernel.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    pub input: u64,
    pub weights: u64,
    pub output: u64,
    pub outputs: &'a [u64],
    pub inputs: &'a [u64],
    pub begin: u64,
    pub end: u64,
    pub scratch: u64,
    pub rows: u64,
    pub cols: u64,
    pub depth: u64,
    pub turn: u64,
}

impl Ready {
    pub fn call(&self, c: &Call) {
        // Copies on the heap, which emulated code can reach.
        let (outputs, inputs) = (c.outputs.to_vec(), c.inputs.to_vec());
        let turn = Box::new(c.turn);
        let value = |arg: &Arg| match arg {
            Arg::Input => c.input,
            Arg::Weights => c.weights,
            Arg::Output => c.output,
            Arg::Outputs => outputs.as_ptr() as u64,
            Arg::Inputs => inputs.as_ptr() as u64,
            Arg::Begin => c.begin,
            Arg::End => c.end,
            Arg::Scratch => c.scratch,
            Arg::Rows => c.rows,
            Arg::Cols => c.cols,
            Arg::Depth => c.depth,
            Arg::Turn => &raw const *turn as u64,
        };
        let values: Vec<u64> = self.kernel.args.iter().map(value).collect();
        self.code.call(&values);
    }
}

/// Pattern of guard elements: a NaN no computation makes.
pub const POISON: u32 = 0x7fde_adbe;
const GUARD: usize = 64;

/// A buffer with guard bands, which also fill gaps between rows.
pub struct Guarded {
    data: Vec<f32>,
    len: usize,
}

impl Guarded {
    pub fn poison(len: usize) -> Guarded {
        Guarded { data: vec![f32::from_bits(POISON); len + 2 * GUARD], len }
    }

    pub fn from(values: &[f32]) -> Guarded {
        let mut g = Guarded::poison(values.len());
        g.slice_mut().copy_from_slice(values);
        g
    }

    pub fn slice(&self) -> &[f32] {
        &self.data[GUARD..GUARD + self.len]
    }

    pub fn slice_mut(&mut self) -> &mut [f32] {
        &mut self.data[GUARD..GUARD + self.len]
    }

    pub fn addr(&self) -> u64 {
        self.slice().as_ptr() as u64
    }

    /// Asserts that the guard bands are as they were.
    pub fn check_guards(&self, what: &str) {
        let (before, after) = (&self.data[..GUARD], &self.data[GUARD + self.len..]);
        assert!(before.iter().chain(after).all(|v| v.to_bits() == POISON), "{what}: wrote outside");
    }
}

/// xorshift; values in about -1..1 with exact short mantissas.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Asserts `|got - want| <= abs + rel |want|`, equal infinities, NaN for NaN.
pub fn assert_close(what: &str, got: &[f32], want: &[f32], abs: f32, rel: f32) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let same = g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= abs + rel * w.abs();
        assert!(same, "{what}: element {i} is {g:e}, want {w:e}");
    }
}
