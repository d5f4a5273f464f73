//! The targets: triples, the CPUs they are compiled for, and the features that each has.
//!
//! Everything is in two tables, [`TRIPLES`] and [`CPUS`]; `kiln targets` prints them. What code generation and vector
//! kernels need to know of a target follows from its features.

use kiln_kernels::target::{Caches, CallConv, Features, Isa, TargetDesc};
use kiln_schedule::kernels::choices::Choices;
use kiln_schedule::kernels::{Settings, UNITS};
use kiln_support::Diagnostic;
use std::str::FromStr;
use target_lexicon::{Architecture, BinaryFormat, OperatingSystem, Triple};

/// A supported triple.
#[derive(Clone, Copy, Debug)]
pub struct TripleEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// The triple of the object, where that carries a version.
    pub triple: &'static str,
    /// The object's format.
    pub format: &'static str,
    /// The CPU where `--cpu` names none.
    pub cpu: &'static str,
}

macro_rules! triples {
    ($($name:literal => $triple:literal, $format:literal, $cpu:literal;)*) => {
        /// Every supported triple.
        pub const TRIPLES: &[TripleEntry] = &[$(TripleEntry { name: $name, triple: $triple, format: $format, cpu: $cpu }),*];
    };
}

triples! {
    "x86_64-unknown-linux-gnu" => "x86_64-unknown-linux-gnu", "ELF", "x86-64-v3";
    "x86_64-unknown-linux-musl" => "x86_64-unknown-linux-musl", "ELF", "x86-64-v3";
    "aarch64-unknown-linux-gnu" => "aarch64-unknown-linux-gnu", "ELF", "generic";
    "aarch64-unknown-linux-musl" => "aarch64-unknown-linux-musl", "ELF", "generic";
    "aarch64-linux-android" => "aarch64-unknown-linux-android", "ELF", "generic";
    "x86_64-linux-android" => "x86_64-unknown-linux-android", "ELF", "x86-64-v3";
    "aarch64-apple-ios" => "aarch64-apple-ios14.0", "Mach-O", "apple-a12";
    "aarch64-apple-ios-sim" => "aarch64-apple-ios14.0-sim", "Mach-O", "apple-m1";
    "aarch64-apple-darwin" => "aarch64-apple-darwin", "Mach-O", "apple-m1";
    "x86_64-apple-darwin" => "x86_64-apple-darwin", "Mach-O", "x86-64-v3";
    "x86_64-pc-windows-msvc" => "x86_64-pc-windows-msvc", "COFF", "x86-64-v3";
    "aarch64-pc-windows-msvc" => "aarch64-pc-windows-msvc", "COFF", "generic";
}

/// A CPU by name.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// Its name on the command line.
    pub name: &'static str,
    /// Whether it is an x86-64; else it is an AArch64.
    pub is_x86: bool,
    /// Features beyond the architecture's baseline, by rustc's names.
    pub features: &'static [&'static str],
    /// First- and second-level data cache of a core in KiB.
    pub caches: (usize, usize),
}

const V2: &[&str] = &["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"];
const V3: &[&str] = &["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "fma", "bmi1", "bmi2", "lzcnt", "f16c"];
const V4: &[&str] = &[
    "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "fma", "bmi1", "bmi2", "lzcnt", "f16c", "avx512f", "avx512vl",
    "avx512bw", "avx512dq", "avx512cd",
];
const ARMV82: &[&str] = &["lse", "fp16", "dotprod"];
const ARMV86: &[&str] = &["lse", "fp16", "dotprod", "i8mm", "bf16"];

const fn cpu(name: &'static str, is_x86: bool, features: &'static [&'static str], caches: (usize, usize)) -> Cpu {
    Cpu { name, is_x86, features, caches }
}

/// Every CPU that has a name. `native` stands for the one that kiln runs on.
pub const CPUS: &[Cpu] = &[
    cpu("x86-64", true, &[], (32, 256)),
    cpu("x86-64-v2", true, V2, (32, 256)),
    cpu("x86-64-v3", true, V3, (32, 512)),
    cpu("x86-64-v4", true, V4, (32, 1024)),
    cpu("generic", false, &[], (32, 256)),
    cpu("cortex-a53", false, &[], (32, 256)),
    cpu("cortex-a55", false, ARMV82, (32, 128)),
    cpu("cortex-a72", false, &[], (32, 512)),
    cpu("cortex-a76", false, ARMV82, (64, 256)),
    cpu("cortex-a78", false, ARMV82, (64, 512)),
    cpu("cortex-x1", false, ARMV82, (64, 1024)),
    cpu("cortex-x2", false, ARMV86, (64, 1024)),
    cpu("neoverse-n1", false, ARMV82, (64, 1024)),
    cpu("neoverse-v1", false, ARMV86, (64, 1024)),
    cpu("apple-a12", false, &["lse", "fp16"], (128, 2048)),
    cpu("apple-a14", false, ARMV82, (128, 2048)),
    cpu("apple-a17", false, ARMV86, (128, 4096)),
    cpu("apple-m1", false, ARMV82, (128, 4096)),
    cpu("apple-m2", false, ARMV86, (128, 4096)),
];

/// Every feature that `--cpu` takes, with `+` or `-`.
pub fn features(is_x86: bool) -> Vec<&'static str> {
    let more: &[&str] = if is_x86 { &["avx512vnni", "avxvnni"] } else { &[] };
    let mut all: Vec<&str> = CPUS.iter().filter(|c| c.is_x86 == is_x86).flat_map(|c| c.features).chain(more).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What code is generated for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The triple as the user names it.
    pub name: String,
    /// The triple of the object.
    pub triple: Triple,
    /// The CPU's name, as given.
    pub cpu: String,
    /// Features that code may rely on.
    pub features: Vec<String>,
    /// How code for it computes.
    pub settings: Settings,
    /// The same target with other CPUs, the best last, for which the object has code of its own.
    pub variants: Vec<Target>,
    /// How products and convolutions are computed, where that was measured.
    pub choices: Choices,
    caches: (usize, usize),
}

impl Target {
    /// This machine with all its features.
    pub fn native() -> Target {
        Target::new(&host_name(), Some("native")).expect("kiln supports the machine it was built for")
    }

    /// A triple, with a CPU as `--cpu` gives it: a name, features with `+` and `-`, or both.
    pub fn new(name: &str, cpu: Option<&str>) -> Result<Target, Diagnostic> {
        let entry = TRIPLES.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| {
            Diagnostic::usage("target", format!("`{name}` is not a target of kiln"))
                .help("`kiln targets` lists the targets and their CPUs")
        })?;
        let triple = Triple::from_str(entry.triple).expect("the table holds triples");
        let mut target = Target {
            name: name.into(),
            triple,
            cpu: cpu.unwrap_or(entry.cpu).into(),
            features: Vec::new(),
            settings: Settings::default(),
            variants: Vec::new(),
            choices: Choices::default(),
            caches: (32, 256),
        };
        target.select(entry.cpu)?;
        Ok(target)
    }

    /// A triple with CPUs as `--cpu` gives them: the first is the one that every machine is at least, further ones get code of their own, which an instance
    /// uses where the machine has the features for it. None stands for `default`, or else the triple's.
    pub fn for_cpus(name: &str, cpus: &[String], default: Option<&str>) -> Result<Target, Diagnostic> {
        let target = Target::new(name, cpus.first().map(String::as_str).or(default))?;
        // They differ in features only, so that kernels that use none are the same.
        let further = cpus.iter().skip(1).map(|cpu| Ok(Target { caches: target.caches, ..Target::new(name, Some(cpu))? }));
        let variants = further.collect::<Result<_, Diagnostic>>()?;
        Ok(Target { variants, ..target })
    }

    /// The same target, for code that computes as the settings say.
    #[must_use]
    pub fn with(self, settings: Settings) -> Target {
        let variants = self.variants.into_iter().map(|variant| variant.with(settings)).collect();
        Target { settings, variants, ..self }
    }

    /// The same target, for code that computes products and convolutions as the choices say.
    #[must_use]
    pub fn choosing(self, choices: Choices) -> Target {
        Target { choices, ..self }
    }

    /// The target as scheduling takes it.
    pub fn schedule(&self) -> kiln_schedule::kernels::TargetDesc {
        kiln_schedule::kernels::TargetDesc { vector: self.kernels(), settings: self.settings }
    }

    fn is_x86(&self) -> bool {
        self.triple.architecture == Architecture::X86_64
    }

    /// Sets the features that `cpu` asks for.
    fn select(&mut self, default: &str) -> Result<(), Diagnostic> {
        let text = self.cpu.clone();
        let mut parts = text.split(',').filter(|part| !part.is_empty()).peekable();
        let named = parts.next_if(|part| !part.starts_with(['+', '-']));
        self.start_from(named.unwrap_or(default))?;
        for part in parts {
            let known = features(self.is_x86());
            let Some(feature) = part.get(1..).filter(|feature| known.contains(feature) && part.starts_with(['+', '-'])) else {
                let message = format!("`{part}` is not a feature of {}", self.name);
                return Err(Diagnostic::usage("target", message).help(format!("its features are {}", known.join(", "))));
            };
            self.features.retain(|f| f != feature);
            if part.starts_with('+') {
                self.features.push(feature.into());
            }
        }
        Ok(())
    }

    fn start_from(&mut self, name: &str) -> Result<(), Diagnostic> {
        if name == "native" {
            if self.name != host_name() {
                return Err(Diagnostic::usage("target", format!("`--cpu native` is for {}, not for {}", host_name(), self.name)));
            }
            self.features = native_features();
            self.caches = (32, 512);
            return Ok(());
        }
        let found = CPUS.iter().find(|cpu| cpu.name == name && cpu.is_x86 == self.is_x86());
        let Some(cpu) = found else {
            let names: Vec<&str> = CPUS.iter().filter(|cpu| cpu.is_x86 == self.is_x86()).map(|cpu| cpu.name).collect();
            let message = format!("`{name}` is not a CPU of {}", self.name);
            return Err(Diagnostic::usage("target", message).help(format!("its CPUs are {}", names.join(", "))));
        };
        self.features = cpu.features.iter().map(|&f| f.into()).collect();
        self.caches = cpu.caches;
        Ok(())
    }

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// Whether this process can run the code.
    pub fn is_host(&self) -> bool {
        self.name == host_name() && is_native(&self.features)
    }

    /// The target as code generation takes it.
    pub fn codegen(&self) -> kiln_codegen::Target {
        kiln_codegen::Target { triple: self.triple.clone(), features: self.features.clone() }
    }

    /// The target as vector kernels take it; none where its CPU has no vector ISA that kernels are written for.
    pub fn kernels(&self) -> Option<TargetDesc> {
        let isa = match self.is_x86() {
            false => Isa::Neon,
            true if ["avx512f", "avx512vl", "avx512bw", "avx512dq"].iter().all(|f| self.has(f)) => Isa::Avx512,
            true if ["avx2", "fma", "f16c"].iter().all(|f| self.has(f)) => Isa::Avx2,
            true => return None,
        };
        let call_conv = match (self.is_x86(), self.triple.operating_system) {
            (true, OperatingSystem::Windows) => CallConv::Win64,
            (true, _) => CallConv::SystemV,
            (false, _) => CallConv::Aapcs64,
        };
        let vnni = if isa == Isa::Avx512 { "avx512vnni" } else { "avxvnni" };
        let features =
            Features { dotprod: self.has("dotprod"), i8mm: self.has("i8mm"), fp16: self.has("fp16"), vnni: self.has(vnni) };
        Some(TargetDesc {
            isa,
            call_conv,
            features,
            caches: Caches { l1: self.caches.0 << 10, l2: self.caches.1 << 10 },
            strict: self.settings.strict,
            units: if self.settings.is_parallel() { UNITS } else { 1 },
        })
    }

    /// The ending of object files.
    pub fn object_extension(&self) -> &'static str {
        if self.triple.binary_format == BinaryFormat::Coff { "obj" } else { "o" }
    }
}

/// The name of the triple that this process runs on.
pub fn host_name() -> String {
    let triple = Triple::host();
    let is_same = |entry: &&TripleEntry| Triple::from_str(entry.triple).is_ok_and(|t| t == triple);
    TRIPLES.iter().find(is_same).map_or_else(|| triple.to_string(), |entry| entry.name.into())
}

/// Whether the CPU that this process runs on has all of these features.
pub fn is_native(features: &[String]) -> bool {
    let native = native_features();
    features.iter().all(|feature| native.contains(feature))
}

/// The features of the CPU that this process runs on.
fn native_features() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    macro_rules! detected {
        ($($feature:tt),*) => { [$(($feature, std::arch::is_x86_feature_detected!($feature))),*] };
    }
    #[cfg(target_arch = "x86_64")]
    let found = detected!(
        "sse3",
        "ssse3",
        "sse4.1",
        "sse4.2",
        "popcnt",
        "avx",
        "avx2",
        "fma",
        "bmi1",
        "bmi2",
        "lzcnt",
        "f16c",
        "avx512f",
        "avx512vl",
        "avx512bw",
        "avx512dq",
        "avx512cd",
        "avx512vnni",
        "avxvnni"
    );
    #[cfg(target_arch = "aarch64")]
    macro_rules! detected {
        ($($feature:tt),*) => { [$(($feature, std::arch::is_aarch64_feature_detected!($feature))),*] };
    }
    #[cfg(target_arch = "aarch64")]
    let found = detected!("lse", "fp16", "dotprod", "i8mm", "bf16");
    found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_triple_has_a_back_end_and_its_default_cpu() {
        for entry in TRIPLES {
            let target = Target::new(entry.name, None).unwrap();
            assert_eq!(target.cpu, entry.cpu);
            assert!(target.kernels().is_some(), "{}", entry.name);
        }
    }

    #[test]
    fn features_add_to_and_take_from_a_cpu() {
        let target = |cpu| Target::new("x86_64-unknown-linux-gnu", Some(cpu));
        assert_eq!(target("x86-64-v3").unwrap().kernels().unwrap().isa, Isa::Avx2);
        assert!(target("x86-64-v3,-fma").unwrap().kernels().is_none());
        assert!(target("x86-64-v4,+avx512vnni").unwrap().kernels().unwrap().features.vnni);
        assert!(target("+avx512vnni").unwrap().has("avx2"));
        assert!(target("+dotprod").unwrap_err().message.contains("not a feature"));
        assert!(target("cortex-a53").unwrap_err().message.contains("not a CPU"));
        assert!(Target::new("mips", None).is_err());
    }

    #[test]
    fn the_host_can_run_its_own_code() {
        assert!(Target::native().is_host());
        let other = if cfg!(target_arch = "x86_64") { "aarch64-linux-android" } else { "x86_64-linux-android" };
        assert!(Target::new(other, Some("native")).is_err());
    }
}
