//! Values of a call as runtime objects, and results back as plain data.
//!
//! In and out: [`InputValue`]s. Objects are made in the instance's own context, so that the model may keep or change
//! them as it may those of an app. While a call runs they are *held*: a failed call frees what nothing holds.

use crate::runtime::functions;
use kiln_frontend::tensors_file::InputValue;
use kiln_graph::{ClassKind, Program, Type};
use kiln_rt::abi::{Context, Dict, Header, IMMORTAL, List, Object, Str, Tensor, Tuple, Value, tag};
use kiln_support::{DType, Diagnostic, TensorData};
use std::collections::HashMap;
use std::mem::{MaybeUninit, size_of};
use std::ptr::{null, null_mut};

/// Values may nest this deep; deeper ones contain themselves.
const MAX_DEPTH: usize = 500;

/// Makes and reads runtime objects for one instance.
pub struct Heap {
    /// The instance's context, or `own`.
    context: *mut Context,
    /// The context of a model that has no run-time objects of its own.
    own: Option<Box<Context>>,
    /// Names of named tuples, by class: type name and field names.
    names: HashMap<String, Names>,
}

/// Immortal strings and the table of their addresses.
struct Names {
    _texts: Vec<Box<[u64]>>,
    table: Box<[*const Str]>,
}

impl Heap {
    /// A heap for an instance.
    ///
    /// # Safety
    /// `context` is the live context of an instance, and outlives the heap.
    pub unsafe fn new(context: *mut Context) -> Heap {
        // SAFETY: the context is live.
        if unsafe { (*context).alloc.is_some() } {
            return Heap { context, own: None, names: HashMap::new() };
        }
        let mut own = Box::new(MaybeUninit::<Context>::uninit());
        // SAFETY: `context_init` writes the whole context.
        let mut own = unsafe {
            (functions().context_init)(own.as_mut_ptr(), null());
            own.assume_init()
        };
        Heap { context: &mut *own, own: Some(own), names: HashMap::new() }
    }

    /// A runtime value for a value of a declared type. The caller owns the reference.
    pub fn build(&mut self, value: &InputValue, ty: &Type, program: &Program) -> Result<Value, Diagnostic> {
        let value = match value {
            InputValue::None => Value::NONE,
            InputValue::Bool(b) => Value::bool(*b),
            InputValue::Int(i) => Value::int(*i),
            InputValue::Float(f) => Value::float(*f),
            InputValue::Str(text) => {
                // SAFETY: the text's bytes are readable.
                Value::object(tag::STR, unsafe { (functions().str_new)(self.context, text.as_ptr(), text.len() as u64) })
            }
            InputValue::Tensor(tensor) => self.tensor(tensor),
            InputValue::List(items) => self.list(items, ty, program)?,
            InputValue::Tuple(items) => {
                let types = tuple_types(ty, items.len());
                let items: Vec<(&InputValue, &Type)> = items.iter().zip(&types).collect();
                self.tuple(&items, None, program)?
            }
            InputValue::Dict(items) => self.dict(items, ty, program)?,
            InputValue::NamedTuple { name, fields } => {
                let types = class_types(ty, program, fields.len());
                let items: Vec<(&InputValue, &Type)> = fields.iter().map(|(_, item)| item).zip(&types).collect();
                let names = std::iter::once(name.as_str()).chain(fields.iter().map(|(field, _)| field.as_str())).collect();
                self.tuple(&items, Some(names), program)?
            }
        };
        self.check_memory()?;
        Ok(value)
    }

    fn check_memory(&self) -> Result<(), Diagnostic> {
        // SAFETY: the context is live.
        match unsafe { (*self.context).status } {
            0 => Ok(()),
            status => Err(Diagnostic::model("memory", format!("the arguments cannot be made (status {status})"))),
        }
    }

    fn tensor(&mut self, data: &TensorData) -> Value {
        // SAFETY: `tensor_new` gives a contiguous tensor of these sizes, or null; the bytes fit it exactly.
        unsafe {
            let tensor = (functions().tensor_new)(self.context, data.dtype.code(), data.shape.len() as i64, data.shape.as_ptr());
            if !tensor.is_null() && !data.bytes.is_empty() {
                std::ptr::copy_nonoverlapping(data.bytes.as_ptr(), (*tensor).data, data.bytes.len());
            }
            Value::object(tag::TENSOR, tensor)
        }
    }

    fn list(&mut self, items: &[InputValue], ty: &Type, program: &Program) -> Result<Value, Diagnostic> {
        let elem = if let Type::List(elem) = ty { (**elem).clone() } else { element_type(items) };
        // SAFETY: the context is live.
        let list = unsafe { (functions().list_new)(self.context, items.len() as u64, tag_of(&elem, program)) };
        self.check_memory()?;
        for item in items {
            let item = self.build(item, &elem, program)?;
            // SAFETY: list and item are live; the list takes a reference of its own.
            unsafe { (functions().list_push)(self.context, list, item.tag, item.bits) };
            self.release(item);
        }
        Ok(Value::object(tag::LIST, list))
    }

    fn tuple(
        &mut self,
        items: &[(&InputValue, &Type)],
        names: Option<Vec<&str>>,
        program: &Program,
    ) -> Result<Value, Diagnostic> {
        let values = items.iter().map(|(item, ty)| self.build(item, ty, program)).collect::<Result<Vec<Value>, _>>()?;
        let names = names.map_or(null(), |names| self.names(&names));
        // SAFETY: the values are live, `names` is null or a table of one more strings.
        let tuple = unsafe { (functions().tuple_new)(self.context, values.as_ptr(), values.len() as u64, names) };
        values.into_iter().for_each(|value| self.release(value));
        Ok(Value::object(tag::TUPLE, tuple))
    }

    fn dict(&mut self, items: &[(InputValue, InputValue)], ty: &Type, program: &Program) -> Result<Value, Diagnostic> {
        let (key_type, value_type) = match ty {
            Type::Dict(types) => (**types).clone(),
            _ => (Type::Any, Type::Any),
        };
        // SAFETY: the context is live.
        let dict = unsafe { (functions().dict_new)(self.context, tag_of(&key_type, program), tag_of(&value_type, program)) };
        self.check_memory()?;
        for (key, value) in items {
            let key = self.build(key, &key_type, program)?;
            let value = self.build(value, &value_type, program)?;
            // SAFETY: all are live; the dict takes references of its own.
            unsafe { (functions().dict_set)(self.context, dict, key.tag, key.bits, value.tag, value.bits) };
            self.release(key);
            self.release(value);
        }
        Ok(Value::object(tag::DICT, dict))
    }

    /// The table of a named tuple's names. It lives as long as the heap.
    fn names(&mut self, names: &[&str]) -> *const *const Str {
        let entry = self.names.entry(names.join(",")).or_insert_with(|| {
            let texts: Vec<Box<[u64]>> = names.iter().map(|name| immortal_str(name)).collect();
            let table = texts.iter().map(|text| text.as_ptr().cast::<Str>()).collect();
            Names { _texts: texts, table }
        });
        entry.table.as_ptr()
    }

    /// Drops a reference.
    pub fn release(&mut self, value: Value) {
        // SAFETY: the caller owns a reference of the value.
        unsafe { (functions().release)(self.context, value.tag, value.bits) }
    }

    /// Gives back what a call gave.
    pub fn give_back(&mut self, result: Value) {
        // SAFETY: the context is live; only what is held is given back.
        unsafe { (functions().value_release)(self.context, &result) }
    }

    /// Keeps values alive through a call that fails.
    pub fn hold(&mut self, values: &[Value]) {
        // SAFETY: the context and the values are live; `held` is null or a list of this context.
        unsafe {
            if (*self.context).held.is_null() {
                (*self.context).held = (functions().list_new)(self.context, values.len() as u64, tag::ANY);
            }
            let held = (*self.context).held;
            for value in values.iter().filter(|_| !held.is_null()) {
                (functions().list_push)(self.context, held, value.tag, value.bits);
            }
        }
    }

    /// Lets go of everything that is held.
    pub fn let_go(&mut self) {
        // SAFETY: as in `hold`.
        unsafe {
            if !(*self.context).held.is_null() {
                (functions().list_clear)(self.context, (*self.context).held);
            }
        }
    }

    /// A result as plain data. The value stays the caller's.
    pub fn read(&mut self, value: Value) -> Result<InputValue, Diagnostic> {
        self.read_at(value, 0)
    }

    fn read_at(&mut self, value: Value, depth: usize) -> Result<InputValue, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(unwritable("a result that contains itself, or is nested too deeply,"));
        }
        Ok(match value.tag {
            tag::NONE => InputValue::None,
            tag::BOOL => InputValue::Bool(value.bits & 1 != 0),
            tag::INT => InputValue::Int(value.as_int()),
            tag::FLOAT => InputValue::Float(value.as_float()),
            // SAFETY: the tag says what the pointer points to; results of a call are live objects.
            tag::STR | tag::DEVICE => InputValue::Str(unsafe { text(value.pointer()) }),
            tag::TENSOR => self.read_tensor(value.pointer())?,
            tag::LIST => {
                // SAFETY: as above.
                let items = unsafe { list_items(value.pointer()) };
                InputValue::List(self.read_all(&items, depth)?)
            }
            tag::TUPLE => self.read_tuple(value.pointer(), depth)?,
            tag::DICT => self.read_dict(value.pointer(), depth)?,
            tag::OBJECT => {
                // SAFETY: as above.
                let class = unsafe { class_of(value.pointer()) };
                return Err(unwritable(&format!("a result of class `{class}`")));
            }
            other => panic!("a result has the unknown tag {other}"),
        })
    }

    fn read_all(&mut self, items: &[Value], depth: usize) -> Result<Vec<InputValue>, Diagnostic> {
        items.iter().map(|&item| self.read_at(item, depth + 1)).collect()
    }

    fn read_tensor(&mut self, tensor: *mut Tensor) -> Result<InputValue, Diagnostic> {
        // SAFETY: `tensor` is live; a contiguous tensor has `count * size` readable bytes.
        unsafe {
            let dtype =
                DType::from_code(i64::from((*tensor).dtype)).unwrap_or_else(|| panic!("a result has dtype {}", (*tensor).dtype));
            if dtype.is_quantized() {
                return Err(unwritable("a quantized tensor as the result"));
            }
            let rank = (*tensor).rank as usize;
            let shape = std::slice::from_raw_parts((&raw const (*tensor).dims).cast::<i64>(), rank).to_vec();
            let dense = (functions().tensor_contiguous)(self.context, tensor);
            self.check_memory()?;
            let bytes = kiln_support::tensor::count(&shape) * dtype.size();
            let bytes: Vec<u8> = if bytes == 0 { Vec::new() } else { std::slice::from_raw_parts((*dense).data, bytes).to_vec() };
            self.release(Value::object(tag::TENSOR, dense));
            Ok(InputValue::Tensor(TensorData::new(dtype, shape, bytes)))
        }
    }

    fn read_tuple(&mut self, tuple: *const Tuple, depth: usize) -> Result<InputValue, Diagnostic> {
        // SAFETY: `tuple` is live: `len` items follow it; `names` is null or holds one more strings.
        let (items, names) = unsafe {
            let len = (*tuple).len as usize;
            let items = std::slice::from_raw_parts((&raw const (*tuple).items).cast::<Value>(), len).to_vec();
            let names = (*tuple).names;
            let names: Option<Vec<String>> = (!names.is_null()).then(|| (0..=len).map(|i| text(*names.add(i))).collect());
            (items, names)
        };
        let items = self.read_all(&items, depth)?;
        Ok(match names {
            None => InputValue::Tuple(items),
            Some(mut names) => {
                let fields = names.split_off(1).into_iter().zip(items).collect();
                let name = names[0].rsplit('.').next().unwrap_or_default().to_owned();
                InputValue::NamedTuple { name, fields }
            }
        })
    }

    fn read_dict(&mut self, dict: *const Dict, depth: usize) -> Result<InputValue, Diagnostic> {
        let (mut position, mut key, mut value) = (0, Value::NONE, Value::NONE);
        let mut items = Vec::new();
        // SAFETY: `dict` is live and is not changed meanwhile.
        while unsafe { (functions().dict_next)(dict, &mut position, &mut key, &mut value) } != 0 {
            items.push((self.read_at(key, depth + 1)?, self.read_at(value, depth + 1)?));
        }
        Ok(InputValue::Dict(items))
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if self.own.is_some() {
            // SAFETY: the context is our own; nothing uses its objects any more.
            unsafe { (functions().context_destroy)(self.context) }
        }
    }
}

/// The error for a result that no file of results can hold.
pub(crate) fn unwritable(what: &str) -> Diagnostic {
    Diagnostic::unsupported("result", format!("kiln does not support {what} yet"))
        .help("return tensors, numbers, strings, or lists, tuples and dicts of them")
}

/// The bytes of a `Str` that is never freed.
fn immortal_str(value: &str) -> Box<[u64]> {
    let head = size_of::<Str>();
    let mut words = vec![0u64; (head + value.len()).div_ceil(8)].into_boxed_slice();
    let start = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the block is large enough for head and text, and aligned to 8 as `Str` is.
    unsafe {
        let header = Header { refs: IMMORTAL, kind: tag::STR as u32, prev: null_mut(), next: null_mut() };
        start.cast::<Str>().write(Str { header, len: value.len() as u64, bytes: [] });
        std::ptr::copy_nonoverlapping(value.as_ptr(), start.add(head), value.len());
    }
    words
}

/// # Safety
/// `str` is a live string.
unsafe fn text(str: *const Str) -> String {
    // SAFETY: `len` bytes follow the head.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const (*str).bytes).cast::<u8>(), (*str).len as usize) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// # Safety
/// `list` is a live list.
unsafe fn list_items(list: *const List) -> Vec<Value> {
    // SAFETY: `items` holds `len` values, and may be null only when there are none.
    unsafe {
        if (*list).len == 0 { Vec::new() } else { std::slice::from_raw_parts((*list).items, (*list).len as usize).to_vec() }
    }
}

/// # Safety
/// `object` is a live object.
unsafe fn class_of(object: *const Object) -> String {
    // SAFETY: `class` is 0 or the address of a string.
    unsafe { if (*object).class == 0 { "object".into() } else { text((*object).class as *const Str) } }
}

/// The tag of elements of a type, for containers.
fn tag_of(ty: &Type, program: &Program) -> u64 {
    match ty {
        Type::None => tag::NONE,
        Type::Bool => tag::BOOL,
        Type::Int => tag::INT,
        Type::Float => tag::FLOAT,
        Type::Str => tag::STR,
        Type::Tensor(_) => tag::TENSOR,
        Type::List(_) => tag::LIST,
        Type::Tuple(_) => tag::TUPLE,
        Type::Dict(_) => tag::DICT,
        Type::Device => tag::DEVICE,
        Type::Class(class) if program.classes[*class].kind == ClassKind::NamedTuple => tag::TUPLE,
        Type::Class(_) => tag::OBJECT,
        _ => tag::ANY,
    }
}

/// The type of the elements of a list of which nothing is declared.
pub fn element_type(items: &[InputValue]) -> Type {
    let of = |item: &InputValue| match item {
        InputValue::Bool(_) => Type::Bool,
        InputValue::Int(_) => Type::Int,
        InputValue::Float(_) => Type::Float,
        InputValue::Str(_) => Type::Str,
        InputValue::Tensor(_) => Type::TENSOR,
        _ => Type::Any,
    };
    match items {
        [first, rest @ ..] if rest.iter().all(|item| of(item) == of(first)) => of(first),
        _ => Type::Any,
    }
}

fn tuple_types(ty: &Type, len: usize) -> Vec<Type> {
    match ty {
        Type::Tuple(types) if types.len() == len => types.to_vec(),
        _ => vec![Type::Any; len],
    }
}

fn class_types(ty: &Type, program: &Program, len: usize) -> Vec<Type> {
    match ty {
        Type::Class(class) if program.classes[*class].fields.len() == len => {
            program.classes[*class].fields.iter().map(|f| f.ty.clone()).collect()
        }
        _ => tuple_types(ty, len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A heap on a context of its own.
    fn heap() -> (Box<Context>, Heap) {
        let mut context = Box::new(MaybeUninit::<Context>::uninit());
        // SAFETY: `context_init` writes the whole context, which outlives the heap.
        unsafe {
            (functions().context_init)(context.as_mut_ptr(), null());
            let mut context = context.assume_init();
            let heap = Heap::new(&mut *context);
            (context, heap)
        }
    }

    #[test]
    fn values_survive_a_round_trip_and_are_freed() {
        use InputValue as V;
        let (context, mut heap) = heap();
        let tensor = || V::Tensor(TensorData::from_f32(&[2, 1], &[1.5, -0.0]));
        let point = V::NamedTuple { name: "Point".into(), fields: vec![("x".into(), V::Int(1)), ("t".into(), tensor())] };
        let value = V::Tuple(vec![
            V::None,
            V::Bool(true),
            V::Float(0.5),
            V::Str("h\u{e9}".into()),
            V::List(vec![tensor(), V::Tensor(TensorData::from_f32(&[0, 3], &[]))]),
            V::Dict(vec![(V::Str("b".into()), V::Int(1)), (V::Str("a".into()), V::Int(-2))]),
            point,
        ]);
        let built = heap.build(&value, &Type::Any, &Program::default()).unwrap();
        heap.hold(&[built]);
        assert_eq!(heap.read(built).unwrap(), value);
        heap.let_go();
        heap.release(built);
        assert_eq!(context.live_objects, 1, "only the list of held values is left");
    }

    #[test]
    fn a_model_without_run_time_objects_gets_a_context_for_its_arguments() {
        let mut bare = Box::new(MaybeUninit::<Context>::zeroed());
        // SAFETY: zeroes are a context without allocator, as such a model's `create` makes it.
        let mut heap = unsafe { Heap::new(bare.as_mut_ptr()) };
        let value = InputValue::List(vec![InputValue::Int(1)]);
        let built = heap.build(&value, &Type::list(Type::Int), &Program::default()).unwrap();
        assert_eq!(heap.read(built).unwrap(), value);
        heap.release(built);
    }
}
