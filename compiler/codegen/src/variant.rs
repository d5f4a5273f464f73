//! Variants of methods by CPU: which one this machine can run best, and the exported method that goes to the one that its instance chose.
//!
//! The choice is a function of the model, `u32 <prefix>_variant(void)`: 0 for the methods that every CPU of the target runs, `n` for the `n`-th variant.
//! `create` asks it once. x86-64 CPUs are asked by `cpuid`; on AArch64 only the system knows: Linux and Android tell by `getauxval`, Apple's systems by
//! `sysctlbyname`, Windows by `IsProcessorFeaturePresent`.

use crate::code::Code;
use crate::error::CodegenError;
use crate::layout;
use crate::linker::Linker;
use crate::method;
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, UserFuncName, Value, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::FuncId;
use kiln_loops::plan::Variant;
use target_lexicon::{Architecture, OperatingSystem, Triple};

/// Where x86-64 keeps a feature (Intel SDM, volume 2A, `CPUID`; volume 1, 13.2).
struct X86Feature {
    name: &'static str,
    /// Leaf and subleaf of `cpuid`.
    leaf: [u32; 2],
    /// The register, `eax` being 0, and the bit in it.
    register: usize,
    bit: u32,
    /// What of the state the system must save, in `xcr0`.
    state: i64,
}

const fn x86(name: &'static str, leaf: [u32; 2], register: usize, bit: u32, state: i64) -> X86Feature {
    X86Feature { name, leaf, register, bit, state }
}

/// State of ymm, and of zmm and mask registers.
const YMM: i64 = 6;
const ZMM: i64 = 0xe6;

const X86_FEATURES: &[X86Feature] = &[
    x86("fma", [1, 0], 2, 12, YMM),
    x86("f16c", [1, 0], 2, 29, YMM),
    x86("avx2", [7, 0], 1, 5, YMM),
    x86("avx512f", [7, 0], 1, 16, ZMM),
    x86("avx512dq", [7, 0], 1, 17, ZMM),
    x86("avx512bw", [7, 0], 1, 30, ZMM),
    x86("avx512vl", [7, 0], 1, 31, ZMM),
    x86("avx512vnni", [7, 0], 2, 11, ZMM),
    x86("avxvnni", [7, 1], 0, 4, YMM),
];

/// Whether the system saves extended state, so that `xgetbv` may be asked: bit 27 of `ecx` of leaf 1.
const OSXSAVE: i64 = 1 << 27;

/// How systems tell a feature of AArch64.
struct ArmFeature {
    name: &'static str,
    /// Word (of [`HWCAPS`]) and bit on Linux (`arch/arm64/include/uapi/asm/hwcap.h`).
    linux: (usize, u32),
    /// The name that Apple's `sysctlbyname` knows.
    apple: &'static str,
    /// The number that Windows has for it (`winnt.h`), if there is one.
    windows: Option<i64>,
}

const ARM_FEATURES: &[ArmFeature] = &[
    ArmFeature { name: "dotprod", linux: (0, 20), apple: "hw.optional.arm.FEAT_DotProd", windows: Some(43) },
    ArmFeature { name: "i8mm", linux: (1, 13), apple: "hw.optional.arm.FEAT_I8MM", windows: None },
];

/// `AT_HWCAP` and `AT_HWCAP2`.
const HWCAPS: [i64; 2] = [16, 26];

/// Builds `<prefix>_variant`, which gives the number of the last variant whose features this machine has.
pub(crate) fn build_choice(
    linker: &mut Linker,
    id: FuncId,
    variants: &[Variant],
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<(), CodegenError> {
    let triple = linker.module.isa().triple().clone();
    let asked = Asked::new(linker, &triple)?;
    context.func.signature = Linker::signature(linker.c_convention, &[], Some(types::I32));
    context.func.name = UserFuncName::user(0, id.as_u32());
    let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    code.enter();
    let machine = asked.ask(&mut code)?;
    let mut chosen = code.int(0);
    for (number, variant) in variants.iter().enumerate() {
        let mut all = code.b.ins().iconst(types::I8, 1);
        for &feature in &variant.features {
            let has = machine.has(&mut code, feature)?;
            all = code.b.ins().band(all, has);
        }
        let number = code.int(number as i64 + 1);
        chosen = code.b.ins().select(all, number, chosen);
    }
    let chosen = code.b.ins().ireduce(types::I32, chosen);
    code.b.ins().return_(&[chosen]);
    code.finish();
    Ok(())
}

/// Builds an exported method that goes to the form of it that the instance has chosen.
pub(crate) fn build_dispatch(
    linker: &mut Linker,
    id: FuncId,
    forms: &[FuncId],
    context: &mut Context,
    scratch: &mut FunctionBuilderContext,
) -> Result<(), CodegenError> {
    context.func.signature = method::signature(linker);
    context.func.name = UserFuncName::user(0, id.as_u32());
    let mut code = Code::new(FunctionBuilder::new(&mut context.func, scratch), linker);
    let params = code.enter();
    // Without an instance the first form says so.
    let (asks, goes) = (code.b.create_block(), code.b.create_block());
    let chosen = code.b.append_block_param(goes, types::I64);
    let zero = code.int(0);
    code.b.ins().brif(params[0], asks, &[], goes, &[zero.into()]);
    code.b.seal_block(asks);
    code.b.switch_to_block(asks);
    let own = code.b.ins().load(types::I64, MemFlagsData::trusted(), params[0], layout::INSTANCE_VARIANT);
    code.b.ins().jump(goes, &[own.into()]);
    code.b.seal_block(goes);
    code.b.switch_to_block(goes);
    for (number, &form) in forms.iter().enumerate() {
        let (here, further) = (code.b.create_block(), code.b.create_block());
        let is_this = code.b.ins().icmp_imm_s(IntCC::Equal, chosen, number as i64);
        code.b.ins().brif(is_this, here, &[], further, &[]);
        code.b.seal_block(here);
        code.b.seal_block(further);
        code.b.switch_to_block(here);
        let status = code.call(form, &params).ok_or_else(|| CodegenError::rule("a method without status"))?;
        code.b.ins().return_(&[status]);
        code.b.switch_to_block(further);
    }
    let status = code.b.ins().iconst(types::I32, layout::INTERNAL);
    code.b.ins().return_(&[status]);
    code.finish();
    Ok(())
}

/// How a machine is asked for its features.
enum Asked {
    Cpuid { cpuid: FuncId, xgetbv: FuncId },
    Linux { getauxval: FuncId },
    Apple { sysctl: FuncId },
    Windows { is_present: FuncId },
}

/// `push rbx; mov r8, rdx; mov eax, edi; mov ecx, esi` or, where arguments are in `rcx`, `rdx`, `r8`: `push rbx; mov eax, ecx; mov ecx, edx`.
const CPUID_ARGUMENTS: [&[u8]; 2] = [&[0x53, 0x49, 0x89, 0xd0, 0x89, 0xf8, 0x89, 0xf1], &[0x53, 0x89, 0xc8, 0x89, 0xd1]];
/// `cpuid; mov [r8], eax; mov [r8 + 4], ebx; mov [r8 + 8], ecx; mov [r8 + 12], edx; pop rbx; ret`.
const CPUID: &[u8] =
    &[0x0f, 0xa2, 0x41, 0x89, 0x00, 0x41, 0x89, 0x58, 0x04, 0x41, 0x89, 0x48, 0x08, 0x41, 0x89, 0x50, 0x0c, 0x5b, 0xc3];
/// `xor ecx, ecx; xgetbv; ret`.
const XGETBV: &[u8] = &[0x31, 0xc9, 0x0f, 0x01, 0xd0, 0xc3];

impl Asked {
    fn new(linker: &mut Linker, triple: &Triple) -> Result<Asked, CodegenError> {
        if triple.architecture == Architecture::X86_64 {
            let is_windows = linker.c_convention == CallConv::WindowsFastcall;
            let signature = Linker::signature(linker.c_convention, &[types::I32, types::I32, types::I64], None);
            let cpuid = linker.declare_local("cpuid", &signature)?;
            let code = [CPUID_ARGUMENTS[usize::from(is_windows)], CPUID].concat();
            linker.module.define_function_bytes(cpuid, 16, &code, &[])?;
            let signature = Linker::signature(linker.c_convention, &[], Some(types::I32));
            let xgetbv = linker.declare_local("xgetbv", &signature)?;
            linker.module.define_function_bytes(xgetbv, 16, XGETBV, &[])?;
            return Ok(Asked::Cpuid { cpuid, xgetbv });
        }
        Ok(match triple.operating_system {
            OperatingSystem::Windows => Asked::Windows { is_present: linker.import_c("IsProcessorFeaturePresent")? },
            system if system.is_like_darwin() => Asked::Apple { sysctl: linker.import_c("sysctlbyname")? },
            _ => Asked::Linux { getauxval: linker.import_c("getauxval")? },
        })
    }

    /// Asks for what all features share.
    fn ask(self, code: &mut Code) -> Result<Machine, CodegenError> {
        Ok(match self {
            Asked::Cpuid { cpuid, xgetbv } => Machine::x86(code, cpuid, xgetbv)?,
            Asked::Linux { getauxval } => {
                let mut word = |number: i64| {
                    let number = code.int(number);
                    code.call(getauxval, &[number]).ok_or_else(|| CodegenError::rule("`getauxval` without result"))
                };
                Machine::Linux([word(HWCAPS[0])?, word(HWCAPS[1])?])
            }
            Asked::Apple { sysctl } => Machine::Apple(sysctl),
            Asked::Windows { is_present } => Machine::Windows(is_present),
        })
    }
}

/// What a machine has said.
enum Machine {
    /// Registers of leaves, and the state that is saved.
    X86 {
        leaves: Vec<([u32; 2], [Value; 4])>,
        saved: Value,
    },
    Linux([Value; 2]),
    Apple(FuncId),
    Windows(FuncId),
}

impl Machine {
    fn x86(code: &mut Code, cpuid: FuncId, xgetbv: FuncId) -> Result<Machine, CodegenError> {
        let slot = code.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 2));
        let leaf = |code: &mut Code, [leaf, subleaf]: [u32; 2]| {
            let [leaf, subleaf] = [leaf, subleaf].map(|n| code.b.ins().iconst(types::I32, i64::from(n)));
            let out = code.b.ins().stack_addr(types::I64, slot, 0);
            code.call(cpuid, &[leaf, subleaf, out]);
            [0, 4, 8, 12].map(|at| code.b.ins().uload32(MemFlagsData::trusted(), out, at))
        };
        let most = leaf(code, [0, 0])[0];
        let first = leaf(code, [1, 0]);
        // A leaf that is not there gives those of another: nothing of it counts then.
        let is_there = code.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, most, 7);
        let mut leaves = vec![([1, 0], first)];
        for number in [[7, 0], [7, 1]] {
            let registers = leaf(code, number);
            let zero = code.int(0);
            leaves.push((number, registers.map(|r| code.b.ins().select(is_there, r, zero))));
        }
        let (asks, done) = (code.b.create_block(), code.b.create_block());
        let saved = code.b.append_block_param(done, types::I64);
        let (zero, may_ask) = (code.int(0), code.b.ins().band_imm_s(first[2], OSXSAVE));
        code.b.ins().brif(may_ask, asks, &[], done, &[zero.into()]);
        code.b.seal_block(asks);
        code.b.switch_to_block(asks);
        let state = code.call(xgetbv, &[]).ok_or_else(|| CodegenError::rule("`xgetbv` without result"))?;
        let state = code.b.ins().uextend(types::I64, state);
        code.b.ins().jump(done, &[state.into()]);
        code.b.seal_block(done);
        code.b.switch_to_block(done);
        Ok(Machine::X86 { leaves, saved })
    }

    /// Whether it has a feature, as 0 or 1.
    fn has(&self, code: &mut Code, feature: &str) -> Result<Value, CodegenError> {
        let unknown =
            || CodegenError::Target(format!("CPUs that are chosen by `{feature}`: the system does not tell which have it"));
        if let Machine::X86 { leaves, saved } = self {
            let wanted = X86_FEATURES.iter().find(|f| f.name == feature).ok_or_else(unknown)?;
            let registers = leaves.iter().find(|l| l.0 == wanted.leaf).ok_or_else(unknown)?.1;
            let has = is_set(code, registers[wanted.register], wanted.bit);
            let kept = code.b.ins().band_imm_s(*saved, wanted.state);
            let kept = code.b.ins().icmp_imm_s(IntCC::Equal, kept, wanted.state);
            return Ok(code.b.ins().band(has, kept));
        }
        let ArmFeature { linux: (word, bit), apple, windows, .. } =
            ARM_FEATURES.iter().find(|f| f.name == feature).ok_or_else(unknown)?;
        match self {
            Machine::Linux(words) => Ok(is_set(code, words[*word], *bit)),
            Machine::Apple(sysctl) => apple_has(code, *sysctl, apple),
            Machine::Windows(is_present) => {
                let number = code.b.ins().iconst(types::I32, windows.ok_or_else(unknown)?);
                let answer = code.call(*is_present, &[number]).ok_or_else(|| CodegenError::rule("no answer"))?;
                Ok(code.b.ins().icmp_imm_s(IntCC::NotEqual, answer, 0))
            }
            Machine::X86 { .. } => Err(unknown()),
        }
    }
}

fn is_set(code: &mut Code, word: Value, bit: u32) -> Value {
    let bit = code.b.ins().band_imm_s(word, 1 << bit);
    code.b.ins().icmp_imm_s(IntCC::NotEqual, bit, 0)
}

/// Whether `sysctlbyname` finds the name, and says that it is not 0.
fn apple_has(code: &mut Code, sysctl: FuncId, name: &str) -> Result<Value, CodegenError> {
    let slot = code.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 3));
    let (zero, four) = (code.int(0), code.int(4));
    let (value, length) = (code.b.ins().stack_addr(types::I64, slot, 0), code.b.ins().stack_addr(types::I64, slot, 8));
    code.b.ins().store(MemFlagsData::trusted(), zero, value, 0);
    code.b.ins().store(MemFlagsData::trusted(), four, length, 0);
    let text = code.linker.text(name)?;
    let name = code.address(text);
    let status = code.call(sysctl, &[name, value, length, zero, zero]).ok_or_else(|| CodegenError::rule("no answer"))?;
    let is_known = code.b.ins().icmp_imm_s(IntCC::Equal, status, 0);
    let value = code.b.ins().load(types::I32, MemFlagsData::trusted(), value, 0);
    let is_there = code.b.ins().icmp_imm_s(IntCC::NotEqual, value, 0);
    Ok(code.b.ins().band(is_known, is_there))
}
