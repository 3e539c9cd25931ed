/* Calls and returns, direct and through pointers. */
#include "bench.h"

/* noipa: every call is made, none is inlined or turned into a jump. */
__attribute__((noipa)) static uint64_t fib(uint64_t n)
{
    if (n < 2)
        return n;
    uint64_t a = fib(n - 1);
    OPAQUE(a);
    uint64_t b = fib(n - 2);
    OPAQUE(b);
    return a + b;
}

uint64_t bench_fib(void)
{
    return fib(22);
}

#define FUNCTION(n, expression)                                                                                       \
    __attribute__((noipa)) static uint64_t function##n(uint64_t x) { return expression; }
FUNCTION(0, x + 1)
FUNCTION(1, x ^ 0x5555)
FUNCTION(2, x - 3)
FUNCTION(3, x * 5)
FUNCTION(4, x >> 1)
FUNCTION(5, x | 0x10)
FUNCTION(6, ~x)
FUNCTION(7, x << 3)
FUNCTION(8, x + 0x101)
FUNCTION(9, x ^ x >> 9)
FUNCTION(10, x & ~0x40ull)
FUNCTION(11, x * 3)
FUNCTION(12, -x)
FUNCTION(13, x - 0x77)
FUNCTION(14, x ^ x << 7)
FUNCTION(15, x + 15)

uint64_t bench_indirect(void)
{
    static uint64_t (*const functions[16])(uint64_t) = {
        function0, function1, function2,  function3,  function4,  function5,  function6,  function7,
        function8, function9, function10, function11, function12, function13, function14, function15,
    };
    uint64_t x = 1, which = 0x123456789abcdefu;
    for (int i = 0; i < 60000; i++) {
        which = which >> 4 | which << 60; /* a cycle of 16: predictable for a good predictor */
        x = functions[which & 15](x + (uint64_t)i);
    }
    return x;
}
