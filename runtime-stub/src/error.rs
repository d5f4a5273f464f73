//! The error of a context: a status and a text. The first failure stands until it is cleared.

use core::ptr::null_mut;

use crate::abi::*;
use crate::export::exports;
use crate::memory::free_block;
use crate::text::Text;

static OUT_OF_MEMORY_TEXT: &[u8] = b"out of memory\0";

/// Records that memory ran out, in constant text, since there may be none for another one.
pub(crate) unsafe fn fail_out_of_memory(ctx: *mut Context) {
    if (*ctx).status != status::OK {
        return;
    }
    free_error(ctx);
    (*ctx).status = status::OUT_OF_MEMORY;
    (*ctx).error_text = OUT_OF_MEMORY_TEXT.as_ptr().cast_mut();
    (*ctx).error_len = OUT_OF_MEMORY_TEXT.len() as u64 - 1;
}

/// Drops the error text.
pub(crate) unsafe fn free_error(ctx: *mut Context) {
    free_block(ctx, (*ctx).error_text, (*ctx).error_capacity, 8);
    (*ctx).error_text = null_mut();
    (*ctx).error_len = 0;
    (*ctx).error_capacity = 0;
}

/// Records status 1 with a constant text.
pub(crate) unsafe fn raise_text(ctx: *mut Context, text: &str) {
    raise_with(ctx, |message| message.push_str(text));
}

/// Records status 1 with the text that `write` makes.
pub(crate) unsafe fn raise_with(ctx: *mut Context, write: impl FnOnce(&mut Text)) {
    fail_with(ctx, status::RAISED, write);
}

/// Records a status with the text that `write` makes, unless there is an error already.
pub(crate) unsafe fn fail_with(ctx: *mut Context, code: i32, write: impl FnOnce(&mut Text)) {
    if (*ctx).status != status::OK {
        return;
    }
    let mut message = Text::new(ctx);
    write(&mut message);
    message.push(0);
    let Some((text, len, capacity)) = message.into_parts() else { return };
    free_error(ctx);
    (*ctx).status = code;
    (*ctx).error_text = text;
    (*ctx).error_len = len - 1;
    (*ctx).error_capacity = capacity;
}

exports! {
    /// The program raises `message` of the exception class named by `class`, `class_len` bytes such as
    /// `builtins.ValueError`; with no class the message stands alone.
    fn raise(ctx: *mut Context, message: *const Str, class: *const u8, class_len: u64) {
        let class = crate::string::bytes_or_empty(class, class_len);
        let class = class.strip_prefix(b"builtins.").unwrap_or(class);
        raise_with(ctx, |text| {
            if !class.is_empty() {
                text.push_bytes(class);
                text.push_str(": ");
            }
            text.push_bytes(crate::string::bytes_of(message));
        });
    }

    /// Records status 1 with a text.
    fn raise_static(ctx: *mut Context, text: *const u8, len: u64) {
        raise_with(ctx, |message| message.push_bytes(crate::string::bytes_or_empty(text, len)));
    }

    /// Records any status with a text.
    fn fail(ctx: *mut Context, code: i64, text: *const u8, len: u64) {
        fail_with(ctx, code as i32, |message| message.push_bytes(crate::string::bytes_or_empty(text, len)));
    }

    /// Forgets the error: status 0, no text.
    fn clear_error(ctx: *mut Context) {
        free_error(ctx);
        (*ctx).status = status::OK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn raise_names_the_class_and_keeps_the_first_error() {
        let t = TestContext::new();
        unsafe {
            let message = t.str("boo");
            raise(t.ctx(), message, b"builtins.ValueError".as_ptr(), 19);
            raise_text(t.ctx(), "later");
            assert_eq!(t.take_error(), (status::RAISED, "ValueError: boo".into()));
            raise(t.ctx(), message, core::ptr::null(), 0);
            assert_eq!(t.take_error(), (status::RAISED, "boo".into()));
            fail(t.ctx(), 3, b"bad".as_ptr(), 3);
            assert_eq!(t.take_error(), (status::BAD_ARGUMENT, "bad".into()));
        }
    }
}
