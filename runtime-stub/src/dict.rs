//! Dicts: hash maps that keep the order of insertion.
//!
//! Entries stand densely in order; a table of twice their room, open-addressed with linear steps, holds entry numbers.
//! Removal marks the entry dead, and the dead are dropped when the entries run out of room or outnumber the live.
//! Setting an existing key keeps its place. Tensor keys are compared by identity, as in TorchScript.

use core::mem::size_of;
use core::ptr::null_mut;

use crate::abi::*;
use crate::equality;
use crate::error::{fail_out_of_memory, raise_text, raise_with};
use crate::export::exports;
use crate::list::{items_of, list_new, push_owned};
use crate::memory::{allocate_array, allocate_object, free_array, release_value, retain_value};
use crate::print::push_value;
use crate::tuple::{self, tuple_new};

/// Entry numbers are 32 bits in the table.
const MAX_ENTRIES: u64 = 1 << 31;

/// Frees entries and table; the entries' references are the caller's matter.
pub(crate) unsafe fn free_storage(ctx: *mut Context, dict: *mut Dict) {
    free_array(ctx, (*dict).entries, (*dict).capacity);
    free_array(ctx, (*dict).index, (*dict).capacity * 2);
    (*dict).entries = null_mut();
    (*dict).index = null_mut();
    (*dict).capacity = 0;
    (*dict).used = 0;
    (*dict).len = 0;
}

/// Slot where the search for a hash begins.
unsafe fn first_slot(dict: *const Dict, hash: u64) -> u64 {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32) & ((*dict).capacity * 2 - 1)
}

unsafe fn keys_equal(a: Value, b: Value) -> bool {
    if a.tag != b.tag {
        return false;
    }
    match a.tag {
        tag::STR => crate::string::bytes_of(a.pointer()) == crate::string::bytes_of(b.pointer()),
        tag::FLOAT => a.as_float() == b.as_float(),
        _ => a.bits == b.bits,
    }
}

/// The live entry of a key, or null.
unsafe fn lookup(dict: *const Dict, key: Value, hash: u64) -> *mut Entry {
    if (*dict).len == 0 {
        return null_mut();
    }
    let mask = (*dict).capacity * 2 - 1;
    let mut slot = first_slot(dict, hash);
    loop {
        let number = *(*dict).index.add(slot as usize);
        if number == 0 {
            return null_mut();
        }
        let entry = (*dict).entries.add(number as usize - 1);
        if (*entry).live != 0 && (*entry).hash == hash && keys_equal((*entry).key, key) {
            return entry;
        }
        slot = (slot + 1) & mask;
    }
}

unsafe fn find(dict: *const Dict, key: Value) -> *mut Entry {
    lookup(dict, key, equality::key_hash(key))
}

/// Enters an entry number in the table, which has a free slot.
unsafe fn index_entry(dict: *mut Dict, hash: u64, number: u64) {
    let mask = (*dict).capacity * 2 - 1;
    let mut slot = first_slot(dict, hash);
    while *(*dict).index.add(slot as usize) != 0 {
        slot = (slot + 1) & mask;
    }
    *(*dict).index.add(slot as usize) = number as u32 + 1;
}

/// Moves the live entries to storage of `capacity` entries, a power of two; false when there is no memory.
unsafe fn rebuild(ctx: *mut Context, dict: *mut Dict, capacity: u64) -> bool {
    if capacity > MAX_ENTRIES {
        fail_out_of_memory(ctx);
        return false;
    }
    let entries = allocate_array::<Entry>(ctx, capacity);
    let index = allocate_array::<u32>(ctx, capacity * 2);
    if entries.is_null() || index.is_null() {
        if !entries.is_null() {
            free_array(ctx, entries, capacity);
        }
        if !index.is_null() {
            free_array(ctx, index, capacity * 2);
        }
        return false;
    }
    core::ptr::write_bytes(index, 0, capacity as usize * 2);
    let (old, used, len) = ((*dict).entries, (*dict).used, (*dict).len);
    let mut at = 0;
    for i in 0..used as usize {
        if (*old.add(i)).live != 0 {
            *entries.add(at) = *old.add(i);
            at += 1;
        }
    }
    free_storage(ctx, dict);
    (*dict).entries = entries;
    (*dict).index = index;
    (*dict).capacity = capacity;
    (*dict).used = len;
    (*dict).len = len;
    for i in 0..len {
        index_entry(dict, (*entries.add(i as usize)).hash, i);
    }
    true
}

/// Sets a key that is not there, whose references the dict takes over (or drops when there is no memory).
unsafe fn insert_new(ctx: *mut Context, dict: *mut Dict, key: Value, value: Value, hash: u64) {
    if (*dict).used == (*dict).capacity {
        let capacity = ((*dict).len * 2).next_power_of_two().max(8);
        if !rebuild(ctx, dict, capacity) {
            release_value(ctx, key);
            release_value(ctx, value);
            return;
        }
    }
    let number = (*dict).used;
    (*dict).entries.add(number as usize).write(Entry { key, value, hash, live: 1 });
    (*dict).used += 1;
    (*dict).len += 1;
    index_entry(dict, hash, number);
}

/// Sets a key; key and value are retained.
unsafe fn insert(ctx: *mut Context, dict: *mut Dict, key: Value, value: Value) {
    let hash = equality::key_hash(key);
    let entry = lookup(dict, key, hash);
    retain_value(value);
    if entry.is_null() {
        retain_value(key);
        insert_new(ctx, dict, key, value, hash);
    } else {
        let old = core::mem::replace(&mut (*entry).value, value);
        release_value(ctx, old);
    }
}

/// Takes an entry out; its references pass to the caller.
unsafe fn take(ctx: *mut Context, dict: *mut Dict, entry: *mut Entry) -> (Value, Value) {
    let pair = ((*entry).key, (*entry).value);
    (*entry).live = 0;
    (*dict).len -= 1;
    if (*dict).len == 0 {
        free_storage(ctx, dict);
    } else if (*dict).used > 16 && (*dict).len < (*dict).used / 2 {
        compact(dict);
    }
    pair
}

/// Drops the dead entries in place.
unsafe fn compact(dict: *mut Dict) {
    core::ptr::write_bytes((*dict).index, 0, (*dict).capacity as usize * 2);
    let mut at = 0;
    for i in 0..(*dict).used as usize {
        let entry = *(*dict).entries.add(i);
        if entry.live != 0 {
            *(*dict).entries.add(at) = entry;
            index_entry(dict, entry.hash, at as u64);
            at += 1;
        }
    }
    (*dict).used = at as u64;
}

unsafe fn raise_key_error(ctx: *mut Context, key: Value) {
    raise_with(ctx, |text| {
        text.push_str("KeyError: ");
        push_value(text, key, 0);
    });
}

/// The value of an entry, retained, or `missing`, retained.
unsafe fn value_or(entry: *const Entry, missing: Value) -> Value {
    let value = if entry.is_null() { missing } else { (*entry).value };
    retain_value(value);
    value
}

/// The live entries in order.
pub(crate) unsafe fn entries_of<'a>(dict: *const Dict) -> impl Iterator<Item = &'a Entry> {
    let entries: &'a [Entry] =
        if (*dict).used == 0 { &[] } else { core::slice::from_raw_parts((*dict).entries, (*dict).used as usize) };
    entries.iter().filter(|entry| entry.live != 0)
}

/// A list of what `part` makes of every entry; the references pass to the list.
unsafe fn list_of(ctx: *mut Context, dict: *const Dict, elem_type: u64, part: impl Fn(&Entry) -> Value) -> *mut List {
    let list = list_new(ctx, (*dict).len, elem_type);
    if list.is_null() {
        return null_mut();
    }
    for entry in entries_of(dict) {
        push_owned(ctx, list, part(entry));
    }
    list
}

/// Whether two dicts have the same keys with equal values, in any order.
pub(crate) unsafe fn dicts_equal(ctx: *mut Context, a: *const Dict, b: *const Dict, depth: u32) -> bool {
    if (*a).len != (*b).len {
        return false;
    }
    for entry in entries_of(a) {
        let other = find(b, entry.key);
        if other.is_null() || !equality::values_equal(ctx, entry.value, (*other).value, depth) {
            return false;
        }
    }
    true
}

exports! {
    /// An empty dict; the types are tags, or 255.
    fn dict_new(ctx: *mut Context, key_type: u64, value_type: u64) -> *mut Dict {
        let dict = allocate_object::<Dict>(ctx, tag::DICT, size_of::<Dict>() as u64, 8);
        if !dict.is_null() {
            (*dict).len = 0;
            (*dict).used = 0;
            (*dict).capacity = 0;
            (*dict).entries = null_mut();
            (*dict).index = null_mut();
            (*dict).key_type = key_type;
            (*dict).value_type = value_type;
        }
        dict
    }

    /// Number of entries.
    fn dict_len(dict: *const Dict) -> i64 {
        (*dict).len as i64
    }

    /// `dict[key]`; raises `KeyError`.
    fn dict_get(ctx: *mut Context, dict: *const Dict, key_tag: u64, key_bits: u64, out: *mut Value) {
        let key = Value::new(key_tag, key_bits);
        let entry = find(dict, key);
        if entry.is_null() {
            raise_key_error(ctx, key);
        }
        *out = value_or(entry, Value::NONE);
    }

    /// `dict.get(key)`: None when it is missing. Returns whether it was found.
    fn dict_find(dict: *const Dict, key_tag: u64, key_bits: u64, out: *mut Value) -> i64 {
        let entry = find(dict, Value::new(key_tag, key_bits));
        *out = value_or(entry, Value::NONE);
        i64::from(!entry.is_null())
    }

    /// `dict.get(key, default)`
    fn dict_get_default(dict: *const Dict, key_tag: u64, key_bits: u64, default_tag: u64, default_bits: u64, out: *mut Value) {
        *out = value_or(find(dict, Value::new(key_tag, key_bits)), Value::new(default_tag, default_bits));
    }

    /// `dict.setdefault(key, default)`
    fn dict_setdefault(ctx: *mut Context, dict: *mut Dict, key_tag: u64, key_bits: u64, default_tag: u64, default_bits: u64, out: *mut Value) {
        let (key, default) = (Value::new(key_tag, key_bits), Value::new(default_tag, default_bits));
        let entry = find(dict, key);
        *out = value_or(entry, default);
        if entry.is_null() {
            insert(ctx, dict, key, default);
        }
    }

    /// `dict[key] = x`
    fn dict_set(ctx: *mut Context, dict: *mut Dict, key_tag: u64, key_bits: u64, x_tag: u64, x_bits: u64) {
        insert(ctx, dict, Value::new(key_tag, key_bits), Value::new(x_tag, x_bits));
    }

    /// `key in dict`
    fn dict_contains(dict: *const Dict, key_tag: u64, key_bits: u64) -> i64 {
        i64::from(!find(dict, Value::new(key_tag, key_bits)).is_null())
    }

    /// `del dict[key]`; raises `KeyError`.
    fn dict_delete(ctx: *mut Context, dict: *mut Dict, key_tag: u64, key_bits: u64) {
        let mut value = Value::NONE;
        dict_pop(ctx, dict, key_tag, key_bits, &mut value);
        release_value(ctx, value);
    }

    /// `dict.pop(key)`; raises `KeyError`.
    fn dict_pop(ctx: *mut Context, dict: *mut Dict, key_tag: u64, key_bits: u64, out: *mut Value) {
        let key = Value::new(key_tag, key_bits);
        let entry = find(dict, key);
        *out = Value::NONE;
        if entry.is_null() {
            return raise_key_error(ctx, key);
        }
        let (old_key, value) = take(ctx, dict, entry);
        *out = value;
        release_value(ctx, old_key);
    }

    /// `dict.pop(key, default)`
    fn dict_pop_default(ctx: *mut Context, dict: *mut Dict, key_tag: u64, key_bits: u64, default_tag: u64, default_bits: u64, out: *mut Value) {
        if dict_contains(dict, key_tag, key_bits) != 0 {
            return dict_pop(ctx, dict, key_tag, key_bits, out);
        }
        *out = value_or(core::ptr::null(), Value::new(default_tag, default_bits));
    }

    /// `dict.popitem()`: takes out the *first* entry, as TorchScript does.
    fn dict_popitem(ctx: *mut Context, dict: *mut Dict) -> *mut Tuple {
        let first = entries_of(dict).next().map(|entry| &raw const *entry);
        let Some(entry) = first else {
            raise_text(ctx, "popitem(): dictionary is empty");
            return null_mut();
        };
        let (key, value) = take(ctx, dict, entry.cast_mut());
        tuple::tuple_of_owned(ctx, &[key, value])
    }

    /// `list(dict.keys())`
    fn dict_keys(ctx: *mut Context, dict: *const Dict) -> *mut List {
        list_of(ctx, dict, (*dict).key_type, |entry| {
            retain_value(entry.key);
            entry.key
        })
    }

    /// `list(dict.values())`
    fn dict_values(ctx: *mut Context, dict: *const Dict) -> *mut List {
        list_of(ctx, dict, (*dict).value_type, |entry| {
            retain_value(entry.value);
            entry.value
        })
    }

    /// `list(dict.items())`: a list of pairs; null when memory runs out.
    fn dict_items(ctx: *mut Context, dict: *const Dict) -> *mut List {
        let list = list_of(ctx, dict, tag::TUPLE, |entry| {
            let pair = tuple_new(ctx, [entry.key, entry.value].as_ptr(), 2, core::ptr::null());
            if pair.is_null() { Value::NONE } else { Value::object(tag::TUPLE, pair) }
        });
        if (*ctx).status != status::OK && !list.is_null() {
            crate::memory::release_header(ctx, list.cast());
            return null_mut();
        }
        list
    }

    /// `dict.update(other)`
    fn dict_update(ctx: *mut Context, dict: *mut Dict, other: *const Dict) {
        if core::ptr::eq(dict, other) {
            return;
        }
        for entry in entries_of(other) {
            insert(ctx, dict, entry.key, entry.value);
        }
    }

    /// `dict.clear()`
    fn dict_clear(ctx: *mut Context, dict: *mut Dict) {
        let (entries, capacity, used) = ((*dict).entries, (*dict).capacity, (*dict).used);
        (*dict).entries = null_mut();
        free_array(ctx, (*dict).index, capacity * 2);
        (*dict).index = null_mut();
        (*dict).capacity = 0;
        (*dict).used = 0;
        (*dict).len = 0;
        for i in 0..used as usize {
            let entry = *entries.add(i);
            if entry.live != 0 {
                release_value(ctx, entry.key);
                release_value(ctx, entry.value);
            }
        }
        free_array(ctx, entries, capacity);
    }

    /// A shallow copy.
    fn dict_copy(ctx: *mut Context, dict: *const Dict) -> *mut Dict {
        let copy = dict_new(ctx, (*dict).key_type, (*dict).value_type);
        if !copy.is_null() {
            dict_update(ctx, copy, dict);
        }
        copy
    }

    /// Whether two dicts have equal entries, in any order.
    fn dict_eq(ctx: *mut Context, a: *const Dict, b: *const Dict) -> i64 {
        i64::from(dicts_equal(ctx, a, b, 0))
    }

    /// `dict(pairs)` of a list of pairs.
    fn dict_from_pairs(ctx: *mut Context, pairs: *const List, key_type: u64, value_type: u64) -> *mut Dict {
        let dict = dict_new(ctx, key_type, value_type);
        if dict.is_null() {
            return null_mut();
        }
        for pair in items_of(pairs) {
            if let [key, value] = tuple::items_of(pair.pointer()) {
                insert(ctx, dict, *key, *value);
            }
        }
        dict
    }

    /// Steps through the entries in order: `position` starts at 0; returns 1 with a borrowed key and value while there
    /// is another entry. The dict is not to be changed meanwhile.
    fn dict_next(dict: *const Dict, position: *mut u64, key: *mut Value, value: *mut Value) -> i64 {
        while *position < (*dict).used {
            let entry = (*dict).entries.add(*position as usize);
            *position += 1;
            if (*entry).live != 0 {
                *key = (*entry).key;
                *value = (*entry).value;
                return 1;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::release_header;
    use crate::test_context::TestContext;

    unsafe fn set(t: &TestContext, dict: *mut Dict, key: i64, value: i64) {
        dict_set(t.ctx(), dict, tag::INT, key as u64, tag::INT, value as u64);
    }

    #[test]
    fn agrees_with_a_model_under_random_changes() {
        let t = TestContext::new();
        let mut model: Vec<(i64, i64)> = Vec::new();
        let mut state = 12345u64;
        unsafe {
            let dict = dict_new(t.ctx(), tag::INT, tag::INT);
            for step in 0..20_000i64 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let key = (state >> 33) as i64 % 200 - 100;
                let at = model.iter().position(|pair| pair.0 == key);
                match (state >> 60) % 4 {
                    0 | 1 => {
                        set(&t, dict, key, step);
                        match at {
                            Some(at) => model[at].1 = step,
                            None => model.push((key, step)),
                        }
                    }
                    2 => {
                        let mut out = Value::NONE;
                        dict_pop_default(t.ctx(), dict, tag::INT, key as u64, tag::INT, -1i64 as u64, &mut out);
                        let expected = at.map_or(-1, |at| model.remove(at).1);
                        assert_eq!(out.as_int(), expected);
                    }
                    _ => assert_eq!(dict_contains(dict, tag::INT, key as u64), i64::from(at.is_some())),
                }
                assert_eq!((*dict).len, model.len() as u64);
            }
            let got: Vec<(i64, i64)> = entries_of(dict).map(|e| (e.key.as_int(), e.value.as_int())).collect();
            assert_eq!(got, model);
            release_header(t.ctx(), dict.cast());
            assert_eq!((*t.ctx()).live_bytes, 0);
        }
    }

    #[test]
    fn methods() {
        let t = TestContext::new();
        unsafe {
            let dict = dict_new(t.ctx(), tag::STR, tag::INT);
            for (i, key) in ["a", "b", "c"].iter().enumerate() {
                dict_set(t.ctx(), dict, tag::STR, t.str(key) as u64, tag::INT, i as u64);
            }
            let show = |value: Value| t.show(value);
            assert_eq!(show(Value::object(tag::DICT, dict)), "{a: 0, b: 1, c: 2}");
            assert_eq!(show(Value::object(tag::LIST, dict_items(t.ctx(), dict))), "[(a, 0), (b, 1), (c, 2)]");
            let copy = dict_copy(t.ctx(), dict);
            assert_eq!(dict_eq(t.ctx(), copy, dict), 1);
            assert_eq!(show(Value::object(tag::TUPLE, dict_popitem(t.ctx(), copy))), "(a, 0)");
            assert_eq!(dict_eq(t.ctx(), copy, dict), 0);
            let pairs = dict_items(t.ctx(), copy);
            let again = dict_from_pairs(t.ctx(), pairs, tag::STR, tag::INT);
            assert_eq!(dict_eq(t.ctx(), copy, again), 1);
            let mut out = Value::NONE;
            dict_setdefault(t.ctx(), copy, tag::STR, t.str("z") as u64, tag::INT, 26, &mut out);
            assert_eq!(show(Value::object(tag::LIST, dict_keys(t.ctx(), copy))), "[b, c, z]");
            dict_clear(t.ctx(), copy);
            assert_eq!(show(Value::object(tag::LIST, dict_values(t.ctx(), copy))), "[]");
        }
    }

    /// Texts recorded from PyTorch 2.15.
    #[test]
    fn errors_have_pytorch_texts() {
        let t = TestContext::new();
        unsafe {
            let dict = dict_new(t.ctx(), tag::STR, tag::INT);
            let mut out = Value::NONE;
            dict_get(t.ctx(), dict, tag::STR, t.str("x") as u64, &mut out);
            assert_eq!(t.take_error().1, "KeyError: x");
            dict_pop(t.ctx(), dict, tag::INT, 3, &mut out);
            assert_eq!(t.take_error().1, "KeyError: 3");
            dict_popitem(t.ctx(), dict);
            assert_eq!(t.take_error().1, "popitem(): dictionary is empty");
        }
    }
}
