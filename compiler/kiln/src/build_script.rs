//! Compiling a model in a build script, in the manner of the `cc` crate.
//!
//! ```no_run
//! // build.rs
//! use kiln::{Build, DType};
//!
//! fn main() -> Result<(), kiln::Error> {
//!     Build::new("mobilenet.pt").input("x", DType::F32, [1, 3, 224, 224]).compile("mobilenet")
//! }
//! ```
//!
//! and in the crate: `mod mobilenet { include!(concat!(env!("OUT_DIR"), "/mobilenet.rs")); }`. The module is safe Rust with
//! one function per method; its documentation carries names, sizes and element types.

use crate::driver::{Listings, Model, Origin, Timings, operators};
use crate::error::{Error, Result};
use crate::input_types::{InputType, Size, method, parse_input};
use crate::quantization::{Options, calibrate};
use crate::target::Target;
use crate::tuning;
use kiln_frontend::tensors_file::read_inputs;
use kiln_passes::pipeline::Quantization;
use kiln_schedule::kernels::Settings;
use kiln_support::{DType, Diagnostic};
use std::path::{Path, PathBuf};

/// A model to be compiled for the crate that a build script belongs to.
#[derive(Clone, Debug)]
pub struct Build {
    model: Origin,
    inputs: Vec<(String, InputType)>,
    /// What could not be read of what was asked for: reported by `compile`.
    broken: Option<Diagnostic>,
    methods: Vec<String>,
    cpus: Vec<String>,
    settings: Settings,
    quantize: Option<(PathBuf, Options)>,
    tune: Option<PathBuf>,
    target: Option<String>,
    out_dir: Option<PathBuf>,
}

impl Build {
    /// A model: an archive, or a source file with its class. A relative path starts from the folder of the crate.
    pub fn new(model: impl AsRef<Path>) -> Build {
        Build {
            model: Origin::from(model.as_ref()),
            inputs: Vec::new(),
            broken: None,
            methods: Vec::new(),
            cpus: Vec::new(),
            settings: Settings::default(),
            quantize: None,
            tune: None,
            target: None,
            out_dir: None,
        }
    }

    /// For a source file: the class of the model, or a call of it, such as `Net(width=2)`.
    pub fn class(mut self, class: &str) -> Build {
        self.model.class = Some(class.into());
        self
    }

    /// For a source file: the weights, as .safetensors or as a state_dict saved by PyTorch.
    pub fn weights(mut self, weights: impl AsRef<Path>) -> Build {
        self.model.weights = Some(weights.as_ref().into());
        self
    }

    /// The type of a tensor input.
    pub fn input(mut self, name: &str, dtype: DType, sizes: impl AsRef<[i64]>) -> Build {
        let sizes = sizes.as_ref().iter().map(|&n| Size::Const(n)).collect();
        self.inputs.push((name.into(), InputType::Tensor(dtype, sizes)));
        self
    }

    /// The type of any input, as `kiln compile --input` takes it: `x=f32[N,3,224,224]`.
    pub fn input_type(mut self, text: &str) -> Build {
        match parse_input(text) {
            Ok(input) => self.inputs.push(input),
            Err(error) => self.broken = self.broken.or(Some(error)),
        }
        self
    }

    /// A method to export; `forward` where none is named.
    pub fn method(mut self, name: &str) -> Build {
        self.methods.push(name.into());
        self
    }

    /// The CPU and its features, as `kiln compile --cpu` takes them. Called again, it asks for code for that CPU beside, which an instance uses where it
    /// runs on one.
    pub fn cpu(mut self, cpu: &str) -> Build {
        self.cpus.push(cpu.into());
        self
    }

    /// Lets calls use several threads: those of an instance's own pool, one for each processor unless its options say otherwise, or the
    /// app's. Results do not depend on how many there are.
    pub fn threads(mut self, several: bool) -> Build {
        self.settings.threads = if several { 0 } else { 1 };
        self
    }

    /// Rounds every operation by itself, in the order of the definition, as `kiln compile --numerics strict`.
    pub fn strict_numerics(mut self, strict: bool) -> Build {
        self.settings.strict = strict;
        self
    }

    /// Quantizes the model as a file says that `kiln quantize` wrote.
    pub fn quantization(mut self, file: impl AsRef<Path>) -> Build {
        self.model.quantization = Some(file.as_ref().into());
        self
    }

    /// Quantizes the model after calibrating it on the calls of a file, which this machine runs, in every build. It takes less time, and
    /// the result is looked at once, to let `kiln quantize` do this and give its file to [`Self::quantization`].
    pub fn quantize(mut self, calls: impl AsRef<Path>, options: Options) -> Build {
        self.quantize = Some((calls.as_ref().into(), options));
        self
    }

    /// Computes products and convolutions in the ways that a file names which `kiln compile --tune` wrote for the same target and CPU.
    pub fn tune(mut self, file: impl AsRef<Path>) -> Build {
        self.tune = Some(file.as_ref().into());
        self
    }

    /// The target, where it is not cargo's `TARGET`.
    pub fn target(mut self, triple: &str) -> Build {
        self.target = Some(triple.into());
        self
    }

    /// The folder to write to, where it is not cargo's `OUT_DIR`.
    pub fn out_dir(mut self, folder: impl AsRef<Path>) -> Build {
        self.out_dir = Some(folder.as_ref().into());
        self
    }

    /// Compiles the model, writes `NAME.rs` and a static library, and tells cargo to link it.
    ///
    /// # Errors
    /// Whatever `kiln compile` reports; or one of cargo's variables is missing.
    pub fn compile(&self, name: &str) -> Result<()> {
        let (folder, files) = self.write(name)?;
        for file in files {
            println!("cargo:rerun-if-changed={}", file.display());
        }
        println!("cargo:rustc-link-search=native={}", folder.display());
        println!("cargo:rustc-link-lib=static={name}");
        Ok(())
    }

    /// Writes the files; gives their folder, and the files that the model was read from.
    fn write(&self, name: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
        if let Some(error) = &self.broken {
            return Err(error.clone().into());
        }
        let triple = self.target.clone().map_or_else(|| variable("TARGET"), Ok)?;
        let folder = self.out_dir.clone().map_or_else(|| variable("OUT_DIR").map(PathBuf::from), Ok)?;
        let mut target = Target::for_cpus(&triple, &self.cpus, None)?.with(self.settings);
        if let Some(file) = &self.tune {
            target.choices = tuning::read(file, &target)?;
        }
        let methods = if self.methods.is_empty() { vec!["forward".to_owned()] } else { self.methods.clone() };
        let mut built = on_a_large_stack(|| self.build(name, &target, &methods))?;
        built.files.extend(self.tune.clone());
        let library = if target.name.ends_with("msvc") { format!("{name}.lib") } else { format!("lib{name}.a") };
        write(&folder.join(library), &built.library)?;
        write(&folder.join(format!("{name}.rs")), built.module.as_bytes())?;
        Ok((folder, built.files))
    }

    fn build(&self, name: &str, target: &Target, methods: &[String]) -> Result<Built> {
        let mut model = Model::open(&self.model, methods)?;
        if let Some((path, options)) = &self.quantize {
            let outcome = calibrate(&mut model, &read_inputs(path)?.calls, options, &mut Timings::default())?;
            model.quantization = Quantization::By(outcome.recipe);
            model.files.push(path.clone());
        }
        let mut exports = Vec::new();
        for name in methods {
            let signature = model.signature(name)?;
            let own = |input: &&(String, InputType)| methods.len() == 1 || signature.params().iter().any(|p| p.name == input.0);
            let inputs: Vec<(String, InputType)> = self.inputs.iter().filter(own).cloned().collect();
            let typed = method(&signature, &inputs).map_err(|error| model.error(error))?;
            exports.push(typed.into_method(&mut model.program));
        }
        let mut timings = Timings::default();
        let residual = model.sound_residual(&exports, self.settings, &mut timings)?;
        let plan = model.plan(&residual, target, &mut timings)?;
        let mut compiled = model.generate(&plan, target, &Listings::none(name), &mut timings)?;
        compiled.description.facts.operators = operators(&residual);
        let runtime = kiln_artifact::runtime_object(&target.name);
        let library = kiln_artifact::static_library(name, &compiled.object, runtime, &target.triple);
        let library =
            library.map_err(|error| Diagnostic::unsupported("emit", format!("the static library cannot be written: {error}")))?;
        let mut module = kiln_artifact::rust_module(&compiled.description);
        if runtime.is_none() && compiled.description.uses_runtime {
            // Cargo then compiles the runtime for the target, as any other crate.
            module.insert_str(0, "extern crate kiln_rt as _;\n");
        }
        Ok(Built { library, module, files: model.files })
    }
}

/// What is written.
struct Built {
    library: Vec<u8>,
    module: String,
    files: Vec<PathBuf>,
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| {
        let error = Diagnostic::usage("build-script", format!("the variable {name} is not set"));
        error.help("`kiln::Build` runs in a build script; elsewhere, use its `target` and `out_dir`").into()
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error| Diagnostic::model("file", format!("`{}` cannot be written: {error}", path.display()));
    Ok(std::fs::write(path, bytes).map_err(failed)?)
}

/// Programs nest deeply, and build scripts run on the main thread's stack, which may be small.
fn on_a_large_stack<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(crate::STACK_BYTES).spawn_scoped(scope, run);
        let thread =
            thread.map_err(|error| Error::from(Diagnostic::model("memory", format!("no thread can be started: {error}"))))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_reported_when_compiling() {
        let error = Build::new("missing.pt").input_type("x=f31[2]").compile("m").unwrap_err();
        assert!(error.to_string().contains("`f31` is not an element type"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let build = Build::new("missing.pt").target(&crate::target::host_name()).out_dir(folder.path());
        assert!(build.compile("m").unwrap_err().to_string().contains("missing.pt"));
    }

    #[test]
    fn a_quantized_model_takes_less() {
        let folder = tempfile::tempdir().unwrap();
        let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/digits").join(name);
        let size = |name: &str, change: &dyn Fn(Build) -> Build| {
            let build = Build::new(fixture("digits.pt")).input("image", DType::F32, [1, 1, 8, 8]);
            let build = build.target("aarch64-linux-android").out_dir(folder.path());
            change(build).compile(name).unwrap();
            std::fs::metadata(folder.path().join(format!("lib{name}.a"))).unwrap().len()
        };
        let float = size("float", &|build| build);
        let quantized = size("quantized", &|build| build.quantize(fixture("digits.calibration.npz"), Options::default()));
        assert!(quantized + 30_000 < float, "{quantized} bytes instead of {float}");
        let missing = Build::new(fixture("digits.pt")).quantization("missing.json").target("aarch64-linux-android");
        assert!(missing.out_dir(folder.path()).compile("m").unwrap_err().to_string().contains("missing.json"));
    }
}
