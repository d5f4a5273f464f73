//! Read-only data: small pieces together behind one symbol in `.rodata`, those with addresses inside in `.data.rel.ro`, large ones in
//! sections of their own that borrow the plan's bytes instead of copying them.

use crate::error::CodegenError;
use crate::linker::Linker;
use crate::unwind::Unwind;
use cranelift_codegen::isa::TargetIsa;
use cranelift_module::{DataDescription, DataId, FuncId, Linkage};
use cranelift_object::ObjectModule;
use kiln_loops::plan::{self, Plan};
use object::write::{Object, StandardSegment};
use object::{SectionKind, SymbolScope};

/// Bytes from which data is not copied.
const LARGE: usize = 1 << 14;

/// Where data is: at an offset from a symbol.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The symbol.
    pub(crate) symbol: DataId,
    /// Bytes behind it.
    pub(crate) offset: i64,
}

/// Declares all data and defines what is small; gives the places in the plan's order.
pub(crate) fn declare<K>(linker: &mut Linker, plan: &Plan<K>) -> Result<Vec<Place>, CodegenError> {
    let prefix = linker.prefix.clone();
    let mut constants = Constants::default();
    let mut places = Vec::with_capacity(plan.data.len());
    for (number, data) in plan.data.iter() {
        check(plan, data)?;
        let name = format!("{prefix}.{number}.{}", data.name.replace('\0', ""));
        places.push(match kind(data) {
            // An import to the module, which would copy it; it gets its bytes from `define`.
            Kind::Large => Place { symbol: linker.module.declare_data(&name, Linkage::Import, false, false)?, offset: 0 },
            Kind::WithAddresses => Place { symbol: linker.module.declare_data(&name, Linkage::Local, false, false)?, offset: 0 },
            Kind::Small => constants.add(linker, data)?,
        });
    }
    for ((_, data), place) in plan.data.iter().zip(&places) {
        if matches!(kind(data), Kind::WithAddresses) {
            define_with_addresses(linker, data, place.symbol, &places)?;
        }
    }
    constants.define(linker)?;
    Ok(places)
}

/// How data is stored.
enum Kind {
    /// In a section of its own.
    Large,
    /// With a symbol of its own.
    WithAddresses,
    /// Among the constants.
    Small,
}

fn kind(data: &plan::Data) -> Kind {
    match (data.relocations.is_empty(), data.bytes.len() >= LARGE) {
        (false, _) => Kind::WithAddresses,
        (true, true) => Kind::Large,
        (true, false) => Kind::Small,
    }
}

/// All small data behind one symbol: a symbol, its name and the relocations of its uses would take more than many a constant.
#[derive(Default)]
struct Constants {
    symbol: Option<DataId>,
    bytes: Vec<u8>,
    align: u64,
}

impl Constants {
    fn add(&mut self, linker: &mut Linker, data: &plan::Data) -> Result<Place, CodegenError> {
        let symbol = match self.symbol {
            Some(symbol) => symbol,
            None => {
                let name = format!("{}.constants", linker.prefix);
                *self.symbol.insert(linker.module.declare_data(&name, Linkage::Local, false, false)?)
            }
        };
        let offset = (self.bytes.len() as u64).next_multiple_of(data.align);
        self.bytes.resize(offset as usize, 0);
        self.bytes.extend_from_slice(&data.bytes);
        self.align = self.align.max(data.align);
        Ok(Place { symbol, offset: offset as i64 })
    }

    fn define(mut self, linker: &mut Linker) -> Result<(), CodegenError> {
        let Some(symbol) = self.symbol else { return Ok(()) };
        // Also what is empty has an address inside.
        self.bytes.push(0);
        let mut description = DataDescription::new();
        description.set_align(self.align);
        description.define(self.bytes.into_boxed_slice());
        linker.module.define_data(symbol, &description)?;
        Ok(())
    }
}

fn check<K>(plan: &Plan<K>, data: &plan::Data) -> Result<(), CodegenError> {
    let fits = |&(offset, id, _): &(u64, plan::DataId, i64)| {
        offset % 8 == 0 && offset.checked_add(8).is_some_and(|end| end <= data.bytes.len() as u64) && plan.data.get(id).is_some()
    };
    if !data.align.is_power_of_two() || data.align > 4096 {
        return Err(CodegenError::rule(format!("data `{}`: alignment {}", data.name, data.align)));
    }
    if !data.relocations.iter().all(fits) || (!data.relocations.is_empty() && data.align < 8) {
        return Err(CodegenError::rule(format!("data `{}`: an address inside is misplaced", data.name)));
    }
    Ok(())
}

fn define_with_addresses(linker: &mut Linker, data: &plan::Data, id: DataId, places: &[Place]) -> Result<(), CodegenError> {
    let mut description = DataDescription::new();
    description.set_align(data.align);
    description.define(Box::from(&*data.bytes));
    for &(offset, target, addend) in &data.relocations {
        let place = places[target.0 as usize];
        let global = linker.module.declare_data_in_data(place.symbol, &mut description);
        description.write_data_addr(offset as u32, global, place.offset + addend);
    }
    linker.module.define_data(id, &description)?;
    Ok(())
}

/// Finishes the module: the object with the large data and the unwind tables in it, and how many bytes of data there are.
pub(crate) fn define<'a, K>(
    module: ObjectModule,
    plan: &'a Plan<K>,
    places: &[Place],
    unwind: Unwind,
    isa: &dyn TargetIsa,
) -> Result<(Object<'a>, u64), CodegenError> {
    let mut product = module.finish();
    let functions = product.functions.clone();
    let symbol_of = |id: FuncId| functions[id].map(|(symbol, _)| symbol).expect("a defined function has a symbol");
    unwind.write(&mut product.object, isa, &symbol_of)?;
    let symbols: Vec<_> = places.iter().map(|place| product.data_symbol(place.symbol)).collect();
    let mut object: Object<'a> = product.object;
    let mut total = 0;
    for (data, symbol) in plan.data.values().zip(symbols) {
        total += data.bytes.len() as u64;
        if matches!(kind(data), Kind::Large) {
            let segment = object.segment_name(StandardSegment::Text).to_vec();
            let name = section_name(&object);
            let section = object.add_section(segment, name, SectionKind::ReadOnlyData);
            object.set_section_data(section, &data.bytes[..], data.align.max(64));
            object.symbol_mut(symbol).scope = SymbolScope::Compilation;
            object.set_symbol_data(symbol, section, 0, data.bytes.len() as u64);
        }
    }
    Ok((object, total))
}

fn section_name(object: &Object) -> Vec<u8> {
    match object.format() {
        object::BinaryFormat::MachO => b"__weights".to_vec(),
        object::BinaryFormat::Coff => b".rdata".to_vec(),
        _ => b".rodata.weights".to_vec(),
    }
}
