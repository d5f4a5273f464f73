/* A small app around one compiled model: it loads inputs, calls the model, compares and measures.
 *
 *     runner MODELS_DIR MODEL [--once] [--min-time S] [--min-reps N]
 *
 * Reads MODELS_DIR/MODEL.json (shapes and types), MODEL.in0.bin, MODEL.in1.bin..., and MODEL.out0.bin, the expected first
 * output (raw, little-endian). Prints
 *
 *     FIRST_OUTPUT {"load_ms": .., "first_ms": ..}         as soon as there is an output
 *     RESULT {"lat_ms": [..], "max_abs": .., ...}          at the end, unless --once
 *     ERROR "reason"                                       instead, when something fails
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "model_abi.h"

enum { MAX_INPUTS = 8, MAX_CALLS = 5000, WARM_UP_CALLS = 3, MAX_WARM_UP_CALLS = 500 };
static const double WARM_UP_SECONDS = 0.4, MAX_WARM_UP_SECONDS = 10, MAX_SECONDS = 25;

typedef struct {
    const char *folder, *name;
    int once;
    double min_time;
    long min_calls;
} options;

/* The model with its arguments, ready to be called any number of times. */
typedef struct {
    model *instance;
    model_argument_value args[MAX_INPUTS];
    size_t count;
} session;

typedef struct {
    double ms[MAX_CALLS];
    long calls;
    double cpu_fraction;
} timings;

typedef struct {
    int comparable; /* same shape and type */
    double absolute, relative;
} comparison;

/* ---------------------------------------------------------------- failing, time, files */

/* Prints `ERROR "reason"`, a JSON string, and ends the program. */
static _Noreturn void fail(const char *reason, const char *detail) {
    printf("ERROR \"");
    const char *parts[] = {reason, detail};
    for (int i = 0; i < 2; i++)
        for (const char *p = parts[i]; *p; p++) {
            unsigned char c = (unsigned char)*p;
            if (c == '"' || c == '\\') printf("\\%c", c);
            else if (c < 0x20) printf("\\u%04x", c);
            else putchar(c);
        }
    printf("\"\n");
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void) { return seconds(CLOCK_MONOTONIC); }

static char *path_of(const options *o, const char *ending) {
    char *path;
    if (asprintf(&path, "%s/%s%s", o->folder, o->name, ending) < 0) fail("out of memory", "");
    return path;
}

/* Reads a whole file into 64-byte aligned memory, with a nul byte after it. */
static void *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0) fail("cannot open ", path);
    *length = (size_t)info.st_size;
    char *data = aligned_alloc(64, (*length + 64) / 64 * 64);
    if (!data || fread(data, 1, *length, file) != *length) fail("cannot read ", path);
    data[*length] = 0;
    fclose(file);
    return data;
}

static long file_bytes(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (long)info.st_size : 0;
}

/* ---------------------------------------------------------------- what MODEL.json says */

static uint32_t dtype_of(const char *text) {
    static const struct { const char *name; uint32_t dtype; } KNOWN[] = {
        {"\"float32\"", APP_F32}, {"\"float64\"", APP_F64}, {"\"int64\"", APP_I64}, {"\"int32\"", APP_I32}};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (strncmp(text, KNOWN[i].name, strlen(KNOWN[i].name)) == 0) return KNOWN[i].dtype;
    fail("MODEL.json has a dtype that this program does not know: ", text);
}

static size_t dtype_bytes(uint32_t dtype) { return dtype == APP_F32 || dtype == APP_I32 ? 4 : 8; }

static int64_t elements(const app_tensor *tensor) {
    int64_t n = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) n *= tensor->sizes[i];
    return n;
}

/* Reads one {"shape": [..], "dtype": ".."} and returns where it ends. */
static const char *read_spec(const char *text, app_tensor *out) {
    const char *shape = strstr(text, "\"shape\""), *dtype = strstr(text, "\"dtype\"");
    if (!shape || !dtype || !(shape = strchr(shape, '[')) || !(dtype = strchr(dtype + 7, '"')))
        fail("MODEL.json has no shape and dtype at ", text);
    out->rank = 0;
    for (char *end = (char *)shape + 1; ; shape = end) {
        long long size = strtoll(shape + 1, &end, 10);
        if (end == shape + 1) break; /* "[]" */
        if (out->rank == 8) fail("a tensor has more than 8 dimensions", "");
        out->sizes[out->rank++] = size;
        while (*end && *end != ',' && *end != ']') end++;
        if (*end != ',') break;
    }
    out->dtype = dtype_of(dtype);
    return dtype;
}

/* The tensors under "inputs" or "outputs"; returns how many. */
static size_t read_specs(const char *json, const char *key, app_tensor out[MAX_INPUTS]) {
    const char *text = strstr(json, key);
    size_t count = 0;
    if (!text) fail("MODEL.json does not have ", key);
    while (count < MAX_INPUTS) {
        const char *open = strchr(text, '{'), *close = strchr(text, ']');
        if (!open || (close && close < open)) break; /* the end of the list of tensors */
        text = strchr(read_spec(open, &out[count++]), '}');
        if (!text) break;
    }
    return count;
}

static void load_tensor(const options *o, const char *kind, size_t index, app_tensor *tensor) {
    char ending[32];
    size_t length;
    snprintf(ending, sizeof ending, ".%s%zu.bin", kind, index);
    char *path = path_of(o, ending);
    tensor->data = read_file(path, &length);
    if (length != (size_t)elements(tensor) * dtype_bytes(tensor->dtype)) fail("not as long as its shape says: ", path);
    free(path);
}

/* ---------------------------------------------------------------- calling and measuring */

static void open_session(session *s, const options *o, const char *json) {
    static app_tensor inputs[MAX_INPUTS]; /* the arguments refer to their sizes */
    s->count = read_specs(json, "\"inputs\"", inputs);
    if (model_open(&s->instance) != 0) fail("create: ", model_error(s->instance));
    for (size_t i = 0; i < s->count; i++) {
        load_tensor(o, "in", i, &inputs[i]);
        if (model_argument(s->instance, &inputs[i], &s->args[i]) != 0) fail("argument: ", model_error(s->instance));
    }
}

static void call(session *s, model_result *result) {
    if (model_run(s->instance, s->args, s->count, result) != 0) fail("forward: ", model_error(s->instance));
}

static void call_and_drop(session *s) {
    model_result result;
    call(s, &result);
    model_release_result(s->instance, &result);
}

static void warm_up(session *s) {
    double start = now(), spent = 0;
    for (long n = 0; n < WARM_UP_CALLS || (spent < WARM_UP_SECONDS && n < MAX_WARM_UP_CALLS); n++) {
        call_and_drop(s);
        spent = now() - start;
        if (spent > MAX_WARM_UP_SECONDS) break;
    }
}

static void measure(session *s, const options *o, timings *t) {
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), start = now(), end = start;
    t->calls = 0;
    while (t->calls < MAX_CALLS && end - start <= MAX_SECONDS &&
           (t->calls < o->min_calls || end - start < o->min_time)) {
        double begin = now();
        call_and_drop(s);
        end = now();
        t->ms[t->calls++] = (end - begin) * 1e3;
    }
    t->cpu_fraction = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (end - start);
}

/* ---------------------------------------------------------------- comparing */

static double element(const app_tensor *tensor, int64_t i) {
    switch (tensor->dtype) {
    case APP_F32: return ((const float *)tensor->data)[i];
    case APP_F64: return ((const double *)tensor->data)[i];
    case APP_I32: return ((const int32_t *)tensor->data)[i];
    default: return (double)((const int64_t *)tensor->data)[i];
    }
}

static int same_shape(const app_tensor *a, const app_tensor *b) {
    return a->rank == b->rank && a->dtype == b->dtype && memcmp(a->sizes, b->sizes, a->rank * sizeof *a->sizes) == 0;
}

/* The largest difference, also relative to the largest expected value. Not a number counts as a very large difference. */
static comparison compare(const app_tensor *got, const app_tensor *want) {
    comparison c = {.comparable = same_shape(got, want)};
    double largest = 0;
    for (int64_t i = 0; c.comparable && i < elements(want); i++) {
        double d = fabs(element(got, i) - element(want, i));
        c.absolute = fmax(c.absolute, isfinite(d) ? d : 1e300);
        largest = fmax(largest, fabs(element(want, i)));
    }
    c.relative = c.absolute / fmax(largest, 1e-30);
    return c;
}

/* Compares the first tensor of `result` with MODEL.out0.bin. */
static comparison compare_with_expected(const options *o, const char *json, const model_result *result) {
    app_tensor got, expected[MAX_INPUTS];
    if (read_specs(json, "\"outputs\"", expected) == 0) fail("MODEL.json has no outputs", "");
    load_tensor(o, "out", 0, &expected[0]);
    if (!model_first_tensor(result, &got)) fail("the result has no tensor in it", "");
    comparison c = compare(&got, &expected[0]);
    free(expected[0].data);
    return c;
}

/* ---------------------------------------------------------------- reporting */

static long peak_kilobytes(void) {
    char line[256];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes;
}

/* The peak is counted anew: what this program needs to check results is no part of what an app needs. */
static void forget_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

static void report(const timings *t, const comparison *c, long first_peak) {
    const char *prepared = getenv("KILN_COMPILE_SECONDS"), *version = getenv("KILN_VERSION");
    long peak = peak_kilobytes();
    printf("RESULT {\"lat_ms\": [");
    for (long i = 0; i < t->calls; i++) printf("%s%.6f", i ? ", " : "", t->ms[i]);
    printf("], \"cpu_frac\": %.4f, ", t->cpu_fraction);
    if (c->comparable) printf("\"max_abs\": %.9g, \"max_rel\": %.9g, ", c->absolute, c->relative);
    else printf("\"max_abs\": null, \"max_rel\": null, \"note\": \"the output has another shape or type\", ");
    if (prepared && *prepared) printf("\"prepare_s\": %s, ", prepared);
    /* What ships is this very executable: model, runtime and app in one. */
    printf("\"vmhwm_kb\": %ld, \"artifact_bytes\": %ld, \"engine_lib_bytes\": 0, \"versions\": {\"kiln\": \"%s\"}}\n",
           peak > first_peak ? peak : first_peak, file_bytes("/proc/self/exe"), version ? version : "unknown");
}

static options read_options(int argc, char **argv) {
    options o = {.min_time = 3, .min_calls = 15};
    if (argc < 3) fail("usage: runner MODELS_DIR MODEL [--once] [--min-time S] [--min-reps N]", "");
    o.folder = argv[1];
    o.name = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--once") == 0) o.once = 1;
        else if (strcmp(argv[i], "--min-time") == 0 && i + 1 < argc) o.min_time = atof(argv[++i]);
        else if (strcmp(argv[i], "--min-reps") == 0 && i + 1 < argc) o.min_calls = atol(argv[++i]);
        else fail("unknown option ", argv[i]);
    }
    return o;
}

int main(int argc, char **argv) {
    static timings t; /* 40 KB, too much for a small stack */
    double start = now();
    options o = read_options(argc, argv);
    size_t length;
    const char *json = read_file(path_of(&o, ".json"), &length);
    session s;
    open_session(&s, &o, json);

    double loaded = now();
    model_result first;
    call(&s, &first);
    printf("FIRST_OUTPUT {\"load_ms\": %.4f, \"first_ms\": %.4f}\n", (loaded - start) * 1e3, (now() - loaded) * 1e3);
    fflush(stdout);

    comparison c = {0};
    long peak = peak_kilobytes();
    if (!o.once) c = compare_with_expected(&o, json, &first);
    model_release_result(s.instance, &first);
    forget_peak();
    if (!o.once) {
        warm_up(&s);
        measure(&s, &o, &t);
        report(&t, &c, peak);
    }
    for (size_t i = 0; i < s.count; i++) model_release_argument(s.instance, &s.args[i]);
    model_close(s.instance);
    return 0;
}
