// The k nearest references of each query, of one tile of a product of matrices after the other: what is written is a tile
// and k rows a query, never the whole matrix.
//
//   key = scale · product + norm of the reference, the smaller the nearer; of equal keys the lower row is nearer

// Entries that are sorted at once: the k best and what may be better.
#define ENTRIES 2048
// Columns that each thread looks at between two looks at how full the memory is.
#define COLUMNS 4

// Sorts `ENTRIES` keys and rows, smallest first, by a bitonic network.
template <typename T> DEVICE void sort_entries(T *keys, i64 *rows) {
  for (int size = 2; size <= ENTRIES; size *= 2) {
    for (int step = size / 2; step > 0; step /= 2) {
      THREADS(t) {
        for (int pair = t; pair < ENTRIES / 2; pair += BLOCK) {
          int low = 2 * step * (pair / step) + pair % step, high = low + step;
          bool ascends = (low & size) == 0;
          bool is_less = keys[high] < keys[low] || (keys[high] == keys[low] && rows[high] < rows[low]);
          bool is_more = keys[high] > keys[low] || (keys[high] == keys[low] && rows[high] > rows[low]);
          if (ascends ? is_less : is_more) {
            T key = keys[low];
            keys[low] = keys[high];
            keys[high] = key;
            i64 row = rows[low];
            rows[low] = rows[high];
            rows[high] = row;
          }
        }
      }
    }
  }
}

// Takes the columns of `products` [queries, width], which are references `offset` …, into the best so far: `best_keys`
// and `best_rows` [queries, k], nearest first; a row of −1 with an infinite key is none. One block a query. `own` has for
// each query the reference that is the query itself and does not count, or −1. At most 1,024 for k.
template <typename T>
DEVICE void top_k(const T *products, const T *norms, const i64 *own, const T *keys_before, const i64 *rows_before,
                  T *best_keys, i64 *best_rows, i64 width, i64 offset, i64 k, T scale) {
  SHARED T keys[ENTRIES];
  SHARED i64 rows[ENTRIES];
  SHARED int filled, is_time_to_sort;
  SHARED T worst;
  const T *product = products + BLOCK_NUMBER * width;
  i64 itself = own[BLOCK_NUMBER];
  THREADS(t) {
    for (int e = t; e < ENTRIES; e += BLOCK) {
      bool is_known = e < k;
      keys[e] = is_known ? keys_before[BLOCK_NUMBER * k + e] : T(INFINITY);
      rows[e] = is_known ? rows_before[BLOCK_NUMBER * k + e] : -1;
    }
    if (t == 0) {
      filled = (int)k;
      worst = keys_before[BLOCK_NUMBER * k + k - 1];
    }
  }
  for (i64 first = 0; first < width; first += BLOCK * COLUMNS) {
    THREADS(t) {
      for (int c = 0; c < COLUMNS; ++c) {
        i64 column = first + c * BLOCK + t;
        if (column >= width || offset + column == itself) continue;
        T key = scale * product[column] + norms[column];
        // Later references are farther at equal keys, since rows come in order.
        if (!(key < worst)) continue;
        int at = COUNT_UP(filled);
        keys[at] = key;
        rows[at] = offset + column;
      }
    }
    // Decided once for all: the next phase may already write `filled` while a slow thread reads it.
    THREADS(t) {
      bool is_last = first + BLOCK * COLUMNS >= width;
      if (t == 0) is_time_to_sort = filled > (int)k && (is_last || filled + BLOCK * COLUMNS > ENTRIES);
    }
    if (is_time_to_sort) {
      sort_entries(keys, rows);
      THREADS(t) {
        for (int e = t; e < ENTRIES; e += BLOCK) {
          if (e < k) continue;
          keys[e] = T(INFINITY);
          rows[e] = -1;
        }
        if (t == 0) {
          filled = (int)k;
          worst = keys[k - 1];
        }
      }
    }
  }
  THREADS(t) {
    for (i64 e = t; e < k; e += BLOCK) {
      best_keys[BLOCK_NUMBER * k + e] = keys[e];
      best_rows[BLOCK_NUMBER * k + e] = rows[e];
    }
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  KERNEL top_k_##suffix(const T *products, const T *norms, const i64 *own, const T *keys_before,                       \
                        const i64 *rows_before, T *best_keys, i64 *best_rows, i64 width, i64 offset, i64 k, T scale) { \
    top_k<T>(products, norms, own, keys_before, rows_before, best_keys, best_rows, width, offset, k, scale);           \
  }
FOR_TYPE(float, f32)
FOR_TYPE(double, f64)
