//! Tests of the archive reader, on archives assembled here: good ones, and hostile ones.

use super::*;
use crate::model::{HeapId, HeapItem, ObjectState, Quant, TensorItem};
use kiln_support::{DType, Failure, Span};
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const CODE: &str = "class M(Module):\n  training : bool\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return torch.neg(x)\n\
class S:\n  def __setstate__(self: __torch__.S,\n    state: int) -> NoneType:\n    return None\n\
class Color(Enum):\n  RED = 1\n";

/// Writes pickles by hand.
#[derive(Clone, Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Pickle {
        Pickle(vec![0x80, 2])
    }

    fn op(mut self, bytes: &[u8]) -> Pickle {
        self.0.extend_from_slice(bytes);
        self
    }

    fn str(self, text: &str) -> Pickle {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    fn int(self, value: i64) -> Pickle {
        self.op(&[0x8a, 8]).op(&value.to_le_bytes())
    }

    fn float(self, value: f64) -> Pickle {
        self.op(b"G").op(&value.to_be_bytes())
    }

    fn global(self, module: &str, name: &str) -> Pickle {
        self.op(b"c").op(module.as_bytes()).op(b"\n").op(name.as_bytes()).op(b"\n")
    }

    fn ints(self, values: &[i64]) -> Pickle {
        values.iter().fold(self.op(b"("), |pickle, value| pickle.int(*value)).op(b"t")
    }

    /// The persistent id of a storage.
    fn storage(self, kind: &str, key: &str, count: i64) -> Pickle {
        self.op(b"(").str("storage").global("torch", kind).str(key).str("cpu").int(count).op(b"tQ")
    }

    fn tensor(self, kind: &str, key: &str, count: i64, offset: i64, sizes: &[i64], strides: &[i64]) -> Pickle {
        let tensor = self.global("torch._utils", "_rebuild_tensor_v2").op(b"(").storage(kind, key, count).int(offset);
        tensor.ints(sizes).ints(strides).op(b"\x88").global("collections", "OrderedDict").op(b")RtR")
    }

    /// An object of `__torch__.M` with the attributes that `attributes` pushes as keys and values.
    fn module(attributes: impl FnOnce(Pickle) -> Pickle) -> Pickle {
        attributes(Pickle::new().global("__torch__", "M").op(b")\x81}(")).op(b"ub.")
    }
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored)
}

fn zip(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in records {
        zip.start_file(format!("top/{name}"), stored()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An archive with this root, and the storage `data/0` of four floats.
fn archive(root: &Pickle) -> Vec<u8> {
    let floats: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    zip(&[
        ("data.pkl", &root.0),
        ("data/0", &floats),
        ("constants.pkl", b"\x80\x02K\x07\x85."),
        ("code/__torch__.py", CODE.as_bytes()),
        ("version", b"3\n"),
        ("byteorder", b"little"),
    ])
}

fn read(bytes: &[u8]) -> Result<Archive, Diagnostic> {
    read_archive(bytes, "m.pt", &mut SourceMap::default())
}

/// The message and help of an archive that must fail.
fn error(bytes: &[u8]) -> String {
    let error = read(bytes).expect_err("a broken archive was read");
    assert_eq!((error.failure, error.code.0), (Failure::Model, "archive"), "{error:?}");
    format!("{}; help: {}", error.message, error.help.expect("help"))
}

fn attributes(archive: &Archive, id: HeapId) -> &[(String, Item)] {
    match &archive.heap[id] {
        HeapItem::Object { state: ObjectState::Attributes(attributes), .. } => attributes,
        other => panic!("{other:?}"),
    }
}

/// The value of the root's attribute `x`.
fn x(archive: &Archive) -> &Item {
    &attributes(archive, archive.root.unwrap())[0].1
}

fn read_x(push: impl FnOnce(Pickle) -> Pickle) -> Archive {
    read(&archive(&Pickle::module(|pickle| push(pickle.str("x"))))).unwrap()
}

fn error_of_x(push: impl FnOnce(Pickle) -> Pickle) -> String {
    error(&archive(&Pickle::module(|pickle| push(pickle.str("x")))))
}

fn tensor_x(archive: &Archive) -> &TensorItem {
    match x(archive) {
        Item::Tensor(tensor) => tensor,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_a_module() {
    let root = Pickle::module(|pickle| {
        let pickle = pickle.str("t").tensor("FloatStorage", "0", 4, 0, &[2, 2], &[2, 1]);
        pickle.str("u").tensor("FloatStorage", "0", 4, 1, &[2], &[2]).str("s").global("__torch__", "S").op(b")\x81K\x05b")
    });
    let archive = read(&archive(&root)).unwrap();
    assert_eq!(archive.version, 3);
    assert!(matches!(archive.constants.as_slice(), [Item::Int(7)]));
    assert!(archive.code.contains_key("__torch__"));
    assert_eq!(archive.storages.len(), 1);
    let attributes = attributes(&archive, archive.root.unwrap());
    let [(_, Item::Tensor(t)), (_, Item::Tensor(u)), (_, Item::Ref(s))] = attributes else { panic!("{attributes:?}") };
    assert!(t.requires_grad && t.storage == u.storage);
    assert_eq!(t.gather(&archive.storages).unwrap().to_f32(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(u.gather(&archive.storages).unwrap().to_f32(), [2.0, 4.0]);
    let HeapItem::Object { class, state: ObjectState::SetState(state) } = &archive.heap[*s] else { panic!() };
    assert!(class == "__torch__.S" && matches!(**state, Item::Int(5)));
}

#[test]
fn shared_lists_stay_shared() {
    let archive = read_x(|p| p.op(b"]q\x01K\x01a").str("y").op(b"h\x01"));
    let [(_, Item::Ref(x)), (_, Item::Ref(y))] = attributes(&archive, archive.root.unwrap()) else { panic!() };
    assert_eq!(x, y);
    assert!(matches!(&archive.heap[*x], HeapItem::List { items, type_text: None } if items.len() == 1));
}

#[test]
fn reads_types_of_containers() {
    let archive = read_x(|p| p.global("torch.jit._pickle", "build_intlist").op(b"(](K\x01K\x02etR"));
    let Item::Ref(id) = x(&archive) else { panic!() };
    assert!(
        matches!(&archive.heap[*id], HeapItem::List { type_text: Some(text), items } if text == "List[int]" && items.len() == 2)
    );
    let archive = read_x(|p| p.global("torch.jit._pickle", "restore_type_tag").op(b"}").str("Dict[str, int]").op(b"\x86R"));
    let Item::Ref(id) = x(&archive) else { panic!() };
    assert!(matches!(&archive.heap[*id], HeapItem::Dict { type_text: Some(text), .. } if text == "Dict[str, int]"));
}

#[test]
fn reads_enums_devices_and_numbers() {
    let archive = read_x(|p| p.global("__torch__", "Color").op(b"K\x01R"));
    assert!(matches!(x(&archive), Item::Enum(class, value) if class == "__torch__.Color" && matches!(**value, Item::Int(1))));
    let archive = read_x(|p| p.global("torch", "device").str("cpu").op(b"\x85R"));
    assert!(matches!(x(&archive), Item::Device(name) if name == "cpu"));
    let archive = read_x(|p| p.global("builtins", "complex").float(1.0).float(-2.0).op(b"\x86R"));
    assert!(matches!(x(&archive), Item::Complex(1.0, -2.0)));
    assert!(matches!(x(&read_x(|p| p.op(b"\x8a\x01\xff"))), Item::Int(-1)));
    assert!(matches!(x(&read_x(|p| p.op(b"J\xfe\xff\xff\xff"))), Item::Int(-2)));
}

#[test]
fn reads_quantized_tensors() {
    let rebuild = |p: Pickle| {
        let p = p.global("torch._utils", "_rebuild_qtensor").op(b"(").storage("QInt8Storage", "0", 16).int(0);
        p.ints(&[2, 3]).ints(&[3, 1])
    };
    let hooks = |p: Pickle| p.op(b"\x89").global("collections", "OrderedDict").op(b")RtR");
    let archive = read_x(|p| hooks(rebuild(p).op(b"(").global("torch", "per_tensor_affine").float(0.5).int(3).op(b"t")));
    let tensor = tensor_x(&archive);
    assert_eq!(tensor.dtype, DType::QI8);
    assert!(matches!(tensor.quant, Some(Quant::PerTensor { scale: 0.5, zero_point: 3 })));
    let per_channel = |axis: i64| {
        move |p: Pickle| {
            let p = rebuild(p).op(b"(").global("torch", "per_channel_affine");
            let p = p.tensor("FloatStorage", "0", 4, 0, &[2], &[1]).tensor("IntStorage", "0", 4, 0, &[2], &[1]);
            hooks(p.int(axis).op(b"t"))
        }
    };
    assert!(
        matches!(&tensor_x(&read_x(per_channel(0))).quant, Some(Quant::PerChannel { scales, axis: 0, .. }) if scales.sizes == [2])
    );
    assert!(error_of_x(per_channel(1)).contains("for each channel"));
    assert!(error_of_x(per_channel(2)).contains("no axis 2"));
}

#[test]
fn what_kiln_cannot_hold_is_kept_in_words() {
    let archive = read_x(|p| p.tensor("ComplexFloatStorage", "0", 2, 0, &[2], &[1]));
    assert!(matches!(x(&archive), Item::Unsupported(what) if what == "a tensor of dtype complex64"));
    let archive = read_x(|p| p.global("torch._utils", "_rebuild_sparse_tensor").op(b")R"));
    assert!(matches!(x(&archive), Item::Unsupported(what) if what == "a sparse tensor"));
}

#[test]
fn parameters_are_tensors() {
    let archive = read_x(|p| {
        let p = p.global("torch._utils", "_rebuild_parameter").op(b"(");
        p.tensor("FloatStorage", "0", 4, 0, &[4], &[1]).op(b"\x89").global("collections", "OrderedDict").op(b")RtR")
    });
    assert!(!tensor_x(&archive).requires_grad);
}

#[test]
fn custom_classes_need_no_code() {
    let archive = read_x(|p| p.global("__torch__.torch.classes.quantized", "LinearPackedParamsBase").op(b")\x81(K\x01tb"));
    let Item::Ref(id) = x(&archive) else { panic!() };
    assert!(matches!(&archive.heap[*id], HeapItem::Object { state: ObjectState::SetState(_), .. }));
}

#[test]
fn foreign_names_are_refused_by_name() {
    let message = error(&archive(&Pickle::new().global("os", "system").str("true").op(b"\x85R.")));
    assert!(message.contains("`os.system`") && message.contains("data.pkl"), "{message}");
    assert!(error_of_x(|p| p.global("builtins", "eval")).contains("`builtins.eval`"));
    assert!(error_of_x(|p| p.global("torch", "load")).contains("`torch.load`"));
    assert!(error_of_x(|p| p.global("__torch__.other", "M").op(b")\x81}b")).contains("`__torch__.other.M`"));
    assert!(error_of_x(|p| p.global("__main__", "TensorID")).contains("older than 1.4"));
}

#[test]
fn storages_must_hold_their_tensors() {
    assert!(error_of_x(|p| p.tensor("FloatStorage", "0", 5, 0, &[4], &[1])).contains("should have 20 bytes and has 16"));
    assert!(error_of_x(|p| p.tensor("FloatStorage", "0", i64::MAX, 0, &[4], &[1])).contains("claims"));
    assert!(error_of_x(|p| p.tensor("FloatStorage", "0", -1, 0, &[4], &[1])).contains("claims"));
    assert!(error_of_x(|p| p.tensor("FloatStorage", "9", 4, 0, &[4], &[1])).contains("no record `data/9`"));
    let shapes: [(i64, &[i64], &[i64], &str); 7] = [
        (1, &[4], &[1], "needs 5 elements of a storage that has 4"),
        (0, &[2, 2], &[3, 1], "needs 5 elements"),
        (-1, &[1], &[1], "impossible shape"),
        (0, &[-1], &[1], "impossible shape"),
        (0, &[2], &[-1], "impossible shape"),
        (0, &[2], &[1, 1], "impossible shape"),
        (0, &[i64::MAX, i64::MAX], &[0, 0], "too many elements"),
    ];
    for (offset, sizes, strides, expected) in shapes {
        let message = error_of_x(|p| p.tensor("FloatStorage", "0", 4, offset, sizes, strides));
        assert!(message.contains(expected), "{message}");
    }
    let expanded = read_x(|p| p.tensor("FloatStorage", "0", 4, 0, &[1 << 40], &[0]));
    assert!(tensor_x(&expanded).gather(&expanded.storages).unwrap_err().message.contains("too large"));
    let repeated = read_x(|p| p.tensor("FloatStorage", "0", 4, 1, &[2, 2], &[0, 2]));
    assert_eq!(tensor_x(&repeated).gather(&repeated.storages).unwrap().to_f32(), [2.0, 4.0, 2.0, 4.0]);
    let empty = read_x(|p| p.tensor("FloatStorage", "none", 0, 0, &[3, 0], &[1, 1]));
    assert!(tensor_x(&empty).gather(&empty.storages).unwrap().is_empty());
}

#[test]
fn other_files_are_told_apart() {
    let state_dict = zip(&[("data.pkl", b"\x80\x02}."), ("version", b"3"), ("data/0", b"")]);
    assert!(error(&state_dict).contains("state_dict"));
    let exported = zip(&[("archive_format", b"pt2"), ("models/model.json", b"{}")]);
    assert!(error(&exported).contains("torch.export"));
    let ancient = zip(&[("model.json", b"{}"), ("code/m.py", b"")]);
    assert!(error(&ancient).contains("older than 1.4"));
    assert!(error(b"\x80\x02\x8a\nl\xfc").contains("torch.save"));
    assert!(error(b"").contains("is empty"));
    assert!(error(b"\x10\0\0\0\0\0\0\0{\"a\":1}").contains("safetensors"));
    assert!(error(b"import torch\n").contains("not a TorchScript archive"));
    assert!(error(&zip(&[("a.txt", b"x")])).contains("no `data.pkl`"));
    let root = Pickle::module(|p| p);
    let with_version =
        |version: &[u8]| zip(&[("data.pkl", &root.0), ("code/__torch__.py", CODE.as_bytes()), ("version", version)]);
    assert!(error(&with_version(b"0")).contains("too old"));
    assert!(error(&with_version(b"99")).contains("too new"));
    assert!(error(&with_version(b"x")).contains("not a number"));
    assert!(read(&with_version(b"10\n")).is_ok());
    assert!(error(&zip(&[("data.pkl", &root.0), ("code/__torch__.py", CODE.as_bytes())])).contains("no `version`"));
}

#[test]
fn errors_in_code_are_errors_of_the_archive() {
    let bytes = zip(&[("data.pkl", &Pickle::module(|p| p).0), ("code/__torch__.py", b"def f(:\n"), ("version", b"3")]);
    assert_eq!(read(&bytes).unwrap_err().code.0, "syntax");
}

#[test]
fn origins_lead_to_the_users_file() {
    let source = "def forward(self, x):\n    return -x\n";
    let at = CODE.find("return").unwrap() as i64;
    let table = Pickle::new()
        .op(b"(")
        .str("FORMAT_WITH_STRING_TABLE")
        .op(b"(")
        .str(&source[..22])
        .str(&source[22..])
        .str("net.py")
        .op(b"t(");
    let range = table
        .int(at)
        .op(b"(")
        .global("torch.jit._pickle", "build_intlist")
        .op(b"(](")
        .int(0)
        .int(1)
        .op(b"etR")
        .int(2)
        .int(40)
        .op(b"t");
    let new = range.int(33).int(35).op(b"\x87").int(0).op(b"\x87tt.");
    let old =
        Pickle::new().op(b"((").int(at).op(b"(").str(source).str("net.py").int(40).op(b"t").int(33).int(35).op(b"\x87\x86t.");
    for debug in [new, old] {
        let bytes = zip(&[
            ("data.pkl", &Pickle::module(|p| p).0),
            ("code/__torch__.py", CODE.as_bytes()),
            ("code/__torch__.py.debug_pkl", &debug.0),
            ("version", b"3"),
        ]);
        let mut sources = SourceMap::default();
        let archive = read_archive(&bytes, "m.pt", &mut sources).unwrap();
        let origin = sources.origin(Span::new(archive.code["__torch__"].file, at as u32 + 7, at as u32 + 9));
        assert_eq!(sources.file(origin.file).name, "net.py");
        assert_eq!((sources.line_column(origin), sources.text(origin)), ((41, 12), "-x"));
    }
}

#[test]
fn damaged_origins_do_no_harm() {
    let whole =
        Pickle::new().op(b"((").int(0).op(b"(").str("text").str("net.py").int(1).op(b"t").int(-5).int(i64::MAX).op(b"\x87\x86t.");
    for end in 0..=whole.0.len() {
        let bytes = zip(&[
            ("data.pkl", &Pickle::module(|p| p).0),
            ("code/__torch__.py", CODE.as_bytes()),
            ("code/__torch__.py.debug_pkl", &whole.0[..end]),
            ("version", b"3"),
        ]);
        assert!(read(&bytes).is_ok());
    }
}

#[test]
fn cycles_are_refused() {
    assert!(error_of_x(|p| p.op(b"]q\x01h\x01a")).contains("contains itself"));
    assert!(error_of_x(|p| p.op(b"]q\x01(h\x01ta")).contains("contains itself"));
    let own = Pickle::new().global("__torch__", "M").op(b")\x81q\x01}").str("x").op(b"h\x01sb.");
    assert!(error(&archive(&own)).contains("contains itself"));
}

/// Reads on a small stack, and soon.
fn on_a_small_stack(bytes: Vec<u8>) -> Result<(), Diagnostic> {
    let start = Instant::now();
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(move || read(&bytes).map(drop));
    let result = thread.unwrap().join().expect("no panic");
    assert!(start.elapsed() < Duration::from_secs(5));
    result
}

#[test]
fn depth_is_refused() {
    const DEEP: usize = 200_000;
    let nested: [(&[u8], &[u8]); 4] = [(b"]", b"a"), (b"(", b"t"), (b"}K\x01", b"s"), (b"(", b"l")];
    for (open, close) in nested {
        let root = Pickle::module(|p| p.str("x").op(&open.repeat(DEEP)).op(b"N").op(&close.repeat(DEEP)));
        assert!(on_a_small_stack(archive(&root)).unwrap_err().message.contains("nested too deeply"));
    }
    // Tuples that hold lists that hold tuples: each kind alone is shallow.
    let root = Pickle::module(|p| p.str("x").op(&b"](".repeat(DEEP)).op(b"N").op(&b"ta".repeat(DEEP)));
    assert!(on_a_small_stack(archive(&root)).is_err());
}

#[test]
fn small_pickles_do_not_grow_without_bound() {
    // Each tuple holds the one before twice: 2^60 values.
    let doubled = (0..60_u8).fold(Pickle::default().op(b"N"), |p, i| p.op(&[b'q', i, b'h', i, 0x86]));
    assert!(error_of_x(|p| p.op(&doubled.0)).contains("more data than it holds"));
    // One long string a million times.
    let repeated = error_of_x(|p| p.op(b"](").str(&"a".repeat(1 << 20)).op(b"q\x01").op(&b"h\x01".repeat(1 << 20)).op(b"e"));
    assert!(repeated.contains("more data than it holds"));
}

#[test]
fn bombs_are_refused() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Deflated);
    zip.start_file("top/data.pkl", deflated).unwrap();
    zip.write_all(&Pickle::module(|p| p).0).unwrap();
    zip.start_file("top/version", deflated).unwrap();
    zip.write_all(b"3").unwrap();
    zip.start_file("top/code/__torch__.py", deflated).unwrap();
    zip.write_all(&vec![b'\n'; 8 << 20]).unwrap();
    assert!(error(&zip.finish().unwrap().into_inner()).contains("claim to unpack to"));
}

#[test]
fn broken_pickles_are_errors() {
    let pickles: [&[u8]; 22] = [
        b"",
        b"\x80",
        b"\x80\x04.",
        b"\x80\x02.",
        b"\x80\x02N",
        b"\x80\x02N.",
        b"\x80\x02t.",
        b"\x80\x02R.",
        b"\x80\x02NNR.",
        b"\x80\x02b.",
        b"\x80\x02NNb.",
        b"\x80\x02NN\x81.",
        b"\x80\x02NQ.",
        b"\x80\x02)Q.",
        b"\x80\x02h\x00.",
        b"\x80\x02q\x00.",
        b"\x80\x02X\xff\xff\xff\xff.",
        b"\x80\x02c__torch__\nM",
        b"\x80\x02}(Nu.",
        b"\x80\x02NNa.",
        b"\x80\x02\x8a\x09123456789.",
        b"\x80\x02c__torch__\nM\n)\x81.",
    ];
    for pickle in pickles {
        let message = error(&archive(&Pickle(pickle.to_vec())));
        assert!(message.contains("`data.pkl`"), "{pickle:?}: {message}");
    }
}

fn sample() -> Vec<u8> {
    archive(&Pickle::module(|pickle| {
        let pickle = pickle.str("t").tensor("FloatStorage", "0", 4, 0, &[2, 2], &[2, 1]);
        let pickle = pickle.str("l").global("torch.jit._pickle", "build_intlist").op(b"(](K\x01K\x02etR");
        pickle.str("s").global("__torch__", "S").op(b")\x81K\x05b").str("e").global("__torch__", "Color").op(b"K\x01R")
    }))
}

#[test]
fn truncations_are_errors() {
    let whole = sample();
    assert!(read(&whole).is_ok());
    for end in (0..whole.len()).step_by(97) {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn flipped_bits_never_crash() {
    let whole = sample();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut failed = 0;
    for _ in 0..400 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let mut bytes = whole.clone();
        let bit = state as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        failed += usize::from(read(&bytes).is_err());
    }
    // Most of the file is covered by a checksum.
    assert!(failed > 200, "{failed}");
}

#[test]
fn flipped_bits_in_a_pickle_never_crash() {
    let root = Pickle::module(|p| {
        let p = p.str("t").tensor("FloatStorage", "0", 4, 0, &[2, 2], &[2, 1]).str("l").op(b"]q\x01K\x01a").str("m").op(b"h\x01");
        p.str("e")
            .global("__torch__", "Color")
            .op(b"K\x01R")
            .str("c")
            .global("builtins", "complex")
            .float(1.0)
            .float(2.0)
            .op(b"\x86R")
    });
    for bit in 0..root.0.len() * 8 {
        let mut flipped = root.clone();
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        // Either result will do; a panic will not.
        if let Ok(archive) = read(&archive(&flipped)) {
            assert!(archive.root.is_some());
        }
    }
}

#[test]
fn reads_state_dicts() {
    let inner = |p: Pickle| p.op(b"}(").str("w").tensor("FloatStorage", "0", 4, 0, &[4], &[1]).op(b"u");
    let floats: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let nested = inner(Pickle::new().op(b"}").str("epoch").op(b"K\x03s").str("state_dict")).op(b"s.");
    for root in [inner(Pickle::new()).op(b"."), nested] {
        let dict = read_state_dict(&zip(&[("data.pkl", &root.0), ("data/0", &floats)]), "w.pt").unwrap();
        assert_eq!(dict.tensors[0].0, "w");
        assert_eq!(dict.tensors[0].1.gather(&dict.storages).unwrap().to_f32(), [1.0, 2.0, 3.0, 4.0]);
    }
    let pickled = Pickle::new().global("my.module", "Net").op(b")\x81}b.");
    let error = read_state_dict(&zip(&[("data.pkl", &pickled.0)]), "w.pt").unwrap_err();
    assert!(error.message.contains("`my.module.Net`"), "{error:?}");
}
