//! Targets as plain data: which vector ISA, which calling convention, which caches; and the one place that makes an
//! assembler for them.
//!
//! Nothing outside an ISA folder names an encoder: kernels see [`crate::isa::VectorIsa`], everyone else sees [`TargetDesc`].

pub mod aarch64;
pub mod x86_64;

use crate::isa::{EmitError, VectorIsa};

/// Vector instruction set that kernels are emitted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX2 and FMA (x86-64-v3): 8 lanes, 16 registers.
    Avx2,
    /// x86-64 with AVX-512 F, VL, BW, DQ (x86-64-v4): 16 lanes, 32 registers.
    Avx512,
    /// AArch64 Advanced SIMD (every armv8.0): 4 lanes, 32 registers.
    Neon,
}

impl Isa {
    /// Suffix in kernel names.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx2 => "x86_64_avx2",
            Isa::Avx512 => "x86_64_avx512",
            Isa::Neon => "aarch64_neon",
        }
    }

    /// f32 lanes of a vector.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Avx2 => 8,
            Isa::Avx512 => 16,
            Isa::Neon => 4,
        }
    }
}

/// How a kernel receives its arguments and which registers it preserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallConv {
    /// System V AMD64 (Linux, Android, Apple x86-64).
    SystemV,
    /// Microsoft x64: four register arguments, rdi, rsi and xmm6-15 preserved.
    Win64,
    /// AAPCS64: x18 untouched, d8-d15 preserved. Also right for Apple and Windows on Arm.
    Aapcs64,
}

/// Optional instruction-set extensions that integer and half-precision kernels may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// AArch64 `sdot`/`udot`.
    pub dotprod: bool,
    /// AArch64 `smmla`/`usdot`.
    pub i8mm: bool,
    /// AArch64 half-precision arithmetic.
    pub fp16: bool,
    /// x86 VNNI (`vpdpbusd`), AVX-512 or AVX form according to [`Isa`].
    pub vnni: bool,
}

/// Data cache sizes of one core, in bytes: what blocking is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caches {
    /// First level.
    pub l1: usize,
    /// Second level.
    pub l2: usize,
}

/// Everything kernels know about the machine they are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetDesc {
    /// Vector ISA.
    pub isa: Isa,
    /// Calling convention.
    pub call_conv: CallConv,
    /// Extensions.
    pub features: Features,
    /// Caches.
    pub caches: Caches,
    /// Whether arithmetic is strict ([`crate::isa::Arithmetic::strict`]).
    pub strict: bool,
    /// Units of work that a kernel should have, where its sizes allow it: several threads may share them.
    pub units: usize,
}

impl TargetDesc {
    /// A target with the caches usual for its ISA, System V or AAPCS64, and no extensions.
    pub fn new(isa: Isa) -> Self {
        let (call_conv, caches) = match isa {
            Isa::Avx2 => (CallConv::SystemV, Caches { l1: 32 << 10, l2: 512 << 10 }),
            Isa::Avx512 => (CallConv::SystemV, Caches { l1: 32 << 10, l2: 1 << 20 }),
            Isa::Neon => (CallConv::Aapcs64, Caches { l1: 32 << 10, l2: 256 << 10 }),
        };
        TargetDesc { isa, call_conv, features: Features::default(), caches, strict: false, units: 1 }
    }

    /// What the CPU must have for the kernels to run, by the names that rustc uses.
    pub fn required_features(&self) -> Vec<&'static str> {
        let (base, vnni): (&[&str], &str) = match self.isa {
            Isa::Avx2 => (&["avx2", "fma", "f16c"], "avxvnni"),
            Isa::Avx512 => (&["avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512bw", "avx512dq"], "avx512vnni"),
            Isa::Neon => (&[], ""),
        };
        let f = self.features;
        let more = [(f.vnni, vnni), (f.dotprod, "dotprod"), (f.i8mm, "i8mm")];
        base.iter().copied().chain(more.into_iter().filter(|(is_there, _)| *is_there).map(|(_, name)| name)).collect()
    }

    /// An assembler for one function on this target.
    ///
    /// # Errors
    /// Unsupported if the calling convention does not belong to the architecture.
    pub fn assembler(&self) -> Result<Box<dyn VectorIsa>, EmitError> {
        match (self.isa, self.call_conv) {
            (Isa::Avx2 | Isa::Avx512, CallConv::SystemV | CallConv::Win64) => Ok(Box::new(x86_64::X64::new(self))),
            (Isa::Neon, CallConv::Aapcs64) => aarch64::assembler(self),
            _ => Err(EmitError::Unsupported(format!("{} with {:?}", self.isa.name(), self.call_conv))),
        }
    }
}
