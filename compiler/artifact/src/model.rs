//! A model as bindings and manifests see it.

use kiln_codegen::{BY_TENSORS, Generated, method_symbol, tensor_signature, uses_runtime};
use kiln_loops::plan::{DimDesc, ParamDesc, Plan, TypeDesc};

/// What the plan does not say of a model.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Prefix of its symbols.
    pub prefix: String,
    /// The target, as named on the command line.
    pub target: String,
    /// CPU features that the code relies on.
    pub features: Vec<String>,
    /// Names of the operators in it, for the manifest.
    pub operators: Vec<String>,
    /// Version of kiln.
    pub kiln_version: String,
}

/// A compiled model.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the plan does not say.
    pub facts: Facts,
    /// Exported methods.
    pub methods: Vec<ModelMethod>,
    /// The CPU features of each variant of the methods, which `create` chooses among.
    pub variants: Vec<Vec<&'static str>>,
    /// Bytes of arena: what an app that gives one must give.
    pub arena_bytes: u64,
    /// Number of state slots.
    pub state_slots: usize,
    /// Bytes of machine code.
    pub text_bytes: u64,
    /// Bytes of weights and constants.
    pub data_bytes: u64,
    /// Bytes of stack that a call takes in generated functions.
    pub stack_bytes: u64,
    /// Whether it needs the runtime's objects (else at most its scalar math).
    pub uses_runtime: bool,
    /// FNV-1a, 64 bits, of all weights and constants in order.
    pub weights_hash: u64,
}

/// An exported method.
#[derive(Clone, Debug)]
pub struct ModelMethod {
    /// Name in the model.
    pub name: String,
    /// Symbol of the general form.
    pub symbol: String,
    /// Symbol of the form for tensors, where there is one.
    pub tensors_symbol: Option<String>,
    /// Parameters.
    pub params: Vec<ParamDesc>,
    /// Result.
    pub result: TypeDesc,
}

impl ModelMethod {
    /// The types of the outputs: the items of a tuple, nothing for `None`, else the result.
    pub fn outputs(&self) -> Vec<&TypeDesc> {
        match &self.result {
            TypeDesc::None => Vec::new(),
            TypeDesc::Tuple(items, _) => items.iter().collect(),
            other => vec![other],
        }
    }

    /// `name(x: f32[N, 3], n: int) -> f32[N]`.
    pub fn signature(&self) -> String {
        let params: Vec<String> = self.params.iter().map(|p| format!("{}: {}", p.name, type_text(&p.ty))).collect();
        format!("{}({}) -> {}", self.name, params.join(", "), type_text(&self.result))
    }
}

impl Model {
    /// Describes a plan and what was generated from it.
    pub fn new<K>(plan: &Plan<K>, generated: &Generated, facts: Facts) -> Model {
        let methods = plan.methods.iter().map(|method| {
            let symbol = method_symbol(&facts.prefix, &method.name);
            ModelMethod {
                name: method.name.clone(),
                tensors_symbol: tensor_signature(method).map(|_| format!("{symbol}{BY_TENSORS}")),
                symbol,
                params: method.params.clone(),
                result: method.result.clone(),
            }
        });
        Model {
            methods: methods.collect(),
            variants: plan.variants.iter().map(|variant| variant.features.clone()).collect(),
            arena_bytes: plan.arena_bytes.next_multiple_of(64),
            state_slots: plan.state_slots,
            text_bytes: generated.text_bytes,
            data_bytes: generated.data_bytes,
            stack_bytes: generated.stack_bytes,
            uses_runtime: uses_runtime(plan),
            weights_hash: plan.data.values().fold(FNV_START, |hash, data| hash_words(hash, &data.bytes)),
            facts,
        }
    }

    /// The prefix of its symbols.
    pub fn prefix(&self) -> &str {
        &self.facts.prefix
    }
}

/// Start of the 64-bit FNV-1a hash.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over words of eight bytes, the last one filled up with zeros: by bytes it would take as long as all else with large weights.
fn hash_words(start: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: [u8; 8]| (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(words.iter().fold(start, |hash, &word| step(hash, word)), last)
}

/// A type in the notation of `--input`.
pub(crate) fn type_text(ty: &TypeDesc) -> String {
    match ty {
        TypeDesc::None => "None".into(),
        TypeDesc::Bool => "bool".into(),
        TypeDesc::Int => "int".into(),
        TypeDesc::Float => "float".into(),
        TypeDesc::Str => "str".into(),
        TypeDesc::AnyTensor => "tensor".into(),
        TypeDesc::Any => "any".into(),
        TypeDesc::Tensor(dtype, dims) => {
            let dims: Vec<String> = dims.iter().map(dim_text).collect();
            format!("{dtype}[{}]", dims.join(", "))
        }
        TypeDesc::Optional(inner) => format!("optional[{}]", type_text(inner)),
        TypeDesc::List(inner) => format!("list[{}]", type_text(inner)),
        TypeDesc::Dict(key, value) => format!("dict[{}, {}]", type_text(key), type_text(value)),
        TypeDesc::Tuple(items, name) => {
            let items: Vec<String> = items.iter().map(type_text).collect();
            let name = name.as_ref().map_or("", |(name, _)| name);
            format!("{name}({})", items.join(", "))
        }
    }
}

fn dim_text(dim: &DimDesc) -> String {
    match dim {
        DimDesc::Const(n) => n.to_string(),
        DimDesc::Symbol(name) if name.is_empty() => "?".into(),
        DimDesc::Symbol(name) => name.clone(),
    }
}
