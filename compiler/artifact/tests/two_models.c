/* Two different models in one program, through their headers. */
#include "count.h"
#include "scale.h"
#include <stdio.h>
#include <stdlib.h>

#define CHECK(test)                                            \
    do {                                                       \
        if (!(test)) {                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, #test); \
            return 1;                                          \
        }                                                      \
    } while (0)

static int allocations;

static void *allocate(void *user, uint64_t size, uint64_t align) {
    (void)user;
    allocations++;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void release(void *user, void *block, uint64_t size, uint64_t align) {
    (void)user, (void)size, (void)align;
    allocations--;
    free(block);
}

static int scale(void) {
    kiln_context *net = NULL;
    kiln_tensor view, result;
    kiln_options options = {0};
    static _Alignas(64) char arena[1024];
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const int64_t sizes[2] = {2, 3};
    float out[6] = {0};
    CHECK(scale_create(NULL, &net) == KILN_OK);
    CHECK(scale_forward_flat(net, x, 3, out) == KILN_OK);
    CHECK(out[0] == 12 && out[2] == 16 && out[3] == 28 && out[5] == 32);
    CHECK(scale_forward_flat(net, x, 65, out) == KILN_BAD_ARGUMENT);
    CHECK(strcmp(scale_last_error(net), "N is at most 64") == 0);
    memset(&view, 0, sizeof view);
    view.data = (void *)x, view.dtype = KILN_FLOAT64, view.rank = 2, view.sizes = sizes;
    CHECK(scale_forward_tensors(net, &view, &result) == KILN_BAD_ARGUMENT);
    CHECK(strcmp(scale_last_error(net), "forward: float must be a tensor of float32 with 2 dimensions") == 0);
    view.dtype = KILN_FLOAT32;
    CHECK(scale_forward_tensors(net, &view, &result) == KILN_OK);
    CHECK(result.rank == 2 && result.sizes[1] == 3 && ((float *)result.data)[5] == 32);
    CHECK(scale_last_error(net)[0] == 0);
    scale_destroy(net);
    scale_destroy(NULL);
    /* The app's own allocator and arena. */
    options.abi = KILN_ABI_VERSION, options.alloc = allocate, options.free = release;
    options.arena = arena, options.arena_bytes = scale_arena_bytes();
    CHECK(options.arena_bytes == 640);
    CHECK(scale_create(&options, &net) == KILN_OK && allocations == 1);
    CHECK(scale_forward_flat(net, x, 3, out) == KILN_OK && memcmp(arena, out, sizeof out) == 0);
    scale_destroy(net);
    CHECK(allocations == 0);
    options.arena_bytes = 639;
    CHECK(scale_create(&options, &net) == KILN_BAD_ARGUMENT && net == NULL);
    options.arena_bytes = 640, options.arena = arena + 8;
    CHECK(scale_create(&options, &net) == KILN_BAD_ARGUMENT);
    options.arena = NULL, options.free = NULL;
    CHECK(scale_create(&options, &net) == KILN_BAD_ARGUMENT);
    options.free = release, options.abi = 99;
    CHECK(scale_create(&options, &net) == KILN_BAD_ARGUMENT && allocations == 0);
    CHECK(scale_create(NULL, NULL) == KILN_BAD_ARGUMENT);
    return 0;
}

static int count(void) {
    kiln_context *a = NULL, *b = NULL;
    kiln_value args[1] = {kiln_int(5)}, result;
    CHECK(count_create(NULL, &a) == KILN_OK && count_create(NULL, &b) == KILN_OK);
    CHECK(count_count(a, args, 1, &result) == KILN_OK && result.tag == KILN_TAG_INT && result.as.i == 105);
    CHECK(count_count(a, args, 1, &result) == KILN_OK && result.as.i == 110);
    CHECK(count_count(b, args, 1, &result) == KILN_OK && result.as.i == 105);
    CHECK(count_count(a, NULL, 1, &result) == KILN_BAD_ARGUMENT && count_count(a, args, 2, &result) == KILN_BAD_ARGUMENT);
    CHECK(count_count(a, args, 1, NULL) == KILN_BAD_ARGUMENT && count_count(NULL, args, 1, &result) == KILN_BAD_ARGUMENT);
    CHECK(count_reset(a) == KILN_OK && count_count(a, args, 1, &result) == KILN_OK && result.as.i == 105);
    count_destroy(a);
    count_destroy(b);
    return 0;
}

int main(void) { return scale() || count(); }
