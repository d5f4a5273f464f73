//! Names in the object: imports, read-only data and functions, declared once and referred to by id.
//!
//! Invariant: whatever is defined here is local to the object, except the model's own entry points; whatever is
//! imported is called by its symbol directly (no GOT, no address in code), which every linker resolves.

use crate::error::CodegenError;
use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::CallConv;
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module};
use kiln_support::Span;
use std::collections::BTreeMap;

/// The symbols of one object.
pub(crate) struct Linker<'m> {
    pub(crate) module: &'m mut dyn Module,
    /// Prefix of every symbol.
    pub(crate) prefix: String,
    /// Convention of all functions: the target's own.
    pub(crate) c_convention: CallConv,
    /// Whether floats are rounded in one instruction.
    pub(crate) has_rounding: bool,
    /// Whether local data is addressed by its full address.
    pub(crate) absolute_addresses: bool,
    /// Spans met so far; a source location in CLIF is a position here, plus 1.
    pub(crate) spans: Vec<Span>,
    imports: BTreeMap<String, FuncId>,
    texts: BTreeMap<Vec<u8>, DataId>,
}

impl<'m> Linker<'m> {
    pub(crate) fn new(module: &'m mut dyn Module, prefix: &str, has_rounding: bool, absolute_addresses: bool) -> Linker<'m> {
        let c_convention = module.isa().default_call_conv();
        Linker {
            module,
            prefix: prefix.into(),
            c_convention,
            has_rounding,
            absolute_addresses,
            spans: Vec::new(),
            imports: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// A signature.
    pub(crate) fn signature(convention: CallConv, params: &[Type], result: Option<Type>) -> Signature {
        let mut signature = Signature::new(convention);
        signature.params.extend(params.iter().map(|&t| AbiParam::new(t)));
        signature.returns.extend(result.map(AbiParam::new));
        signature
    }

    /// A function that the C library or the runtime defines.
    pub(crate) fn import(&mut self, symbol: &str, params: &[Type], result: Option<Type>) -> Result<FuncId, CodegenError> {
        if let Some(&id) = self.imports.get(symbol) {
            return Ok(id);
        }
        let signature = Self::signature(self.c_convention, params, result);
        let id = self.module.declare_function(symbol, Linkage::Import, &signature)?;
        self.imports.insert(symbol.into(), id);
        Ok(id)
    }

    /// `memcpy`, `memset` or `malloc`-like: pointer-sized arguments and result.
    pub(crate) fn import_c(&mut self, symbol: &str) -> Result<FuncId, CodegenError> {
        let int = types::I64;
        match symbol {
            // The fill value is a C int.
            "memset" => self.import(symbol, &[int, types::I32, int], Some(int)),
            "memcpy" => self.import(symbol, &[int, int, int], Some(int)),
            "malloc" => self.import(symbol, &[int], Some(int)),
            // Only in objects made to be measured, which the loader runs.
            "kiln_profile_mark" => self.import(symbol, &[int], None),
            "free" => self.import(symbol, &[int], None),
            // How systems on AArch64 tell what a CPU has.
            "getauxval" => self.import(symbol, &[int], Some(int)),
            "sysctlbyname" => self.import(symbol, &[int; 5], Some(types::I32)),
            "IsProcessorFeaturePresent" => self.import(symbol, &[types::I32], Some(types::I32)),
            other => Err(CodegenError::RuntimeFunction(other.into())),
        }
    }

    /// A function of the runtime, by its name without prefix, with the signature of the runtime's own table.
    pub(crate) fn import_runtime(&mut self, name: &str) -> Result<FuncId, CodegenError> {
        let symbol = runtime_symbol(name).ok_or_else(|| CodegenError::RuntimeFunction(name.into()))?;
        let params: Vec<Type> = symbol.params.iter().map(|&k| clif_type(k)).collect();
        self.import(symbol.name, &params, symbol.result.map(clif_type))
    }

    /// A local function.
    pub(crate) fn declare_local(&mut self, name: &str, signature: &Signature) -> Result<FuncId, CodegenError> {
        Ok(self.module.declare_function(&format!("{}.{name}", self.prefix), Linkage::Local, signature)?)
    }

    /// An entry point, `<prefix>_<name>`.
    pub(crate) fn declare_entry(&mut self, name: &str, signature: &Signature) -> Result<FuncId, CodegenError> {
        Ok(self.module.declare_function(&format!("{}_{name}", self.prefix), Linkage::Export, signature)?)
    }

    /// A constant text with a NUL behind it; the same text is stored once.
    pub(crate) fn text(&mut self, text: &str) -> Result<DataId, CodegenError> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        if let Some(&id) = self.texts.get(&bytes) {
            return Ok(id);
        }
        let name = format!("{}.text{}", self.prefix, self.texts.len());
        let id = self.module.declare_data(&name, Linkage::Local, false, false)?;
        let mut description = DataDescription::new();
        description.define(bytes.clone().into_boxed_slice());
        self.module.define_data(id, &description)?;
        self.texts.insert(bytes, id);
        Ok(id)
    }

    /// The source location that stands for a span.
    pub(crate) fn source_location(&mut self, span: Span) -> u32 {
        if self.spans.last() != Some(&span) {
            self.spans.push(span);
        }
        self.spans.len() as u32
    }
}

/// The runtime's description of one of its functions, by the name without prefix.
pub(crate) fn runtime_symbol(name: &str) -> Option<&'static kiln_rt::export::Symbol> {
    kiln_rt::SYMBOLS.iter().find(|s| s.name.strip_prefix("kiln_rt1_") == Some(name))
}

fn clif_type(kind: kiln_rt::export::Kind) -> Type {
    match kind {
        kiln_rt::export::Kind::I64 | kiln_rt::export::Kind::Pointer => types::I64,
        kiln_rt::export::Kind::F64 => types::F64,
        kiln_rt::export::Kind::F32 => types::F32,
    }
}
