//! Strings, lists and dicts that are known only at run time: functions of the runtime.
//!
//! The runtime's own signature says how arguments travel; the names here are its symbols without prefix.

use crate::entry::{Body, Entry};

/// An operator that is a function of the runtime which may fail.
macro_rules! runtime {
    ($($key:expr => $symbol:literal, $doc:literal;)*) => {
        &[$(Entry { key: $key, doc: $doc, body: Body::Runtime { symbol: $symbol, fallible: true } }),*]
    };
}

/// As `runtime`, for functions that cannot fail and take no context.
macro_rules! infallible {
    ($($key:expr => $symbol:literal, $doc:literal;)*) => {
        &[$(Entry { key: $key, doc: $doc, body: Body::Runtime { symbol: $symbol, fallible: false } }),*]
    };
}

/// One operator on dicts per type of key.
macro_rules! dicts {
    ($macro:ident: $($prefix:literal => $symbol:literal, $doc:literal;)*) => {
        $macro! {
            $(concat!($prefix, "str") => $symbol, $doc;
              concat!($prefix, "int") => $symbol, $doc;
              concat!($prefix, "bool") => $symbol, $doc;
              concat!($prefix, "float") => $symbol, $doc;)*
        }
    };
}

/// Operators on dicts.
pub const DICTS: &[Entry] = dicts! { runtime:
    "aten::__getitem__.Dict_" => "dict_get", "self[key], or KeyError";
    "aten::_set_item." => "dict_set", "l[idx] = v";
    "aten::setdefault." => "dict_setdefault", "self[key], which is default_value now if it was missing";
    "aten::Delete.Dict_" => "dict_delete", "del self[key], or KeyError";
    "aten::pop.Dict_" => "dict_pop", "takes self[key] out, or KeyError";
    "aten::pop.Dict_default_" => "dict_pop_default", "takes self[key] out, or default_value";
    "aten::popitem." => "dict_popitem", "takes the first entry out";
    "aten::keys." => "dict_keys", "the keys in order of insertion";
    "aten::values." => "dict_values", "the values in order of insertion";
    "aten::items." => "dict_items", "pairs of key and value in order of insertion";
    "aten::update." => "dict_update", "takes over the entries of to_add";
    "aten::clear." => "dict_clear", "removes all entries";
    "aten::copy.Dict_" => "dict_copy", "a dict with the same entries";
    "aten::dict.Dict_" => "dict_copy", "a dict with the same entries";
};

/// Operators on dicts that cannot fail.
pub const DICT_QUESTIONS: &[Entry] = dicts! { infallible:
    "aten::len.Dict_" => "dict_len", "number of entries";
    "aten::__contains__." => "dict_contains", "key in dict";
    "aten::get." => "dict_find", "self[key], or None";
    "aten::get.default_" => "dict_get_default", "self[key], or default_value";
};

/// Operators on lists.
pub const LISTS: &[Entry] = runtime! {
    "aten::__getitem__.t" => "list_get", "list[idx], or IndexError";
    "aten::select.t" => "list_get", "list[idx], or IndexError";
    "aten::_set_item.t" => "list_set", "l[idx] = el, or IndexError";
    "aten::append.t" => "list_push", "self.append(el)";
    "aten::insert.t" => "list_insert", "self.insert(idx, el)";
    "aten::pop.t" => "list_pop", "takes self[idx] out";
    "aten::Delete.t" => "list_delete", "del self[idx]";
    "aten::extend.t" => "list_extend", "appends all of other";
    "aten::add_.t" => "list_extend", "appends all of b";
    "aten::mul_.t" => "list_repeat_in_place", "l *= n";
    "aten::add.t" => "list_concat", "a + b";
    "aten::mul.left_t" => "list_repeat", "l * n";
    "aten::slice.t" => "list_slice", "l[start:end:step]";
    "aten::clear.t" => "list_clear", "removes all elements";
    "aten::copy.t" => "list_copy", "a list with the same elements";
    "aten::list.t" => "list_copy", "a list with the same elements";
    "aten::remove.int" => "list_remove", "removes the first el, or ValueError";
    "aten::remove.float" => "list_remove", "removes the first el, or ValueError";
    "aten::remove.bool" => "list_remove", "removes the first el, or ValueError";
    "aten::remove.str" => "list_remove", "removes the first el, or ValueError";
    "aten::remove.Tensor" => "list_remove", "removes the first el, or ValueError";
    "aten::index.list_int" => "list_index", "place of the first el, or ValueError";
    "aten::index.list_float" => "list_index", "place of the first el, or ValueError";
    "aten::index.list_bool" => "list_index", "place of the first el, or ValueError";
    "aten::index.list_str" => "list_index", "place of the first el, or ValueError";
    "aten::index.list_Tensor" => "list_index", "place of the first el, or ValueError";
    "aten::count.int" => "list_count", "how many elements equal el";
    "aten::count.float" => "list_count", "how many elements equal el";
    "aten::count.bool" => "list_count", "how many elements equal el";
    "aten::count.str" => "list_count", "how many elements equal el";
    "aten::count.Tensor" => "list_count", "how many elements equal el";
    "aten::__contains__.int_list" => "list_contains", "item in l";
    "aten::__contains__.float_list" => "list_contains", "item in l";
    "aten::__contains__.str_list" => "list_contains", "item in l";
    "aten::eq.int_list" => "list_eq", "a == b";
    "aten::eq.float_list" => "list_eq", "a == b";
    "aten::eq.bool_list" => "list_eq", "a == b";
    "aten::eq.str_list" => "list_eq", "a == b";
    "aten::eq.Tensor_list" => "list_eq", "a == b";
    "aten::sort.int" => "list_sort", "sorts in place";
    "aten::sort.float" => "list_sort", "sorts in place";
    "aten::sort.bool" => "list_sort", "sorts in place";
    "aten::sort.str" => "list_sort", "sorts in place";
    "aten::sorted.int" => "list_sorted", "a sorted copy";
    "aten::sorted.float" => "list_sorted", "a sorted copy";
    "aten::sorted.bool" => "list_sorted", "a sorted copy";
    "aten::sorted.str" => "list_sorted", "a sorted copy";
    "prim::min.self_int" => "list_min", "the smallest element";
    "prim::min.self_float" => "list_min", "the smallest element";
    "prim::min.self_bool" => "list_min", "the smallest element";
    "prim::max.self_int" => "list_max", "the largest element";
    "prim::max.self_float" => "list_max", "the largest element";
    "prim::max.self_bool" => "list_max", "the largest element";
    "aten::sum.int" => "list_sum", "the sum of the elements";
    "aten::sum.float" => "list_sum", "the sum of the elements";
    "aten::sort.any" => "list_sort", "sorts in place; tuples by their elements";
    "aten::sorted.any" => "list_sorted", "a sorted copy; tuples by their elements";
    "kiln::tensor_from_list" => "tensor_from_value", "tensor of a list of numbers whose length is known only at run time";
    "kiln::stack_list" => "tensor_stack", "stack of a list whose length is known only at run time";
    "kiln::cat_list" => "tensor_cat", "cat of a list whose length is known only at run time";
    "aten::sum.bool" => "list_sum", "how many elements hold";
};

/// Operators on lists that cannot fail.
pub const LIST_QUESTIONS: &[Entry] = infallible! {
    "aten::len.t" => "list_len", "number of elements";
    "aten::len.any" => "list_len", "number of elements";
    "aten::reverse.t" => "list_reverse", "reverses in place";
    "aten::any.int" => "list_any", "whether an element is not zero";
    "aten::any.float" => "list_any", "whether an element is not zero";
    "aten::any.bool" => "list_any", "whether an element holds";
    "aten::all.int" => "list_all", "whether no element is zero";
    "aten::all.float" => "list_all", "whether no element is zero";
    "aten::all.bool" => "list_all", "whether all elements hold";
};

/// Operators on strings.
pub const STRINGS: &[Entry] = runtime! {
    "aten::add.str" => "str_concat", "a + b";
    "aten::__getitem__.str" => "str_get", "s[index], or IndexError";
    "prim::StringIndex" => "str_get", "string[index], or IndexError";
    "aten::slice.str" => "str_slice", "string[start:end:step]";
    "aten::lower" => "str_lower", "small letters";
    "aten::upper" => "str_upper", "capital letters";
    "aten::swapcase" => "str_swapcase", "capital letters for small ones and back";
    "aten::capitalize" => "str_capitalize", "a capital first, small letters after it";
    "aten::title" => "str_title", "a capital at the start of each word";
    "aten::find" => "str_find", "place of the first substr, or -1";
    "aten::rfind" => "str_rfind", "place of the last substr, or -1";
    "aten::index.str" => "str_index", "place of the first substr, or ValueError";
    "aten::rindex" => "str_rindex", "place of the last substr, or ValueError";
    "aten::count" => "str_count", "number of substr without overlap";
    "aten::startswith" => "str_startswith", "whether substr stands at the start";
    "aten::endswith" => "str_endswith", "whether substr stands at the end";
    "aten::replace" => "str_replace", "new for old, at most max times";
    "aten::strip" => "str_strip", "without chars at both ends";
    "aten::lstrip" => "str_lstrip", "without chars at the start";
    "aten::rstrip" => "str_rstrip", "without chars at the end";
    "aten::ord" => "str_ord", "the value of the one byte";
    "aten::chr" => "str_chr", "the string of one byte";
    "aten::split.str" => "str_split", "the parts between separators";
    "aten::rsplit" => "str_rsplit", "the parts between separators, from the end";
    "aten::splitlines" => "str_splitlines", "the lines";
    "aten::join" => "str_join", "values with self between them";
    "aten::partition" => "str_partition", "what stands before, the separator, what stands behind";
    "aten::rpartition" => "str_rpartition", "the same for the last separator";
    "aten::list" => "str_to_list", "one string per byte";
    "aten::center" => "str_center", "padded on both sides";
    "aten::ljust" => "str_ljust", "padded at the end";
    "aten::rjust" => "str_rjust", "padded at the start";
    "aten::zfill" => "str_zfill", "zeros at the start";
    "aten::expandtabs" => "str_expandtabs", "blanks for tabs";
    "aten::hex" => "str_hex", "hexadecimal text";
    "aten::oct" => "str_oct", "octal text";
    "aten::bin" => "str_bin", "binary text";
    "aten::str" => "str_from_value", "the text that print writes";
    "aten::Int.str" => "str_to_int", "the int that a text says";
    "aten::Float.str" => "str_to_float", "the float that a text says";
    "aten::format" => "format", "each {} is the next argument";
    "aten::percentFormat" => "percent_format", "self % arguments";
    "aten::hash.generic" => "value_hash", "hash(value)";
};

/// Operators on strings that cannot fail.
pub const STRING_QUESTIONS: &[Entry] = infallible! {
    "aten::len.str" => "str_len", "length in bytes";
    "aten::eq.str" => "str_eq", "a == b";
    "kiln::str_cmp" => "str_cmp", "-1, 0 or 1 by the order of bytes";
    "kiln::str_contains" => "str_contains", "whether sub occurs in s";
    "aten::isdigit" => "str_isdigit", "only digits";
    "aten::isspace" => "str_isspace", "only blanks";
    "aten::isalnum" => "str_isalnum", "only letters and digits";
    "aten::isalpha" => "str_isalpha", "only letters";
    "aten::isdecimal" => "str_isdecimal", "only digits";
    "aten::isnumeric" => "str_isnumeric", "only digits";
    "aten::isupper" => "str_isupper", "no small letters";
    "aten::islower" => "str_islower", "no capitals";
    "aten::istitle" => "str_istitle", "capitals at the starts of words only";
    "aten::isprintable" => "str_isprintable", "only printable characters";
    "aten::isidentifier" => "str_isidentifier", "a name";
};
