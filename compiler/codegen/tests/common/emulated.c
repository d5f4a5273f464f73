/* Runs computations of a batch on another machine: reads buffers and parameters from a file, calls each case's
 * method, writes status and outputs to another file. `cases.h` lists the cases. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint64_t tag, bits;
} value;
typedef struct {
    int (*create)(const void *, void **);
    int (*run)(void *, const value *, uint64_t, value *);
    void (*destroy)(void *);
} model;

/* The remainder is exact, so any correct one will do. */
float kiln_rt1_fmod_f32(float a, float b) { return fmodf(a, b); }
double kiln_rt1_fmod_f64(double a, double b) { return fmod(a, b); }

#include "cases.h"

static uint64_t word(FILE *in) {
    uint64_t x = 0;
    if (fread(&x, 8, 1, in) != 1) exit(10);
    return x;
}

static void run(const model *m, FILE *in, FILE *out) {
    void *buffers[64];
    uint64_t sizes[64], kinds[64];
    value args[96], result = {0, 0};
    uint64_t count = word(in);
    if (count > 64) exit(11);
    for (uint64_t i = 0; i < count; i++) {
        kinds[i] = word(in);
        sizes[i] = word(in);
        buffers[i] = kinds[i] == 2 ? buffers[0] : aligned_alloc(64, (sizes[i] + 127) / 64 * 64);
        if (kinds[i] != 2 && sizes[i] && fread(buffers[i], sizes[i], 1, in) != 1) exit(12);
        args[i].tag = 2;
        args[i].bits = (uint64_t)buffers[i];
    }
    uint64_t params = word(in);
    if (params > 32) exit(13);
    for (uint64_t i = 0; i < params; i++) {
        args[count + i].tag = word(in);
        args[count + i].bits = word(in);
    }
    void *instance = 0;
    if (m->create(0, &instance)) exit(14);
    uint64_t status = (uint32_t)m->run(instance, args, count + params, &result);
    m->destroy(instance);
    fwrite(&status, 8, 1, out);
    for (uint64_t i = 0; i < count; i++)
        if (kinds[i] == 0) fwrite(buffers[i], sizes[i], 1, out);
}

int main(int argc, char **argv) {
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    if (argc != 3 || !in || !out) return 15;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) run(&models[i], in, out);
    return fclose(out) ? 16 : 0;
}
