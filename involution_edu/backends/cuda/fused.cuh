#pragma once

#include "pairs.cuh"
#include "tiles.cuh"

// ---------------------------------------------------------------------------------------------
// Generation and application in one launch, for inference: the kernel is generated in registers,
//
//   kernel[n, g, u, v, i, j] = bias[o] + sum over m of weight[o, m] * features[n, m, i, j]
//
// with o = (g*K_h + u)*K_w + v, and is never in global memory. For one y (K = 7, C_g = 16,
// float32) two launches move 33.5 bytes: 4 of x, 4 of y, 1 of the C_r = C / 4 features, and
// 12.25 of the kernel, written and read again. One launch needs 9; it moves 4 * C_r / C_g of
// features and not 1, for each group reads them all, mostly from the caches, and x's margins. The
// cost is more FLOP, done more slowly than by a matrix product: 98 * (1 + C_r / C_g), or
// 196, 294, 490 and 882 in the four stages of RedNet-50, where C_r is 1, 2, 4 and 8 times C_g.
//
// v1: any window, as forward_v3, with entries that each thread computes from global memory:
//     2 * C_r numbers, mostly from the caches, for each entry. Simple and slow.
// v2: stride 1 and a window that is compiled in, as forward_v4: x, the features and the weights
//     are in shared memory, and a thread computes the 28 entries of a row of its 2 x 2 windows from
//     4 features and 16 weights (two of them are padding) at a time.
//
// When v2 should pay, counted as in pairs.cuh: all threads of a warp read the same weights, four at
// once, so that its shared memory answers 16 * C_r / C_g reads for one y to generate, 16 to
// apply and 4 to fill, 32 a cycle: 1.1 cycles with C_r = C_g, 1.6 with twice that. Two launches
// wait 1.8 cycles for memory. So it pays up to C_r = 2 * C_g: in the first two stages. Halves take
// the same cycles and half the bytes: it pays below C_r = C_g / 2. These are counts, not
// measurements: no GPU has run it yet. Groups of more than 16 channels compute their entries
// again for every 16.
// ---------------------------------------------------------------------------------------------

// The entry (u, v) of pixel ij, computed from its features.
template <typename T, int K> struct MadeEntries {
  const T* __restrict__ features;
  const T* __restrict__ weight;
  const T* __restrict__ bias;

  __device__ typename Sum<T>::type operator()(
      const Sizes& s, const Window<K>& k, long long ng, int u, int v, long long ij) const {
    using A = typename Sum<T>::type;
    const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
    const long long o = (ng % s.G * k.K_h + u) * k.K_w + v;
    A sum = static_cast<A>(bias[o]);
    for (int m = 0; m < s.C_r; ++m) {
      sum += static_cast<A>(weight[o * s.C_r + m]) *
             static_cast<A>(features[(ng / s.G * s.C_r + m) * pixels + ij]);
    }
    return sum;
  }
};

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
generate_and_apply_v1(
    const T* __restrict__ x, const T* __restrict__ features, const T* __restrict__ weight,
    const T* __restrict__ bias, T* __restrict__ y, Sizes s) {
  forward_tiled<T, K, 16>(x, MadeEntries<T, K>{features, weight, bias}, y, s);
}

// A row of weights in shared memory takes whole groups of four, which are read at once.
template <int K> constexpr int WIDE = (K + 3) / 4 * 4;

// The entries of a row of a thread's 2 x 2 windows, computed from shared memory.
template <typename S, int K> struct MadePairs {
  const S* features;  // (C_r, rows, columns): of the thread's first pixel
  const S* weights;   // (C_r + 1, K, WIDE): the last one is the bias
  int C_r, pitch, area;

  template <typename A> __device__ void read(A (&entry)[PAIR][K][PAIR], int t) const {
#pragma unroll
    for (int p = 0; p < PAIR; ++p) {
      const int u = min(max(t - p, 0), K - 1);  // beyond the window, an entry that is not used
#pragma unroll
      for (int v = 0; v < K; ++v) {
        const A bias = static_cast<A>(weights[(C_r * K + u) * WIDE<K> + v]);
#pragma unroll
        for (int q = 0; q < PAIR; ++q) entry[p][v][q] = bias;
      }
    }
#pragma unroll 2
    for (int m = 0; m < C_r; ++m) {
#pragma unroll
      for (int p = 0; p < PAIR; ++p) {
        const int u = min(max(t - p, 0), K - 1);
        const Vector<S, PAIR> own = read_vector<PAIR>(features + m * area + p * pitch);
        Vector<S, 4> four;
#pragma unroll
        for (int v = 0; v < WIDE<K>; ++v) {
          if (v % 4 == 0) four = read_vector<4>(weights + (m * K + u) * WIDE<K> + v);
          if (v < K) {
            const A weight = static_cast<A>(four.at[v % 4]);
#pragma unroll
            for (int q = 0; q < PAIR; ++q) entry[p][v][q] += weight * static_cast<A>(own.at[q]);
          }
        }
      }
    }
  }
};

template <typename T, int K>
__global__ void __launch_bounds__(FEW_THREADS, BLOCKS<T>)
generate_and_apply_v2(
    const T* __restrict__ x, const T* __restrict__ features, const T* __restrict__ weight,
    const T* __restrict__ bias, T* __restrict__ y, Sizes s) {
  using S = typename Stored<T>::type;
  const PairTile<K, PAIR> tile(s.H_out, s.W_out);
  const PairTile<1, PAIR> own(s.H_out, s.W_out);  // the same pixels without a margin
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  const long long n = tile.at.ng / s.G, g = tile.at.ng % s.G;

  S* weights = shared_memory<S>();
  const T* rows = weight + g * K * K * s.C_r;  // (K * K, C_r), transposed into shared memory
  for (int t = thread; t < K * K * s.C_r; t += threads) {
    const int tap = t / s.C_r, m = t % s.C_r;
    weights[(m * K + tap / K) * WIDE<K> + tap % K] = rows[t];
  }
  for (int tap = thread; tap < K * K; tap += threads) {
    weights[(s.C_r * K + tap / K) * WIDE<K> + tap % K] = bias[g * K * K + tap];
  }
  S* made_of = weights + (s.C_r + 1) * K * WIDE<K>;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  load_pairs(
      made_of, own, features + n * s.C_r * pixels, s.C_r, own.at.row, own.at.column, s.H_out,
      s.W_out);
  // The first barrier of gather_pairs comes before the first entry is computed.
  const MadePairs<S, K> entries{made_of + own.corner, weights, s.C_r, own.pitch, own.area};
  gather_pairs<K, 16>(
      made_of + s.C_r * own.area, tile, x, entries, y, s.C / s.G, tile.at.row - s.p_h,
      tile.at.column - s.p_w, s.H, s.W, s.H_out, s.W_out);
}
