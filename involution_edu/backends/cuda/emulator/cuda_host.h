// The parts of CUDA that the folder cuda uses, for g++: the same source, run on the processor.
//
// The threads of a block are fibers on one thread of the processor. A fiber runs until it reaches
// __syncthreads, which switches to the next one. So a barrier works, and between two barriers
// the threads run one after the other: in order, backwards or shuffled. A result that depends on
// the order of the threads is then seen to change. Shared memory is full of NaN when a block
// starts, so that reading what was never written is seen too.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#endif

#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(...)

using __half = _Float16;
using std::max;
using std::min;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline dim3 threadIdx, blockIdx, blockDim;

constexpr std::size_t SHARED_BYTES = 227 * 1024;  // as much as a block of an H100 can have
constexpr std::size_t GUARD_BYTES = 4096;         // behind it; must stay as it is
alignas(16) inline double shared[(SHARED_BYTES + GUARD_BYTES) / sizeof(double)];

namespace host {

enum Order { FORWARD, REVERSE, SHUFFLED };
enum Outcome { FINE, BARRIER_MISSED, SHARED_OVERRUN };

struct Read { unsigned at, numbers; };  // of adjacent numbers of shared memory: see counted.h

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(64 * 1024);
  bool finished = false;
  std::vector<std::function<void()>> copies;  // started and not finished
  std::vector<Read> reads;
};

inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline Fiber* running;
inline std::function<void()> body, after_round = [] {};

inline void run_fiber() {
  body();
  running->finished = true;
}

// Run all threads of one block; return whether all of them reached every barrier.
inline bool run_block(Order order, std::mt19937& random) {
  const unsigned threads = blockDim.x * blockDim.y;
  if (fibers.size() < threads) fibers.resize(threads);
  for (unsigned t = 0; t < threads; ++t) {
    Fiber& fiber = fibers[t];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    fiber.finished = false;
    fiber.copies.clear();
    makecontext(&fiber.context, run_fiber, 0);
  }
  std::vector<unsigned> turns(threads);
  std::iota(turns.begin(), turns.end(), 0u);
  if (order == REVERSE) std::reverse(turns.begin(), turns.end());
  for (unsigned finished = 0; finished == 0;) {
    if (order == SHUFFLED) std::shuffle(turns.begin(), turns.end(), random);
    for (unsigned t : turns) {
      threadIdx = {t % blockDim.x, t / blockDim.x};
      running = &fibers[t];
      swapcontext(&scheduler, &running->context);
      finished += running->finished;
    }
    after_round();
    if (finished != 0 && finished != threads) return false;
  }
  return true;
}

// Launch `kernel` on a row of blocks with `bytes` of shared memory each, from block `first` on. With
// the address sanitizer, reading beyond those bytes is an error too.
template <typename Kernel, typename... Arguments>
Outcome launch(
    unsigned first, unsigned blocks, dim3 block, std::size_t bytes, Order order, unsigned seed,
    Kernel kernel, Arguments... arguments) {
  char* memory = reinterpret_cast<char*>(shared);
  const std::vector<char> guard(GUARD_BYTES, '\xff');
  std::mt19937 random(seed);
  blockDim = block;
  body = [=] { kernel(arguments...); };
  for (unsigned b = first; b < blocks; ++b) {
    blockIdx = {b};
    std::memset(memory, 0xff, bytes + GUARD_BYTES);  // NaN in every floating-point type
    ASAN_POISON_MEMORY_REGION(memory + bytes, GUARD_BYTES);
    const bool met = run_block(order, random);
    ASAN_UNPOISON_MEMORY_REGION(memory + bytes, GUARD_BYTES);
    if (!met) return BARRIER_MISSED;
    if (std::memcmp(memory + bytes, guard.data(), GUARD_BYTES) != 0) return SHARED_OVERRUN;
  }
  return FINE;
}

}  // namespace host

#define OWN_COPIES  // of units.cuh: a copy arrives only when its thread waits for it
template <typename T> void start_copy(T* to, const T* from, bool inside) {
  host::running->copies.push_back([=] { *to = inside ? *from : T(0.0f); });
}

inline void finish_copies() {
  for (const auto& copy : host::running->copies) copy();
  host::running->copies.clear();
}

inline void __syncthreads() { swapcontext(&host::running->context, &host::scheduler); }
