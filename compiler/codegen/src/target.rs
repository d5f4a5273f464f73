//! The machine that code is generated for, and Cranelift's view of it.

use crate::error::CodegenError;
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use target_lexicon::{Architecture, BinaryFormat, Triple};

/// A triple and the CPU features that code may rely on.
#[derive(Clone, Debug)]
pub struct Target {
    /// The triple; for Apple systems with the deployment version in it (`aarch64-apple-ios14.0`).
    pub triple: Triple,
    /// Features beyond the architecture's baseline, by the names that rustc uses (`avx2`, `fma`, `sse4.1`,
    /// `dotprod`). Those that scalar code cannot use are ignored.
    pub features: Vec<String>,
}

impl Target {
    /// A triple's baseline.
    pub fn baseline(triple: Triple) -> Target {
        Target { triple, features: Vec::new() }
    }

    /// This process's triple, baseline features.
    pub fn host() -> Target {
        Target::baseline(Triple::host())
    }

    /// Whether addresses of local data cannot be formed PC-relative: COFF for aarch64, whose page
    /// relocations the object writer does not have.
    pub(crate) fn needs_absolute_addresses(&self) -> bool {
        matches!(self.triple.architecture, Architecture::Aarch64(_)) && self.triple.binary_format == BinaryFormat::Coff
    }

    /// Cranelift's back end for the target.
    pub(crate) fn isa(&self) -> Result<OwnedTargetIsa, CodegenError> {
        if !matches!(self.triple.architecture, Architecture::X86_64 | Architecture::Aarch64(_)) {
            return Err(CodegenError::Target(self.triple.to_string()));
        }
        let mut builder = isa::lookup(self.triple.clone()).map_err(|e| CodegenError::Target(format!("{}: {e}", self.triple)))?;
        for flag in self.features.iter().filter_map(|f| self.flag_of(f)) {
            builder.enable(flag).map_err(|e| CodegenError::Target(format!("{}: feature {flag}: {e}", self.triple)))?;
        }
        let flags = settings::Flags::new(self.shared_flags().map_err(|e| CodegenError::BackEnd(e.to_string()))?);
        builder.finish(flags).map_err(|e| CodegenError::Target(format!("{}: {e}", self.triple)))
    }

    fn shared_flags(&self) -> Result<settings::Builder, settings::SetError> {
        let mut flags = settings::builder();
        flags.set("opt_level", "speed")?;
        // With local symbols this gives PC-relative addresses everywhere; "pic" would go through the GOT on aarch64.
        flags.set("is_pic", "false")?;
        flags.set("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" })?;
        // A frame over a page must touch each page in order: Windows commits stacks so.
        flags.set("enable_probestack", "true")?;
        flags.set("probestack_strategy", "inline")?;
        if self.triple.binary_format == BinaryFormat::Macho {
            // No unwind tables are written there: a frame-pointer chain keeps crash reports readable.
            flags.set("preserve_frame_pointers", "true")?;
        }
        Ok(flags)
    }

    /// Cranelift's name for a feature, where it has one.
    fn flag_of(&self, feature: &str) -> Option<&'static str> {
        let is_x86 = self.triple.architecture == Architecture::X86_64;
        let flag = match feature {
            "sse3" => "has_sse3",
            "ssse3" => "has_ssse3",
            "sse4.1" => "has_sse41",
            "sse4.2" => "has_sse42",
            "avx" => "has_avx",
            "avx2" => "has_avx2",
            "fma" => "has_fma",
            "popcnt" => "has_popcnt",
            "bmi1" => "has_bmi1",
            "bmi2" => "has_bmi2",
            "lzcnt" => "has_lzcnt",
            "lse" if !is_x86 => return Some("has_lse"),
            _ => return None,
        };
        is_x86.then_some(flag)
    }
}

/// Whether the target rounds floats to integers in one instruction.
pub(crate) fn has_rounding(isa: &dyn TargetIsa) -> bool {
    match isa.triple().architecture {
        Architecture::X86_64 => isa.isa_flags().iter().any(|f| f.name == "has_sse41" && f.as_bool() == Some(true)),
        _ => true,
    }
}
