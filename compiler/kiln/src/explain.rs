//! The long texts of diagnostics: what `kiln explain CODE` prints and `docs/diagnostics.md` holds.
//!
//! One entry per code, in alphabetical order. A test looks through the sources of every crate for codes, so that none
//! is without a text.

/// Codes and their texts.
pub const CODES: &[(&str, &str)] = &[
    (
        "always-raises",
        "With inputs of the given types the method raises before it can give a result: sizes do not fit, or the program raises by itself. The place is that of \
        the operator or statement that raises.\n\nGive other input types (--input), or mend the model.",
    ),
    (
        "archive",
        "The file is not a TorchScript archive, or it is damaged: a record is missing, a size does not fit, or its pickle names something that \
        an archive may not name. kiln executes nothing while it reads; whatever is not plain data of a module is refused.\n\n\
        Save the model again with torch.jit.script(model).save(\"model.pt\"). A file written by torch.save is not an archive of a program.",
    ),
    (
        "arena-size",
        "The memory for intermediate values of one call is larger than can be addressed. Declare smaller inputs, or give bounds for symbolic sizes.",
    ),
    (
        "arguments",
        "The arguments of a call do not fit the method's signature: there are too many or too few, a name is unknown, or a value is of another type. \
        The message and the conversions are PyTorch's: an int is taken for a float, a tuple for a list; a float is not taken for an int.",
    ),
    (
        "bad-annotation",
        "An annotation does not name a type. Types are written as in Python: Tensor, int, List[int], Dict[str, Tensor], Optional[Tensor], \
        Tuple[int, float], or the name of a scripted class.",
    ),
    (
        "bad-arguments",
        "A call does not fit the signature of the function or method that is called: an argument is missing, is given twice, has an unknown name, or is of another type.",
    ),
    ("bad-delete", "Only elements of lists and dicts, and variables, can be deleted."),
    ("bad-expression", "The expression has no meaning in TorchScript at this place."),
    (
        "bad-index",
        "A tensor is indexed with something that cannot index. Ints, slices, None, `...`, and tensors or lists of ints or bools can; `...` can stand only once.",
    ),
    ("bad-operands", "An operator in a constructor does not take values of these types, as in Python."),
    ("bad-raise", "What is raised is not an exception. Write `raise ValueError(\"text\")`."),
    ("bad-slice", "The step of a slice cannot be 0."),
    (
        "bad-target",
        "This expression cannot stand on the left of an assignment. Variables, attributes, elements, slices of tensors, and tuples of those can.",
    ),
    ("bare-raise", "A `raise` without an exception is only possible in an `except` block, which TorchScript does not have."),
    (
        "break-in-unrolled-loop",
        "A loop over modules or over a tuple of different types is unrolled while compiling, so that how often it runs must be known: \
        `break` and `continue` under a condition are not possible in it.",
    ),
    (
        "build-script",
        "`kiln::Build` takes the target and the folder to write to from the variables that cargo sets for build scripts, TARGET and OUT_DIR. \
        Elsewhere they have to be given: `.target(triple).out_dir(folder)`.",
    ),
    (
        "calibrate",
        "kiln quantize runs the model on example inputs to see which numbers each layer reads. It needs at least one call, and all calls must be of one method.\n\n\
        Give .npz, .npy or .json files with --calibrate, as --inputs of kiln run takes them.",
    ),
    (
        "changed-type",
        "A variable has one type throughout a function. Here it gets a value of another one. Use another name, or annotate the variable with a type that holds both, such as Optional[Tensor].",
    ),
    ("circular-constant", "A constant is defined by means of itself."),
    ("circular-definition", "A class is defined by means of itself."),
    (
        "class",
        "A source file may hold many classes: --class names the model, or is a call of it with arguments: --class 'Net(width=2)'. It may also name a \
        function that makes the module, or a function that is the model itself. An archive holds one module; it needs no --class.",
    ),
    (
        "custom-class",
        "The model holds an object of a class that PyTorch implements in C++ (torch.classes...). kiln knows only some of these.",
    ),
    (
        "differs",
        "The model gave another result than the recording. The message names the first value that differs, its place in the result, and by how much. \
        Integers, truth values, shapes and types must be equal; floating-point numbers may be off by atol + rtol * |expected|, which the recording gives.",
    ),
    (
        "ellipsis-before-tensor-index",
        "An index with a tensor after `...` is not supported where the number of dimensions is not known. Write the dimensions out.",
    ),
    ("emit", "kiln cannot write this kind of file yet. `kiln compile --help` lists the kinds."),
    (
        "emulation",
        "Code for another machine is run by linking it with a small C program and starting that under an emulator. A tool for this is missing, or it failed.\n\n\
        For aarch64 these are aarch64-linux-gnu-gcc and qemu-aarch64 (Debian's packages gcc-aarch64-linux-gnu and qemu-user). They run the code for \
        Linux, Android, iOS and macOS: Apple's objects are rewritten as ELF for it, and everything is linked with glibc.",
    ),
    ("enum-by-value", "An enum's member can be named (`Color.RED`), but not looked up by its value (`Color(1)`)."),
    (
        "enum-value",
        "The value of this enum's member is of a type that kiln does not support. Ints, floats and strings are supported.",
    ),
    ("exit-outside-loop", "`break` or `continue` stands outside of a loop, or in one that is unrolled while compiling."),
    ("file", "A file cannot be read or written. The message gives the path and what the system says."),
    (
        "foreign-target",
        "The command would have to run code that neither this machine nor an emulator on it can run. Compile for it with `kiln compile --target`, and run the result there.",
    ),
    ("format", "kiln cannot show this stage in this format yet. The format `text` is always there."),
    (
        "import",
        "A module that the model's files import cannot be read. Imports of your own files are looked for beside the model's file.",
    ),
    ("index-out-of-range", "A constant index is not below the length of a tuple or of a list of modules."),
    (
        "input-type",
        "The type given for an input does not read, or does not fit the model's signature.\n\n\
        --input x=f32[1,3,224,224]    a tensor: element type and sizes\n\
        --input x=f32[N,3,H,W]        names are symbolic sizes: any size, the same wherever the name is the same\n\
        --input x=f32[N<=8,128]       a symbolic size with a bound\n\
        --input n=int                 int, float, bool, str\n\
        --input xs=list[f32[N,3]]     list[T], dict[K,V], (T1,T2), optional[T]\n\
        --input 'dims==[0,1]'         a value: the input becomes a constant of the compiled code\n\n\
        Element types are f16 bf16 f32 f64 i8 i16 i32 i64 u8 bool. --inputs FILE takes the types from the values in a file.",
    ),
    (
        "input-type-needed",
        "An archive says only that an input is a Tensor. To compile it, kiln has to know the element type and the number of dimensions, and is faster where it knows the sizes. \
        The message lists what has to be added to the command; replace `f32[...]` by the type, such as f32[1,3,224,224] or, with a symbolic batch size, f32[N,3,224,224].",
    ),
    (
        "inputs",
        "A file of inputs or a recording does not read, or something that it refers to is missing. A `.json` file holds a tree of values, with the tensors in a `.safetensors` file beside it; \
        a `.npz` or `.safetensors` file holds tensors by the names of the arguments.",
    ),
    ("memory", "There is not enough memory."),
    ("min-time", "--min-time is a number of seconds from 0 to 3600."),
    (
        "mixed-elements",
        "The elements of a list or dict must be of one type. Annotate the list where it is empty, or where its elements are to be of a wider type.",
    ),
    ("name", "The name of a library becomes a part of C identifiers: letters, digits and `_`, not beginning with a digit."),
    (
        "no-attribute",
        "The class or module has no attribute or method of this name. A value that may be None has none until that was checked: `if x is not None: ...`.",
    ),
    (
        "no-overload",
        "An operator or function is called with arguments that none of its overloads takes. The overloads that were tried are listed, each with the reason why it does not fit.",
    ),
    ("no-root", "The archive holds no module."),
    (
        "no-runtime",
        "A static library holds the model and the runtime that it calls. kiln carries the runtime of most targets, but not of this one. \
        Write the object alone (--emit obj), and link it with the crate `kiln-rt` compiled for the target.",
    ),
    ("no-such-function", "There is no function of this name."),
    (
        "no-such-method",
        "The model has no method of this name. Methods other than forward are in an archive only if they are marked with @torch.jit.export or called from one that is.",
    ),
    (
        "not-a-bool",
        "A condition must be a bool, an int, a float, or a tensor of one element. Containers are not tested for being empty: write `len(x) > 0`; nor are values for being None: write `x is not None`.",
    ),
    ("not-a-class", "A class is needed here."),
    ("not-a-context", "What stands in `with` needs scripted methods __enter__ and __exit__."),
    ("not-a-future", "Only what torch.jit.fork gives can be waited for."),
    (
        "not-a-value",
        "This name stands for something that exists only while compiling (a module, a class, a function), and cannot be used as a value.",
    ),
    ("not-callable", "This cannot be called."),
    ("not-constant", "This must be known when the model is compiled: a literal, or an attribute that never changes."),
    (
        "not-iterable",
        "This cannot be iterated over. Lists, dicts, tuples, strings, tensors, ranges, enumerate, zip, and lists of modules can.",
    ),
    ("not-subscriptable", "A value of this type cannot be indexed. One that may be None has to be checked first."),
    ("profile", "The time of each kernel is measured on this machine, not on an emulator: leave --target out."),
    (
        "quantization",
        "A quantization does not fit the model, cannot be read, or asks for what kiln does not quantize. The file that kiln quantize writes belongs to the weights \
        it was made for: it holds a hash of the weights of each layer.\n\nRun kiln quantize again on the model as it is now.",
    ),
    ("raised", "The model raised an exception while it ran. The message is the model's own."),
    (
        "recursion",
        "A function calls itself. TorchScript allows this only where the result type is written down; kiln does not support it where the depth is not known when compiling.",
    ),
    ("recursive-function", "A function that calls itself needs its result type written down."),
    ("redeclared", "A variable is annotated twice with different types."),
    (
        "result",
        "The result of the call holds something that has no form in a file of results: an object of a scripted class, an enum, or a quantized tensor.",
    ),
    ("return-type", "Two paths through a function return values of different types, or not what the function declares."),
    ("schedule", "A part of the model has no lowering to loops yet. The message names it."),
    ("sort-objects", "A list of tuples that hold objects cannot be sorted yet. Sort a list of the objects, or of numbers."),
    (
        "source-init",
        "kiln runs the constructor of a model (`__init__`) while compiling, without Python: classes, functions, containers, numbers, strings, the modules of \
        torch.nn, and PyTorch's operators on tensors. What it does not know, it refuses at your line.\n\nRewrite the line, or script the model in Python and \
        compile the archive: torch.jit.script(model).save(\"model.pt\").",
    ),
    ("syntax", "The code does not parse as Python, or uses Python that TorchScript does not have."),
    ("target", "The target, CPU or feature is not known. `kiln targets` lists them."),
    ("too-deep", "Code is nested more deeply than kiln follows."),
    ("too-large", "The file, function or unrolled loop is larger than kiln follows."),
    (
        "tune",
        "`--tune FILE` reads how products and convolutions are computed from a file, or measures it on this machine and writes the file. Choices are for one \
        target, CPU, setting of threads and of numerics: for others, name another file. What this machine cannot run cannot be measured here; sizes of inputs must \
        be numbers.",
    ),
    ("type-mismatch", "A value is not of the type that is needed here."),
    ("unknown-class", "The archive has no code for a class that it uses."),
    ("unknown-code", "There is no diagnostic of this name. `kiln explain` lists all."),
    ("unknown-constant", "The code refers to a constant that the archive does not hold."),
    ("unknown-enum-value", "The enum has no member of this value."),
    (
        "unknown-index",
        "The index of a tuple, or of a list of modules, must be known when the model is compiled, because the elements are of different types.",
    ),
    ("unknown-length", "The number of elements must be known when the model is compiled."),
    ("unknown-name", "There is no variable, function or class of this name, or it is not defined on every path that leads here."),
    (
        "unknown-operator",
        "PyTorch has no operator of this name, or kiln does not know of it. Operators that an app registers itself, and those of other libraries, cannot be compiled.",
    ),
    ("unknown-type", "The type of this value must be given by an annotation."),
    ("unpack", "The number of values is not that of the names on the left of the assignment."),
    ("unpack-count", "A tuple or list is unpacked into another number of names than it has elements."),
    ("unpack-list", "A list cannot be unpacked into a starred name."),
    ("unpack-type", "Only tuples, lists and tensors can be unpacked."),
    (
        "unsupported",
        "The model is valid, but uses something that kiln does not support yet. The message names it, with the line of the model's Python.\n\n\
        Most often this is something that cannot be settled when compiling: a list of tensors of different element types, a tensor whose number of dimensions changes in a loop, \
        or state that grows from call to call. `kiln check MODEL` lists operators that are not supported, all at once.",
    ),
    ("unsupported-lowering", "The operator is known, but code for it with these arguments cannot be made yet."),
    (
        "unsupported-operator",
        "kiln has no entry for this operator yet. `kiln check MODEL` lists all such operators with their lines.\n\n\
        An operator that is only reached while training does not count: save the model after model.eval(), and freeze it with torch.jit.freeze where that is possible.",
    ),
    (
        "unsupported-syntax",
        "kiln does not support this Python syntax. TorchScript does not have it either, unless the message says otherwise.",
    ),
    ("unsupported-value", "The model holds a value that kiln cannot represent, such as a complex or sparse tensor."),
    ("unusable-name", "This name stands for something that can only be called or looked into."),
    (
        "weight-extra",
        "The weights have tensors that the model has not: they are those of another model, or of the model with other arguments. Give the class with \
        the arguments that the weights were made with: --class 'Net(width=2)'.",
    ),
    (
        "weight-missing",
        "A parameter or buffer has no values: the weights do not have it under its name, or there are no weights. Names are those of `model.state_dict()`; \
        save them with torch.save(model.state_dict(), \"weights.pt\") or as safetensors. A buffer that is computed in the constructor and registered with \
        persistent=False needs no weights.",
    ),
    ("weight-shape", "A tensor in the weights has another shape than the parameter or buffer of its name."),
    ("weight-type", "A tensor in the weights holds integers where the model has floating-point numbers, or the other way round."),
    (
        "weights-out",
        "kiln cannot write weights into a file of their own yet. They are a part of the object, in read-only data that processes share.",
    ),
];

/// The text of a code.
pub fn explanation(code: &str) -> Option<&'static str> {
    CODES.binary_search_by_key(&code, |(name, _)| name).ok().map(|at| CODES[at].1)
}

/// The page of all codes.
pub fn page() -> String {
    let mut out =
        String::from("# Diagnostics\n\nGenerated from `compiler/kiln/src/explain.rs`; `kiln explain CODE` prints one of them.\n");
    for (code, text) in CODES {
        out.push_str(&format!("\n## {code}\n\n{text}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    #[test]
    fn codes_are_sorted() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// The sources of all crates of the compiler.
    fn sources() -> Vec<PathBuf> {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.extension() {
                    Some(ending) if ending == "rs" => files.push(path),
                    None if path.is_dir() && !path.ends_with("examples") && !path.ends_with("tests") => folders.push(path),
                    _ => {}
                }
            }
        }
        files
    }

    /// The codes that a source text gives diagnostics, tests left out.
    fn codes(text: &str) -> Vec<String> {
        let text = text.split("#[cfg(test)]").next().unwrap_or("");
        let mut found = Vec::new();
        for call in ["error(", "unsupported(", "model(", "usage("] {
            for (at, _) in text.match_indices(call) {
                let rest = text[at + call.len()..].trim_start();
                let code = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
                if let Some((code, rest)) = code
                    && rest.starts_with(',')
                    && code.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                {
                    found.push(code.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn every_code_is_explained() {
        let mut count = 0;
        let mut unknown = Vec::new();
        for path in sources() {
            for code in codes(&std::fs::read_to_string(&path).unwrap()) {
                count += 1;
                if explanation(&code).is_none() {
                    unknown.push(format!("{}: {code}", path.display()));
                }
            }
        }
        assert!(unknown.is_empty(), "codes without an explanation:\n{}", unknown.join("\n"));
        assert!(count > 50, "only {count} codes were found");
    }

    #[test]
    fn the_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics.md");
        if std::env::var_os("KILN_BLESS").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        let is_current = std::fs::read_to_string(&path).unwrap_or_default() == page();
        assert!(is_current, "docs/diagnostics.md is stale: run the tests with KILN_BLESS=1");
    }
}
