//! The body of one function under construction: constants, addresses, calls, loops and typed memory access.
//!
//! A scalar of kind bool is an `i8` of 0 or 1, an int an `i64`, a float an `f32` or `f64`; so a value's kind follows
//! from its CLIF type.

use crate::error::CodegenError;
use crate::linker::Linker;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, Block, FuncRef, GlobalValue, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use cranelift_module::{DataId, FuncId};
use kiln_loops::{Kind, Scalar};
use kiln_support::DType;
use std::collections::HashMap;

/// A function body.
pub(crate) struct Code<'f, 'm> {
    pub(crate) b: FunctionBuilder<'f>,
    pub(crate) linker: &'f mut Linker<'m>,
    functions: HashMap<FuncId, FuncRef>,
    addresses: HashMap<DataId, GlobalValue>,
}

/// A loop over `0..extent` that is open: code is being added to its body.
pub(crate) struct OpenLoop {
    header: Block,
    exit: Block,
    extent: Value,
    /// The index.
    pub(crate) index: Value,
}

/// The CLIF type of a kind.
pub(crate) fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Bool => types::I8,
        Kind::Int => types::I64,
        Kind::F32 => types::F32,
        Kind::F64 => types::F64,
    }
}

impl<'f, 'm> Code<'f, 'm> {
    pub(crate) fn new(b: FunctionBuilder<'f>, linker: &'f mut Linker<'m>) -> Code<'f, 'm> {
        Code { b, linker, functions: HashMap::new(), addresses: HashMap::new() }
    }

    /// Makes the entry block and gives the function's parameters.
    pub(crate) fn enter(&mut self) -> Vec<Value> {
        let entry = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.b.switch_to_block(entry);
        self.b.seal_block(entry);
        self.b.block_params(entry).to_vec()
    }

    /// Ends the function.
    pub(crate) fn finish(self) {
        let config = self.linker.module.target_config();
        self.b.finalize(config);
    }

    /// The kind of a scalar.
    pub(crate) fn kind(&self, x: Value) -> Kind {
        match self.b.func.dfg.value_type(x) {
            types::I8 => Kind::Bool,
            types::F32 => Kind::F32,
            types::F64 => Kind::F64,
            _ => Kind::Int,
        }
    }

    pub(crate) fn int(&mut self, x: i64) -> Value {
        self.b.ins().iconst(types::I64, x)
    }

    pub(crate) fn constant(&mut self, x: Scalar) -> Value {
        match x {
            Scalar::Bool(x) => self.b.ins().iconst(types::I8, i64::from(x)),
            Scalar::Int(x) => self.int(x),
            Scalar::F32(x) => self.b.ins().f32const(ir::immediates::Ieee32::with_bits(x.to_bits())),
            Scalar::F64(x) => self.b.ins().f64const(ir::immediates::Ieee64::with_bits(x.to_bits())),
        }
    }

    /// The constant that an `i64` is known to be.
    pub(crate) fn as_int(&self, x: Value) -> Option<i64> {
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(dfg.resolve_aliases(x)).inst()?;
        match dfg.insts[inst] {
            ir::InstructionData::UnaryImm { opcode: ir::Opcode::Iconst, imm } => Some(imm.bits()),
            _ => None,
        }
    }

    /// `x * factor`.
    pub(crate) fn scaled(&mut self, x: Value, factor: i64) -> Value {
        match (self.as_int(x), factor) {
            (Some(x), _) => self.int(x.wrapping_mul(factor)),
            (None, 1) => x,
            (None, factor) if factor > 0 && factor & (factor - 1) == 0 => {
                self.b.ins().ishl_imm_u(x, i64::from(factor.trailing_zeros()))
            }
            _ => self.b.ins().imul_imm_s(x, factor),
        }
    }

    /// `x + offset`.
    pub(crate) fn plus(&mut self, x: Value, offset: i64) -> Value {
        if offset == 0 { x } else { self.b.ins().iadd_imm_s(x, offset) }
    }

    /// The address of data.
    pub(crate) fn address(&mut self, id: DataId) -> Value {
        let global = match self.addresses.get(&id) {
            Some(&global) => global,
            None => {
                let global = self.linker.module.declare_data_in_func(id, self.b.func);
                if let ir::GlobalValueData::Symbol { colocated, .. } = &mut self.b.func.global_values[global] {
                    *colocated = !self.linker.absolute_addresses;
                }
                self.addresses.insert(id, global);
                global
            }
        };
        self.b.ins().symbol_value(types::I64, global)
    }

    /// Calls a function by id and gives its result, if it has one.
    pub(crate) fn call(&mut self, id: FuncId, args: &[Value]) -> Option<Value> {
        let function = match self.functions.get(&id) {
            Some(&function) => function,
            None => {
                let function = self.linker.module.declare_func_in_func(id, self.b.func);
                // Imports too: the linker puts a stub between where it must.
                self.b.func.dfg.ext_funcs[function].colocated = true;
                self.functions.insert(id, function);
                function
            }
        };
        let call = self.b.ins().call(function, args);
        self.b.inst_results(call).first().copied()
    }

    /// The address of a local function.
    pub(crate) fn function_address(&mut self, id: FuncId) -> Value {
        // Not the reference that calls use: where addresses are absolute, this one is not near.
        let function = self.linker.module.declare_func_in_func(id, self.b.func);
        self.b.func.dfg.ext_funcs[function].colocated = !self.linker.absolute_addresses;
        self.b.ins().func_addr(types::I64, function)
    }

    /// Calls `kiln_rt1_<name>` with arguments of exactly its types.
    pub(crate) fn call_runtime(&mut self, name: &str, args: &[Value]) -> Result<Option<Value>, CodegenError> {
        let id = self.linker.import_runtime(name)?;
        self.check_arguments(name, id, args)?;
        Ok(self.call(id, args))
    }

    fn check_arguments(&self, name: &str, id: FuncId, args: &[Value]) -> Result<(), CodegenError> {
        let declaration = self.linker.module.declarations().get_function_decl(id);
        let wanted = declaration.signature.params.iter().map(|p| p.value_type);
        let given = args.iter().map(|&a| self.b.func.dfg.value_type(a));
        if wanted.eq(given) {
            return Ok(());
        }
        Err(CodegenError::rule(format!("the arguments do not fit the runtime function `{name}`")))
    }

    /// Calls a function of the runtime's scalar library in the form for the arguments' kind.
    pub(crate) fn math(&mut self, name: &str, args: &[Value]) -> Result<Value, CodegenError> {
        let suffix = match args.first().map(|&a| self.kind(a)) {
            Some(Kind::F32) => "f32",
            Some(Kind::F64) => "f64",
            _ => return Err(CodegenError::rule(format!("`{name}` takes floats"))),
        };
        let result = self.call_runtime(&format!("{name}_{suffix}"), args)?;
        result.ok_or_else(|| CodegenError::rule(format!("the runtime function `{name}` has no result")))
    }

    /// Opens a loop over `0..extent`, which must be positive.
    pub(crate) fn open_loop(&mut self, extent: Value) -> OpenLoop {
        let (header, exit) = (self.b.create_block(), self.b.create_block());
        let index = self.b.append_block_param(header, types::I64);
        let zero = self.int(0);
        self.b.ins().jump(header, &[zero.into()]);
        self.b.switch_to_block(header);
        OpenLoop { header, exit, extent, index }
    }

    /// Closes a loop; code goes on behind it.
    pub(crate) fn close_loop(&mut self, open: OpenLoop) {
        let next = self.b.ins().iadd_imm_s(open.index, 1);
        let again = self.b.ins().icmp(IntCC::SignedLessThan, next, open.extent);
        self.b.ins().brif(again, open.header, &[next.into()], open.exit, &[]);
        self.b.seal_block(open.header);
        self.b.seal_block(open.exit);
        self.b.switch_to_block(open.exit);
    }

    /// Goes on only where `test` holds; elsewhere control goes to `otherwise`.
    pub(crate) fn require(&mut self, test: Value, otherwise: Block) {
        let next = self.b.create_block();
        self.b.ins().brif(test, next, &[], otherwise, &[]);
        self.b.seal_block(next);
        self.b.switch_to_block(next);
    }

    /// Loads an element, widened to its kind.
    pub(crate) fn load_element(&mut self, dtype: DType, address: Value, offset: i32) -> Value {
        let flags = MemFlagsData::trusted();
        match dtype {
            DType::Bool => {
                let byte = self.b.ins().load(types::I8, flags, address, offset);
                self.b.ins().icmp_imm_u(IntCC::NotEqual, byte, 0)
            }
            DType::U8 | DType::QU8 => self.b.ins().uload8(types::I64, flags, address, offset),
            DType::I8 | DType::QI8 => self.b.ins().sload8(types::I64, flags, address, offset),
            DType::I16 => self.b.ins().sload16(types::I64, flags, address, offset),
            DType::I32 | DType::QI32 => self.b.ins().sload32(flags, address, offset),
            DType::I64 => self.b.ins().load(types::I64, flags, address, offset),
            DType::F32 => self.b.ins().load(types::F32, flags, address, offset),
            DType::F64 => self.b.ins().load(types::F64, flags, address, offset),
            DType::F16 | DType::BF16 => {
                let bits = self.b.ins().uload16(types::I32, flags, address, offset);
                if dtype == DType::F16 { self.widen_f16(bits) } else { self.widen_bf16(bits) }
            }
        }
    }

    /// Stores a scalar of any kind as an element, converted to it.
    pub(crate) fn store_element(&mut self, dtype: DType, value: Value, address: Value, offset: i32) {
        let flags = MemFlagsData::trusted();
        let value = self.convert(Kind::of(dtype), value);
        match dtype {
            DType::U8 | DType::I8 | DType::QU8 | DType::QI8 => self.b.ins().istore8(flags, value, address, offset),
            DType::I16 => self.b.ins().istore16(flags, value, address, offset),
            DType::I32 | DType::QI32 => self.b.ins().istore32(flags, value, address, offset),
            DType::Bool | DType::I64 | DType::F32 | DType::F64 => self.b.ins().store(flags, value, address, offset),
            DType::F16 => {
                let bits = self.round_f16(value);
                self.b.ins().istore16(flags, bits, address, offset)
            }
            DType::BF16 => {
                let bits = self.round_bf16(value);
                self.b.ins().istore16(flags, bits, address, offset)
            }
        };
    }
}
