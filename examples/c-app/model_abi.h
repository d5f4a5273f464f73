/* The compiled model as the rest of this program sees it: open, run, look at the result, close.
 *
 * Everything that depends on kiln's C interface is in this file. MODEL is the name given to `kiln compile --name`, and
 * MODEL_HEADER the header it wrote; both come from the compiler's command line (see run.sh).
 */
#ifndef MODEL_ABI_H
#define MODEL_ABI_H

#include <stdint.h>
#include <string.h>

#include "kiln.h"
#include MODEL_HEADER

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
typedef MODEL model;
#define MODEL_CREATE JOIN(MODEL, _create)
#define MODEL_FORWARD JOIN(MODEL, _forward)
#define MODEL_DESTROY JOIN(MODEL, _destroy)
#define MODEL_LAST_ERROR JOIN(MODEL, _last_error)

/* A tensor of the app: row-major, its memory stays the app's. `dtype` is PyTorch's number of the type. */
typedef struct {
    void *data;
    uint32_t dtype, rank;
    int64_t sizes[8];
} app_tensor;

enum { APP_I32 = 3, APP_I64 = 4, APP_F32 = 6, APP_F64 = 7 };

/* 0, or a status code; on failure `*instance` is null. */
static int32_t model_open(model **instance) { return MODEL_CREATE(NULL, instance); }

static void model_close(model *instance) { MODEL_DESTROY(instance); }

static const char *model_error(model *instance) {
    return instance ? MODEL_LAST_ERROR(instance) : "the instance could not be created";
}

/* Makes an argument that refers to the memory of `tensor`. */
static int32_t model_argument(model *instance, const app_tensor *tensor, kiln_value *out) {
    return kiln_value_tensor(instance, tensor->data, tensor->dtype, tensor->rank, tensor->sizes, out);
}

static void model_release(model *instance, kiln_value *value) { kiln_value_release(instance, value); }

static int32_t model_run(model *instance, const kiln_value *args, size_t count, kiln_value *result) {
    return MODEL_FORWARD(instance, args, count, result);
}

/* The first tensor in `value`, looking into tuples, lists and dicts. 1 if there is one; `out` borrows its memory. */
static int model_first_tensor(const kiln_value *value, app_tensor *out) {
    switch (value->tag) {
    case KILN_TENSOR: {
        kiln_tensor_view view;
        if (kiln_value_as_tensor(value, &view) != 0 || view.rank > 8) return 0;
        out->data = view.data;
        out->dtype = view.dtype;
        out->rank = view.rank;
        memcpy(out->sizes, view.sizes, view.rank * sizeof(int64_t));
        return 1;
    }
    case KILN_LIST:
    case KILN_TUPLE:
    case KILN_DICT:
        for (uint64_t i = 0; i < kiln_value_len(value); i++) {
            kiln_value item = kiln_value_item(value, i);
            if (model_first_tensor(&item, out)) return 1;
        }
        return 0;
    default:
        return 0;
    }
}

#endif
