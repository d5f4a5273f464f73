//! The runtime's functions as Rust functions, for building and reading values on behalf of a model's instance.
//!
//! The runtime keeps its functions behind the C ABI: they are found in its symbol table, once, by the names that
//! compiled models use.

use kiln_rt::abi::{Context, Dict, List, Options, Str, Tensor, Tuple, Value};
use std::sync::OnceLock;

macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $result:ty)?;)*) => {
        /// Functions of the runtime. All are `unsafe`: their contracts are the ABI's (`ABI.md` of the runtime).
        pub struct Functions {
            $(pub $name: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
        }

        impl Functions {
            fn find() -> Functions {
                Functions {
                    // SAFETY: the table gives the address of the function of this name, which has this signature
                    // (the number of its parameters is tested below).
                    $($name: unsafe { std::mem::transmute::<*const (), unsafe extern "C" fn($($arg),*) $(-> $result)?>(address(stringify!($name))) },)*
                }
            }
        }

        #[cfg(test)]
        const SIGNATURES: &[(&str, usize)] = &[$((stringify!($name), [$(stringify!($arg)),*].len())),*];
    };
}

functions! {
    context_init: fn(*mut Context, *const Options) -> i64;
    context_destroy: fn(*mut Context);
    str_new: fn(*mut Context, *const u8, u64) -> *mut Str;
    tensor_new: fn(*mut Context, i64, i64, *const i64) -> *mut Tensor;
    tensor_contiguous: fn(*mut Context, *mut Tensor) -> *mut Tensor;
    list_new: fn(*mut Context, u64, u64) -> *mut List;
    list_push: fn(*mut Context, *mut List, u64, u64);
    list_clear: fn(*mut Context, *mut List);
    tuple_new: fn(*mut Context, *const Value, u64, *const *const Str) -> *mut Tuple;
    dict_new: fn(*mut Context, u64, u64) -> *mut Dict;
    dict_set: fn(*mut Context, *mut Dict, u64, u64, u64, u64);
    dict_next: fn(*const Dict, *mut u64, *mut Value, *mut Value) -> i64;
    release: fn(*mut Context, u64, u64);
    value_release: fn(*mut Context, *const Value);
}

fn address(name: &str) -> *const () {
    let symbol = kiln_rt::symbol(&format!("kiln_rt1_{name}"));
    symbol.unwrap_or_else(|| panic!("the runtime has no function `{name}`")).address
}

/// The runtime's functions.
pub fn functions() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    FUNCTIONS.get_or_init(Functions::find)
}

#[cfg(test)]
mod tests {
    #[test]
    fn signatures_are_the_runtimes() {
        for (name, params) in super::SIGNATURES {
            let symbol = kiln_rt::symbol(&format!("kiln_rt1_{name}")).unwrap();
            assert_eq!(symbol.params.len(), *params, "{name}({})", symbol.signature);
        }
    }
}
