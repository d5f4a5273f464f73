//! Every command and flag, in one table. Help texts are what `--help` and `docs/cli.md` show.

use crate::driver::Origin;
use clap::{Args, Parser, Subcommand, ValueEnum};
use kiln_schedule::kernels::Settings;
use std::path::PathBuf;

/// Compiles TorchScript models, ahead of time, into native objects.
#[derive(Parser, Debug)]
#[command(name = "kiln", version, max_term_width = 100, arg_required_else_help = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Compiles a model into an object with its header and manifest.
    Compile(CompileFlags),
    /// Compiles, loads and calls a model; prints or writes the results.
    Run(RunFlags),
    /// Compares a model with a recording from PyTorch, value by value; names the first that differs.
    Verify(VerifyFlags),
    /// Measures how long calls take.
    Bench(BenchFlags),
    /// Shows a model at a stage of its compilation.
    Inspect(InspectFlags),
    /// Lists every construct that kiln does not support, with its source line.
    Check(CheckFlags),
    /// Post-training quantization.
    Quantize(QuantizeFlags),
    /// Lists the targets, their CPUs and features.
    Targets,
    /// Explains a diagnostic.
    Explain(ExplainFlags),
}

/// The model and how it is read.
#[derive(Args, Debug)]
pub struct ModelFlags {
    /// A TorchScript archive (.pt), or a Python source file (.py).
    #[arg(value_name = "MODEL")]
    pub path: PathBuf,
    /// The class to compile, for a source file, or a call of it: Net, 'Net(width=2)'.
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// The weights, for a source file: .safetensors, or a state_dict saved as .pt.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// How it is quantized: what `kiln quantize` wrote.
    #[arg(long, value_name = "FILE")]
    pub quantization: Option<PathBuf>,
}

impl ModelFlags {
    /// What the model is read from.
    pub fn origin(&self) -> Origin {
        Origin {
            path: self.path.clone(),
            class: self.class.clone(),
            weights: self.weights.clone(),
            is_check: false,
            quantization: self.quantization.clone(),
        }
    }
}

/// The types of inputs.
#[derive(Args, Debug, Default)]
pub struct InputFlags {
    /// The type of an input: x=f32[N,3,224,224], n=int, xs=list[f32[N,3]], d=dict[str,f32[N]], p=(f32[2],i64[N]). A name
    /// in place of a size is a symbol, optionally bounded: N<=8. A value makes the input a constant: dim==1, dims==[0,1].
    #[arg(long = "input", value_name = "NAME=TYPE")]
    pub types: Vec<String>,
    /// Takes the types from the values in this file (.json, .npz, .safetensors).
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
}

/// What code is generated for.
#[derive(Args, Debug, Default)]
pub struct TargetFlags {
    /// The target; `kiln targets` lists them. The default is this machine.
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// The CPU, and features to add or take away: cortex-a76, native, x86-64-v3,-fma. Given several times, the first is what every machine is at
    /// least; the object has code for each, and an instance takes the last that its machine can run.
    #[arg(long, value_name = "NAME|+FEATURE,-FEATURE", allow_hyphen_values = true)]
    pub cpu: Vec<String>,
    /// Threads that a call may use; 0: one for each processor.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: u32,
    /// How numbers are rounded.
    #[arg(long, value_enum, default_value = "fast")]
    pub numerics: Numerics,
}

impl TargetFlags {
    /// How code is to compute.
    pub fn settings(&self) -> Settings {
        Settings { strict: self.numerics.is_strict(), threads: self.threads }
    }
}

/// What `compile` writes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Emit {
    /// The object file.
    Obj,
    /// A static library: the object and the runtime it needs.
    Lib,
    /// The C header.
    Header,
    /// A Rust module.
    Rust,
    /// A Swift wrapper.
    Swift,
    /// A Kotlin wrapper.
    Kotlin,
    /// A C++ wrapper.
    Cpp,
    /// The manifest.
    Manifest,
    /// The optimised graph, as text.
    Graph,
    /// Cranelift's intermediate form, as text.
    Clif,
    /// The machine code, as text.
    Asm,
}

/// Whether something is done.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// How numbers are rounded.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Numerics {
    /// Products and sums are rounded together, sums are taken in the order that is fastest, and convolutions may use Winograd's algorithm.
    #[default]
    Fast,
    /// Every operation is rounded by itself, in the order of its definition: the same bits on every CPU with vector kernels. Calls take up to twice the
    /// time. docs/numerics.md says what that means.
    Strict,
}

impl Numerics {
    /// Whether every operation is rounded by itself.
    pub fn is_strict(self) -> bool {
        self == Numerics::Strict
    }
}

/// Flags of `compile`.
#[derive(Args, Debug)]
pub struct CompileFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// The folder to write to; made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// A target; may be given several times. Each then gets a folder of its own.
    #[arg(long = "target", value_name = "TRIPLE")]
    pub targets: Vec<String>,
    /// The CPU, and features to add or take away: cortex-a76, native, x86-64-v3,-fma. Given several times, the first is what every machine is at
    /// least; the object has code for each, and an instance takes the last that its machine can run.
    #[arg(long, value_name = "NAME|+FEATURE,-FEATURE", allow_hyphen_values = true)]
    pub cpu: Vec<String>,
    #[command(flatten)]
    pub inputs: InputFlags,
    /// The name of the library, and the prefix of its symbols; the default is the model's file name.
    #[arg(long, value_name = "IDENT")]
    pub name: Option<String>,
    /// What to write.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "lib,header,manifest")]
    pub emit: Vec<Emit>,
    /// A method to export; may be given several times.
    #[arg(long = "method", value_name = "NAME", default_value = "forward")]
    pub methods: Vec<String>,
    /// Whether calls may use several threads.
    #[arg(long, value_enum, default_value = "off")]
    pub threads: Switch,
    /// Where the weights go: into the object, or into a file beside it.
    #[arg(long, value_name = "embed|FILE", default_value = "embed")]
    pub weights_out: String,
    /// How numbers are rounded.
    #[arg(long, value_enum, default_value = "fast")]
    pub numerics: Numerics,
    /// Computes products and convolutions in the ways that this file names. If it does not exist, and the target is this machine, they are measured on the
    /// first method, of which all sizes must be numbers, and it is written: later builds with it make the same object.
    #[arg(long, value_name = "FILE")]
    pub tune: Option<PathBuf>,
    /// Prints how long each stage took.
    #[arg(long)]
    pub timings: bool,
    /// Writes a make-style list of the files that were read.
    #[arg(long, value_name = "FILE")]
    pub depfile: Option<PathBuf>,
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct RunFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// The calls to make and their arguments (.json, .npz, .safetensors).
    #[arg(long, value_name = "FILE")]
    pub inputs: PathBuf,
    /// Where the results go (.json, .npz, .safetensors); without it they are printed.
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// Makes every size of an input but 1 a symbol, so that the dynamic code is run.
    #[arg(long)]
    pub symbolic: bool,
    #[command(flatten)]
    pub target: TargetFlags,
}

/// Flags of `verify`.
#[derive(Args, Debug)]
pub struct VerifyFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// The recording (.json): calls and what PyTorch gave for them.
    #[arg(long, value_name = "FILE")]
    pub recording: PathBuf,
    /// Makes every size of an input but 1 a symbol, so that the dynamic code is compared.
    #[arg(long)]
    pub symbolic: bool,
    #[command(flatten)]
    pub target: TargetFlags,
}

/// Flags of `bench`.
#[derive(Args, Debug)]
pub struct BenchFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    #[command(flatten)]
    pub inputs: InputFlags,
    /// Seconds to measure for, at least.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub min_time: f64,
    /// Writes how long each kernel took.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Computes as `compile` does with this file.
    #[arg(long, value_name = "FILE")]
    pub tune: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub target: TargetFlags,
}

/// A stage that `inspect` shows.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The syntax trees of the archive's code.
    Ast,
    /// The typed program.
    Typed,
    /// The specialised, optimised graphs.
    Optimized,
    /// The plan: loops, kernels, memory.
    Loops,
    /// Cranelift's intermediate form.
    Clif,
    /// Machine code.
    Asm,
}

/// How `inspect` writes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Text.
    Text,
    /// A graph for Graphviz.
    Dot,
    /// A page.
    Html,
}

/// Flags of `inspect`.
#[derive(Args, Debug)]
pub struct InspectFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// The stage to show.
    #[arg(long, value_enum, default_value = "typed")]
    pub stage: Stage,
    /// How to show it.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// A method to show; may be given several times.
    #[arg(long = "method", value_name = "NAME", default_value = "forward")]
    pub methods: Vec<String>,
    #[command(flatten)]
    pub inputs: InputFlags,
    #[command(flatten)]
    pub target: TargetFlags,
}

/// Flags of `check`.
#[derive(Args, Debug)]
pub struct CheckFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// A method to check; may be given several times. The default is every method of the model.
    #[arg(long = "method", value_name = "NAME")]
    pub methods: Vec<String>,
}

/// How the range of an activation is found.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observer {
    /// From the smallest to the largest number seen.
    Minmax,
    /// Without the outermost hundredth of a percent.
    Percentile,
    /// The range that loses the least information (Kullback-Leibler divergence).
    Entropy,
}

/// The type of weights.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeightType {
    /// Signed bytes, and activations as unsigned ones.
    Int8,
    /// Groups of 32 weights of four bits; activations stay as they are.
    Int4,
    /// binary16; activations stay as they are.
    Fp16,
}

/// Flags of `quantize`.
#[derive(Args, Debug)]
pub struct QuantizeFlags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// Calls to calibrate and to compare with (.json, .npz, .safetensors).
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub calibrate: Vec<PathBuf>,
    /// Where the quantization goes (.json): for `--quantization` of the other commands.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Quantizes the activations of linear layers when the model runs, by the range they have then.
    #[arg(long)]
    pub dynamic: bool,
    /// The type of the weights.
    #[arg(long, value_enum, default_value = "int8")]
    pub weight_type: WeightType,
    /// How the range of an activation is found.
    #[arg(long, value_enum, default_value = "minmax")]
    pub observer: Observer,
    /// Activations take 7 bits, not 8: products are faster on x86 without VNNI, nothing is gained elsewhere.
    #[arg(long)]
    pub reduce_range: bool,
    /// The largest error of the results, relative to their size; layers that would exceed it compute in binary32.
    #[arg(long, value_name = "E", default_value_t = 0.1)]
    pub max_error: f64,
    /// Writes a page with what each layer loses.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Flags of `explain`.
#[derive(Args, Debug)]
pub struct ExplainFlags {
    /// The code, such as `unknown-operator`; without it, all codes are listed.
    pub code: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_table_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
