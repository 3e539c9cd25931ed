/* Runs single FP instructions on an AArch64 machine and records what they do: the independent side of fp_recorded.rs.
 * Usage: fp_recorder < cases > outcomes
 * A case is struct state, as fp_recorded.rs writes it; consecutive cases with the same word reuse its code.
 * V(i) is v[i % 4], X1 is x; an outcome is V(rd), X0, NZCV, FPSR. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

struct state {
    uint64_t v[4][2];
    uint64_t x;
    uint32_t word, fpcr, nzcv, pad;
};
struct outcome {
    uint64_t v[2], x;
    uint32_t nzcv, fpsr;
};
struct frame {
    uint64_t out[32][2], x, nzcv, fpsr;
};

void run(const struct state *s, struct frame *f, void *code);
__asm__("run:\n"
        "stp x29, x30, [sp, #-96]!\n stp x19, x20, [sp, #16]\n"
        "stp d8, d9, [sp, #32]\n stp d10, d11, [sp, #48]\n stp d12, d13, [sp, #64]\n stp d14, d15, [sp, #80]\n"
        "mov x19, x1\n mov x20, x2\n"
        "ldp q0, q1, [x0]\n ldp q2, q3, [x0, #32]\n"
        ".irp n,4,8,12,16,20,24,28\n mov v\\n\\().16b, v0.16b\n .endr\n"
        ".irp n,5,9,13,17,21,25,29\n mov v\\n\\().16b, v1.16b\n .endr\n"
        ".irp n,6,10,14,18,22,26,30\n mov v\\n\\().16b, v2.16b\n .endr\n"
        ".irp n,7,11,15,19,23,27,31\n mov v\\n\\().16b, v3.16b\n .endr\n"
        "ldr x1, [x0, #64]\n ldr w2, [x0, #76]\n ldr w3, [x0, #80]\n"
        "msr fpcr, x2\n msr fpsr, xzr\n msr nzcv, x3\n mov x0, xzr\n"
        "blr x20\n"
        "mrs x2, nzcv\n mrs x3, fpsr\n msr fpcr, xzr\n"
        "str x0, [x19, #512]\n str x2, [x19, #520]\n str x3, [x19, #528]\n"
        "stp q0, q1, [x19]\n stp q2, q3, [x19, #32]\n stp q4, q5, [x19, #64]\n stp q6, q7, [x19, #96]\n"
        "stp q8, q9, [x19, #128]\n stp q10, q11, [x19, #160]\n stp q12, q13, [x19, #192]\n stp q14, q15, [x19, #224]\n"
        "stp q16, q17, [x19, #256]\n stp q18, q19, [x19, #288]\n stp q20, q21, [x19, #320]\n"
        "stp q22, q23, [x19, #352]\n stp q24, q25, [x19, #384]\n stp q26, q27, [x19, #416]\n"
        "stp q28, q29, [x19, #448]\n stp q30, q31, [x19, #480]\n"
        "ldp x19, x20, [sp, #16]\n"
        "ldp d8, d9, [sp, #32]\n ldp d10, d11, [sp, #48]\n ldp d12, d13, [sp, #64]\n ldp d14, d15, [sp, #80]\n"
        "ldp x29, x30, [sp], #96\n ret\n");

int main(void) {
    const size_t size = 1 << 26;
    uint32_t *code = mmap(0, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t *at = code;
    struct state s;
    struct frame f;
    uint32_t last = 0;
    while (fread(&s, sizeof s, 1, stdin) == 1) {
        if (s.word != last) {
            at += 4; /* fresh code: nothing has to be translated or cached anew */
            if (at + 4 > code + size / 4)
                return 1;
            at[0] = last = s.word;
            at[1] = 0xd65f03c0; /* ret */
            __builtin___clear_cache((char *)at, (char *)(at + 2));
        }
        run(&s, &f, at);
        struct outcome o = {{f.out[s.word & 31][0], f.out[s.word & 31][1]}, f.x, (uint32_t)f.nzcv, (uint32_t)f.fpsr};
        fwrite(&o, sizeof o, 1, stdout);
    }
    return 0;
}
