/* Runs AArch64 kernels for a test program, under an emulator or on an Arm machine.
 *
 * Arguments: the number of an inherited file descriptor with the memory shared with the test program, the address it has there and its
 * length. It is mapped at the same address here, so that pointers mean the same in both programs. Then, from standard input, one
 * request after the other: address and length of the code, then eight integer arguments (ten 64-bit numbers). The
 * code is copied to executable memory and called; the reply on standard output is one byte: 0, or the number (19..28 for x19..x28, 108..115
 * for d8..d15) of a register that the code should have preserved. A wild access ends this program by a signal.
 *
 * The last EDGE_SLOTS slots of EDGE_SLOT bytes of the shared memory have an inaccessible page at either end, for tests of what exactly
 * an instruction touches.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE 65536 /* the largest page size of the architecture */
#define EDGE_SLOT (4 * PAGE)
#define EDGE_SLOTS 16

static void fail(const char *why) {
    fprintf(stderr, "harness: %s\n", why);
    exit(2);
}

static int read_all(void *to, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t n = read(0, (char *)to + done, length - done);
        if (n <= 0) return 0;
        done += (size_t)n;
    }
    return 1;
}

static void share(int fd, uintptr_t address, size_t length) {
    void *at = mmap((void *)address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    if (at != (void *)address) fail("the shared memory cannot be mapped at its address");
    char *edges = (char *)at + length - EDGE_SLOTS * EDGE_SLOT;
    for (int i = 0; i < EDGE_SLOTS; i++) {
        char *slot = edges + i * EDGE_SLOT;
        if (mprotect(slot, PAGE, PROT_NONE) != 0 || mprotect(slot + EDGE_SLOT - PAGE, PAGE, PROT_NONE) != 0) fail("cannot protect");
    }
}

#define SAVED 18
/* Calls the code; fills `after` with x19..x28 and d8..d15 as it left them, having set them to 1..18. */
static void call(void *code, const uint64_t *args, uint64_t *after) {
    register void *target __asm__("x9") = code;
    register const uint64_t *a __asm__("x10") = args;
    register uint64_t *out __asm__("x11") = after;
    __asm__ volatile(
        "stp x29, x11, [sp, #-16]!\n"
        "mov x19, #1\n mov x20, #2\n mov x21, #3\n mov x22, #4\n mov x23, #5\n"
        "mov x24, #6\n mov x25, #7\n mov x26, #8\n mov x27, #9\n mov x28, #10\n"
        "mov x12, #11\n fmov d8, x12\n mov x12, #12\n fmov d9, x12\n"
        "mov x12, #13\n fmov d10, x12\n mov x12, #14\n fmov d11, x12\n"
        "mov x12, #15\n fmov d12, x12\n mov x12, #16\n fmov d13, x12\n"
        "mov x12, #17\n fmov d14, x12\n mov x12, #18\n fmov d15, x12\n"
        "mov x12, x10\n"
        "ldp x0, x1, [x12]\n ldp x2, x3, [x12, #16]\n ldp x4, x5, [x12, #32]\n ldp x6, x7, [x12, #48]\n"
        "blr x9\n"
        "ldp x29, x11, [sp], #16\n"
        "stp x19, x20, [x11]\n stp x21, x22, [x11, #16]\n stp x23, x24, [x11, #32]\n"
        "stp x25, x26, [x11, #48]\n stp x27, x28, [x11, #64]\n"
        "stp d8, d9, [x11, #80]\n stp d10, d11, [x11, #96]\n stp d12, d13, [x11, #112]\n stp d14, d15, [x11, #128]\n"
        : "+r"(target), "+r"(a), "+r"(out)
        :
        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x12", "x13", "x14", "x15", "x16", "x17", "x19", "x20", "x21",
          "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9",
          "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
          "v27", "v28", "v29", "v30", "v31", "cc", "memory");
}

/* Calls a copy of the code; gives the number of the first register not preserved, else 0. */
static unsigned char run(const void *bytes, size_t length, const uint64_t *args) {
    size_t mapped = (length + PAGE - 1) / PAGE * PAGE;
    void *code = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) fail("no memory for code");
    memcpy(code, bytes, length);
    if (mprotect(code, mapped, PROT_READ | PROT_EXEC) != 0) fail("cannot make code executable");
    __builtin___clear_cache(code, (char *)code + length);
    uint64_t after[SAVED];
    call(code, args, after);
    munmap(code, mapped);
    for (int i = 0; i < SAVED; i++) {
        if (after[i] != (uint64_t)i + 1) return (unsigned char)(i < 10 ? i + 19 : i + 98);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4) fail("usage: harness DESCRIPTOR ADDRESS LENGTH");
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core); /* crashes are part of the tests */
    share(atoi(argv[1]), strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    uint64_t request[10];
    while (read_all(request, sizeof request)) {
        unsigned char reply = run((const void *)(uintptr_t)request[0], request[1], request + 2);
        if (write(1, &reply, 1) != 1) fail("cannot reply");
    }
    return 0;
}
