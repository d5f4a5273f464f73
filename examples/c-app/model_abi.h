/* The compiled model as the rest of this program sees it: open, run, look at the result, close.
 *
 * Everything that depends on kiln's C interface is in this file. MODEL is the name given to `kiln compile --name`, and
 * MODEL_HEADER the header it wrote; both come from the compiler's command line (see run.sh). With MODEL_TENSORS the model
 * takes and gives tensors only, and is called by views; else arguments and the result are values of any type.
 */
#ifndef MODEL_ABI_H
#define MODEL_ABI_H

#include <stdint.h>
#include <string.h>

#include "kiln.h"
#include MODEL_HEADER

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
typedef kiln_context model;
#define MODEL_CREATE JOIN(MODEL, _create)
#define MODEL_FORWARD JOIN(MODEL, _forward)
#define MODEL_FORWARD_TENSORS JOIN(MODEL, _forward_tensors)
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

/* A view of a tensor of the app, which must stay. */
static kiln_tensor view_of(const app_tensor *tensor) {
    kiln_tensor view;
    view.data = tensor->data;
    view.dtype = (int32_t)tensor->dtype;
    view.rank = (int32_t)tensor->rank;
    view.sizes = tensor->sizes;
    view.strides = NULL;
    return view;
}

/* The tensor of a view; 0 if it has too many dimensions. */
static int tensor_of(const kiln_tensor *view, app_tensor *out) {
    if (view->rank > 8) return 0;
    out->data = view->data;
    out->dtype = (uint32_t)view->dtype;
    out->rank = (uint32_t)view->rank;
    memcpy(out->sizes, view->sizes, (size_t)view->rank * sizeof(int64_t));
    return 1;
}

#ifdef MODEL_TENSORS

enum { MAX_OUTPUTS = 16 };
typedef kiln_tensor model_argument_value;
typedef struct {
    kiln_tensor outputs[MAX_OUTPUTS];
} model_result;

static int32_t model_argument(model *instance, const app_tensor *tensor, model_argument_value *out) {
    (void)instance;
    *out = view_of(tensor);
    return 0;
}

static void model_release_argument(model *instance, model_argument_value *value) { (void)instance, (void)value; }

static void model_release_result(model *instance, model_result *result) { (void)instance, (void)result; }

static int32_t model_run(model *instance, const model_argument_value *args, size_t count, model_result *result) {
    (void)count;
    return MODEL_FORWARD_TENSORS(instance, args, result->outputs);
}

/* The first tensor of the result, which is the instance's until the next call. */
static int model_first_tensor(const model_result *result, app_tensor *out) { return tensor_of(&result->outputs[0], out); }

#else

typedef kiln_value model_argument_value;
typedef kiln_value model_result;

static int32_t model_argument(model *instance, const app_tensor *tensor, model_argument_value *out) {
    kiln_tensor view = view_of(tensor);
    return (int32_t)kiln_value_make_tensor(instance, &view, 0, out);
}

static void model_release_argument(model *instance, model_argument_value *value) { kiln_value_release(instance, value); }

static void model_release_result(model *instance, model_result *result) { kiln_value_release(instance, result); }

static int32_t model_run(model *instance, const model_argument_value *args, size_t count, model_result *result) {
    return MODEL_FORWARD(instance, args, count, result);
}

/* The first tensor in `value`, looking into tuples, lists and dicts. 1 if there is one; `out` borrows its memory. */
static int model_first_tensor(const model_result *value, app_tensor *out) {
    kiln_tensor view;
    kiln_value key, item;
    uint64_t position = 0;
    if (kiln_value_tensor(value, &view)) return tensor_of(&view, out);
    for (int64_t i = 0; kiln_value_item(value, i, &item); i++) {
        if (model_first_tensor(&item, out)) return 1;
    }
    while (value->tag == KILN_TAG_DICT && kiln_value_entry(value, &position, &key, &item)) {
        if (model_first_tensor(&item, out)) return 1;
    }
    return 0;
}

#endif

#endif
