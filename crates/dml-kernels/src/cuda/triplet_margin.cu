// A triplet loss summed over triplets that are not written out: `dml_kernels::triplet_margin` over the triplets that
// `dml_kernels::triplet_ranges` selects, in one pass. Sums are added in a fixed order, without atomics.
//
//   g = s h'(a,n) − s h'(a,p)            selected where above < g <= at_most; h' is the miner's matrix
//   v = s h(a,p) − s h(a,n) + margin     ℓ = max(0, v) or ln(1 + eᵛ); counted where low < ℓ < high

#define ABOVE 1
#define AT_MOST 2
#define LOW 4
#define HIGH 8
#define SOFTPLUS 16
#define SWAP 32

// Positives of the anchor that are held at a time.
#define HELD 1024

template <typename T> struct Rule {
  T sign, margin, low, high, mined_sign, above, at_most;
  int flags;

  DEVICE bool selects(T mined_near, T mined_far) const {
    if (!(flags & (ABOVE | AT_MOST))) return true;
    T gap = mined_far - mined_near;
    // No bound holds for a gap that is no number: it is selected, so that the sum shows it.
    return gap != gap || ((!(flags & ABOVE) || gap > above) && (!(flags & AT_MOST) || gap <= at_most));
  }

  DEVICE T value(T violation) const {
    T positive = violation > T(0) || violation != violation ? violation : T(0);
    if (!(flags & SOFTPLUS)) return positive;
    return positive + logarithm_of_one_plus(exponential(-magnitude(violation)));
  }

  DEVICE T slope(T violation) const {
    if (flags & SOFTPLUS) return T(1) / (T(1) + exponential(-violation));
    // NaN for NaN.
    return violation > T(0) ? T(1) : violation <= T(0) ? T(0) : violation;
  }

  DEVICE bool counts(T value) const {
    // NaN is outside of no bounds.
    return value != value || ((!(flags & LOW) || value > low) && (!(flags & HIGH) || value < high));
  }

  // The share of a triplet's slope that the anchor's own distance to the negative has; with `swap`, the positive's has
  // the rest. At a tie both have half, as the gradient of a minimum does in PyTorch.
  DEVICE T share(T from_anchor, T from_positive) const {
    if (!(flags & SWAP) || !(from_positive <= from_anchor)) return T(1);
    return from_positive < from_anchor ? T(0) : T(0.5);
  }

  DEVICE T far(T from_anchor, T from_positive) const {
    bool nearer = from_positive < from_anchor || from_positive != from_positive;
    return (flags & SWAP) && nearer ? from_positive : from_anchor;
  }
};

// Positives of one anchor, as many as there is room for.
template <typename T> struct Held {
  T near[HELD], mined_near[HELD];
  i64 place[HELD];
  int is_positive[BLOCK];
  int count;
  i64 next;
};

// Holds the next positives of an anchor whose row is given, in order; `held.next` is 0 before the first call. Returns how
// many: a number that slow threads may still read while the next call is under way.
template <typename T>
DEVICE int hold_positives(Held<T> &held, const T *matrix, const T *mined, const u8 *positive, i64 references,
                          const Rule<T> &rule) {
  THREADS(t) {
    if (t == 0) held.count = 0;
  }
  while (held.next < references && held.count + BLOCK <= HELD) {
    THREADS(t) { held.is_positive[t] = held.next + t < references && positive[held.next + t]; }
    THREADS(t) {
      if (!held.is_positive[t]) continue;
      int rank = held.count;
      for (int u = 0; u < t; ++u) rank += held.is_positive[u];
      i64 p = held.next + t;
      held.near[rank] = rule.sign * matrix[p];
      held.mined_near[rank] = rule.mined_sign * mined[p];
      held.place[rank] = p;
    }
    THREADS(t) {
      if (t != 0) continue;
      for (int u = 0; u < BLOCK; ++u) held.count += held.is_positive[u];
      held.next += BLOCK;
    }
  }
  return held.count;
}

// For each anchor, the sum of its values and how many they are; and the gradient of the whole sum with respect to
// `matrix` [anchors, references]. One block an anchor. `inside` [references, references] is read with SWAP only.
template <typename T>
DEVICE void triplet_margin(const T *matrix, const T *mined, const T *inside, const u8 *positive, const u8 *negative,
                           T *gradient, double *sums, i64 *counts, i64 references, Rule<T> rule) {
  SHARED Held<T> held;
  SHARED double parts[BLOCK];
  SHARED i64 numbers[BLOCK];
  OWN(double, total, 1);
  OWN(i64, number, 1);
  i64 start = BLOCK_NUMBER * references;
  matrix += start, mined += start, positive += start, negative += start, gradient += start;
  THREADS(t) {
    MY(total)[0] = 0;
    MY(number)[0] = 0;
    for (i64 n = t; n < references; n += BLOCK) gradient[n] = T(0);
    if (t == 0) held.next = 0;
  }
  while (held.next < references) {
    int holding = hold_positives(held, matrix, mined, positive, references, rule);
    // Each thread has negatives of its own, and all positives that are held.
    THREADS(t) {
      for (i64 n = t; n < references; n += BLOCK) {
        if (!negative[n]) continue;
        T from_anchor = rule.sign * matrix[n], mined_far = rule.mined_sign * mined[n];
        T sum = T(0), pull = T(0);
        for (int k = 0; k < holding; ++k) {
          if (!rule.selects(held.mined_near[k], mined_far)) continue;
          T from_positive = rule.flags & SWAP ? rule.sign * inside[held.place[k] * references + n] : T(0);
          T violation = held.near[k] - rule.far(from_anchor, from_positive) + rule.margin;
          T value = rule.value(violation);
          if (!rule.counts(value)) continue;
          MY(number)[0] += 1;
          sum += value;
          pull += rule.slope(violation) * rule.share(from_anchor, from_positive);
        }
        MY(total)[0] += (double)sum;
        gradient[n] -= rule.sign * pull;
      }
    }
    // Several threads share a positive, each with negatives of its own.
    int at_once = holding < BLOCK ? holding : BLOCK;
    int sharing = at_once > 0 ? BLOCK / at_once : 1;
    for (int first = 0; first < holding; first += at_once) {
      THREADS(t) {
        int k = first + t / sharing;
        double pull = 0;
        if (t / sharing < at_once && k < holding) {
          for (i64 n = t % sharing; n < references; n += sharing) {
            if (!negative[n] || !rule.selects(held.mined_near[k], rule.mined_sign * mined[n])) continue;
            T from_anchor = rule.sign * matrix[n];
            T from_positive = rule.flags & SWAP ? rule.sign * inside[held.place[k] * references + n] : T(0);
            T violation = held.near[k] - rule.far(from_anchor, from_positive) + rule.margin;
            if (rule.counts(rule.value(violation))) pull += (double)rule.slope(violation);
          }
        }
        parts[t] = pull;
      }
      THREADS(t) {
        int k = first + t / sharing;
        if (t % sharing != 0 || t / sharing >= at_once || k >= holding) continue;
        double pull = 0;
        for (int u = 0; u < sharing; ++u) pull += parts[t + u];
        gradient[held.place[k]] += rule.sign * T(pull);
      }
    }
  }
  THREADS(t) {
    parts[t] = MY(total)[0];
    numbers[t] = MY(number)[0];
  }
  sum_of_block(parts);
  sum_of_block(numbers);
  THREADS(t) {
    if (t != 0) continue;
    sums[BLOCK_NUMBER] = parts[0];
    counts[BLOCK_NUMBER] = numbers[0];
  }
}

// For each anchor, how many triplets are selected. One block an anchor.
template <typename T>
DEVICE void triplet_count(const T *mined, const u8 *positive, const u8 *negative, i64 *counts, i64 references,
                          Rule<T> rule) {
  SHARED Held<T> held;
  SHARED i64 numbers[BLOCK];
  i64 start = BLOCK_NUMBER * references;
  mined += start, positive += start, negative += start;
  THREADS(t) {
    numbers[t] = 0;
    if (t == 0) held.next = 0;
  }
  while (held.next < references) {
    int holding = hold_positives(held, mined, mined, positive, references, rule);
    THREADS(t) {
      for (i64 n = t; n < references; n += BLOCK) {
        if (!negative[n]) continue;
        T far = rule.mined_sign * mined[n];
        for (int k = 0; k < holding; ++k) numbers[t] += rule.selects(held.mined_near[k], far);
      }
    }
  }
  sum_of_block(numbers);
  THREADS(t) {
    if (t == 0) counts[BLOCK_NUMBER] = numbers[0];
  }
}

// The gradient of the same sum with respect to `inside`, with SWAP. One block a row of it.
template <typename T>
DEVICE void triplet_margin_swap(const T *matrix, const T *mined, const T *inside, const u8 *positive,
                                const u8 *negative, T *gradient, i64 anchors, i64 references, Rule<T> rule) {
  i64 p = BLOCK_NUMBER;
  THREADS(t) {
    for (i64 n = t; n < references; n += BLOCK) {
      T from_positive = rule.sign * inside[p * references + n];
      T pull = T(0);
      for (i64 a = 0; a < anchors; ++a) {
        i64 row = a * references;
        if (!positive[row + p] || !negative[row + n]) continue;
        if (!rule.selects(rule.mined_sign * mined[row + p], rule.mined_sign * mined[row + n])) continue;
        T from_anchor = rule.sign * matrix[row + n];
        T violation = rule.sign * matrix[row + p] - rule.far(from_anchor, from_positive) + rule.margin;
        if (!rule.counts(rule.value(violation))) continue;
        pull += rule.slope(violation) * (T(1) - rule.share(from_anchor, from_positive));
      }
      gradient[p * references + n] = -(rule.sign * pull);
    }
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  KERNEL triplet_margin_##suffix(const T *matrix, const T *mined, const T *inside, const u8 *positive,                 \
                                 const u8 *negative, T *gradient, double *sums, i64 *counts, i64 references, T sign,   \
                                 T margin, T low, T high, T mined_sign, T above, T at_most, int flags) {               \
    Rule<T> rule = {sign, margin, low, high, mined_sign, above, at_most, flags};                                       \
    triplet_margin<T>(matrix, mined, inside, positive, negative, gradient, sums, counts, references, rule);            \
  }                                                                                                                    \
  KERNEL triplet_count_##suffix(const T *, const T *mined, const T *, const u8 *positive, const u8 *negative,          \
                                i64 *counts, i64 references, T sign, T margin, T low, T high, T mined_sign, T above,   \
                                T at_most, int flags) {                                                                \
    Rule<T> rule = {sign, margin, low, high, mined_sign, above, at_most, flags};                                       \
    triplet_count<T>(mined, positive, negative, counts, references, rule);                                             \
  }                                                                                                                    \
  KERNEL triplet_margin_swap_##suffix(const T *matrix, const T *mined, const T *inside, const u8 *positive,            \
                                      const u8 *negative, T *gradient, i64 anchors, i64 references, T sign, T margin,  \
                                      T low, T high, T mined_sign, T above, T at_most, int flags) {                    \
    Rule<T> rule = {sign, margin, low, high, mined_sign, above, at_most, flags};                                       \
    triplet_margin_swap<T>(matrix, mined, inside, positive, negative, gradient, anchors, references, rule);            \
  }
FOR_TYPE(float, f32)
FOR_TYPE(double, f64)
