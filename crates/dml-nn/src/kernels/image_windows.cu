// What convolutions and pooling of images need beside products of matrices: the windows of an image as columns, the sum
// of columns back into the image, and the largest value of each window. Every number of a result has one thread, which
// adds in a fixed order.

// A window slides over an image: sizes as (height, width).
struct Windows {
  i64 height, width, out_height, out_width, kernel_height, kernel_width, stride_height, stride_width, padding_height,
      padding_width, dilation_height, dilation_width;

  // Which pixel of the image place (a, b) of window (i, j) is; −1 outside of it.
  DEVICE i64 pixel(i64 i, i64 j, i64 a, i64 b) const {
    i64 h = i * stride_height + a * dilation_height - padding_height;
    i64 w = j * stride_width + b * dilation_width - padding_width;
    return h >= 0 && h < height && w >= 0 && w < width ? h * width + w : -1;
  }

  // Which window has a pixel of that coordinate at that place, along one axis; −1 for none.
  DEVICE i64 window(i64 coordinate, i64 place, i64 stride, i64 padding, i64 dilation, i64 count) const {
    i64 from = coordinate + padding - place * dilation;
    return from >= 0 && from % stride == 0 && from / stride < count ? from / stride : -1;
  }
};

#define WINDOW_PARAMETERS                                                                                              \
  i64 height, i64 width, i64 out_height, i64 out_width, i64 kernel_height, i64 kernel_width, i64 stride_height,        \
      i64 stride_width, i64 padding_height, i64 padding_width, i64 dilation_height, i64 dilation_width
#define WINDOWS                                                                                                        \
  {height,        width,        out_height,     out_width,     kernel_height,   kernel_width,                          \
   stride_height, stride_width, padding_height, padding_width, dilation_height, dilation_width}

// x [planes, height, width] to columns [planes, kernel_height, kernel_width, out_height, out_width].
template <typename T> DEVICE void columns(const T *x, T *out, i64 count, Windows s) {
  THREADS(t) {
    i64 at = BLOCK_NUMBER * BLOCK + t;
    if (at >= count) continue;
    i64 j = at % s.out_width, rest = at / s.out_width;
    i64 i = rest % s.out_height;
    rest /= s.out_height;
    i64 b = rest % s.kernel_width;
    rest /= s.kernel_width;
    i64 a = rest % s.kernel_height, plane = rest / s.kernel_height;
    i64 pixel = s.pixel(i, j, a, b);
    out[at] = pixel < 0 ? T(0) : x[plane * s.height * s.width + pixel];
  }
}

// The sum of all entries of columns that are a pixel, for each pixel of [planes, height, width].
template <typename T> DEVICE void columns_backward(const T *columns, T *out, i64 count, Windows s) {
  THREADS(t) {
    i64 at = BLOCK_NUMBER * BLOCK + t;
    if (at >= count) continue;
    i64 w = at % s.width, h = at / s.width % s.height, plane = at / s.width / s.height;
    T sum = T(0);
    for (i64 a = 0; a < s.kernel_height; ++a) {
      i64 i = s.window(h, a, s.stride_height, s.padding_height, s.dilation_height, s.out_height);
      if (i < 0) continue;
      for (i64 b = 0; b < s.kernel_width; ++b) {
        i64 j = s.window(w, b, s.stride_width, s.padding_width, s.dilation_width, s.out_width);
        if (j < 0) continue;
        i64 place = (plane * s.kernel_height + a) * s.kernel_width + b;
        sum += columns[(place * s.out_height + i) * s.out_width + j];
      }
    }
    out[at] = sum;
  }
}

// The largest value of each window, and which pixel it is: the first in row-major order. NaN is larger than any number.
template <typename T> DEVICE void max_pool(const T *x, T *values, u32 *pixels, i64 count, Windows s) {
  THREADS(t) {
    i64 at = BLOCK_NUMBER * BLOCK + t;
    if (at >= count) continue;
    i64 j = at % s.out_width, i = at / s.out_width % s.out_height, plane = at / s.out_width / s.out_height;
    const T *image = x + plane * s.height * s.width;
    T best = -T(INFINITY);
    i64 chosen = -1;
    for (i64 a = 0; a < s.kernel_height; ++a) {
      for (i64 b = 0; b < s.kernel_width; ++b) {
        i64 pixel = s.pixel(i, j, a, b);
        if (pixel < 0) continue;
        if (chosen < 0 || image[pixel] > best || image[pixel] != image[pixel]) {
          best = image[pixel];
          chosen = pixel;
        }
      }
    }
    values[at] = best;
    pixels[at] = (u32)chosen;
  }
}

// The gradient of each pixel: the sum of the gradients of the windows whose largest value it is.
template <typename T>
DEVICE void max_pool_backward(const u32 *pixels, const T *gradient, T *out, i64 count, Windows s) {
  THREADS(t) {
    i64 at = BLOCK_NUMBER * BLOCK + t;
    if (at >= count) continue;
    i64 w = at % s.width, h = at / s.width % s.height, plane = at / s.width / s.height;
    T sum = T(0);
    for (i64 a = 0; a < s.kernel_height; ++a) {
      i64 i = s.window(h, a, s.stride_height, s.padding_height, s.dilation_height, s.out_height);
      if (i < 0) continue;
      for (i64 b = 0; b < s.kernel_width; ++b) {
        i64 j = s.window(w, b, s.stride_width, s.padding_width, s.dilation_width, s.out_width);
        if (j < 0) continue;
        i64 window = (plane * s.out_height + i) * s.out_width + j;
        if ((i64)pixels[window] == h * s.width + w) sum += gradient[window];
      }
    }
    out[at] = sum;
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  KERNEL columns_##suffix(const T *x, T *out, i64 count, WINDOW_PARAMETERS) {                                          \
    columns<T>(x, out, count, Windows WINDOWS);                                                                        \
  }                                                                                                                    \
  KERNEL columns_backward_##suffix(const T *gradient, T *out, i64 count, WINDOW_PARAMETERS) {                          \
    columns_backward<T>(gradient, out, count, Windows WINDOWS);                                                        \
  }                                                                                                                    \
  KERNEL max_pool_##suffix(const T *x, T *values, u32 *pixels, i64 count, WINDOW_PARAMETERS) {                         \
    max_pool<T>(x, values, pixels, count, Windows WINDOWS);                                                            \
  }                                                                                                                    \
  KERNEL max_pool_backward_##suffix(const u32 *pixels, const T *gradient, T *out, i64 count, WINDOW_PARAMETERS) {      \
    max_pool_backward<T>(pixels, gradient, out, count, Windows WINDOWS);                                               \
  }
FOR_TYPE(float, f32)
FOR_TYPE(double, f64)
