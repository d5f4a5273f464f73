//! Equality, order, identity and hashes of values, as TorchScript's `IValue` defines them.
//!
//! Values of different tags are never equal (an int is not equal to a float here; typed programs convert before).
//! Tensors compare as `bool(a == b)`, which raises unless that is one element. Inside lists and tuples an object is equal
//! to itself without a look at its contents.

use crate::abi::*;
use crate::dict;
use crate::error::{raise_text, raise_with};
use crate::export::exports;
use crate::list::items_of;
use crate::string::bytes_of;
use crate::tensor;
use crate::tuple;

/// Nesting at which comparing and printing give up: only a container that contains itself gets there.
pub(crate) const MAX_DEPTH: u32 = 500;

/// Counts one level of nesting; raises at the limit.
pub(crate) unsafe fn too_deep(ctx: *mut Context, depth: u32) -> bool {
    if depth >= MAX_DEPTH {
        raise_text(ctx, "maximum recursion depth exceeded");
    }
    depth >= MAX_DEPTH
}

/// Identity: the same object, or equal scalars.
pub(crate) fn same(a: Value, b: Value) -> bool {
    match (a.tag, b.tag) {
        (tag::FLOAT, tag::FLOAT) => a.as_float() == b.as_float(),
        (tag::NONE, tag::NONE) => true,
        (x, y) => x == y && a.bits == b.bits,
    }
}

/// `a == b`
pub(crate) unsafe fn values_equal(ctx: *mut Context, a: Value, b: Value, depth: u32) -> bool {
    if a.tag != b.tag || too_deep(ctx, depth) {
        return false;
    }
    match a.tag {
        tag::STR | tag::DEVICE => bytes_of(a.pointer()) == bytes_of(b.pointer()),
        tag::TENSOR => tensor::item::equals_as_bool(ctx, a.pointer(), b.pointer()),
        tag::LIST => lists_equal(ctx, items_of(a.pointer()), items_of(b.pointer()), depth),
        tag::TUPLE => lists_equal(ctx, tuple::items_of(a.pointer()), tuple::items_of(b.pointer()), depth),
        tag::DICT => dict::dicts_equal(ctx, a.pointer(), b.pointer(), depth + 1),
        tag::OBJECT => same(a, b) || enums_equal(a.pointer(), b.pointer()),
        _ => same(a, b),
    }
}

/// Whether two sequences are equal element by element. A list of tensors does not take identity for equality.
pub(crate) unsafe fn lists_equal(ctx: *mut Context, a: &[Value], b: &[Value], depth: u32) -> bool {
    if a.len() != b.len() {
        return false;
    }
    for (x, y) in a.iter().zip(b) {
        let identical = x.tag != tag::TENSOR && same(*x, *y);
        if !identical && !values_equal(ctx, *x, *y, depth + 1) {
            return false;
        }
    }
    true
}

/// Whether a list element equals a value, for `in`, `index`, `count` and `remove`.
pub(crate) unsafe fn element_equals(ctx: *mut Context, element: Value, value: Value) -> bool {
    values_equal(ctx, element, value, 0)
}

/// Enum members are equal when they are of one class and have one name.
unsafe fn enums_equal(a: *const Object, b: *const Object) -> bool {
    let (class_a, class_b) = ((*a).class as *const Str, (*b).class as *const Str);
    if !bytes_of(class_a).starts_with(b"enum ") || bytes_of(class_a) != bytes_of(class_b) {
        return false;
    }
    match (tuple::fields_of(a).first(), tuple::fields_of(b).first()) {
        (Some(x), Some(y)) => x.tag == y.tag && bytes_of(x.pointer()) == bytes_of(y.pointer()),
        _ => false,
    }
}

/// `a < b`; raises for values without an order.
pub(crate) unsafe fn less_than(ctx: *mut Context, a: Value, b: Value, depth: u32) -> bool {
    if too_deep(ctx, depth) {
        return false;
    }
    match (a.tag, b.tag) {
        (tag::INT, tag::INT) => a.as_int() < b.as_int(),
        (tag::FLOAT, tag::FLOAT) => a.as_float() < b.as_float(),
        (tag::BOOL, tag::BOOL) => a.bits < b.bits,
        (tag::STR, tag::STR) => bytes_of(a.pointer()) < bytes_of(b.pointer()),
        (tag::TENSOR, tag::TENSOR) => tensor::item::less_as_bool(ctx, a.pointer(), b.pointer()),
        (tag::TUPLE, tag::TUPLE) => tuple_less(ctx, tuple::items_of(a.pointer()), tuple::items_of(b.pointer()), depth),
        _ => {
            raise_with(ctx, |text| {
                text.push_str("IValues of type: ");
                text.push_str(kind_name(a.tag));
                text.push_str(" are not comparable");
            });
            false
        }
    }
}

unsafe fn tuple_less(ctx: *mut Context, a: &[Value], b: &[Value], depth: u32) -> bool {
    for (x, y) in a.iter().zip(b) {
        if less_than(ctx, *x, *y, depth + 1) {
            return true;
        }
        if !values_equal(ctx, *x, *y, depth + 1) {
            return false;
        }
    }
    false
}

/// PyTorch's names of tags, for messages.
pub(crate) fn kind_name(kind: u64) -> &'static str {
    match kind {
        tag::NONE => "None",
        tag::BOOL => "Bool",
        tag::INT => "Int",
        tag::FLOAT => "Double",
        tag::STR => "String",
        tag::TENSOR => "Tensor",
        tag::LIST => "GenericList",
        tag::TUPLE => "Tuple",
        tag::DICT => "GenericDict",
        tag::DEVICE => "Device",
        _ => "Object",
    }
}

/// The 64-bit hash of libstdc++ (a Murmur hash with its seed).
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    const MUL: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |x: u64| x ^ x >> 47;
    let mut hash = 0xc70f_6907u64 ^ (bytes.len() as u64).wrapping_mul(MUL);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let data = mix(word_of(chunk).wrapping_mul(MUL)).wrapping_mul(MUL);
        hash = (hash ^ data).wrapping_mul(MUL);
    }
    if !chunks.remainder().is_empty() {
        hash = (hash ^ word_of(chunks.remainder())).wrapping_mul(MUL);
    }
    mix(mix(hash).wrapping_mul(MUL))
}

/// Up to eight bytes, little-endian.
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The hash of a dict key, or of anything that holds no container.
pub(crate) unsafe fn key_hash(key: Value) -> u64 {
    match key.tag {
        tag::STR | tag::DEVICE => hash_bytes(bytes_of(key.pointer())),
        tag::FLOAT if key.as_float() == 0.0 => 0,
        tag::FLOAT => hash_bytes(&key.bits.to_le_bytes()),
        _ => key.bits,
    }
}

unsafe fn hash_of(ctx: *mut Context, value: Value, depth: u32) -> u64 {
    if too_deep(ctx, depth) {
        return 0;
    }
    match value.tag {
        tag::TUPLE => {
            let mut seed = 0u64;
            for item in tuple::items_of(value.pointer()) {
                let mixed = hash_of(ctx, *item, depth + 1).wrapping_add(0x9e37_79b9);
                seed ^= mixed.wrapping_add(seed << 6).wrapping_add(seed >> 2);
            }
            seed
        }
        tag::LIST | tag::DICT => {
            raise_with(ctx, |text| {
                text.push_str("unhashable type: '");
                text.push_str(if value.tag == tag::LIST { "List" } else { "Dict" });
                text.push(b'\'');
            });
            0
        }
        _ => key_hash(value),
    }
}

exports! {
    /// `a == b` for values of any type.
    fn value_eq(ctx: *mut Context, a_tag: u64, a_bits: u64, b_tag: u64, b_bits: u64) -> i64 {
        i64::from(values_equal(ctx, Value::new(a_tag, a_bits), Value::new(b_tag, b_bits), 0))
    }

    /// `a is b`
    fn value_is(a_tag: u64, a_bits: u64, b_tag: u64, b_bits: u64) -> i64 {
        i64::from(same(Value::new(a_tag, a_bits), Value::new(b_tag, b_bits)))
    }

    /// `a < b`; raises for values without an order.
    fn value_lt(ctx: *mut Context, a_tag: u64, a_bits: u64, b_tag: u64, b_bits: u64) -> i64 {
        i64::from(less_than(ctx, Value::new(a_tag, a_bits), Value::new(b_tag, b_bits), 0))
    }

    /// `hash(x)`; raises for lists and dicts.
    fn value_hash(ctx: *mut Context, x_tag: u64, x_bits: u64) -> i64 {
        hash_of(ctx, Value::new(x_tag, x_bits), 0) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{list_new, list_push};
    use crate::test_context::TestContext;
    use crate::tuple::tuple_new;

    fn tuple(t: &TestContext, items: &[Value]) -> Value {
        Value::object(tag::TUPLE, unsafe { tuple_new(t.ctx(), items.as_ptr(), items.len() as u64, core::ptr::null()) })
    }

    /// Recorded from PyTorch 2.15 on Linux.
    #[test]
    fn hashes_are_pytorch_hashes() {
        let t = TestContext::new();
        let hash = |value: Value| unsafe { value_hash(t.ctx(), value.tag, value.bits) };
        assert_eq!(hash(Value::int(5)), 5);
        assert_eq!(hash(Value::int(-3)), -3);
        assert_eq!(hash(Value::bool(true)), 1);
        assert_eq!(hash(Value::float(2.5)), -9080642332174582316);
        assert_eq!(hash(Value::float(-0.0)), 0);
        assert_eq!(hash(tuple(&t, &[Value::int(1), Value::int(2)])), 175247769363);
    }

    #[test]
    fn order_of_tuples() {
        let t = TestContext::new();
        let pair = |x: i64, text: &str| tuple(&t, &[Value::int(x), t.value(text)]);
        let less = |a: Value, b: Value| unsafe { less_than(t.ctx(), a, b, 0) };
        assert!(less(pair(1, "b"), pair(2, "a")));
        assert!(less(pair(1, "a"), pair(1, "b")));
        assert!(!less(pair(1, "b"), pair(1, "b")));
        assert!(unsafe { values_equal(t.ctx(), pair(1, "b"), pair(1, "b"), 0) });
    }

    #[test]
    fn containers_that_contain_themselves_do_not_hang() {
        let t = TestContext::new();
        unsafe {
            let (a, b) = (list_new(t.ctx(), 1, tag::ANY), list_new(t.ctx(), 1, tag::ANY));
            list_push(t.ctx(), a, tag::LIST, a as u64);
            list_push(t.ctx(), b, tag::LIST, b as u64);
            assert_eq!(value_eq(t.ctx(), tag::LIST, a as u64, tag::LIST, b as u64), 0);
            assert_eq!(t.take_error().1, "maximum recursion depth exceeded");
        }
    }

    #[test]
    fn values_without_order_raise() {
        let t = TestContext::new();
        assert!(!unsafe { less_than(t.ctx(), Value::NONE, Value::NONE, 0) });
        assert_eq!(t.take_error().1, "IValues of type: None are not comparable");
    }
}
