// What every kernel here is written with. A block of a kernel is a sequence of phases; in a phase every thread of the
// block runs the same lines, and after it every thread waits for the others. So a kernel means the same on a GPU, where
// threads run at once, and in `host.hpp`, where a loop runs them one after the other: that is how the arithmetic is
// tested on machines without a GPU.
//
//   THREADS(t) { ... }         a phase; `t` is the thread's number, `continue` ends the phase for it
//   OWN(type, name, count)     `count` numbers of each thread that live from phase to phase, as MY(name)[i]
//   SHARED type name[count]    memory of the block
//   BLOCK_NUMBER               which block this is
//
// Conditions outside of phases must come out alike for all threads: they read SHARED memory and arguments only, and
// nothing that the next phase writes.

typedef long long i64;
typedef unsigned char u8;
typedef unsigned int u32;

// NVRTC has no headers to take this from.
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif

#define BLOCK 256
#define DEVICE __device__ __forceinline__
#define SHARED __shared__
#define KERNEL extern "C" __global__ void __launch_bounds__(BLOCK)
#define BLOCK_NUMBER ((i64)blockIdx.x)
#define THREADS(t) for (int t = threadIdx.x, t##_left = 1; t##_left; t##_left = 0, (void)t, __syncthreads())
#define OWN(type, name, count) type name[count]
#define MY(name) name
#define COUNT_UP(counter) atomicAdd(&(counter), 1)
