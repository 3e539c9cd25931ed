/* Floating point: scalars in double precision, vectors in single precision, and libm. */
#include "bench.h"

#include <math.h>
#include <string.h>

static uint64_t bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

uint64_t bench_mandelbrot(void)
{
    uint64_t steps = 0;
    for (int row = 0; row < 64; row++) {
        for (int column = 0; column < 64; column++) {
            double cr = column * (3.0 / 64) - 2.0, ci = row * (2.0 / 64) - 1.0, zr = 0, zi = 0;
            for (int n = 0; n < 100 && zr * zr + zi * zi < 4.0; n++) {
                double t = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = t;
                steps++;
            }
        }
    }
    return steps;
}

typedef float floats __attribute__((vector_size(16)));

uint64_t bench_matmul(void)
{
    enum { N = 96, LANES = 4 };
    static float a[N][N];
    static floats b[N][N / LANES], c[N][N / LANES];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (float)((i * 7 + j) % 23) * 0.25f - 2;
            b[i][j / LANES][j % LANES] = (float)((i + j * 5) % 19) * 0.5f - 4;
        }
    memset(c, 0, sizeof c);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N / LANES; j++)
                c[i][j] += a[i][k] * b[k][j];
    double trace = 0;
    for (int i = 0; i < N; i++)
        trace += c[i][i / LANES][i % LANES] * (i + 1);
    return bits(trace);
}

struct body {
    double x[3], v[3], mass;
};

/* The sun and four planets, roughly: units and exact values do not matter here. */
static const struct body planets[5] = {
    {{0, 0, 0}, {0, 0, 0}, 39.47},
    {{4.84, -1.16, -0.10}, {0.606, 2.81, -0.02}, 0.0377},
    {{8.34, 4.12, -0.40}, {-1.01, 1.82, 0.008}, 0.0113},
    {{12.9, -15.1, -0.22}, {1.08, 0.868, -0.011}, 0.0017},
    {{15.4, -25.9, 0.18}, {0.979, 0.594, -0.035}, 0.002},
};

uint64_t bench_nbody(void)
{
    const double step = 0.001;
    struct body all[5];
    memcpy(all, planets, sizeof all);
    for (int n = 0; n < 1000; n++) {
        for (int i = 0; i < 5; i++) {
            for (int j = i + 1; j < 5; j++) {
                double d[3], square = 0;
                for (int k = 0; k < 3; k++) {
                    d[k] = all[i].x[k] - all[j].x[k];
                    square += d[k] * d[k];
                }
                double force = step / (square * sqrt(square));
                for (int k = 0; k < 3; k++) {
                    all[i].v[k] -= d[k] * all[j].mass * force;
                    all[j].v[k] += d[k] * all[i].mass * force;
                }
            }
        }
        for (int i = 0; i < 5; i++)
            for (int k = 0; k < 3; k++)
                all[i].x[k] += step * all[i].v[k];
    }
    return bits(all[0].x[0] + all[1].x[1] + all[2].x[2] + all[3].x[0] + all[4].x[1]);
}

uint64_t bench_libm(void)
{
    double sum = 0;
    for (int i = 1; i <= 2000; i++) {
        double x = i * 0.01;
        sum += sin(x) + exp(-x) + log(x) + pow(x, 1.3) + atan2(x, 2.0);
    }
    return bits(sum);
}
