//! Read-only data: small pieces together in `.rodata`, those with addresses inside in `.data.rel.ro`, large ones in
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

/// Declares all data and defines what is small; gives the ids in the plan's order.
pub(crate) fn declare<K>(linker: &mut Linker, plan: &Plan<K>) -> Result<Vec<DataId>, CodegenError> {
    let prefix = linker.prefix.clone();
    let mut ids = Vec::with_capacity(plan.data.len());
    for (number, data) in plan.data.iter() {
        check(plan, data)?;
        let name = format!("{prefix}.{number}.{}", data.name.replace('\0', ""));
        // Large data is an import to the module, which would copy it; it gets its bytes from `define`.
        let linkage = if is_large(data) { Linkage::Import } else { Linkage::Local };
        ids.push(linker.module.declare_data(&name, linkage, false, false)?);
    }
    for ((_, data), &id) in plan.data.iter().zip(&ids) {
        if !is_large(data) {
            define_small(linker, data, id, &ids)?;
        }
    }
    Ok(ids)
}

fn is_large(data: &plan::Data) -> bool {
    data.bytes.len() >= LARGE && data.relocations.is_empty()
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

fn define_small(linker: &mut Linker, data: &plan::Data, id: DataId, ids: &[DataId]) -> Result<(), CodegenError> {
    let mut description = DataDescription::new();
    description.set_align(data.align);
    // A symbol needs bytes of its own.
    let bytes = if data.bytes.is_empty() { Box::from([0u8]) } else { Box::from(&*data.bytes) };
    description.define(bytes);
    for &(offset, target, addend) in &data.relocations {
        let global = linker.module.declare_data_in_data(ids[target.0 as usize], &mut description);
        description.write_data_addr(offset as u32, global, addend);
    }
    linker.module.define_data(id, &description)?;
    Ok(())
}

/// Finishes the module: the object with the large data and the unwind tables in it, and how many bytes of data there are.
pub(crate) fn define<'a, K>(
    module: ObjectModule,
    plan: &'a Plan<K>,
    ids: &[DataId],
    unwind: Unwind,
    isa: &dyn TargetIsa,
) -> Result<(Object<'a>, u64), CodegenError> {
    let mut product = module.finish();
    let functions = product.functions.clone();
    let symbol_of = |id: FuncId| functions[id].map(|(symbol, _)| symbol).expect("a defined function has a symbol");
    unwind.write(&mut product.object, isa, &symbol_of)?;
    let symbols: Vec<_> = ids.iter().map(|&id| product.data_symbol(id)).collect();
    let mut object: Object<'a> = product.object;
    let mut total = 0;
    for (data, symbol) in plan.data.values().zip(symbols) {
        total += data.bytes.len() as u64;
        if is_large(data) {
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
