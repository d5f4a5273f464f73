//! Values of Python while `__init__` runs. Containers, objects and tensors are references.

use kiln_frontend::ast::{ClassDef, Expr, FunctionDef, Param};
use kiln_support::{DType, TensorData};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// A value.
#[derive(Clone)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Device(Rc<str>),
    Tensor(Rc<Tensor>),
    List(Rc<RefCell<Vec<Value>>>),
    Tuple(Rc<[Value]>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// `start:stop:step` as an index.
    Slice([Option<i64>; 3]),
    /// `_modules` or `_parameters` of a module.
    Table(Rc<Object>, Table),
    Function(Rc<Function>),
    Lambda(Rc<Lambda>),
    /// A function with its receiver.
    Method(Box<Value>, Rc<Function>),
    Class(Rc<Class>),
    Object(Rc<Object>),
    Member(Rc<Member>),
    /// Something outside of the model's files, by its full path: `torch.nn.functional.relu`, `math`.
    Path(Rc<str>),
    /// A method of a value that Python or PyTorch define.
    Builtin(Box<Value>, Rc<str>),
    /// `functools.partial(...)`.
    Partial(Rc<Partial>),
    /// `super()`: where to look after, and in what.
    Super(Rc<Class>, Rc<Object>),
}

/// Which attributes of a module a [`Value::Table`] holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    Modules,
    Parameters,
}

/// A tensor: its elements, or only what they will be like.
#[derive(Clone, Debug)]
pub enum TensorValue {
    /// Elements.
    Known(TensorData),
    /// Element type and sizes.
    Open(DType, Vec<i64>),
}

impl TensorValue {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            TensorValue::Known(data) => data.dtype,
            TensorValue::Open(dtype, _) => *dtype,
        }
    }

    /// Sizes.
    pub fn shape(&self) -> &[i64] {
        match self {
            TensorValue::Known(data) => &data.shape,
            TensorValue::Open(_, shape) => shape,
        }
    }
}

/// A tensor as an object.
pub struct Tensor {
    /// The same cell in a tensor and the parameter made of it.
    pub value: Rc<RefCell<TensorValue>>,
    pub is_parameter: Cell<bool>,
    pub requires_grad: Cell<bool>,
    /// Whether it comes from `torch.empty` itself: what is not written to it means nothing.
    pub is_blank: Cell<bool>,
    /// Held by every tensor that may share this memory: while there are others with another cell, it cannot be written to.
    pub storage: RefCell<Rc<()>>,
}

impl Tensor {
    /// A tensor of its own.
    pub fn new(value: TensorValue, is_parameter: bool) -> Tensor {
        Tensor {
            value: Rc::new(RefCell::new(value)),
            is_parameter: Cell::new(is_parameter),
            requires_grad: Cell::new(is_parameter),
            is_blank: Cell::new(false),
            storage: RefCell::default(),
        }
    }
}

impl Tensor {
    /// The same elements as a parameter or buffer: a write to one is a write to both.
    pub fn alias(&self, is_parameter: bool) -> Tensor {
        let storage = self.storage.borrow().clone();
        Tensor {
            value: self.value.clone(),
            is_parameter: Cell::new(is_parameter),
            requires_grad: Cell::new(is_parameter),
            is_blank: Cell::new(false),
            storage: RefCell::new(storage),
        }
    }

    /// Notes that it may share the memory of another tensor.
    pub fn share(&self, other: &Tensor) {
        let storage = other.storage.borrow().clone();
        *self.storage.borrow_mut() = storage;
    }

    /// Whether nothing else is there that a write to it would show in.
    pub fn is_sole(&self) -> bool {
        Rc::strong_count(&self.storage.borrow()) == Rc::strong_count(&self.value)
    }
}

/// A function of a file.
pub struct Function {
    pub unit: Rc<str>,
    pub def: Rc<FunctionDef>,
    /// The class whose body it stands in.
    pub class: Option<Rc<Class>>,
}

/// A lambda with the variables it sees.
pub struct Lambda {
    pub unit: Rc<str>,
    pub params: Vec<Param>,
    pub body: Expr,
    pub vars: Vec<(String, Value)>,
}

/// What a class is to TorchScript.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClassKind {
    Module,
    NamedTuple,
    Enum,
    Interface,
    Plain,
}

/// A class of a file, or `torch.nn.Module` itself, which has no definition.
pub struct Class {
    pub name: String,
    pub unit: Rc<str>,
    pub def: Option<Rc<ClassDef>>,
    /// The class and its bases, in the order of method resolution.
    pub mro: RefCell<Vec<Rc<Class>>>,
    pub kind: ClassKind,
}

impl Class {
    /// `unit.Name`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.unit, self.name)
    }

    /// Whether it is decorated with `@torch.jit.script`.
    pub fn is_scripted(&self) -> bool {
        let is_script = |path: String| path.rsplit('.').next() == Some("script");
        self.def.as_ref().is_some_and(|def| def.decorators.iter().any(|decorator| decorator.dotted().is_some_and(is_script)))
    }

    /// Whether it is another class or derives from it.
    pub fn derives(&self, other: &Class) -> bool {
        self.mro.borrow().iter().any(|class| std::ptr::eq(&**class, other))
    }
}

/// An instance of a class.
pub struct Object {
    pub class: Rc<Class>,
    /// Attributes in the order in which they were first set.
    pub attributes: RefCell<Vec<(String, Value)>>,
    /// Types that an assignment wrote down (`self.x: List[int] = []`), with the unit that names them.
    pub annotations: RefCell<Vec<(String, Rc<str>, Expr)>>,
    /// Attributes that are buffers: the weights hold them, as they do parameters.
    pub buffers: RefCell<BTreeSet<String>>,
    /// Buffers that no weights hold.
    pub unsaved: RefCell<BTreeSet<String>>,
}

impl Object {
    pub fn new(class: Rc<Class>) -> Object {
        Object {
            class,
            attributes: RefCell::default(),
            annotations: RefCell::default(),
            buffers: RefCell::default(),
            unsaved: RefCell::default(),
        }
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        self.attributes.borrow().iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    pub fn set(&self, name: &str, value: Value) {
        let mut attributes = self.attributes.borrow_mut();
        match attributes.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = value,
            None => attributes.push((name.to_owned(), value)),
        }
    }

    pub fn remove(&self, name: &str) {
        self.attributes.borrow_mut().retain(|(own, _)| own != name);
    }

    /// The entries of a table.
    pub fn table(&self, table: Table) -> Vec<(String, Value)> {
        let is_entry = |value: &Value| match table {
            Table::Modules => value.as_module().is_some(),
            Table::Parameters => matches!(value, Value::Tensor(tensor) if tensor.is_parameter.get()),
        };
        self.attributes.borrow().iter().filter(|(_, value)| is_entry(value)).cloned().collect()
    }

    /// The modules directly inside, in order.
    pub fn children(&self) -> Vec<(String, Rc<Object>)> {
        let attributes = self.attributes.borrow();
        let modules = attributes.iter().filter_map(|(name, value)| value.as_module().map(|module| (name.clone(), module)));
        modules.collect()
    }
}

/// A member of an enum.
pub struct Member {
    pub class: Rc<Class>,
    pub name: String,
    pub value: Value,
}

/// A function with some arguments given.
pub struct Partial {
    pub function: Value,
    pub args: Vec<Value>,
    pub keywords: Vec<(String, Value)>,
}

impl Value {
    pub fn str(text: impl AsRef<str>) -> Value {
        Value::Str(Rc::from(text.as_ref()))
    }

    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Rc::new(RefCell::new(items)))
    }

    pub fn tuple(items: Vec<Value>) -> Value {
        Value::Tuple(items.into())
    }

    pub fn dict(items: Vec<(Value, Value)>) -> Value {
        Value::Dict(Rc::new(RefCell::new(items)))
    }

    pub fn tensor(value: TensorValue) -> Value {
        Value::Tensor(Rc::new(Tensor::new(value, false)))
    }

    pub fn path(path: impl AsRef<str>) -> Value {
        Value::Path(Rc::from(path.as_ref()))
    }

    pub fn builtin(receiver: Value, name: &str) -> Value {
        Value::Builtin(Box::new(receiver), Rc::from(name))
    }

    /// The module that it is.
    pub fn as_module(&self) -> Option<Rc<Object>> {
        match self {
            Value::Object(object) if object.class.kind == ClassKind::Module => Some(object.clone()),
            _ => None,
        }
    }

    /// What Python calls its type, for messages.
    pub fn type_name(&self) -> String {
        match self {
            Value::None => "None".into(),
            Value::Bool(_) => "bool".into(),
            Value::Int(_) => "int".into(),
            Value::Float(_) => "float".into(),
            Value::Str(_) => "str".into(),
            Value::Device(_) => "device".into(),
            Value::Tensor(_) => "Tensor".into(),
            Value::List(_) => "list".into(),
            Value::Tuple(_) => "tuple".into(),
            Value::Dict(_) | Value::Table(..) => "dict".into(),
            Value::Slice(_) => "slice".into(),
            Value::Function(_) | Value::Lambda(_) | Value::Partial(_) => "function".into(),
            Value::Method(..) | Value::Builtin(..) => "method".into(),
            Value::Class(_) => "class".into(),
            Value::Object(object) => object.class.name.clone(),
            Value::Member(member) => member.class.name.clone(),
            Value::Path(path) => format!("`{path}`"),
            Value::Super(..) => "super".into(),
        }
    }

    /// Whether Python counts it as true; none for what cannot be asked here.
    pub fn truth(&self) -> Option<bool> {
        Some(match self {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(x) => *x != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::List(items) => !items.borrow().is_empty(),
            Value::Tuple(items) => !items.is_empty(),
            Value::Dict(items) => !items.borrow().is_empty(),
            Value::Table(object, table) => !object.table(*table).is_empty(),
            Value::Tensor(tensor) => match &*tensor.value.borrow() {
                TensorValue::Known(data) if data.len() == 1 => data.get(0).as_bool(),
                _ => return None,
            },
            Value::Object(_) => return None,
            _ => true,
        })
    }

    /// Whether two values are the same object, or the same plain value.
    pub fn is(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Tensor(a), Value::Tensor(b)) => Rc::ptr_eq(a, b),
            (Value::List(a), Value::List(b)) => Rc::ptr_eq(a, b),
            (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
            (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
            (Value::Class(a), Value::Class(b)) => Rc::ptr_eq(a, b),
            (Value::Function(a), Value::Function(b)) => Rc::ptr_eq(&a.def, &b.def),
            (Value::Lambda(a), Value::Lambda(b)) => Rc::ptr_eq(a, b),
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Bool(_), _) | (_, Value::Bool(_)) => false,
            (Value::Tuple(_), _) => false,
            _ => self.equals(other),
        }
    }

    /// Python's `==` for what has one without tensors.
    pub fn equals(&self, other: &Value) -> bool {
        self.equals_at(other, 0)
    }

    /// What is nested too deeply, or contains itself, is equal to nothing.
    fn equals_at(&self, other: &Value, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::Str(a), Value::Str(b)) | (Value::Device(a), Value::Device(b)) | (Value::Path(a), Value::Path(b)) => a == b,
            (Value::List(a), Value::List(b)) => same_items(&a.borrow(), &b.borrow(), depth),
            (Value::Tuple(a), Value::Tuple(b)) => same_items(a, b, depth),
            (Value::Dict(a), Value::Dict(b)) => {
                let (a, b) = (a.borrow(), b.borrow());
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, value)| b.iter().any(|(other, found)| key.equals(other) && value.equals_at(found, depth + 1)))
            }
            (Value::Member(a), Value::Member(b)) => Rc::ptr_eq(&a.class, &b.class) && a.name == b.name,
            (Value::Bool(_) | Value::Int(_) | Value::Float(_), Value::Bool(_) | Value::Int(_) | Value::Float(_)) => {
                match (self.as_int(), other.as_int()) {
                    (Some(a), Some(b)) => a == b,
                    _ => self.as_float() == other.as_float(),
                }
            }
            (Value::Tensor(_), _) | (Value::Object(_), _) | (Value::Class(_), _) | (Value::Function(_), _) => {
                std::mem::discriminant(self) == std::mem::discriminant(other) && self.is(other)
            }
            _ => false,
        }
    }

    /// An int or bool.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    /// A number.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(x) => Some(*x),
            _ => self.as_int().map(|i| i as f64),
        }
    }
}

/// Containers inside one another.
pub const MAX_DEPTH: usize = 50;

fn same_items(a: &[Value], b: &[Value], depth: usize) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals_at(b, depth + 1))
}
