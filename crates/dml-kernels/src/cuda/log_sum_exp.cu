// The logarithm of the sum of exponentials over some entries of each row, and its gradient: `dml_kernels::log_sum_exp`.

// What `kept` is where a number that counts is NaN; 1 where one counts.
#define HAS_NAN 2

// y [rows] of x [rows, width]. One block a row.
template <typename T>
DEVICE void log_sum_exp(const T *x, const u8 *keep, T *y, i64 width, int has_keep, int add_one) {
  SHARED T top[BLOCK];
  SHARED double sum[BLOCK];
  SHARED int kept[BLOCK];
  const T *row = x + BLOCK_NUMBER * width;
  const u8 *keep_row = keep + BLOCK_NUMBER * width;
  THREADS(t) {
    top[t] = add_one ? T(0) : -T(INFINITY);
    kept[t] = add_one;
    for (i64 j = t; j < width; j += BLOCK) {
      if (has_keep && !keep_row[j]) continue;
      // NaN is passed over by the comparison, and remembered.
      if (row[j] != row[j]) kept[t] = HAS_NAN;
      if (!kept[t]) kept[t] = 1;
      if (row[j] > top[t]) top[t] = row[j];
    }
    sum[t] = 0;
  }
  largest_of_block(top);
  largest_of_block(kept);
  if (!kept[0] || kept[0] == HAS_NAN || !is_finite(top[0])) {
    THREADS(t) {
      if (t == 0) y[BLOCK_NUMBER] = kept[0] == HAS_NAN ? T(INFINITY) - T(INFINITY) : kept[0] ? top[0] : T(0);
    }
    return;
  }
  THREADS(t) {
    double own = 0;
    for (i64 j = t; j < width; j += BLOCK) {
      if (!has_keep || keep_row[j]) own += (double)exponential(row[j] - top[0]);
    }
    sum[t] = own;
  }
  sum_of_block(sum);
  THREADS(t) {
    if (t == 0) {
      double total = sum[0] + (add_one ? (double)exponential(-top[0]) : 0.0);
      y[BLOCK_NUMBER] = T((double)top[0] + log(total));
    }
  }
}

// The gradient [rows, width] with respect to x. One block a row.
template <typename T>
DEVICE void log_sum_exp_backward(const T *x, const u8 *keep, const T *y, const T *gradient, T *out, i64 width,
                                 int has_keep) {
  i64 start = BLOCK_NUMBER * width;
  T value = y[BLOCK_NUMBER], slope = gradient[BLOCK_NUMBER];
  THREADS(t) {
    for (i64 j = t; j < width; j += BLOCK) {
      // Where nothing counts, slopes are 0; the shares of an infinite sum, and of NaN, are no numbers.
      bool counts = value != -T(INFINITY) && (!has_keep || keep[start + j]);
      out[start + j] = counts ? slope * exponential(x[start + j] - value) : T(0);
    }
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  KERNEL log_sum_exp_##suffix(const T *x, const u8 *keep, T *y, i64 width, int has_keep, int add_one) {                \
    log_sum_exp<T>(x, keep, y, width, has_keep, add_one);                                                              \
  }                                                                                                                    \
  KERNEL log_sum_exp_backward_##suffix(const T *x, const u8 *keep, const T *y, const T *gradient, T *out, i64 width,   \
                                       int has_keep) {                                                                 \
    log_sum_exp_backward<T>(x, keep, y, gradient, out, width, has_keep);                                               \
  }
FOR_TYPE(float, f32)
FOR_TYPE(double, f64)
