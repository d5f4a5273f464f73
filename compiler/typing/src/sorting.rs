//! Sorting objects by their class's own `__lt__` (`list.sort()`, `sorted`): a loop in TorchScript, typed for the class.
//!
//! Insertion keeps the order of equal elements, as PyTorch's `std::sort` does for lists of up to 16 elements.

use crate::body::Body;
use crate::overload::Args;
use crate::session::{Declared, Dialect, Progress, Session, Unit};
use crate::sugar::Typed;
use kiln_frontend::ast::{Item, SourceModule};
use kiln_frontend::python::parse_module;
use kiln_graph::{FuncId, Function, Graph, Param, Type, Value};
use kiln_support::{SourceMap, Span};
use std::sync::OnceLock;

/// The unit that holds the function.
const UNIT: &str = "kiln_sorting";

const TEXT: &str = "
def sort(items, reverse):
    for i in range(1, len(items)):
        item = items[i]
        place = i
        is_before = True
        while place > 0 and is_before:
            other = items[place - 1]
            is_before = other < item if reverse else item < other
            if is_before:
                items[place] = other
                place -= 1
        items[place] = item
";

fn module() -> &'static SourceModule {
    static MODULE: OnceLock<SourceModule> = OnceLock::new();
    MODULE.get_or_init(|| {
        let mut sources = SourceMap::default();
        let file = sources.add("sorting", TEXT);
        parse_module(&sources, file).expect("the text is in the subset")
    })
}

impl Session<'_> {
    /// `sort` for lists of this type, declared on first sight.
    fn sorting_function(&mut self, list: &Type) -> FuncId {
        let qualified = format!("{UNIT}.sort[{}]", list.display(self.program));
        if let Some(&id) = self.function_ids.get(&qualified) {
            return id;
        }
        self.units.entry(UNIT.into()).or_insert_with(|| Unit::new(Dialect::Source, &module().items));
        let Some(Item::Function(def)) = module().items.first() else { unreachable!("the text is one function") };
        let param = |name: &str, ty: Type| Param { name: name.into(), ty, default: None, keyword_only: false, broadcasts: None };
        let params = vec![param("items", list.clone()), param("reverse", Type::Bool)];
        let mut body = Graph::new();
        let entry = body.entry;
        body.blocks[entry].diverges = true;
        let id =
            self.program.funcs.push(Function { name: qualified.clone(), params, returns: Type::None, body, span: Span::NONE });
        let declared = Declared { def, unit: UNIT.into(), progress: Progress::Declared, returns_known: true, failed: false };
        self.declared.insert(id, declared);
        self.function_ids.insert(qualified, id);
        id
    }
}

impl Body<'_, '_> {
    /// `list.sort(reverse)` or `sorted(list, reverse)` of objects whose class says which one comes first.
    pub fn sort_objects(&mut self, name: &str, args: &Args, at: Span) -> Typed<Option<Value>> {
        let ("aten::sort" | "aten::sorted") = name else { return Ok(None) };
        let operands: Vec<Value> = args.receiver.into_iter().chain(args.positional.iter().copied()).collect();
        let Some(&list) = operands.first() else { return Ok(None) };
        let ty = self.ty(list).clone();
        let Type::List(elem) = &ty else { return Ok(None) };
        if let Type::Tuple(items) = &**elem
            && items.iter().any(|item| matches!(item, Type::Class(_)))
        {
            return Err(crate::unsupported("sort-objects", "sorting tuples that hold objects is not supported", at));
        }
        let Type::Class(class) = **elem else { return Ok(None) };
        if self.session.program.classes[class].method("__lt__").is_none() {
            return Ok(None);
        }
        let named = args.keywords.iter().find(|(name, _)| name == "reverse").map(|(_, value)| *value);
        let reverse = match operands.get(1).copied().or(named) {
            Some(reverse) => reverse,
            None => self.bool(false, at),
        };
        let func = self.session.sorting_function(&ty);
        let sorted = if name == "aten::sorted" { self.table_op("aten::copy", &[list], at)? } else { list };
        let nothing = self.call_function(func, Args::positional(&[sorted, reverse]), at)?;
        Ok(Some(if name == "aten::sorted" { sorted } else { nothing }))
    }
}
