//! What an A64 instruction reads and writes, decoded from its word: the scheduler's view.
//!
//! Only forms that [`super::Neon`] writes inside a block are known, by the encoding classes of the Arm ARM (chapter C4); anything else gives `None` and
//! stays where it is. Where a class has forms that differ, the union of what they read is taken.

/// A set of resources: bits 0..31 `x0`..`x30`, bit 31 the stack pointer, bits 32..64 `v0`..`v31`, bit 64 the flags.
pub(super) type Set = u128;

const STACK: u32 = 31;
const FLAGS: Set = 1 << 64;

/// The execution unit an instruction waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Integer,
    Vector,
    Memory,
}

/// A memory access: `None` for the range if it is not a plain offset from a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access {
    pub is_store: bool,
    /// Base register, offset, bytes.
    pub range: Option<(u32, i32, i32)>,
}

/// The effects of one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Effects {
    pub reads: Set,
    pub writes: Set,
    pub access: Option<Access>,
    pub unit: Unit,
    /// Cycles until a reader of the result can start, as on Cortex-A55.
    pub latency: u32,
    /// Cycles for which the unit is taken.
    pub busy: u32,
}

fn field(word: u32, lowest: u32) -> u32 {
    word >> lowest & 31
}

/// A general-purpose register; number 31 is the zero register and no resource.
fn x(number: u32) -> Set {
    if number == 31 { 0 } else { 1 << number }
}

/// A general-purpose register where number 31 is the stack pointer.
fn x_or_sp(number: u32) -> Set {
    1 << number.min(STACK)
}

fn v(number: u32) -> Set {
    1 << (32 + number)
}

fn is(word: u32, mask: u32, value: u32) -> bool {
    word & mask == value
}

/// The effects of an instruction, or `None` if it must stay where it is.
pub(super) fn effects(word: u32) -> Option<Effects> {
    vector(word).or_else(|| memory(word)).or_else(|| integer(word))
}

fn vector(word: u32) -> Option<Effects> {
    let (d, n, m) = (v(field(word, 0)), v(field(word, 5)), v(field(word, 16)));
    let reads = vector_sources(word, d, n, m)?;
    // Floating-point division and square root, by opcode; all else is about as fast.
    let is_slow = is(word, 0xbfa0_fc00, 0x2e20_fc00) || is(word, 0xbfbf_fc00, 0x2ea1_f800);
    let (latency, busy) = if is_slow { (13, 10) } else { (4, 1) };
    Some(Effects { reads, writes: d, access: None, unit: Unit::Vector, latency, busy })
}

/// What a vector instruction reads, its destination included where it accumulates or may.
fn vector_sources(word: u32, d: Set, n: Set, m: Set) -> Option<Set> {
    // Modified immediate; shift by immediate.
    if is(word, 0x9ff8_0400, 0x0f00_0400) {
        return Some(d);
    }
    if is(word, 0x9f80_0400, 0x0f00_0400) {
        return Some(d | n);
    }
    // By element: the register has four bits in some forms, five in others.
    if is(word, 0x9f00_0400, 0x0f00_0000) {
        return Some(d | n | m | v(field(word, 16) & 15));
    }
    // Three registers of the same kind: only fmla, fmls and the bitwise selects read the destination of those written here.
    if is(word, 0x9f20_0400, 0x0e20_0400) {
        let is_fp = word >> 14 & 3 == 3 && !is(word, 0xfc00, 0xcc00);
        return Some(if is_fp { n | m } else { d | n | m });
    }
    // Dot products and the like.
    if is(word, 0x9f20_8400, 0x0e00_8400) {
        return Some(d | n | m);
    }
    // Two registers: element-wise and across lanes, integer and floating point.
    if is(word, 0x9f3e_0c00, 0x0e20_0800) || is(word, 0x9f3e_0c00, 0x0e30_0800) {
        return Some(d | n);
    }
    // zip, uzp, trn; ext.
    if is(word, 0xbf20_8c00, 0x0e00_0800) || is(word, 0xbfe0_8400, 0x2e00_0000) {
        return Some(n | m);
    }
    // dup from a lane.
    is(word, 0xbfe0_fc00, 0x0e00_0400).then_some(n)
}

/// The registers a load or store moves; vectors if bit 26 is set.
fn moved(word: u32, number: u32) -> Set {
    if word >> 26 & 1 == 1 { v(number) } else { x(number) }
}

fn access(data: Set, address: Set, bytes: i32, is_store: bool, range: Option<(u32, i32, i32)>) -> Effects {
    Effects {
        reads: if is_store { data | address } else { address },
        writes: if is_store { 0 } else { data },
        access: Some(Access { is_store, range }),
        unit: Unit::Memory,
        latency: if is_store { 1 } else { 4 },
        busy: if bytes > 16 { 2 } else { 1 },
    }
}

fn memory(word: u32) -> Option<Effects> {
    let (t, base) = (moved(word, field(word, 0)), field(word, 5));
    // Literals: never written, so no access that anything could conflict with.
    if is(word, 0x3b00_0000, 0x1800_0000) {
        return Some(Effects { access: None, ..access(t, 0, 16, false, None) });
    }
    // ld1r.
    if is(word, 0xbfff_f000, 0x0d40_c000) {
        let lane = 1 << (word >> 10 & 3);
        return Some(access(v(field(word, 0)), x_or_sp(base), lane, false, Some((base, 0, lane))));
    }
    if is(word, 0x3b80_0000, 0x2900_0000) {
        return pair(word, t, base);
    }
    let is_vector = word >> 26 & 1 == 1;
    let log2 = (word >> 30) + if is_vector { word >> 21 & 4 } else { 0 };
    let is_store = if is_vector { word >> 22 & 1 == 0 } else { word >> 22 & 3 == 0 };
    let is_prefetch = !is_vector && word >> 22 & 0x303 == 0x302;
    let bytes = 1i32.checked_shl(log2).filter(|b| *b <= 16 && !is_prefetch)?;
    if is(word, 0x3b00_0000, 0x3900_0000) {
        let offset = (word >> 10 & 0xfff) as i32 * bytes;
        return Some(access(t, x_or_sp(base), bytes, is_store, Some((base, offset, bytes))));
    }
    if is(word, 0x3b20_0c00, 0x3800_0000) {
        let offset = (word << 11) as i32 >> 23;
        return Some(access(t, x_or_sp(base), bytes, is_store, Some((base, offset, bytes))));
    }
    is(word, 0x3b20_0c00, 0x3820_0800).then(|| access(t, x_or_sp(base) | x(field(word, 16)), bytes, is_store, None))
}

fn pair(word: u32, t: Set, base: u32) -> Option<Effects> {
    let is_vector = word >> 26 & 1 == 1;
    let bytes = if is_vector { 4 << (word >> 30) } else { 4 << (word >> 31) };
    // ldpsw and the tagged stores share the class.
    if bytes > 16 || !is_vector && word >> 30 & 1 == 1 {
        return None;
    }
    let offset = ((word << 10) as i32 >> 25) * bytes;
    let data = t | moved(word, field(word, 10));
    Some(access(data, x_or_sp(base), 2 * bytes, word >> 22 & 1 == 0, Some((base, offset, 2 * bytes))))
}

fn integer(word: u32) -> Option<Effects> {
    let (d, n, m) = (field(word, 0), field(word, 5), field(word, 16));
    let set_flags = if word >> 29 & 1 == 1 { FLAGS } else { 0 };
    let (reads, writes, latency) = if is(word, 0x1f80_0000, 0x1100_0000) {
        // add, sub with an immediate.
        (x_or_sp(n), if set_flags == 0 { x_or_sp(d) } else { x(d) | FLAGS }, 1)
    } else if is(word, 0x1f20_0000, 0x0b00_0000) {
        // add, sub of a shifted register.
        (x(n) | x(m), x(d) | set_flags, 1)
    } else if is(word, 0x1f00_0000, 0x0a00_0000) && word >> 29 & 3 != 3 {
        // and, orr, eor of a shifted register.
        (x(n) | x(m), x(d), 1)
    } else if is(word, 0x1f80_0000, 0x1280_0000) {
        // movn, movz, movk.
        (x(d), x(d), 1)
    } else if is(word, 0x7f80_0000, 0x5300_0000) || is(word, 0x7f80_0000, 0x1300_0000) {
        // lsl, lsr, asr by an immediate.
        (x(n), x(d), 1)
    } else if is(word, 0x7fe0_8000, 0x1b00_0000) {
        // madd.
        (x(n) | x(m) | x(field(word, 10)), x(d), 4)
    } else if is(word, 0x3fe0_0c00, 0x1a80_0000) {
        // csel.
        (x(n) | x(m) | FLAGS, x(d), 1)
    } else {
        return None;
    };
    Some(Effects { reads, writes, access: None, unit: Unit::Integer, latency, busy: 1 })
}
