//! The Rust module of a model: safe, typed functions over its C ABI, to be included in a module of the app's crate.
//!
//! It depends on nothing but `core`, `alloc` by way of `std`, and the model's symbols.

use crate::flat::{Flat, FlatDim, FlatTensor, flat_signature};
use crate::model::{Model, ModelMethod};
use kiln_support::DType;
use std::fmt::Write;

/// Writes the module.
pub fn rust_module(model: &Model) -> String {
    let methods: Vec<(&ModelMethod, Option<Flat>)> = model.methods.iter().map(|m| (m, flat_signature(m))).collect();
    let mut out = format!(
        "// A model compiled by kiln {} for {}. Generated: do not edit.\n\n",
        model.facts.kiln_version, model.facts.target
    );
    out.push_str(PREAMBLE);
    out.push_str(TYPES);
    externs(&mut out, model);
    out.push_str(&INSTANCE.replace("PREFIX", model.prefix()));
    out.push_str("impl Model {\n");
    for (method, flat) in &methods {
        match flat {
            Some(flat) => typed_method(&mut out, method, flat),
            None => raw_method(&mut out, method),
        }
    }
    out.push_str("}\n}\n");
    out
}

/// What is not used, and names of the model's own, are no fault of the app. An inner module carries the attribute,
/// because `include!` allows none at the start of a file.
const PREAMBLE: &str = "\
pub use model::{Error, Model, Tensor, Value};

#[allow(dead_code, unused_imports, non_snake_case, clippy::all)]
mod model {
";

/// Types that every module has.
const TYPES: &str = "\
/// Why a call failed: 1 raised, 2 no memory, 3 a bad argument, 4 a bug in kiln.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The status code.
    pub status: i32,
    /// The model's own text.
    pub message: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A tensor that a model gave: elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<T> {
    /// Sizes, outermost first.
    pub sizes: Vec<usize>,
    /// Elements.
    pub data: Vec<T>,
}

/// A value of any type, as `kiln.h` defines it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// 0 none, 1 bool, 2 int, 3 float; others are objects.
    pub tag: u64,
    /// The payload.
    pub bits: u64,
}

#[repr(C)]
struct View {
    data: *mut core::ffi::c_void,
    dtype: i32,
    rank: i32,
    sizes: *const i64,
    strides: *const i64,
}

impl View {
    fn of<T>(data: &[T], dtype: i32, sizes: &[i64]) -> View {
        View { data: data.as_ptr().cast_mut().cast(), dtype, rank: sizes.len() as i32, sizes: sizes.as_ptr(), strides: core::ptr::null() }
    }

    const EMPTY: View = View { data: core::ptr::null_mut(), dtype: 0, rank: 0, sizes: core::ptr::null(), strides: core::ptr::null() };

    /// # Safety
    /// The view is one that a model gave and that is still valid; `T` holds any bits.
    unsafe fn read<T: Copy>(&self, dtype: i32) -> Result<Tensor<T>, Error> {
        if self.dtype != dtype || self.rank < 0 {
            return Err(bad(4, \"the result is not what its type says\"));
        }
        // SAFETY: sizes and strides are arrays of `rank` numbers.
        let (sizes, strides) = unsafe {
            let rank = self.rank as usize;
            match rank {
                0 => (&[][..], &[][..]),
                _ => (core::slice::from_raw_parts(self.sizes, rank), core::slice::from_raw_parts(self.strides, rank)),
            }
        };
        let count: usize = sizes.iter().map(|&n| n as usize).product();
        let mut data = Vec::with_capacity(count);
        let mut at = vec![0i64; sizes.len()];
        for _ in 0..count {
            let offset: i64 = at.iter().zip(strides).map(|(i, s)| i * s).sum();
            // SAFETY: the index is inside the sizes.
            data.push(unsafe { self.data.cast::<T>().offset(offset as isize).read() });
            for d in (0..at.len()).rev() {
                at[d] += 1;
                if at[d] < sizes[d] {
                    break;
                }
                at[d] = 0;
            }
        }
        Ok(Tensor { sizes: sizes.iter().map(|&n| n as usize).collect(), data })
    }
}

fn bad(status: i32, message: &str) -> Error {
    Error { status, message: message.into() }
}

fn check_len(name: &str, len: usize, sizes: &[i64]) -> Result<(), Error> {
    let count = sizes.iter().try_fold(1i64, |n, &size| n.checked_mul(size).filter(|_| size >= 0));
    if count == i64::try_from(len).ok() {
        return Ok(());
    }
    Err(bad(3, &format!(\"{name}: {len} elements do not fit the sizes {sizes:?}\")))
}

";

/// The instance.
const INSTANCE: &str = "\
/// An instance of the model. It owns the state and the memory of calls; the weights are shared.
#[derive(Debug)]
pub struct Model {
    instance: *mut core::ffi::c_void,
}

// SAFETY: an instance may move between threads; it is used by one at a time, which `&mut self` sees to.
unsafe impl Send for Model {}

impl Model {
    /// Makes an instance.
    pub fn new() -> Result<Model, Error> {
        let mut instance = core::ptr::null_mut();
        // SAFETY: null options are the defaults; the other pointer is valid.
        match unsafe { raw::PREFIX_create(core::ptr::null(), &mut instance) } {
            0 => Ok(Model { instance }),
            status => Err(bad(status, \"creating the instance failed\")),
        }
    }

    /// Sets the module's state back to what it was at first.
    pub fn reset(&mut self) -> Result<(), Error> {
        // SAFETY: the instance is live.
        let status = unsafe { raw::PREFIX_reset(self.instance) };
        self.check(status)
    }

    fn check(&self, status: i32) -> Result<(), Error> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the instance is live, and the text is nul-terminated and lives until the next call.
        let message = unsafe { core::ffi::CStr::from_ptr(raw::PREFIX_last_error(self.instance)) };
        Err(Error { status, message: message.to_string_lossy().into_owned() })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: the instance is live and not used afterwards.
        unsafe { raw::PREFIX_destroy(self.instance) }
    }
}

";

fn externs(out: &mut String, model: &Model) {
    let p = model.prefix();
    let _ = write!(
        out,
        "mod raw {{\n    use core::ffi::{{c_char, c_void}};\n\n    unsafe extern \"C\" {{\n\
         \x20       pub fn {p}_create(options: *const c_void, instance: *mut *mut c_void) -> i32;\n\
         \x20       pub fn {p}_destroy(instance: *mut c_void);\n\
         \x20       pub fn {p}_reset(instance: *mut c_void) -> i32;\n\
         \x20       pub fn {p}_last_error(instance: *const c_void) -> *const c_char;\n"
    );
    for method in &model.methods {
        match &method.tensors_symbol {
            Some(symbol) => {
                let _ = writeln!(
                    out,
                    "        pub fn {symbol}(instance: *mut c_void, inputs: *const super::View, outputs: *mut super::View) -> i32;"
                );
            }
            None => {
                let symbol = &method.symbol;
                let _ = writeln!(
                    out,
                    "        pub fn {symbol}(instance: *mut c_void, args: *const super::Value, count: u64, result: *mut super::Value) -> i32;"
                );
            }
        }
    }
    out.push_str("    }\n}\n\n");
}

/// The name of a method in Rust: what follows the prefix in its symbol, unless that is a word or a name that is taken.
fn method_name(method: &ModelMethod) -> String {
    const TAKEN: &[&str] = &[
        "new", "reset", "check", "drop", "match", "type", "move", "loop", "fn", "impl", "mod", "ref", "self", "super", "crate",
        "use", "let", "mut", "where", "async", "await", "box", "do", "dyn", "enum", "extern", "final", "macro", "priv", "pub",
        "static", "struct", "trait", "typeof", "unsafe", "unsized", "virtual", "abstract", "become", "const", "override", "gen",
    ];
    let name: String = method.name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if TAKEN.contains(&name.as_str()) || name.chars().all(|c| c == '_') { format!("call_{name}") } else { name }
}

fn doc(out: &mut String, method: &ModelMethod) {
    let signature = method.signature().replace(['\n', '\r'], " ");
    let _ = writeln!(out, "    /// `{}`", signature.replace('`', "'"));
}

fn typed_method(out: &mut String, method: &ModelMethod, flat: &Flat) {
    doc(out, method);
    out.push_str("    ///\n    /// Elements are in row-major order.\n");
    let _ = write!(out, "    pub fn {}(&mut self", method_name(method));
    for input in &flat.inputs {
        let _ = write!(out, ", {}: &[{}]", input.name, rust_type(input.dtype));
    }
    for size in &flat.sizes {
        let _ = write!(out, ", {size}: usize");
    }
    let results: Vec<String> = flat.outputs.iter().map(|o| format!("Tensor<{}>", rust_type(o.dtype))).collect();
    let result = if results.len() == 1 { results[0].clone() } else { format!("({})", results.join(", ")) };
    let _ = writeln!(out, ") -> Result<{result}, Error> {{");
    for input in &flat.inputs {
        let name = &input.name;
        let _ = writeln!(out, "        let {name}_sizes_: [i64; {}] = [{}];", input.dims.len(), dims(input));
        let _ = writeln!(out, "        check_len({name:?}, {name}.len(), &{name}_sizes_)?;");
    }
    let views: Vec<String> =
        flat.inputs.iter().map(|i| format!("View::of({0}, {1}, &{0}_sizes_)", i.name, i.dtype.code())).collect();
    let _ = writeln!(out, "        let inputs: [View; {}] = [{}];", views.len(), views.join(", "));
    let _ = writeln!(out, "        let mut outputs = [const {{ View::EMPTY }}; {}];", flat.outputs.len());
    out.push_str("        // SAFETY: the instance is live, and each input has as many elements as its sizes say.\n");
    let symbol = method.tensors_symbol.as_deref().unwrap_or_default();
    let _ =
        writeln!(out, "        let status = unsafe {{ raw::{symbol}(self.instance, inputs.as_ptr(), outputs.as_mut_ptr()) }};");
    out.push_str("        self.check(status)?;\n        // SAFETY: the views are valid until the next call.\n");
    let reads: Vec<String> =
        flat.outputs.iter().enumerate().map(|(i, o)| format!("outputs[{i}].read({})?", o.dtype.code())).collect();
    let read = if reads.len() == 1 { reads[0].clone() } else { format!("({})", reads.join(", ")) };
    let _ = writeln!(out, "        Ok(unsafe {{ {read} }})\n    }}\n");
}

fn raw_method(out: &mut String, method: &ModelMethod) {
    doc(out, method);
    let _ = write!(
        out,
        "    ///\n    /// # Safety\n    /// Objects among the arguments are live and were made for this instance (`kiln.h`).\n\
         \x20   pub unsafe fn {}(&mut self, args: &[Value]) -> Result<Value, Error> {{\n\
         \x20       let mut result = Value {{ tag: 0, bits: 0 }};\n\
         \x20       // SAFETY: the instance is live; the caller answers for the arguments.\n\
         \x20       let status = unsafe {{ raw::{}(self.instance, args.as_ptr(), args.len() as u64, &mut result) }};\n\
         \x20       self.check(status)?;\n        Ok(result)\n    }}\n\n\
         \x20   /// The instance, for the functions of `kiln.h` that build and read values.\n\
         \x20   pub fn {}_context(&mut self) -> *mut core::ffi::c_void {{\n        self.instance\n    }}\n\n",
        method_name(method),
        method.symbol,
        method_name(method)
    );
}

fn dims(tensor: &FlatTensor) -> String {
    let dims: Vec<String> = tensor
        .dims
        .iter()
        .map(|dim| match dim {
            FlatDim::Const(n) => n.to_string(),
            FlatDim::Param(name) => format!("i64::try_from({name}).unwrap_or(-1)"),
            FlatDim::Unknown => "-1".into(),
        })
        .collect();
    dims.join(", ")
}

/// The Rust type of an element; truth values are bytes of 0 or 1, 16-bit floats their bits.
fn rust_type(dtype: DType) -> &'static str {
    match dtype {
        DType::U8 | DType::QU8 | DType::Bool => "u8",
        DType::I8 | DType::QI8 => "i8",
        DType::I16 => "i16",
        DType::I32 | DType::QI32 => "i32",
        DType::I64 => "i64",
        DType::F16 | DType::BF16 => "u16",
        DType::F32 => "f32",
        DType::F64 => "f64",
    }
}
