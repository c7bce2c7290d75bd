// Functions of numbers that kernels share, in the precision of their argument.

DEVICE float exponential(float x) { return expf(x); }
DEVICE double exponential(double x) { return exp(x); }
DEVICE float logarithm_of_one_plus(float x) { return log1pf(x); }
DEVICE double logarithm_of_one_plus(double x) { return log1p(x); }
DEVICE float root(float x) { return sqrtf(x); }
DEVICE double root(double x) { return sqrt(x); }

template <typename T> DEVICE T magnitude(T x) { return x < T(0) ? -x : x; }
// 0 at 0, and for NaN: NaN.
template <typename T> DEVICE T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }

// NaN and infinities are not finite; the difference of an infinity with itself is NaN.
template <typename T> DEVICE bool is_finite(T x) { return x - x == T(0); }

// The sum of one number of each thread, in a fixed order; it ends up in `values[0]`.
template <typename T> DEVICE void sum_of_block(T *values) {
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    THREADS(t) {
      if (t < step) values[t] += values[t + step];
    }
  }
}

// The largest number of all threads; it ends up in `values[0]`. NaN is passed over.
template <typename T> DEVICE void largest_of_block(T *values) {
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    THREADS(t) {
      if (t < step && values[t + step] > values[t]) values[t] = values[t + step];
    }
  }
}
