#pragma once

#include "pairs.cuh"

// ---------------------------------------------------------------------------------------------
// v5: as v4 with fewer instructions around a product, for float and 16, 32, ... channels a group:
//   - The sizes of a tile are constants, so that a place in it is one register and a number in the
//     instruction, and no product asks whether its channel exists.
//   - An index in the kernels of a group fits into 32 bits; the next entry is an addition away.
//   - A number is copied into shared memory without a register that waits for it.
//   - Blocks are full warps on 56 x 56 pixels, two at once, and have several small images.
//   - backward_kernel: a thread owns 4 pixels of a row and half of the window's rows, so that 10
//     numbers of the tile serve 28 products, not 8 for 14; dy is read one channel ahead.
// Counted in docs/explanation/cuda.md, not yet run on a GPU.
// ---------------------------------------------------------------------------------------------

// Start to copy a number into shared memory, or a zero if it is not inside. From sm_80 on the thread
// goes on at once; earlier GPUs load and store, and in the emulator a copy arrives when waited for.
#if __CUDA_ARCH__ >= 800
template <typename T> __device__ inline void start_copy(T* to, const T* from, bool inside) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(from),
               "r"(inside ? 4 : 0));
}
__device__ inline void finish_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
#elif !defined(OWN_COPIES)
template <typename T> __device__ inline void start_copy(T* to, const T* from, bool inside) {
  *to = inside ? *from : T(0.0f);
}
__device__ inline void finish_copies() {}
#endif

constexpr int UNIT_THREADS = 224;  // maximum in a block of v5's forward and backward_input

// A unit: CHANNELS channels of one group's tile, of whose pixels a thread owns ROWS x COLUMNS, with
// ACROSS x TALL threads, or as many for each of PARTS parts of the window. UNITS share a block.
template <int K, int ACROSS, int TALL, int UNITS, int CHANNELS, int ROWS, int COLUMNS, int PARTS>
struct Unit {
  static constexpr int rows = ROWS * TALL + K - 1, columns = COLUMNS * ACROSS + K - 1;
  // As in PairTile: the next row of threads reads the banks after this row's.
  static constexpr int gap = (COLUMNS * ACROSS / ROWS - columns) & (32 / ROWS - 1);
  static constexpr int pitch = columns + gap, area = rows * pitch;
  static constexpr int channels = CHANNELS, threads = ACROSS * TALL * PARTS;

  long long ng;
  bool exists;          // in the last block there may be room for more
  int r0, row, column;  // its first channel in the group and its first pixel
  int thread, part;
  int i, j, down, right;  // as in PairTile
  int tile, corner;       // indices in shared memory

  // Of `splits` units for a tile, cut from images of H x W.
  __device__ Unit(const Sizes& s, int splits, int H, int W) {
    constexpr int high = ROWS * TALL, wide = COLUMNS * ACROSS, lines = TALL * PARTS;
    const int tiles_down = (H + high - 1) / high, tiles_across = (W + wide - 1) / wide;
    const int in_block = UNITS == 1 ? 0 : threadIdx.y / lines, y = threadIdx.y % lines;
    const unsigned number = blockIdx.x * UNITS + in_block, at = number / splits;
    ng = at / tiles_across / tiles_down, r0 = number % splits * CHANNELS;
    exists = ng < static_cast<long long>(s.N) * s.G;
    row = at / tiles_across % tiles_down * high, column = at % tiles_across * wide;
    thread = y * ACROSS + threadIdx.x, part = y / TALL;
    i = row + y % TALL * ROWS, j = column + threadIdx.x * COLUMNS;
    down = exists ? min(ROWS, H - i) : 0, right = min(COLUMNS, W - j);
    tile = in_block * CHANNELS * area;
    corner = tile + y % TALL * ROWS * pitch + threadIdx.x * COLUMNS;
  }
};

// Start to copy the tile of a unit, from pixel (h0, w0) of images of H x W on.
template <typename U, typename T>
__device__ inline void copy_tile(
    T* shared, const U& unit, const T* __restrict__ images, int h0, int w0, int H, int W) {
  for (int t = unit.thread; unit.exists && t < U::rows * U::columns; t += U::threads) {
    const int row = t / U::columns, column = t % U::columns, h = h0 + row, w = w0 + column;
    const bool inside = 0 <= h && h < H && 0 <= w && w < W;
    const T* from = images + (inside ? h * W + w : 0);
    T* to = shared + unit.tile + row * U::pitch + column;
#pragma unroll
    for (int r = 0; r < U::channels; ++r) start_copy(to + r * U::area, from + r * (H * W), inside);
  }
}

// Multiply a row of the tile with the entries of the thread's pixels of rows FIRST to LAST.
template <typename U, int FIRST, int LAST, int K, typename T, typename A>
__device__ inline void multiply_row(
    A (&sum)[U::channels][PAIR][PAIR], const A (&entry)[PAIR][K][PAIR], const T* from) {
#pragma unroll
  for (int r = 0; r < U::channels; ++r) {
    A row[K + 1];
    read_row<PAIR>(row, from + r * U::area);
#pragma unroll
    for (int p = FIRST; p <= LAST; ++p) {
#pragma unroll
      for (int v = 0; v < K; ++v) {
#pragma unroll
        for (int q = 0; q < PAIR; ++q) sum[r][p][q] += entry[p][v][q] * row[v + q];
      }
    }
  }
}

// As gather_pairs, for one unit.
template <int K, typename U, typename T, typename Entries>
__device__ inline void gather_unit(
    const U& unit, const T* __restrict__ values, const Entries& entries, T* __restrict__ result,
    int h0, int w0, int H, int W, int result_H, int result_W) {
  using A = typename Sum<T>::type;
  T* shared = shared_memory<T>();
  copy_tile(shared, unit, values, h0, w0, H, W);
  finish_copies();
  __syncthreads();  // the tiles of the units are whole
  if (unit.down <= 0 || unit.right <= 0) return;
  A sum[U::channels][PAIR][PAIR] = {};
  const T* from = shared + unit.corner;
#pragma unroll 1
  for (int t = 0; t <= K; ++t, from += U::pitch) {
    A entry[PAIR][K][PAIR];
    entries.read(entry, t);
    if (t == 0) {  // a row of the upper windows only
      multiply_row<U, 0, 0>(sum, entry, from);
    } else if (t == K) {  // of the lower windows only
      multiply_row<U, 1, 1>(sum, entry, from);
    } else {
      multiply_row<U, 0, 1>(sum, entry, from);
    }
  }
  const bool at_once = in_vectors<PAIR>(result, result_W);
  T* to = result + unit.i * result_W + unit.j;
#pragma unroll
  for (int r = 0; r < U::channels; ++r) {
    write_vectors(
        to + r * (result_H * result_W), sum[r], result_W, unit.down, unit.right, at_once);
  }
}

template <typename T, int K, int ACROSS, int TALL, int UNITS, int CHANNELS>
__global__ void __launch_bounds__(UNIT_THREADS, 2)
forward_v5(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  const int C_g = s.C / s.G, pixels = s.H_out * s.W_out;
  const Unit<K, ACROSS, TALL, UNITS, CHANNELS, PAIR, PAIR, 1> unit(
      s, C_g / CHANNELS, s.H_out, s.W_out);
  const long long nc = unit.ng * C_g + unit.r0;
  const OwnEntries<T, K, int> entries(
      kernel + unit.ng * K * K * pixels + unit.i * s.W_out + unit.j, pixels, s.W_out, unit.down,
      unit.right, in_vectors<PAIR>(kernel, s.W_out));
  gather_unit<K>(
      unit, x + nc * s.H * s.W, entries, y + nc * pixels, unit.row - s.p_h, unit.column - s.p_w,
      s.H, s.W, s.H_out, s.W_out);
}

template <typename T, int K, int ACROSS, int TALL, int UNITS, int CHANNELS>
__global__ void __launch_bounds__(UNIT_THREADS, 2)
backward_input_v5(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  const int C_g = s.C / s.G, pixels = s.H_out * s.W_out;
  const Unit<K, ACROSS, TALL, UNITS, CHANNELS, PAIR, PAIR, 1> unit(s, C_g / CHANNELS, s.H, s.W);
  const long long nc = unit.ng * C_g + unit.r0;
  const int up = K - 1 - s.p_h, left = K - 1 - s.p_w;
  const MirroredEntries<T, K, int> entries(
      kernel + unit.ng * K * K * pixels, pixels, unit.i - up, unit.j - left, s.H_out, s.W_out);
  gather_unit<K>(
      unit, dy + nc * pixels, entries, dx + nc * s.H * s.W, unit.row - up, unit.column - left,
      s.H_out, s.W_out, s.H, s.W);
}

// Two threads share the window of a pixel: each has the taps of HALF of its rows.
template <typename T, int K, int ACROSS, int TALL, int UNITS, int CHANNELS>
__global__ void __launch_bounds__(FEW_THREADS, BLOCKS<T>)
backward_kernel_v5(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  using A = typename Sum<T>::type;
  constexpr int FOUR = 4, HALF = (K + 1) / 2;
  using U = Unit<K, ACROSS, TALL, UNITS, CHANNELS, 1, FOUR, 2>;
  const U unit(s, 1, s.H_out, s.W_out);
  T* shared = shared_memory<T>();
  const int C_g = s.C / s.G, pixels = s.H_out * s.W_out;
  const int u0 = unit.part * HALF, ij = unit.i * s.W_out + unit.j;
  const bool mine = unit.down > 0 && unit.right > 0, dy_at_once = in_vectors<FOUR>(dy, s.W_out);

  A sum[HALF][K][FOUR] = {};
  for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
    const long long nc = unit.ng * C_g + r0;
    copy_tile(
        shared, unit, x + nc * s.H * s.W, unit.row - s.p_h, unit.column - s.p_w, s.H, s.W);
    finish_copies();
    __syncthreads();  // the tiles of x are whole
    if (mine) {
      const T* from = dy + nc * pixels + ij;
      const T* corner = shared + unit.corner + u0 * U::pitch;
      A next[FOUR];
      read_some(next, from, unit.right, dy_at_once);
#pragma unroll 1
      for (int r = 0; r < CHANNELS; ++r, corner += U::area) {
        A gradient[FOUR];
#pragma unroll
        for (int q = 0; q < FOUR; ++q) gradient[q] = next[q];
        if (r + 1 < CHANNELS) read_some(next, from += pixels, unit.right, dy_at_once);
#pragma unroll
        for (int u = 0; u < HALF; ++u) {
          if (u0 + u < K) {
            A row[K + FOUR - 1];
            read_row<FOUR>(row, corner + u * U::pitch);
#pragma unroll
            for (int v = 0; v < K; ++v) {
#pragma unroll
              for (int q = 0; q < FOUR; ++q) sum[u][v][q] += gradient[q] * row[v + q];
            }
          }
        }
      }
    }
    __syncthreads();  // all have read x: the next channels may take its place
  }
  if (!mine) return;
  const bool at_once = in_vectors<FOUR>(dkernel, s.W_out);
  T* to = dkernel + (unit.ng * K + u0) * K * pixels + ij;
#pragma unroll
  for (int u = 0; u < HALF; ++u) {
    write_vectors(to + u * K * pixels, sum[u], pixels, u0 + u < K ? K : 0, unit.right, at_once);
  }
}
