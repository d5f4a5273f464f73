//! Memory of an instance: allocation, reference counts, and the sweep that frees what nothing reaches.
//!
//! Every object is one block (lists and dicts own a second one for their items) and stands in the context's doubly
//! linked list. Freeing is iterative: an object whose count falls to zero moves from that list to a work list threaded
//! through the same links, so a chain of any length needs no stack. Running out of memory sets the status of the
//! context and yields null; nothing aborts.

use core::mem::size_of;
use core::ptr::null_mut;

use crate::abi::*;
use crate::dict;
use crate::error::{fail_out_of_memory, free_error};
use crate::export::exports;
use crate::platform;
use crate::tensor;

/// Largest block that is ever asked for.
const MAX_BLOCK: u64 = i64::MAX as u64;

/// Allocates `size` bytes; null and status 2 when that is not possible. A size of 0 gives a pointer not to be read.
pub(crate) unsafe fn allocate_block(ctx: *mut Context, size: u64, align: u64) -> *mut u8 {
    if size == 0 {
        return align as *mut u8;
    }
    let block = match (*ctx).alloc {
        Some(alloc) if size <= MAX_BLOCK - align => alloc((*ctx).alloc_user, size, align),
        _ => null_mut(),
    };
    if block.is_null() {
        fail_out_of_memory(ctx);
    } else {
        (*ctx).live_bytes += size;
    }
    block
}

/// Frees a block of [`allocate_block`]; null and size 0 are allowed.
pub(crate) unsafe fn free_block(ctx: *mut Context, block: *mut u8, size: u64, align: u64) {
    if block.is_null() || size == 0 {
        return;
    }
    (*ctx).live_bytes = (*ctx).live_bytes.wrapping_sub(size);
    if let Some(free) = (*ctx).free {
        free((*ctx).alloc_user, block, size, align);
    }
}

/// Allocates `count` items of `T`, checked for overflow.
pub(crate) unsafe fn allocate_array<T>(ctx: *mut Context, count: u64) -> *mut T {
    match count.checked_mul(size_of::<T>() as u64) {
        Some(bytes) => allocate_block(ctx, bytes, align_of_items::<T>()).cast(),
        None => {
            fail_out_of_memory(ctx);
            null_mut()
        }
    }
}

/// Frees an array of [`allocate_array`].
pub(crate) unsafe fn free_array<T>(ctx: *mut Context, items: *mut T, count: u64) {
    free_block(ctx, items.cast(), count * size_of::<T>() as u64, align_of_items::<T>());
}

const fn align_of_items<T>() -> u64 {
    let align = core::mem::align_of::<T>() as u64;
    if align < 8 { 8 } else { align }
}

/// A buffer for the length of one call, freed when it goes out of scope.
pub(crate) struct Scratch<T> {
    ctx: *mut Context,
    pointer: *mut T,
    len: u64,
}

impl<T: Copy> Scratch<T> {
    /// `len` uninitialised items, or `None` with status 2.
    pub(crate) unsafe fn new(ctx: *mut Context, len: i64) -> Option<Scratch<T>> {
        let len = len.max(0) as u64;
        let pointer = allocate_array::<T>(ctx, len);
        if pointer.is_null() { None } else { Some(Scratch { ctx, pointer, len }) }
    }

    /// `len` items, each `fill`.
    pub(crate) unsafe fn filled(ctx: *mut Context, len: i64, fill: T) -> Option<Scratch<T>> {
        let scratch = Scratch::<T>::new(ctx, len)?;
        for i in 0..scratch.len as usize {
            scratch.pointer.add(i).write(fill);
        }
        Some(scratch)
    }

    /// The items.
    pub(crate) fn as_mut_ptr(&self) -> *mut T {
        self.pointer
    }

    /// The items as a slice; only for buffers that were filled.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: `pointer` holds `len` items, and the borrow of `self` makes it the only view.
        unsafe { core::slice::from_raw_parts_mut(self.pointer, self.len as usize) }
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        // SAFETY: the block came from `allocate_array` of the same context, which outlives the call.
        unsafe { free_array(self.ctx, self.pointer, self.len) }
    }
}

/// Allocates an object block of `size` bytes with one reference and enters it in the context's list.
pub(crate) unsafe fn allocate_object<T>(ctx: *mut Context, kind: u64, size: u64, align: u64) -> *mut T {
    let object = allocate_block(ctx, size, align).cast::<Header>();
    if object.is_null() {
        return null_mut();
    }
    (*object).refs = 1;
    (*object).kind = kind as u32;
    link(ctx, object);
    object.cast()
}

unsafe fn link(ctx: *mut Context, object: *mut Header) {
    let head = (*ctx).heap;
    (*object).prev = null_mut();
    (*object).next = head;
    if !head.is_null() {
        (*head).prev = object;
    }
    (*ctx).heap = object;
    (*ctx).live_objects += 1;
}

unsafe fn unlink(ctx: *mut Context, object: *mut Header) {
    let (prev, next) = ((*object).prev, (*object).next);
    if prev.is_null() {
        (*ctx).heap = next;
    } else {
        (*prev).next = next;
    }
    if !next.is_null() {
        (*next).prev = prev;
    }
    (*ctx).live_objects = (*ctx).live_objects.wrapping_sub(1);
}

/// Adds a reference to the object of a value, if it has one.
pub(crate) unsafe fn retain_value(value: Value) {
    if value.is_object() {
        retain_header(value.pointer());
    }
}

/// Adds a reference; null and immortal objects are left alone.
pub(crate) unsafe fn retain_header(object: *mut Header) {
    if !object.is_null() && (*object).refs != IMMORTAL {
        (*object).refs += 1;
    }
}

/// Drops a reference of a value.
pub(crate) unsafe fn release_value(ctx: *mut Context, value: Value) {
    if value.is_object() {
        release_header(ctx, value.pointer());
    }
}

/// Drops a reference; frees the object, and all that only it reached, when it was the last.
pub(crate) unsafe fn release_header(ctx: *mut Context, object: *mut Header) {
    let mut work: *mut Header = null_mut();
    drop_reference(ctx, object, &mut work);
    while !work.is_null() {
        let dead = work;
        work = (*dead).next;
        for_each_child(dead, |child| drop_reference(ctx, child, &mut work));
        free_object(ctx, dead);
    }
}

/// Takes one reference from `object`; a dead one goes to `work`, linked through `next`.
unsafe fn drop_reference(ctx: *mut Context, object: *mut Header, work: &mut *mut Header) {
    if object.is_null() || (*object).refs == IMMORTAL {
        return;
    }
    (*object).refs -= 1;
    if (*object).refs == 0 {
        unlink(ctx, object);
        (*object).next = *work;
        *work = object;
    }
}

unsafe fn visit(value: Value, each: &mut impl FnMut(*mut Header)) {
    if value.is_object() {
        each(value.pointer());
    }
}

/// Calls `each` for every object that `object` refers to.
unsafe fn for_each_child(object: *mut Header, mut each: impl FnMut(*mut Header)) {
    match u64::from((*object).kind) {
        tag::TENSOR => each((*object.cast::<Tensor>()).owner),
        tag::LIST => {
            let list = object.cast::<List>();
            visit_all((*list).items, (*list).len, &mut each);
        }
        tag::TUPLE => {
            let tuple = object.cast::<Tuple>();
            visit_all((&raw mut (*tuple).items).cast(), (*tuple).len, &mut each);
        }
        tag::OBJECT => {
            let instance = object.cast::<Object>();
            visit_all((&raw mut (*instance).fields).cast(), (*instance).len, &mut each);
        }
        tag::DICT => {
            let dict = object.cast::<Dict>();
            for i in 0..(*dict).used as usize {
                let entry = (*dict).entries.add(i);
                if (*entry).live != 0 {
                    visit((*entry).key, &mut each);
                    visit((*entry).value, &mut each);
                }
            }
        }
        _ => {}
    }
}

unsafe fn visit_all(values: *mut Value, len: u64, each: &mut impl FnMut(*mut Header)) {
    for i in 0..len as usize {
        visit(*values.add(i), each);
    }
}

/// Frees the blocks of an object that no list holds any more.
unsafe fn free_object(ctx: *mut Context, object: *mut Header) {
    let block = object.cast::<u8>();
    match u64::from((*object).kind) {
        tag::STR | tag::DEVICE => free_block(ctx, block, size_of::<Str>() as u64 + (*object.cast::<Str>()).len, 8),
        tag::TENSOR => free_block(ctx, block, tensor::block_bytes(object.cast()), tensor::DATA_ALIGN),
        tag::TUPLE => free_block(ctx, block, tuple_bytes((*object.cast::<Tuple>()).len), 8),
        tag::OBJECT => free_block(ctx, block, object_bytes((*object.cast::<Object>()).len), 8),
        tag::LIST => {
            let list = object.cast::<List>();
            free_array(ctx, (*list).items, (*list).capacity);
            free_block(ctx, block, size_of::<List>() as u64, 8);
        }
        tag::DICT => {
            dict::free_storage(ctx, object.cast());
            free_block(ctx, block, size_of::<Dict>() as u64, 8);
        }
        _ => {}
    }
}

/// Size of a tuple block. `len` is below 2^58, or the allocation fails before.
pub(crate) fn tuple_bytes(len: u64) -> u64 {
    (size_of::<Tuple>() as u64).saturating_add(len.saturating_mul(16))
}

/// Size of a class instance block.
pub(crate) fn object_bytes(len: u64) -> u64 {
    (size_of::<Object>() as u64).saturating_add(len.saturating_mul(16))
}

/// The sweep's queue of reached objects, in the order in which they were reached.
struct Reached {
    first: *mut Header,
    last: *mut Header,
    count: u64,
}

impl Reached {
    /// Counts one reference to `object`; the first one moves it from the heap list to the queue. In the sweep, objects
    /// of the heap list have a count of 0 and those of the queue a greater one.
    unsafe fn reach(&mut self, ctx: *mut Context, object: *mut Header) {
        if object.is_null() || (*object).refs == IMMORTAL {
            return;
        }
        (*object).refs += 1;
        if (*object).refs > 1 {
            return;
        }
        unlink(ctx, object);
        (*object).prev = self.last;
        (*object).next = null_mut();
        if self.last.is_null() {
            self.first = object;
        } else {
            (*self.last).next = object;
        }
        self.last = object;
        self.count += 1;
    }
}

unsafe fn free_whole_heap(ctx: *mut Context) {
    let mut object = (*ctx).heap;
    (*ctx).heap = null_mut();
    (*ctx).live_objects = 0;
    while !object.is_null() {
        let next = (*object).next;
        free_object(ctx, object);
        object = next;
    }
}

exports! {
    /// Prepares a context: allocator, print sink and thread pool from `options` (null: the defaults), everything else
    /// empty. Returns the status: 3 when the options are of another ABI version or name only one half of an allocator.
    fn context_init(ctx: *mut Context, options: *const Options) -> i64 {
        ctx.write(platform::default_context());
        if options.is_null() {
            return 0;
        }
        let options = &*options;
        if options.abi != ABI_VERSION || options.alloc.is_some() != options.free.is_some() {
            (*ctx).status = status::BAD_ARGUMENT;
            return i64::from(status::BAD_ARGUMENT);
        }
        if options.alloc.is_some() {
            (*ctx).alloc = options.alloc;
            (*ctx).free = options.free;
            (*ctx).alloc_user = options.alloc_user;
        }
        (*ctx).print = options.print;
        (*ctx).print_user = options.print_user;
        (*ctx).parallel_for = options.parallel_for;
        (*ctx).parallel_user = options.parallel_user;
        0
    }

    /// Frees every object of the context, whoever holds it, and the error text. The memory of the context itself, its
    /// state array and its arena belong to the caller.
    fn context_destroy(ctx: *mut Context) {
        free_whole_heap(ctx);
        (*ctx).held = null_mut();
        free_error(ctx);
    }

    /// Allocates a block; null and status 2 when that is not possible.
    fn allocate(ctx: *mut Context, size: u64, align: u64) -> *mut u8 {
        allocate_block(ctx, size, align)
    }

    /// Frees a block of `allocate`, with the same size and alignment.
    fn deallocate(ctx: *mut Context, block: *mut u8, size: u64, align: u64) {
        free_block(ctx, block, size, align);
    }

    /// Adds a reference to a value; nothing for numbers, bools and None.
    fn retain(x_tag: u64, x_bits: u64) {
        retain_value(Value::new(x_tag, x_bits));
    }

    /// Drops a reference to a value, and frees what only it reached.
    fn release(ctx: *mut Context, x_tag: u64, x_bits: u64) {
        release_value(ctx, Value::new(x_tag, x_bits));
    }

    /// Adds a reference to an object; null is allowed.
    fn retain_object(object: *mut Header) {
        retain_header(object);
    }

    /// Drops a reference to an object; null is allowed.
    fn release_object(ctx: *mut Context, object: *mut Header) {
        release_header(ctx, object);
    }

    /// Frees every object that `roots`, the context's state and the values held by the app do not reach, cycles
    /// included, and sets the counts of the others to the references found. Called after a raise, when references of
    /// abandoned frames are still counted.
    fn sweep(ctx: *mut Context, roots: *const Value, n: u64) {
        let mut object = (*ctx).heap;
        while !object.is_null() {
            (*object).refs = 0;
            object = (*object).next;
        }
        let mut reached = Reached { first: null_mut(), last: null_mut(), count: 0 };
        visit_all(roots.cast_mut(), n, &mut |child| reached.reach(ctx, child));
        visit_all((*ctx).state, (*ctx).state_len, &mut |child| reached.reach(ctx, child));
        reached.reach(ctx, (*ctx).held.cast());
        let mut next = reached.first;
        while !next.is_null() {
            for_each_child(next, |child| reached.reach(ctx, child));
            next = (*next).next;
        }
        free_whole_heap(ctx);
        (*ctx).heap = reached.first;
        (*ctx).live_objects = reached.count;
    }

    /// Puts a value on the list of those that the app holds: it lives until `unhold`, whatever `sweep` finds.
    fn hold(ctx: *mut Context, x_tag: u64, x_bits: u64) {
        if (*ctx).held.is_null() {
            (*ctx).held = crate::list::list_new(ctx, 8, tag::ANY);
        }
        if !(*ctx).held.is_null() {
            crate::list::list_push(ctx, (*ctx).held, x_tag, x_bits);
        }
    }

    /// Makes the app the owner of a reference, which is what the caller had: the value is held until `unhold`.
    fn give_away(ctx: *mut Context, x_tag: u64, x_bits: u64) {
        let value = Value::new(x_tag, x_bits);
        if value.is_object() {
            hold(ctx, x_tag, x_bits);
            release_value(ctx, value);
        }
    }

    /// Takes a value off the list of `hold` (the newest entry of that object), which drops the reference held there.
    fn unhold(ctx: *mut Context, x_tag: u64, x_bits: u64) {
        let held = (*ctx).held;
        if held.is_null() {
            return;
        }
        let mut i = (*held).len as usize;
        while i > 0 {
            i -= 1;
            let item = *(*held).items.add(i);
            if item.tag == x_tag && item.bits == x_bits {
                (*held).len -= 1;
                *(*held).items.add(i) = *(*held).items.add((*held).len as usize);
                release_value(ctx, item);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{list_new, list_push};
    use crate::test_context::TestContext;

    #[test]
    fn long_chain_is_freed_without_recursion() {
        let t = TestContext::new();
        unsafe {
            let mut chain = list_new(t.ctx(), 0, tag::ANY);
            for _ in 0..300_000 {
                let outer = list_new(t.ctx(), 1, tag::LIST);
                list_push(t.ctx(), outer, tag::LIST, chain as u64);
                release_header(t.ctx(), chain.cast());
                chain = outer;
            }
            assert_eq!((*t.ctx()).live_objects, 300_001);
            release_header(t.ctx(), chain.cast());
            assert_eq!((*t.ctx()).live_objects, 0);
            assert_eq!((*t.ctx()).live_bytes, 0);
        }
    }

    #[test]
    fn sweep_frees_cycles_and_corrects_counts() {
        let t = TestContext::new();
        unsafe {
            let ctx = t.ctx();
            let kept = list_new(ctx, 0, tag::ANY);
            let child = list_new(ctx, 0, tag::ANY);
            list_push(ctx, kept, tag::LIST, child as u64);
            let cycle = list_new(ctx, 0, tag::ANY);
            list_push(ctx, cycle, tag::LIST, cycle as u64);
            list_push(ctx, cycle, tag::LIST, child as u64);
            assert_eq!((*child).header.refs, 3);
            let root = Value::object(tag::LIST, kept);
            sweep(ctx, &root, 1);
            assert_eq!((*ctx).live_objects, 2);
            assert_eq!((*child).header.refs, 1);
            assert_eq!((*kept).header.refs, 1);
            release_header(ctx, kept.cast());
            assert_eq!((*ctx).live_bytes, 0);
        }
    }

    #[test]
    fn held_values_survive_a_sweep() {
        let t = TestContext::new();
        unsafe {
            let ctx = t.ctx();
            let result = list_new(ctx, 3, tag::INT);
            give_away(ctx, tag::LIST, result as u64);
            give_away(ctx, tag::INT, 7);
            sweep(ctx, core::ptr::null(), 0);
            assert_eq!((*result).header.refs, 1);
            unhold(ctx, tag::LIST, result as u64);
            assert_eq!((*ctx).live_objects, 1);
        }
    }

    #[test]
    fn options_of_another_version_are_refused() {
        let mut context = platform::default_context();
        let mut options: Options = unsafe { core::mem::zeroed() };
        options.abi = ABI_VERSION + 1;
        unsafe {
            assert_eq!(context_init(&mut context, &options), i64::from(status::BAD_ARGUMENT));
            assert_eq!(context_init(&mut context, core::ptr::null()), 0);
            assert!(context.alloc.is_some() && context.print.is_none());
            context_destroy(&mut context);
        }
    }

    #[test]
    fn running_out_of_memory_is_a_status() {
        let t = TestContext::with_limit(200);
        unsafe {
            let list = list_new(t.ctx(), 0, tag::INT);
            for i in 0..100 {
                list_push(t.ctx(), list, tag::INT, i);
            }
            assert_eq!((*t.ctx()).status, status::OUT_OF_MEMORY);
            assert!((*list).len < 100);
        }
    }
}
