//! A context for unit tests: memory that is counted and may be limited, printed text that is kept.

use std::alloc::Layout;
use std::cell::{RefCell, UnsafeCell};
use std::rc::Rc;

use crate::abi::*;
use crate::memory::{context_destroy, context_init};
use crate::string::{bytes_of, from_bytes};
use crate::text::Text;

struct Shared {
    limit: u64,
    used: RefCell<u64>,
    printed: RefCell<Vec<u8>>,
}

/// A context that is destroyed with the test.
pub(crate) struct TestContext {
    context: Box<UnsafeCell<Context>>,
    shared: Rc<Shared>,
}

fn layout(size: u64, align: u64) -> Layout {
    Layout::from_size_align(size as usize, align as usize).unwrap()
}

unsafe extern "C" fn limited_alloc(user: *mut u8, size: u64, align: u64) -> *mut u8 {
    let shared = unsafe { &*user.cast::<Shared>() };
    let used = *shared.used.borrow();
    if size > shared.limit - used {
        return core::ptr::null_mut();
    }
    *shared.used.borrow_mut() += size;
    // Poison, so that a read of what was never written shows.
    let block = unsafe { std::alloc::alloc(layout(size, align)) };
    unsafe { core::ptr::write_bytes(block, 0xa5, size as usize) };
    block
}

unsafe extern "C" fn limited_free(user: *mut u8, block: *mut u8, size: u64, align: u64) {
    *unsafe { &*user.cast::<Shared>() }.used.borrow_mut() -= size;
    unsafe { std::alloc::dealloc(block, layout(size, align)) };
}

unsafe extern "C" fn keep_printed(user: *mut u8, text: *const u8, len: u64) {
    let text = unsafe { core::slice::from_raw_parts(text, len as usize) };
    unsafe { &*user.cast::<Shared>() }.printed.borrow_mut().extend_from_slice(text);
}

impl TestContext {
    pub(crate) fn new() -> TestContext {
        TestContext::with_limit(1 << 32)
    }

    /// A context whose allocator fails beyond `limit` bytes.
    pub(crate) fn with_limit(limit: u64) -> TestContext {
        let shared = Rc::new(Shared { limit, used: RefCell::new(0), printed: RefCell::new(Vec::new()) });
        let user = Rc::as_ptr(&shared).cast::<u8>().cast_mut();
        let mut options: Options = unsafe { core::mem::zeroed() };
        options.abi = ABI_VERSION;
        options.alloc = Some(limited_alloc);
        options.free = Some(limited_free);
        options.alloc_user = user;
        options.print = Some(keep_printed);
        options.print_user = user;
        let context = Box::new(UnsafeCell::new(unsafe { core::mem::zeroed::<Context>() }));
        assert_eq!(unsafe { context_init(context.get(), &options) }, 0);
        TestContext { context, shared }
    }

    pub(crate) fn ctx(&self) -> *mut Context {
        self.context.get()
    }

    /// A new string object.
    pub(crate) fn str(&self, text: &str) -> *mut Str {
        unsafe { from_bytes(self.ctx(), text.as_bytes()) }
    }

    /// A new string as a value.
    pub(crate) fn value(&self, text: &str) -> Value {
        Value::object(tag::STR, self.str(text))
    }

    /// The text of a string object, after a check that nothing failed.
    pub(crate) fn text(&self, s: *const Str) -> String {
        assert_eq!(unsafe { (*self.ctx()).status }, status::OK, "{}", self.take_error().1);
        String::from_utf8_lossy(unsafe { bytes_of(s) }).into_owned()
    }

    /// A value as printed.
    pub(crate) fn show(&self, value: Value) -> String {
        let mut text = Text::new(self.ctx());
        unsafe { crate::print::push_value(&mut text, value, 0) };
        String::from_utf8_lossy(text.as_bytes()).into_owned()
    }

    /// The ints of a list.
    pub(crate) fn ints(&self, list: *const List) -> Vec<i64> {
        unsafe { crate::list::items_of(list) }.iter().map(|item| item.as_int()).collect()
    }

    /// Status and text of the error, which is then cleared.
    pub(crate) fn take_error(&self) -> (i32, String) {
        unsafe {
            let ctx = self.ctx();
            let error = (
                (*ctx).status,
                String::from_utf8_lossy(crate::string::bytes_or_empty((*ctx).error_text, (*ctx).error_len)).into_owned(),
            );
            crate::error::clear_error(ctx);
            error
        }
    }

    /// What was printed so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8(self.shared.printed.borrow().clone()).unwrap()
    }

    /// A contiguous float32 tensor.
    pub(crate) fn tensor_f32(&self, sizes: &[i64], values: &[f32]) -> *mut Tensor {
        unsafe {
            let tensor = crate::tensor::new_tensor(self.ctx(), dtype::F32, sizes);
            core::ptr::copy_nonoverlapping(values.as_ptr(), (*tensor).data.cast(), values.len());
            tensor
        }
    }

    /// The elements of a contiguous float32 tensor.
    pub(crate) fn floats(&self, tensor: *const Tensor) -> Vec<f32> {
        unsafe { core::slice::from_raw_parts((*tensor).data.cast(), crate::tensor::numel_of(tensor) as usize).to_vec() }
    }
}

impl Drop for TestContext {
    fn drop(&mut self) {
        unsafe { context_destroy(self.ctx()) };
        if !std::thread::panicking() {
            assert_eq!(*self.shared.used.borrow(), 0, "memory is left after context_destroy");
        }
    }
}
