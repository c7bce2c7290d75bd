// Distances of all rows from differences: equal rows have exactly 0, and near rows lose no digits. Euclidean ones, squared
// or not, with the gradient of `dml_kernels::euclidean`; and sums of absolute differences.

#define SQUARED 0
#define ROOT 1
#define ABSOLUTE 2

#define TILE 64
#define DEPTH 16

// One tile of 64 × 64 distances a block; each thread has 4 × 4 of them.
template <typename T>
DEVICE void euclidean(const T *x, const T *r, T *out, i64 queries, i64 references, i64 dim, int measure) {
  SHARED T query_tile[DEPTH][TILE + 1];
  SHARED T reference_tile[DEPTH][TILE + 1];
  OWN(T, sums, 16);
  i64 across = (references + TILE - 1) / TILE;
  i64 first_query = BLOCK_NUMBER / across * TILE, first_reference = BLOCK_NUMBER % across * TILE;
  THREADS(t) {
    for (int i = 0; i < 16; ++i) MY(sums)[i] = T(0);
  }
  for (i64 first = 0; first < dim; first += DEPTH) {
    THREADS(t) {
      for (int i = 0; i < TILE * DEPTH / BLOCK; ++i) {
        int row = (t + i * BLOCK) / DEPTH, k = (t + i * BLOCK) % DEPTH;
        i64 query = first_query + row, reference = first_reference + row;
        bool inside = first + k < dim;
        query_tile[k][row] = inside && query < queries ? x[query * dim + first + k] : T(0);
        reference_tile[k][row] = inside && reference < references ? r[reference * dim + first + k] : T(0);
      }
    }
    THREADS(t) {
      for (int k = 0; k < DEPTH; ++k) {
        T a[4], b[4];
        for (int i = 0; i < 4; ++i) {
          a[i] = query_tile[k][t / 16 + 16 * i];
          b[i] = reference_tile[k][t % 16 + 16 * i];
        }
        for (int i = 0; i < 4; ++i) {
          for (int j = 0; j < 4; ++j) {
            T difference = a[i] - b[j];
            // The same for all threads.
            MY(sums)[4 * i + j] += measure == ABSOLUTE ? magnitude(difference) : difference * difference;
          }
        }
      }
    }
  }
  THREADS(t) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        i64 query = first_query + t / 16 + 16 * i, reference = first_reference + t % 16 + 16 * j;
        T sum = MY(sums)[4 * i + j];
        if (query < queries && reference < references) out[query * references + reference] = measure == ROOT ? root(sum) : sum;
      }
    }
  }
}

// Σ_j c_ij (x_i − r_j) for each of `rows` rows x, with c = 2 g for squares, g / d for their root (0 where d is 0); for
// absolute differences Σ_j g_ij sign(x_i − r_j), with sign 0 at 0.
// `values` and `gradient` are [rows, others], or [others, rows] if `turned`. One tile of 64 rows × 64 coordinates a block.
template <typename T>
DEVICE void euclidean_backward(const T *x, const T *r, const T *values, const T *gradient, T *out, i64 rows, i64 others,
                               i64 dim, int turned, int measure) {
  SHARED T slopes[DEPTH][TILE + 1];
  SHARED T other_tile[DEPTH][TILE + 1];
  OWN(T, sums, 16);
  OWN(T, own, 16);
  i64 across = (dim + TILE - 1) / TILE;
  i64 first_row = BLOCK_NUMBER / across * TILE, first_column = BLOCK_NUMBER % across * TILE;
  THREADS(t) {
    for (int i = 0; i < 16; ++i) {
      i64 row = first_row + t / 16 + 16 * (i / 4), column = first_column + t % 16 + 16 * (i % 4);
      MY(own)[i] = row < rows && column < dim ? x[row * dim + column] : T(0);
      MY(sums)[i] = T(0);
    }
  }
  for (i64 first = 0; first < others; first += DEPTH) {
    THREADS(t) {
      for (int i = 0; i < TILE * DEPTH / BLOCK; ++i) {
        int e = t + i * BLOCK;
        // Whichever index is next in memory goes with the thread.
        int row = turned ? e % TILE : e / DEPTH, k = turned ? e / TILE : e % DEPTH;
        T slope = T(0);
        if (first_row + row < rows && first + k < others) {
          i64 at = turned ? (first + k) * rows + first_row + row : (first_row + row) * others + first + k;
          if (measure == SQUARED) slope = 2 * gradient[at];
          if (measure == ROOT) slope = values[at] > T(0) ? gradient[at] / values[at] : T(0);
          if (measure == ABSOLUTE) slope = gradient[at];
        }
        slopes[k][row] = slope;
        int column = e % TILE, other = e / TILE;
        bool inside = first_column + column < dim && first + other < others;
        other_tile[other][column] = inside ? r[(first + other) * dim + first_column + column] : T(0);
      }
    }
    THREADS(t) {
      for (int k = 0; k < DEPTH; ++k) {
        T c[4], b[4];
        for (int i = 0; i < 4; ++i) {
          c[i] = slopes[k][t / 16 + 16 * i];
          b[i] = other_tile[k][t % 16 + 16 * i];
        }
        for (int i = 0; i < 4; ++i) {
          for (int j = 0; j < 4; ++j) {
            T difference = MY(own)[4 * i + j] - b[j];
            if (measure == ABSOLUTE) difference = sign(difference);
            MY(sums)[4 * i + j] += c[i] * difference;
          }
        }
      }
    }
  }
  THREADS(t) {
    for (int i = 0; i < 16; ++i) {
      i64 row = first_row + t / 16 + 16 * (i / 4), column = first_column + t % 16 + 16 * (i % 4);
      if (row < rows && column < dim) out[row * dim + column] = MY(sums)[i];
    }
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  KERNEL euclidean_##suffix(const T *x, const T *r, T *out, i64 queries, i64 references, i64 dim, int measure) {       \
    euclidean<T>(x, r, out, queries, references, dim, measure);                                                        \
  }                                                                                                                    \
  KERNEL euclidean_backward_##suffix(const T *x, const T *r, const T *values, const T *gradient, T *out, i64 rows,     \
                                     i64 others, i64 dim, int turned, int measure) {                                   \
    euclidean_backward<T>(x, r, values, gradient, out, rows, others, dim, turned, measure);                            \
  }
FOR_TYPE(float, f32)
FOR_TYPE(double, f64)
