/* Calls a compiled model as an app does, for kiln: reads calls from a file, makes them on one instance, and writes what they give to
 * another. Linked with the model's static library and with a table of its methods (`methods` below), which kiln generates.
 *
 *     runner CALLS RESULTS            makes every call once
 *     runner CALLS RESULTS SECONDS    makes the first call again and again, and writes how long each took
 *
 * Both files are sequences of 64-bit words in the order of this machine; bytes (elements, text) are padded to whole words.
 *
 *     CALLS:   count, then for each call: number of the method, number of arguments, arguments
 *     RESULTS: for each call: status, then the result, or for another status than 0 a text;
 *              or with SECONDS: status, then the number of calls and the nanoseconds of each, or the text
 *     value:   tag, then
 *              none: nothing; bool, int: the number; float: its bits; str, device: text
 *              tensor: dtype, rank, sizes, number of bytes, row-major elements
 *              list, tuple: count, values; dict: count, keys and values alternating
 *              a tuple with names (NAMED): name of the type, count, name of a field and value alternating
 *              an object, or what is nested too deeply (CUT): nothing
 *     text:    number of bytes, bytes
 */
#define _POSIX_C_SOURCE 200809L
#include "kiln.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMED = 100, CUT = 101, MAX_DEPTH = 500, MIN_CALLS = 5, MAX_CALLS = 1 << 20 };

typedef int32_t (*kiln_method)(kiln_context *, const kiln_value *, uint64_t, kiln_value *);

/* What kiln generates for the model. */
extern const kiln_method methods[];
extern int32_t model_create(const kiln_options *options, kiln_context **instance);
extern void model_destroy(kiln_context *instance);
extern const char *model_last_error(const kiln_context *instance);

/* A model without run-time objects has no context that values could live in: they get their own, of this many bytes. */
extern const uint64_t own_context_bytes;
extern int64_t kiln_rt1_context_init(kiln_context *ctx, const kiln_options *options);
extern void kiln_rt1_context_destroy(kiln_context *ctx);

/* Named tuples: kiln.h has none to make, for an app's tuples are nameless. Names are strings that outlive the tuple. */
extern void *kiln_rt1_tuple_new(kiln_context *ctx, const kiln_value *items, uint64_t count, void *const *names);
extern void kiln_rt1_hold(kiln_context *ctx, uint64_t tag, uint64_t bits);
extern void kiln_rt1_release(kiln_context *ctx, uint64_t tag, uint64_t bits);

/* What the runtime for Apple's systems calls, and not every other C library has. */
__attribute__((weak)) void __bzero(void *block, size_t size);
void __bzero(void *block, size_t size) { memset(block, 0, size); }

static void die(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    exit(99);
}

/* The calls, read as a whole. */
static const uint64_t *words, *words_end;
static FILE *results;
static kiln_context *values;

static void *allocate(size_t size) {
    void *block = malloc(size ? size : 1);
    if (!block) die("out of memory");
    return block;
}

static void read_calls(const char *path) {
    FILE *file = fopen(path, "rb");
    long size;
    uint64_t *block;
    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) die("the calls cannot be read");
    block = allocate((size_t)size);
    if (fread(block, 1, (size_t)size, file) != (size_t)size) die("the calls cannot be read");
    fclose(file);
    words = block;
    words_end = block + size / 8;
}

static uint64_t next(void) {
    if (words == words_end) die("the calls end too early");
    return *words++;
}

static const void *next_bytes(uint64_t size) {
    const uint64_t *start = words;
    uint64_t count = size / 8 + (size % 8 != 0);
    if (count > (uint64_t)(words_end - words)) die("the calls end too early");
    words += count;
    return start;
}

static void check(int64_t status) {
    if (status) die(kiln_error_message(values));
}

static kiln_value read_value(void);

static kiln_value *read_values(uint64_t count) {
    kiln_value *items = allocate(count * sizeof *items);
    uint64_t i;
    for (i = 0; i < count; i++) items[i] = read_value();
    return items;
}

static void release_values(kiln_value *items, uint64_t count) {
    uint64_t i;
    for (i = 0; i < count; i++) kiln_value_release(values, &items[i]);
    free(items);
}

static kiln_value read_tensor(void) {
    kiln_tensor view;
    kiln_value value;
    uint64_t size;
    view.dtype = (int32_t)next();
    view.rank = (int32_t)next();
    view.sizes = next_bytes((uint64_t)view.rank * 8);
    view.strides = NULL;
    size = next();
    view.data = (void *)next_bytes(size);
    check(kiln_value_make_tensor(values, &view, 1, &value));
    return value;
}

static kiln_value read_dict(void) {
    uint64_t count = next(), i;
    kiln_value *keys = allocate(count * sizeof *keys), *items = allocate(count * sizeof *items), value;
    for (i = 0; i < count; i++) {
        keys[i] = read_value();
        items[i] = read_value();
    }
    check(kiln_value_make_dict(values, keys, items, count, &value));
    release_values(keys, count);
    release_values(items, count);
    return value;
}

static kiln_value read_text(void) {
    uint64_t length = next();
    kiln_value text;
    check(kiln_value_make_str(values, next_bytes(length), length, &text));
    return text;
}

static kiln_value read_named(void) {
    void *type = read_text().as.object, **names;
    uint64_t count = next(), i;
    kiln_value *items = allocate(count * sizeof *items), value;
    names = allocate((count + 1) * sizeof *names);
    names[0] = type;
    for (i = 0; i < count; i++) {
        names[i + 1] = read_text().as.object;
        items[i] = read_value();
    }
    value.tag = KILN_TAG_TUPLE;
    value.as.object = kiln_rt1_tuple_new(values, items, count, names);
    if (!value.as.object) die("out of memory");
    kiln_rt1_hold(values, value.tag, (uint64_t)value.as.i);
    kiln_rt1_release(values, value.tag, (uint64_t)value.as.i);
    release_values(items, count);
    return value;
}

static kiln_value read_value(void) {
    uint64_t tag = next(), count;
    kiln_value value = kiln_none(), *items;
    switch (tag) {
    case KILN_TAG_NONE: return value;
    case KILN_TAG_BOOL: return kiln_bool(next() != 0);
    case KILN_TAG_INT: return kiln_int((int64_t)next());
    case KILN_TAG_FLOAT: value.tag = tag; value.as.i = (int64_t)next(); return value;
    case KILN_TAG_STR: return read_text();
    case NAMED: return read_named();
    case KILN_TAG_TENSOR: return read_tensor();
    case KILN_TAG_DICT: return read_dict();
    case KILN_TAG_LIST:
    case KILN_TAG_TUPLE:
        count = next();
        items = read_values(count);
        check((tag == KILN_TAG_LIST ? kiln_value_make_list : kiln_value_make_tuple)(values, items, count, &value));
        release_values(items, count);
        return value;
    default: die("the calls hold a value of an unknown kind"); return value;
    }
}

static void write_word(uint64_t word) { fwrite(&word, 8, 1, results); }

static void write_bytes(const void *bytes, uint64_t size) {
    static const char padding[8];
    write_word(size);
    fwrite(bytes, 1, size, results);
    fwrite(padding, 1, (8 - size % 8) % 8, results);
}

static void write_text(const char *text) { write_bytes(text, strlen(text)); }

static uint64_t element_size(int32_t dtype) {
    switch (dtype) {
    case KILN_UINT8: case KILN_INT8: case KILN_BOOL: case KILN_QINT8: case KILN_QUINT8: return 1;
    case KILN_INT16: case KILN_FLOAT16: case KILN_BFLOAT16: return 2;
    case KILN_INT32: case KILN_FLOAT32: case KILN_QINT32: return 4;
    default: return 8;
    }
}

/* Copies the elements of a view, the last dimensions innermost. */
static char *gather(char *out, const kiln_tensor *view, int32_t dim, const char *from, uint64_t size) {
    int64_t i;
    if (dim == view->rank) {
        memcpy(out, from, size);
        return out + size;
    }
    for (i = 0; i < view->sizes[dim]; i++) out = gather(out, view, dim + 1, from + i * view->strides[dim] * (int64_t)size, size);
    return out;
}

static void write_tensor(const kiln_value *value) {
    kiln_tensor view;
    uint64_t size, bytes;
    int32_t dim;
    char *elements;
    kiln_value_tensor(value, &view);
    write_word((uint64_t)view.dtype);
    write_word((uint64_t)view.rank);
    bytes = size = element_size(view.dtype);
    for (dim = 0; dim < view.rank; dim++) {
        write_word((uint64_t)view.sizes[dim]);
        bytes *= (uint64_t)view.sizes[dim];
    }
    elements = allocate(bytes);
    if (bytes) gather(elements, &view, 0, view.data, size);
    write_bytes(elements, bytes);
    free(elements);
}

static void write_value(const kiln_value *value, int depth);

static void write_items(const kiln_value *value, int depth) {
    int64_t count = kiln_value_length(value), i;
    uint64_t length;
    const char *name = kiln_value_field_name(value, -1, &length);
    write_word(name ? NAMED : value->tag);
    if (name) write_bytes(name, length);
    write_word((uint64_t)count);
    for (i = 0; i < count; i++) {
        kiln_value item;
        const char *field = kiln_value_field_name(value, i, &length);
        if (name) write_bytes(field, length);
        kiln_value_item(value, i, &item);
        write_value(&item, depth);
    }
}

static void write_dict(const kiln_value *value, int depth) {
    uint64_t position = 0;
    kiln_value key, item;
    write_word(value->tag);
    write_word((uint64_t)kiln_value_length(value));
    while (kiln_value_entry(value, &position, &key, &item)) {
        write_value(&key, depth);
        write_value(&item, depth);
    }
}

static void write_value(const kiln_value *value, int depth) {
    uint64_t length;
    const char *text;
    if (depth > MAX_DEPTH) {
        write_word(CUT);
        return;
    }
    switch (value->tag) {
    case KILN_TAG_LIST: case KILN_TAG_TUPLE: write_items(value, depth + 1); return;
    case KILN_TAG_DICT: write_dict(value, depth + 1); return;
    default: write_word(value->tag);
    }
    switch (value->tag) {
    case KILN_TAG_BOOL: write_word((uint64_t)(value->as.i & 1)); return;
    case KILN_TAG_INT: case KILN_TAG_FLOAT: write_word((uint64_t)value->as.i); return;
    case KILN_TAG_TENSOR: write_tensor(value); return;
    case KILN_TAG_STR: case KILN_TAG_DEVICE:
        text = kiln_value_text(value, &length);
        write_bytes(text, length);
        return;
    default: return;
    }
}

/* A call with its arguments. */
struct call {
    kiln_method method;
    kiln_value *args;
    uint64_t count;
};

static struct call read_call(void) {
    struct call call;
    call.method = methods[next()];
    call.count = next();
    call.args = read_values(call.count);
    return call;
}

static void make_calls(kiln_context *instance, uint64_t count) {
    for (; count; count--) {
        struct call call = read_call();
        kiln_value result = kiln_none();
        int32_t status = call.method(instance, call.args, call.count, &result);
        write_word((uint64_t)status);
        if (status) {
            write_text(model_last_error(instance));
        } else {
            write_value(&result, 0);
            kiln_value_release(values, &result);
        }
        /* What a call left behind is there even if a later one crashes. */
        fflush(results);
        release_values(call.args, call.count);
    }
}

static uint64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void measure(kiln_context *instance, double seconds) {
    struct call call = read_call();
    uint64_t *times = allocate(MAX_CALLS * sizeof *times), count = 0, begin = 0, i;
    int32_t status = 0;
    /* The first call counts apart. */
    while (count < MAX_CALLS && (count <= MIN_CALLS || (double)(nanoseconds() - begin) < seconds * 1e9)) {
        kiln_value result = kiln_none();
        uint64_t start = nanoseconds();
        status = call.method(instance, call.args, call.count, &result);
        if (status) break;
        kiln_value_release(values, &result);
        times[count++] = nanoseconds() - start;
        if (count == 1) begin = nanoseconds();
    }
    write_word((uint64_t)status);
    if (status) {
        write_text(model_last_error(instance));
        return;
    }
    write_word(count);
    for (i = 0; i < count; i++) write_word(times[i]);
    free(times);
    release_values(call.args, call.count);
}

int main(int argc, char **argv) {
    kiln_context *instance = NULL;
    uint64_t count;
    if (argc < 3) die("usage: runner CALLS RESULTS [SECONDS]");
    read_calls(argv[1]);
    results = fopen(argv[2], "wb");
    if (!results) die("the results cannot be written");
    if (model_create(NULL, &instance)) die("the instance cannot be made");
    values = instance;
    if (own_context_bytes) {
        values = allocate(own_context_bytes);
        if (kiln_rt1_context_init(values, NULL)) die("the values cannot be made");
    }
    count = next();
    if (argc > 3) {
        measure(instance, atof(argv[3]));
    } else {
        make_calls(instance, count);
    }
    if (own_context_bytes) {
        kiln_rt1_context_destroy(values);
        free(values);
    }
    model_destroy(instance);
    return fclose(results) == 0 ? 0 : 99;
}
