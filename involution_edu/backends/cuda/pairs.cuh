#pragma once

#include "common.cuh"

// ---------------------------------------------------------------------------------------------
// v4: a thread owns 2 x 2 neighbouring pixels, whose windows overlap. A row of K + 1 numbers of
// the tile, read into registers, serves up to four windows, and 16 channels share each entry of
// the kernel as in v3.
//
// shared memory:   (K+1)*(K+1) / 4 reads for each y and dx: 16 and not 49 (K = 7)
//                  (K+1)*K / 2 for each pixel and channel of dy in backward_kernel: 28 and not 49
// global memory:   as v3, with the smaller margin of a tile of 16 x 32 pixels: at most 1.6
//
// Why it should help: a multiprocessor of an H200 gets 4.3e12 / 132 / 1.75e9 = 18.6 bytes a cycle
// from memory, so 20.25 bytes for one y take 1.09 cycles. Its shared memory and caches answer 32
// numbers a cycle. v3 asks for 49 of the tile, 3 of the kernel and 5 to fill the tile: 1.8
// cycles, so no more than 61 % of the memory's speed. v4 asks for 16, 6 (two strided reads of
// the same lines, where W_out is odd) and 4: 0.8 cycles, less than memory takes. Its FMAs
// are 56 for one y, 7 of them idle on the rows that only one of two windows has: 0.44 cycles.
// These are counts, not measurements: no GPU has run it yet.
//
// For stride 1 and a window that is compiled in: with a stride windows overlap less, and x, then
// four times as large as y, takes most of the memory's time.
//
// A half is converted once, when it enters the tile, and not each time it is read there. Loads
// and stores are of two numbers at a time if rows are even. The pitch of the tile's rows lets
// threads of the next rows read from the banks that those of this row leave free.
// ---------------------------------------------------------------------------------------------

constexpr int PAIR = 2;  // rows and columns of pixels of a thread
constexpr int FEW_THREADS = 128;  // maximum in a block of v4

// Blocks that must fit at once, so that a thread has 168 registers; 255 if sums are doubles.
template <typename T> constexpr int BLOCKS = sizeof(typename Sum<T>::type) == 4 ? 3 : 2;

// The type of a tile in shared memory.
template <typename T> struct Stored { using type = T; };
template <> struct Stored<__half> { using type = float; };

// COUNT adjacent numbers, loaded and stored at once.
template <typename T, int COUNT>
struct alignas(COUNT * sizeof(T) < 16 ? COUNT * sizeof(T) : 16) Vector { T at[COUNT]; };

template <int COUNT, typename T>
__device__ inline Vector<T, COUNT> read_vector(const T* from) {
  return *reinterpret_cast<const Vector<T, COUNT>*>(from);
}

// Whether all rows of `columns` numbers from `from` on are aligned for vectors of WIDE.
template <int WIDE, typename T> __device__ inline bool in_vectors(const T* from, int columns) {
  const auto address = reinterpret_cast<unsigned long long>(from);
  return columns % WIDE == 0 && address % (WIDE * sizeof(T)) == 0;
}

// Read WIDE neighbouring numbers, or `count` and then zeros.
template <int WIDE, typename T, typename A>
__device__ inline void read_some(A (&to)[WIDE], const T* from, int count, bool at_once) {
  if (at_once && count >= WIDE) {
    const Vector<T, WIDE> all = read_vector<WIDE>(from);
#pragma unroll
    for (int q = 0; q < WIDE; ++q) to[q] = static_cast<A>(all.at[q]);
  } else {
#pragma unroll
    for (int q = 0; q < WIDE; ++q) to[q] = q < count ? static_cast<A>(from[q]) : A(0);
  }
}

// Write ROWS of WIDE numbers, those that exist, `step` from one row to the next.
template <int ROWS, int WIDE, typename T, typename A, typename Index>
__device__ inline void write_vectors(
    T* to, const A (&from)[ROWS][WIDE], Index step, int rows, int count, bool at_once) {
#pragma unroll
  for (int p = 0; p < ROWS; ++p) {
    Vector<T, WIDE> all;
#pragma unroll
    for (int q = 0; q < WIDE; ++q) all.at[q] = static_cast<T>(from[p][q]);
    if (p < rows && at_once && count >= WIDE) {
      *reinterpret_cast<Vector<T, WIDE>*>(to + p * step) = all;
    } else if (p < rows) {
#pragma unroll
      for (int q = 0; q < WIDE; ++q) {
        if (q < count) to[p * step + q] = all.at[q];
      }
    }
  }
}

// The numbers that WIDE neighbouring windows have in one row of the tile, WIDE of them at once.
template <int WIDE, int COUNT, typename S, typename A>
__device__ inline void read_row(A (&row)[COUNT], const S* from) {
#pragma unroll
  for (int t = 0; t < COUNT; t += WIDE) {
    constexpr int REST = COUNT % WIDE ? COUNT % WIDE : WIDE;
    if (t + WIDE <= COUNT) {
      const Vector<S, WIDE> all = read_vector<WIDE>(from + t);
#pragma unroll
      for (int q = 0; q < WIDE; ++q) row[t + q] = static_cast<A>(all.at[q]);
    } else {
      const Vector<S, REST> all = read_vector<REST>(from + t);
#pragma unroll
      for (int q = 0; q < REST; ++q) row[t + q] = static_cast<A>(all.at[q]);
    }
  }
}

// The tile of a block whose threads own ROWS x 2 pixels each of an image of H x W; and its copy
// in shared memory, with the K - 1 more rows and columns that the windows reach.
template <int K, int ROWS> struct PairTile {
  Tile at;
  int i, j;         // the thread's first pixel
  int down, right;  // the number of its pixels that are in the image, each way; may be negative
  int rows, columns, pitch, area;
  int corner;  // index in shared memory of its first window

  __device__ PairTile(int H, int W)
      : at(tile_of_block(H, W, ROWS * blockDim.y, PAIR * blockDim.x)) {
    const int wide = blockDim.x, x = PAIR * threadIdx.x, y = ROWS * threadIdx.y;
    i = at.row + y, j = at.column + x;
    down = min(ROWS, H - i), right = min(PAIR, W - j);
    rows = ROWS * blockDim.y + K - 1, columns = PAIR * wide + K - 1;
    // In 32 banks of one number each, the next row of threads reads the banks after this row's.
    const int banks = 32 / ROWS, gap = (PAIR * wide / ROWS - columns) & (banks - 1);
    pitch = columns + (wide < 16 ? gap : 0);
    area = rows * pitch;
    corner = y * pitch + x;
  }
};

// Copy the pixels from (h0, w0) on of `count` images of H x W into shared memory, as zeros
// outside the image. Neighbouring threads copy neighbouring columns, each of all images: these
// loads are in flight together, and the index of a pixel is computed once for all.
template <int K, int ROWS, typename S, typename T>
__device__ inline void load_pairs(
    S* shared, const PairTile<K, ROWS>& tile, const T* __restrict__ images, int count, int h0,
    int w0, int H, int W) {
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  for (int t = thread; t < tile.rows * tile.columns; t += threads) {
    const int row = t / tile.columns, column = t % tile.columns, h = h0 + row, w = w0 + column;
    const bool inside = 0 <= h && h < H && 0 <= w && w < W;
    S* to = shared + row * tile.pitch + column;
#pragma unroll 8
    for (int r = 0; r < count; ++r) {
      if (inside) {
        to[r * tile.area] = images[(static_cast<long long>(r) * H + h) * W + w];
      } else {
        to[r * tile.area] = S(0.0f);
      }
    }
  }
}

// Both forward and backward_input are this sum over the windows of the images `values`, H x W each,
// from (h0, w0) on: they differ in the entry that a tap of the window is multiplied with.
// entries.read(entry, t) gives those of row t of the 2 x 2 windows: entry[p][v][q].
template <int K, int CHANNELS, typename T, typename S, typename Entries>
__device__ inline void gather_pairs(
    S* shared, const PairTile<K, PAIR>& tile, const T* __restrict__ values,
    const Entries& entries, T* __restrict__ result, int C_g, int h0, int w0, int H, int W,
    int result_H, int result_W) {
  using A = typename Sum<T>::type;
  const long long pixels = static_cast<long long>(result_H) * result_W;
  const bool at_once = in_vectors<PAIR>(result, result_W);
  for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
    const int count = min(CHANNELS, C_g - r0);
    const long long nc = tile.at.ng * C_g + r0;
    load_pairs(shared, tile, values + nc * H * W, count, h0, w0, H, W);
    __syncthreads();  // the tile of pairs is whole
    if (tile.down > 0 && tile.right > 0) {
      A sum[CHANNELS][PAIR][PAIR] = {};
#pragma unroll 1
      for (int t = 0; t < K + PAIR - 1; ++t) {
        A entry[PAIR][K][PAIR];
        entries.read(entry, t);
#pragma unroll
        for (int r = 0; r < CHANNELS; ++r) {
          if (r < count) {
            A row[K + 1];
            read_row<PAIR>(row, shared + r * tile.area + t * tile.pitch + tile.corner);
#pragma unroll
            for (int p = 0; p < PAIR; ++p) {
              if (0 <= t - p && t - p < K) {
#pragma unroll
                for (int v = 0; v < K; ++v) {
#pragma unroll
                  for (int q = 0; q < PAIR; ++q) sum[r][p][q] += entry[p][v][q] * row[v + q];
                }
              }
            }
          }
        }
      }
      T* to = result + nc * pixels + static_cast<long long>(tile.i) * result_W + tile.j;
#pragma unroll
      for (int r = 0; r < CHANNELS; ++r) {
        if (r < count) {
          write_vectors(to + r * pixels, sum[r], result_W, tile.down, tile.right, at_once);
        }
      }
    }
    __syncthreads();  // all have read it: the next channels of the pairs may take its place
  }
}

// y[i + p, j + q] takes its own entry for each tap of its window. In place of a pixel that is not
// there the one beside it is read: its sum is not written.
template <typename T, int K, typename Index = long long> struct OwnEntries {
  const T* kernel;  // entry (0, 0) of the thread's first pixel
  Index pixels;
  int below, beside;  // steps to the pixel below and to the one beside it
  bool at_once;

  __device__ OwnEntries(const T* kernel, Index pixels, int W_out, int down, int right, bool at_once)
      : kernel(kernel), pixels(pixels), below(down < PAIR ? 0 : W_out),
        beside(right < PAIR ? 0 : 1), at_once(at_once) {}

  template <typename A> __device__ void read(A (&entry)[PAIR][K][PAIR], int t) const {
#pragma unroll
    for (int p = 0; p < PAIR; ++p) {
      const int u = t - p;
      if (u < 0 || u >= K) continue;  // in the row of one window only
      const T* from = kernel + u * K * pixels + p * below;
#pragma unroll
      for (int v = 0; v < K; ++v, from += pixels) {
        const Vector<T, PAIR> pair =
            at_once ? read_vector<PAIR>(from) : Vector<T, PAIR>{from[0], from[beside]};
#pragma unroll
        for (int q = 0; q < PAIR; ++q) entry[p][v][q] = static_cast<A>(pair.at[q]);
      }
    }
  }
};

template <typename T, int K>
__global__ void __launch_bounds__(FEW_THREADS, BLOCKS<T>)
forward_v4(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  const PairTile<K, PAIR> tile(s.H_out, s.W_out);
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long ij = static_cast<long long>(tile.i) * s.W_out + tile.j;
  const OwnEntries<T, K> entries(
      kernel + tile.at.ng * K * K * pixels + ij, pixels, s.W_out, tile.down, tile.right,
      in_vectors<PAIR>(kernel, s.W_out));
  gather_pairs<K, 16>(
      shared_memory<typename Stored<T>::type>(), tile, x, entries, y, s.C / s.G,
      tile.at.row - s.p_h, tile.at.column - s.p_w, s.H, s.W, s.H_out, s.W_out);
}

// dx[h, w] gathers dy of the pixels below and to the right of (h + p - K, w + p - K), each with the
// entry that this pixel had for it: the window mirrored, (K - 1 - u, K - 1 - v).
template <typename T, int K, typename Index = long long> struct MirroredEntries {
  const T* kernel;  // entry (0, 0) of pixel (0, 0)
  Index pixels;
  int i, j, H_out, W_out;  // (i, j): the first pixel of dy that the thread's pixels gather
  unsigned columns;        // bit v is set if column j + v is in the image

  __device__ MirroredEntries(const T* kernel, Index pixels, int i, int j, int H_out, int W_out)
      : kernel(kernel), pixels(pixels), i(i), j(j), H_out(H_out), W_out(W_out), columns(0) {
#pragma unroll
    for (int v = 0; v <= K; ++v) columns |= (0 <= j + v && j + v < W_out) << v;
  }

  template <typename A> __device__ void read(A (&entry)[PAIR][K][PAIR], int t) const {
    const unsigned reads = 0 <= i + t && i + t < H_out ? columns : 0;
#pragma unroll
    for (int p = 0; p < PAIR; ++p) {
      const int u = t - p;
      if (u < 0 || u >= K) continue;
      const T* from = kernel + ((K - 1 - u) * K + K - 1) * pixels +
                      static_cast<Index>(i + t) * W_out + j;
#pragma unroll
      for (int v = 0; v < K; ++v, from += 1 - pixels) {
#pragma unroll
        for (int q = 0; q < PAIR; ++q) {
          entry[p][v][q] = reads >> (v + q) & 1 ? static_cast<A>(from[q]) : A(0);
        }
      }
    }
  }
};

template <typename T, int K>
__global__ void __launch_bounds__(FEW_THREADS, BLOCKS<T>)
backward_input_v4(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  const PairTile<K, PAIR> tile(s.H, s.W);
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const int up = K - 1 - s.p_h, left = K - 1 - s.p_w;
  const MirroredEntries<T, K> entries(
      kernel + tile.at.ng * K * K * pixels, pixels, tile.i - up, tile.j - left, s.H_out, s.W_out);
  gather_pairs<K, 16>(
      shared_memory<typename Stored<T>::type>(), tile, dy, entries, dx, s.C / s.G,
      tile.at.row - up, tile.at.column - left, s.H_out, s.W_out, s.H, s.W);
}

// Two pixels of dkernel for a thread, side by side, with all their K * K taps in registers, or
// the taps of TALL rows of the window at a time if sums are doubles.
template <typename T, int K>
__global__ void __launch_bounds__(FEW_THREADS, BLOCKS<T>)
backward_kernel_v4(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  using A = typename Sum<T>::type;
  constexpr int CHANNELS = 8, TALL = sizeof(A) == 4 ? K : (K + 1) / 2;
  auto* shared = shared_memory<typename Stored<T>::type>();
  const PairTile<K, 1> tile(s.H_out, s.W_out);
  const int C_g = s.C / s.G;
  const bool mine = tile.down > 0 && tile.right > 0;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long ij = static_cast<long long>(tile.i) * s.W_out + tile.j;
  const bool dy_at_once = in_vectors<PAIR>(dy, s.W_out), at_once = in_vectors<PAIR>(dkernel, s.W_out);

#pragma unroll 1
  for (int u0 = 0; u0 < K; u0 += TALL) {
    A sum[TALL][K][PAIR] = {};
    for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
      const int count = min(CHANNELS, C_g - r0);
      const long long nc = tile.at.ng * C_g + r0;
      load_pairs(
          shared, tile, x + nc * s.H * s.W, count, tile.at.row - s.p_h, tile.at.column - s.p_w,
          s.H, s.W);
      __syncthreads();
      for (int r = 0; mine && r < count; ++r) {
        A gradient[PAIR];
        read_some(gradient, dy + (nc + r) * pixels + ij, tile.right, dy_at_once);
#pragma unroll
        for (int u = 0; u < TALL; ++u) {
          if (u0 + u < K) {
            A row[K + 1];
            read_row<PAIR>(row, shared + r * tile.area + (u0 + u) * tile.pitch + tile.corner);
#pragma unroll
            for (int v = 0; v < K; ++v) {
#pragma unroll
              for (int q = 0; q < PAIR; ++q) sum[u][v][q] += gradient[q] * row[v + q];
            }
          }
        }
      }
      __syncthreads();
    }
    T* to = dkernel + (tile.at.ng * K + u0) * K * pixels + ij;
#pragma unroll
    for (int u = 0; u < TALL; ++u) {
      const int rows = mine && u0 + u < K ? K : 0;
      write_vectors(to + u * K * pixels, sum[u], pixels, rows, tile.right, at_once);
    }
  }
}
