/* Builds a value tree, prints it, reads it back: linked with a prebuilt runtime by tests/prebuilt.rs. */
#include <kiln.h>
#include <stdio.h>
#include <string.h>

/* What a model's generated code calls; not part of the header. */
extern int64_t kiln_rt1_context_init(kiln_context *ctx, const kiln_options *options);
extern void kiln_rt1_context_destroy(kiln_context *ctx);
extern void kiln_rt1_print(kiln_context *ctx, const kiln_value *values, uint64_t n);
extern double kiln_rt1_exp_f64(double x);

#define CHECK(condition)                                                \
    do {                                                                \
        if (!(condition)) {                                             \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);     \
            return 1;                                                   \
        }                                                               \
    } while (0)

static int read_back(const kiln_value *dict) {
    uint64_t position = 0, length = 0;
    kiln_value key, item, part;
    kiln_tensor view;
    CHECK(kiln_value_length(dict) == 2);
    CHECK(kiln_value_entry(dict, &position, &key, &item) == 1);
    CHECK(strncmp(kiln_value_text(&key, &length), "scores", 6) == 0 && length == 6);
    CHECK(kiln_value_item(&item, 0, &part) == 1 && kiln_value_tensor(&part, &view) == 1);
    CHECK(view.dtype == KILN_FLOAT32 && view.rank == 1 && view.sizes[0] == 2 && view.strides[0] == 1);
    CHECK(((const float *)view.data)[1] == 2.0f && (uintptr_t)view.data % 64 == 0);
    CHECK(kiln_value_item(&item, 2, &part) == 0);
    return 0;
}

int main(void) {
    static uint64_t memory[32];
    kiln_context *ctx = (kiln_context *)memory;
    kiln_options options;
    float data[2] = {1.5f, 2.0f};
    int64_t sizes[1] = {2};
    kiln_tensor view = {data, KILN_FLOAT32, 1, sizes, NULL};
    kiln_value keys[2], values[2], parts[2], printed[2], dict;

    memset(&options, 0, sizeof options);
    options.abi = KILN_ABI_VERSION;
    CHECK(kiln_rt1_context_init(ctx, &options) == KILN_OK);
    CHECK(kiln_value_make_str(ctx, "scores", 6, &keys[0]) == KILN_OK);
    CHECK(kiln_value_make_str(ctx, "name", 4, &keys[1]) == KILN_OK);
    CHECK(kiln_value_make_tensor(ctx, &view, 1, &parts[0]) == KILN_OK);
    parts[1] = kiln_bool(1);
    CHECK(kiln_value_make_tuple(ctx, parts, 2, &values[0]) == KILN_OK);
    CHECK(kiln_value_make_str(ctx, "kiln", 4, &values[1]) == KILN_OK);
    CHECK(kiln_value_make_dict(ctx, keys, values, 2, &dict) == KILN_OK);
    printed[0] = dict;
    printed[1] = kiln_int((int64_t)kiln_rt1_exp_f64(1.1));
    fflush(stdout);
    kiln_rt1_print(ctx, printed, 2);
    if (read_back(&dict) != 0) {
        return 1;
    }
    view.rank = 65;
    CHECK(kiln_value_make_tensor(ctx, &view, 1, &parts[0]) == KILN_BAD_ARGUMENT && strlen(kiln_error_message(ctx)) > 10);
    kiln_value_release(ctx, &dict);
    kiln_rt1_context_destroy(ctx);
    return 0;
}
