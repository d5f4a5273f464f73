/* kiln.h - what every compiled model shares with the app that calls it.
 *
 * A model's own header (NAME.h) includes this one and declares how to create an instance and call its methods. Here are the types in
 * those signatures, and the functions by which an app builds and reads value trees, for methods that take or return more than tensors.
 *
 * Rules:
 *  - An instance, and every value made with it, is used by one thread at a time. Different instances may run at once.
 *  - A function that can fail returns a status, 0 for success; kiln_error_message gives the text.
 *  - A value that was made by a function here, or returned by a model, belongs to the app until kiln_value_release. Values that are
 *    read out of another one are borrowed: they live as long as that one, and are not to be released.
 *  - Everything is for 64-bit targets. ABI version 1.
 */
#ifndef KILN_H
#define KILN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_ABI_VERSION 1

/* Status of a call. */
enum {
    KILN_OK = 0,
    KILN_RAISED = 1,        /* the program raised an exception, or an operator refused its arguments */
    KILN_OUT_OF_MEMORY = 2, /* the instance is still usable */
    KILN_BAD_ARGUMENT = 3,  /* an argument does not fit the signature */
    KILN_INTERNAL = 4       /* a bug in kiln: please report it */
};

/* dtypes: PyTorch's ScalarType numbers. */
enum {
    KILN_UINT8 = 0,
    KILN_INT8 = 1,
    KILN_INT16 = 2,
    KILN_INT32 = 3,
    KILN_INT64 = 4,
    KILN_FLOAT16 = 5,
    KILN_FLOAT32 = 6,
    KILN_FLOAT64 = 7,
    KILN_BOOL = 11, /* one byte, 0 or 1 */
    KILN_QINT8 = 12,
    KILN_QUINT8 = 13,
    KILN_QINT32 = 14,
    KILN_BFLOAT16 = 15
};

/* Tags of values. */
enum {
    KILN_TAG_NONE = 0,
    KILN_TAG_BOOL = 1,
    KILN_TAG_INT = 2,
    KILN_TAG_FLOAT = 3,
    KILN_TAG_STR = 4,
    KILN_TAG_TENSOR = 5,
    KILN_TAG_LIST = 6,
    KILN_TAG_TUPLE = 7,
    KILN_TAG_DICT = 8,
    KILN_TAG_OBJECT = 9,
    KILN_TAG_DEVICE = 10
};

/* The head of every model instance. Its fields are the runtime's. */
typedef struct kiln_context kiln_context;

/* A value of any type. Numbers, bools and None are made by the inline functions below and need no release. */
typedef struct kiln_value {
    uint64_t tag; /* KILN_TAG_... */
    union {
        int64_t i;    /* int; bool as 0 or 1 */
        double f;     /* float */
        void *object; /* everything else */
    } as;
} kiln_value;

/* A view of a tensor's elements. Sizes and strides are arrays of `rank` numbers; strides count elements. */
typedef struct kiln_tensor {
    void *data;
    int32_t dtype;
    int32_t rank;
    const int64_t *sizes;
    const int64_t *strides; /* NULL: row-major without gaps */
} kiln_tensor;

/* One part of a parallel region. */
typedef void (*kiln_task)(void *task_user, uint64_t index);

/* What an app may choose for an instance. Zero everything, set abi, then what is wanted. */
typedef struct kiln_options {
    uint32_t abi;   /* KILN_ABI_VERSION */
    uint32_t threads; /* most threads of a call, the caller's among them; 0: one for each processor. For models compiled with threads */

    /* Allocator: both or none. `alloc` returns `size` bytes aligned to `align` (a power of two) or NULL; `free` gets the same numbers. */
    void *(*alloc)(void *user, uint64_t size, uint64_t align);
    void (*free)(void *user, void *block, uint64_t size, uint64_t align);
    void *alloc_user;

    /* Where print() goes: whole lines, `length` bytes, not nul-terminated. NULL: standard output (Android: the log). */
    void (*print)(void *user, const char *text, uint64_t length);
    void *print_user;

    /* The app's thread pool: runs task(task_user, i) for every i below `parts`, and returns when all are done. NULL: kiln's choice. */
    void (*parallel_for)(void *user, uint64_t parts, kiln_task task, void *task_user);
    void *parallel_user;

    /* Memory for intermediates, 64-byte aligned, at least as large as the model's manifest says. NULL: allocated at creation. */
    void *arena;
    uint64_t arena_bytes;
} kiln_options;

/* Values without memory. */
static inline kiln_value kiln_none(void) {
    kiln_value v;
    v.tag = KILN_TAG_NONE;
    v.as.i = 0;
    return v;
}

static inline kiln_value kiln_bool(int x) {
    kiln_value v;
    v.tag = KILN_TAG_BOOL;
    v.as.i = x != 0;
    return v;
}

static inline kiln_value kiln_int(int64_t x) {
    kiln_value v;
    v.tag = KILN_TAG_INT;
    v.as.i = x;
    return v;
}

static inline kiln_value kiln_float(double x) {
    kiln_value v;
    v.tag = KILN_TAG_FLOAT;
    v.as.f = x;
    return v;
}

/* The functions carry the ABI version in their symbols, so that models of different versions link into one app. */
#define kiln_error_message kiln_rt1_error_message
#define kiln_value_make_str kiln_rt1_value_make_str
#define kiln_value_make_tensor kiln_rt1_value_make_tensor
#define kiln_value_make_list kiln_rt1_value_make_list
#define kiln_value_make_tuple kiln_rt1_value_make_tuple
#define kiln_value_make_dict kiln_rt1_value_make_dict
#define kiln_value_release kiln_rt1_value_release
#define kiln_value_length kiln_rt1_value_length
#define kiln_value_text kiln_rt1_value_text
#define kiln_value_item kiln_rt1_value_item
#define kiln_value_entry kiln_rt1_value_entry
#define kiln_value_field_name kiln_rt1_value_field_name
#define kiln_value_tensor kiln_rt1_value_tensor

/* Text of the last error of the instance, nul-terminated; empty when there is none. Valid until the next call. */
const char *kiln_error_message(const kiln_context *ctx);

/* Makes a string of `length` bytes of UTF-8 (copied). */
int64_t kiln_value_make_str(kiln_context *ctx, const char *text, uint64_t length, kiln_value *out);

/* Makes a tensor. With `copy` the elements are copied; without, the app's memory is used in place and must stay until the value and all
 * that a model made of it are gone. */
int64_t kiln_value_make_tensor(kiln_context *ctx, const kiln_tensor *tensor, int64_t copy, kiln_value *out);

/* Make a list or a tuple of `count` values. The values given stay the app's. */
int64_t kiln_value_make_list(kiln_context *ctx, const kiln_value *items, uint64_t count, kiln_value *out);
int64_t kiln_value_make_tuple(kiln_context *ctx, const kiln_value *items, uint64_t count, kiln_value *out);

/* Makes a dict of `count` keys (int, float, bool, string) and values, in this order. */
int64_t kiln_value_make_dict(kiln_context *ctx, const kiln_value *keys, const kiln_value *values, uint64_t count, kiln_value *out);

/* Gives a value back. Nothing for numbers, bools and None. */
void kiln_value_release(kiln_context *ctx, const kiln_value *value);

/* Bytes of a string, items of a list or tuple, entries of a dict; -1 for anything else. */
int64_t kiln_value_length(const kiln_value *value);

/* The bytes of a string (not nul-terminated) and their number; NULL for anything else. */
const char *kiln_value_text(const kiln_value *value, uint64_t *length);

/* An item of a list or tuple, borrowed. Returns 1, or 0 when there is none. */
int64_t kiln_value_item(const kiln_value *value, int64_t index, kiln_value *out);

/* Steps through a dict: start with *position 0; returns 1 with a borrowed key and value while there is another entry. */
int64_t kiln_value_entry(const kiln_value *value, uint64_t *position, kiln_value *key, kiln_value *item);

/* The name of a field of a named tuple, or of its type for index -1, and its number of bytes; NULL when there is none. */
const char *kiln_value_field_name(const kiln_value *value, int64_t index, uint64_t *length);

/* A view of a tensor, borrowed. Returns 1, or 0 for anything but a tensor. */
int64_t kiln_value_tensor(const kiln_value *value, kiln_tensor *out);

#ifdef __cplusplus
}
#endif

#endif /* KILN_H */
