// The kernels on the host: blocks and threads in loops. A program of this, the sources and a table of the kernels reads
// launches from its input and writes what they computed to its output (`dml_kernels::cuda::host`). For tests on machines
// without a GPU.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

typedef long long i64;
typedef unsigned char u8;
typedef unsigned int u32;

#define BLOCK 256
#define DEVICE inline
#define SHARED
#define KERNEL static void
#define BLOCK_NUMBER block_number
#define THREADS(t) \
  for (int t##_run = 0, t = 0; t##_run < BLOCK && (t = backwards ? BLOCK - 1 - t##_run : t##_run, true); ++t##_run)
#define OWN(type, name, count) type name##_of_all[BLOCK][count]
#define MY(name) name##_of_all[t]
#define COUNT_UP(counter) (counter)++

static i64 block_number = 0;
// The order in which the threads of a phase run. On a GPU there is none, so nothing may follow from it.
static bool backwards = false;

// One argument as it comes in: a buffer, or the bytes of a number.
struct Argument {
  int is_buffer;
  std::vector<char> bytes;
};

[[noreturn]] static void give_up(const char *why) {
  std::fprintf(stderr, "%s\n", why);
  std::exit(2);
}

template <typename A> struct Taken {
  static A from(Argument &argument) {
    A value;
    if (argument.is_buffer || argument.bytes.size() != sizeof(A)) give_up("a number has another size than the kernel's");
    std::memcpy(&value, argument.bytes.data(), sizeof(A));
    return value;
  }
};
template <typename A> struct Taken<A *> {
  static A *from(Argument &argument) {
    if (!argument.is_buffer || argument.bytes.size() % sizeof(A) != 0) give_up("a buffer does not fit the kernel's");
    return reinterpret_cast<A *>(argument.bytes.data());
  }
};

template <typename... A, std::size_t... I>
void call(void (*kernel)(A...), std::vector<Argument> &arguments, std::index_sequence<I...>) {
  kernel(Taken<A>::from(arguments[I])...);
}

// Runs every block of a kernel.
template <typename... A> void launch(void (*kernel)(A...), i64 blocks, std::vector<Argument> &arguments) {
  if (arguments.size() != sizeof...(A)) give_up("another number of arguments than the kernel's");
  for (block_number = 0; block_number < blocks; ++block_number) {
    call(kernel, arguments, std::index_sequence_for<A...>());
  }
}

static void take(void *to, std::size_t size) {
  if (std::fread(to, 1, size, stdin) != size) give_up("the input ends too early");
}

static i64 take_number() {
  i64 number;
  take(&number, sizeof number);
  return number;
}

// Runs the launch of the input, with the threads of each phase in one order and in the other.
//
// In: number of the kernel, blocks, number of arguments, and for each whether it is a buffer, its size and its bytes.
// Out: the bytes of every buffer, in order.
template <typename F> int serve(F run) {
  i64 kernel = take_number(), blocks = take_number(), count = take_number();
  std::vector<Argument> arguments(count);
  for (Argument &argument : arguments) {
    argument.is_buffer = (int)take_number();
    argument.bytes.resize(take_number());
    take(argument.bytes.data(), argument.bytes.size());
  }
  std::vector<Argument> again = arguments;
  run(kernel, blocks, arguments);
  backwards = true;
  run(kernel, blocks, again);
  for (i64 i = 0; i < count; ++i) {
    if (arguments[i].bytes != again[i].bytes) give_up("the result depends on the order of the threads: a race");
  }
  for (Argument &argument : arguments) {
    if (argument.is_buffer) std::fwrite(argument.bytes.data(), 1, argument.bytes.size(), stdout);
  }
  return 0;
}
