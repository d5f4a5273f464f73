//! The C header of a model, beside the common `kiln.h`.
//!
//! It declares the functions of the object and, for methods of tensors, defines a flat, typed function over them.

use crate::flat::{Flat, FlatDim, FlatTensor, flat_signature};
use crate::model::{Model, ModelMethod};
use kiln_support::DType;
use std::fmt::Write;

/// The header of the types and functions that all models share.
pub const KILN_H: &str = include_str!("../../../runtime-stub/include/kiln.h");

/// Writes the header of a model.
pub fn c_header(model: &Model) -> String {
    let (p, guard) = (model.prefix(), format!("KILN_MODEL_{}_H", model.prefix().to_uppercase()));
    let mut out = format!(
        "/* {p}.h - a model compiled by kiln {} for {}.\n\
         \x20*\n\
         \x20* Link with the model's object or library; include kiln.h beside this file. Every function that can fail\n\
         \x20* returns a status, 0 for success, and {p}_last_error gives the text. An instance is used by one thread at a\n\
         \x20* time; several may live side by side. */\n\
         #ifndef {guard}\n#define {guard}\n\n#include \"kiln.h\"\n#include <string.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n",
        model.facts.kiln_version, model.facts.target
    );
    instance_functions(&mut out, model);
    for method in &model.methods {
        method_functions(&mut out, p, method);
    }
    let _ = write!(out, "#ifdef __cplusplus\n}}\n#endif\n\n#endif /* {guard} */\n");
    out
}

fn instance_functions(out: &mut String, model: &Model) {
    let p = model.prefix();
    let _ = write!(
        out,
        "/* Makes an instance. `options` may be NULL. On failure *instance is NULL. */\n\
         int32_t {p}_create(const kiln_options *options, kiln_context **instance);\n\n\
         /* Destroys an instance; NULL is allowed. */\n\
         void {p}_destroy(kiln_context *instance);\n\n\
         /* Sets the module's state back to what it was at first. */\n\
         int32_t {p}_reset(kiln_context *instance);\n\n\
         /* Text of the last failed call, empty when there is none; valid until the next call. Never NULL. */\n\
         const char *{p}_last_error(const kiln_context *instance);\n\n\
         /* Bytes that an arena given in the options must have ({}). */\n\
         uint64_t {p}_arena_bytes(void);\n\n",
        model.arena_bytes
    );
    if !model.variants.is_empty() {
        let variants = model.variants.iter().zip(1..).map(|(features, n)| format!("{n}: {}", features.join(", ")));
        let _ = write!(
            out,
            "/* The methods have variants for CPUs with more features ({}). {p}_create takes the last that the machine can run. */\n\
             uint32_t {p}_variant(void);\n\n\
             /* Makes an instance that uses a variant, or, for 0, the code for every CPU of the target. */\n\
             int32_t {p}_create_variant(const kiln_options *options, uint32_t variant, kiln_context **instance);\n\n",
            variants.collect::<Vec<_>>().join("; ")
        );
    }
    if model.methods.iter().filter_map(flat_signature).any(|f| f.outputs.iter().any(FlatTensor::is_known)) {
        out.push_str(&COPY_OUT.replace("PREFIX", p));
    }
}

/// Copies a view to packed memory of known sizes.
const COPY_OUT: &str = "\
/* Copies a result of the sizes expected to memory without gaps. */
static inline int32_t PREFIX_copy_out(const kiln_tensor *view, int32_t dtype, int32_t rank, const int64_t *sizes, size_t element, void *out) {
    int64_t at[64] = {0}, count = 1, done, offset;
    int32_t d;
    if (view->dtype != dtype || view->rank != rank || rank > 64) return KILN_INTERNAL;
    for (d = 0; d < rank; d++) {
        if (view->sizes[d] != sizes[d]) return KILN_INTERNAL;
        count *= sizes[d];
    }
    for (done = 0; done < count; done++) {
        offset = 0;
        for (d = 0; d < rank; d++) offset += at[d] * view->strides[d];
        memcpy((char *)out + (size_t)done * element, (const char *)view->data + (size_t)offset * element, element);
        for (d = rank; d > 0; d--) {
            if (++at[d - 1] < sizes[d - 1]) break;
            at[d - 1] = 0;
        }
    }
    return KILN_OK;
}

";

fn method_functions(out: &mut String, prefix: &str, method: &ModelMethod) {
    let _ = write!(
        out,
        "/* {}\n * Takes and gives values of any type; `count` is {}. A result that is no number is released by the caller. */\n\
         int32_t {}(kiln_context *instance, const kiln_value *args, uint64_t count, kiln_value *result);\n\n",
        comment(&method.signature()),
        method.params.len(),
        method.symbol
    );
    if let (Some(symbol), Some(flat)) = (&method.tensors_symbol, flat_signature(method)) {
        let _ = write!(
            out,
            "/* The same with views of {} input{} and {} output{}. Output views are valid until the next call. */\n\
             int32_t {symbol}(kiln_context *instance, const kiln_tensor *inputs, kiln_tensor *outputs);\n\n",
            flat.inputs.len(),
            plural(flat.inputs.len()),
            flat.outputs.len(),
            plural(flat.outputs.len()),
        );
        flat_function(out, prefix, method, symbol, &flat);
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Text that cannot end a comment.
fn comment(text: &str) -> String {
    text.replace("*/", "* /").replace("/*", "/ *").replace(['\n', '\r'], " ")
}

fn flat_function(out: &mut String, prefix: &str, method: &ModelMethod, symbol: &str, flat: &Flat) {
    out.push_str("/* The same with elements without gaps");
    for tensor in flat.inputs.iter().chain(&flat.outputs) {
        let _ = write!(out, "; {}: {} [{}]", tensor.name, tensor.dtype.torch_name(), dims_text(tensor));
    }
    let _ = write!(out, ". */\nstatic inline int32_t {}_flat(kiln_context *instance", method.symbol);
    for input in &flat.inputs {
        let _ = write!(out, ", const {} *{}", c_type(input.dtype), input.name);
    }
    for size in &flat.sizes {
        let _ = write!(out, ", int64_t {size}");
    }
    for output in &flat.outputs {
        let ty = if output.is_known() { c_type(output.dtype) } else { "kiln_tensor" };
        let _ = write!(out, ", {ty} *{}", output.name);
    }
    out.push_str(") {\n");
    flat_body(out, prefix, symbol, flat);
    out.push_str("}\n\n");
}

fn flat_body(out: &mut String, prefix: &str, symbol: &str, flat: &Flat) {
    let _ = writeln!(out, "    kiln_tensor inputs[{}], outputs[{}];", flat.inputs.len().max(1), flat.outputs.len());
    for tensor in flat.inputs.iter().chain(flat.outputs.iter().filter(|o| o.is_known())) {
        let _ = writeln!(
            out,
            "    const int64_t {}[] = {{{}}};",
            sizes_name(tensor),
            if tensor.dims.is_empty() { "0".into() } else { dims_text(tensor) }
        );
    }
    out.push_str("    int32_t status;\n    memset(inputs, 0, sizeof inputs);\n");
    for (i, input) in flat.inputs.iter().enumerate() {
        let _ = writeln!(
            out,
            "    inputs[{i}].data = (void *){};\n    inputs[{i}].dtype = {};\n    inputs[{i}].rank = {};\n    inputs[{i}].sizes = {};",
            input.name,
            dtype_constant(input.dtype),
            input.dims.len(),
            sizes_name(input)
        );
    }
    let _ = writeln!(out, "    status = {symbol}(instance, inputs, outputs);");
    for (i, output) in flat.outputs.iter().enumerate() {
        if output.is_known() {
            let _ = writeln!(
                out,
                "    if (status == KILN_OK) status = {prefix}_copy_out(&outputs[{i}], {}, {}, {}, sizeof *{}, {});",
                dtype_constant(output.dtype),
                output.dims.len(),
                sizes_name(output),
                output.name,
                output.name
            );
        } else {
            let _ = writeln!(out, "    if (status == KILN_OK) *{} = outputs[{i}];", output.name);
        }
    }
    out.push_str("    return status;\n");
}

/// A name that no parameter has.
fn sizes_name(tensor: &FlatTensor) -> String {
    format!("{}_sizes_", tensor.name)
}

fn dims_text(tensor: &FlatTensor) -> String {
    let dims: Vec<String> = tensor
        .dims
        .iter()
        .map(|dim| match dim {
            FlatDim::Const(n) => n.to_string(),
            FlatDim::Param(name) => name.clone(),
            FlatDim::Unknown => "?".into(),
        })
        .collect();
    dims.join(", ")
}

/// The C type of an element; 16-bit floats are their bits.
fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::U8 | DType::QU8 | DType::Bool => "uint8_t",
        DType::I8 | DType::QI8 => "int8_t",
        DType::I16 => "int16_t",
        DType::I32 | DType::QI32 => "int32_t",
        DType::I64 => "int64_t",
        DType::F16 | DType::BF16 => "uint16_t",
        DType::F32 => "float",
        DType::F64 => "double",
    }
}

fn dtype_constant(dtype: DType) -> String {
    format!("KILN_{}", dtype.torch_name().to_uppercase())
}
