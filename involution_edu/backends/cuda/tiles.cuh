#pragma once

#include "common.cuh"
#include "v1.cuh"

// The numbers from one row of a tile to the next. Where a warp has threads of two rows of a block and
// windows are side by side, those of the next row read the banks of shared memory after this row's.
__device__ inline int pitch_of(int columns, const Sizes& s) {
  const int wide = blockDim.x;
  return columns + (wide < 32 && s.s_h == 1 && s.s_w == 1 ? (wide - columns) & 31 : 0);
}

// Copy the rows x columns pixels from (h0, w0) on of `count` images of H x W into shared memory,
// as zeros outside the image. Neighbouring threads copy neighbouring columns, each of all images:
// the index of a pixel, with its divisions, is computed once, and an addition leads to the next.
template <typename T>
__device__ inline void load(
    T* tile, const T* __restrict__ images, int count, int h0, int w0, int rows, int columns,
    int pitch, int H, int W) {
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  for (int t = thread; t < rows * columns; t += threads) {
    const int row = t / columns, column = t % columns, h = h0 + row, w = w0 + column;
    const bool inside = 0 <= h && h < H && 0 <= w && w < W;
    const T* from = images + static_cast<long long>(h) * W + w;
    T* to = tile + row * pitch + column;
    for (int r = 0; r < count; ++r, from += static_cast<long long>(H) * W, to += rows * pitch) {
      *to = inside ? *from : T(0.0f);
    }
  }
}

// The entry (u, v) of pixel ij, read from the kernel.
template <typename T, int K> struct GivenEntries {
  const T* __restrict__ kernel;

  __device__ typename Sum<T>::type operator()(
      const Sizes& s, const Window<K>& k, long long ng, int u, int v, long long ij) const {
    const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
    return static_cast<typename Sum<T>::type>(
        kernel[((ng * k.K_h + u) * k.K_w + v) * pixels + ij]);
  }
};

// One thread for each pixel (i, j) of a tile of y. x is read into shared memory, CHANNELS
// channels at a time, and each entry of the kernel is read once for all of them.
template <typename T, int K, int CHANNELS, typename Entries>
__device__ inline void forward_tiled(
    const T* __restrict__ x, const Entries& entries, T* __restrict__ y, const Sizes& s) {
  using A = typename Sum<T>::type;
  T* tile = shared_memory<T>();
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const Tile at = tile_of_block(s.H_out, s.W_out, blockDim.y, blockDim.x);
  const int i = at.row + threadIdx.y, j = at.column + threadIdx.x;
  const int h0 = at.row * s.s_h - s.p_h, w0 = at.column * s.s_w - s.p_w;
  const int rows = (blockDim.y - 1) * s.s_h + (k.K_h - 1) * k.d_h + 1;
  const int columns = (blockDim.x - 1) * s.s_w + (k.K_w - 1) * k.d_w + 1;
  const int pitch = pitch_of(columns, s), area = rows * pitch;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long ij = static_cast<long long>(i) * s.W_out + j;

  for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
    const int count = min(CHANNELS, C_g - r0);
    const long long nc = at.ng * C_g + r0;
    load(tile, x + nc * s.H * s.W, count, h0, w0, rows, columns, pitch, s.H, s.W);
    __syncthreads();  // the tile is whole
    if (i < s.H_out && j < s.W_out) {
      A sum[CHANNELS] = {};
#pragma unroll 1  // all rows of the window at once would not fit into the registers
      for (int u = 0; u < k.K_h; ++u) {
        const T* row = tile + (threadIdx.y * s.s_h + u * k.d_h) * pitch + threadIdx.x * s.s_w;
#pragma unroll
        for (int v = 0; v < k.K_w; ++v) {
          const A entry = entries(s, k, at.ng, u, v, ij);
#pragma unroll
          for (int r = 0; r < CHANNELS; ++r) {
            if (r < count) sum[r] += entry * static_cast<A>(row[r * area + v * k.d_w]);
          }
        }
      }
#pragma unroll
      for (int r = 0; r < CHANNELS; ++r) {
        if (r < count) y[(nc + r) * pixels + ij] = static_cast<T>(sum[r]);
      }
    }
    __syncthreads();  // all have read it: the next channels may take its place
  }
}

// The least i with i * stride >= a: division rounds towards zero, which is up below zero.
__device__ inline int first_output(int a, int stride) {
  return a > 0 ? (a + stride - 1) / stride : a / stride;
}

// One thread for each pixel (h, w) of a tile of dx; otherwise as forward_tiled, with dy in
// shared memory. The outputs that read (h, w) follow from h = i*s + u*d - p solved for i: a division
// for each tap, unless the compiler knows that the stride is 1.
template <typename T, int K, int CHANNELS, bool ONE>
__device__ inline void backward_input_strided(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, const Sizes& s) {
  using A = typename Sum<T>::type;
  T* tile = shared_memory<T>();
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const Tile at = tile_of_block(s.H, s.W, blockDim.y, blockDim.x);
  const int h = at.row + threadIdx.y, w = at.column + threadIdx.x;
  const int reach_h = (k.K_h - 1) * k.d_h, reach_w = (k.K_w - 1) * k.d_w;
  const int s_h = ONE ? 1 : s.s_h, s_w = ONE ? 1 : s.s_w;
  const int i0 = first_output(at.row + s.p_h - reach_h, s_h);
  const int j0 = first_output(at.column + s.p_w - reach_w, s_w);
  const int rows = (static_cast<int>(blockDim.y) - 1 + reach_h) / s_h + 1;
  const int columns = (static_cast<int>(blockDim.x) - 1 + reach_w) / s_w + 1;
  const int pitch = pitch_of(columns, s), area = rows * pitch;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;

  for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
    const int count = min(CHANNELS, C_g - r0);
    const long long nc = at.ng * C_g + r0;
    load(tile, dy + nc * pixels, count, i0, j0, rows, columns, pitch, s.H_out, s.W_out);
    __syncthreads();
    if (h < s.H && w < s.W) {
      A sum[CHANNELS] = {};
#pragma unroll 1
      for (int u = 0; u < k.K_h; ++u) {
        const int i = output_at(h + s.p_h - u * k.d_h, s_h, s.H_out);
        const long long entries =
            (at.ng * k.K_h + u) * k.K_w * pixels + static_cast<long long>(i) * s.W_out;
        const int row = (i - i0) * pitch - j0;
#pragma unroll
        for (int v = 0; v < k.K_w; ++v) {
          const int j = output_at(w + s.p_w - v * k.d_w, s_w, s.W_out);
          const bool reads = i >= 0 && j >= 0;
          const A entry = reads ? static_cast<A>(kernel[entries + v * pixels + j]) : A(0);
#pragma unroll
          for (int r = 0; r < CHANNELS; ++r) {
            if (reads && r < count) sum[r] += entry * static_cast<A>(tile[r * area + row + j]);
          }
        }
      }
      const long long hw = static_cast<long long>(h) * s.W + w;
#pragma unroll
      for (int r = 0; r < CHANNELS; ++r) {
        if (r < count) dx[(nc + r) * s.H * s.W + hw] = static_cast<T>(sum[r]);
      }
    }
    __syncthreads();
  }
}

template <typename T, int K, int CHANNELS>
__device__ inline void backward_input_tiled(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, const Sizes& s) {
  if (s.s_h == 1 && s.s_w == 1) {
    backward_input_strided<T, K, CHANNELS, true>(dy, kernel, dx, s);
  } else {
    backward_input_strided<T, K, CHANNELS, false>(dy, kernel, dx, s);
  }
}

// One thread for each pixel (i, j) of a tile of dkernel. It holds TAPS taps of the window in
// registers, adds up all channels, and then takes the next TAPS; x is in shared memory.
template <typename T, int K, int TAPS, int CHANNELS>
__device__ inline void backward_kernel_tiled(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, const Sizes& s) {
  using A = typename Sum<T>::type;
  T* tile = shared_memory<T>();
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const Tile at = tile_of_block(s.H_out, s.W_out, blockDim.y, blockDim.x);
  const int i = at.row + threadIdx.y, j = at.column + threadIdx.x;
  const bool mine = i < s.H_out && j < s.W_out;
  const int h0 = at.row * s.s_h - s.p_h, w0 = at.column * s.s_w - s.p_w;
  const int rows = (blockDim.y - 1) * s.s_h + (k.K_h - 1) * k.d_h + 1;
  const int columns = (blockDim.x - 1) * s.s_w + (k.K_w - 1) * k.d_w + 1;
  const int pitch = pitch_of(columns, s), area = rows * pitch;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long ij = static_cast<long long>(i) * s.W_out + j;
  const int taps = k.K_h * k.K_w;

  for (int tap0 = 0; tap0 < taps; tap0 += TAPS) {
    A sum[TAPS] = {};
    for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
      const int count = min(CHANNELS, C_g - r0);
      const long long nc = at.ng * C_g + r0;
      load(tile, x + nc * s.H * s.W, count, h0, w0, rows, columns, pitch, s.H, s.W);
      __syncthreads();
      for (int r = 0; mine && r < count; ++r) {
        const A gradient = static_cast<A>(dy[(nc + r) * pixels + ij]);
        const T* corner = tile + r * area + threadIdx.y * s.s_h * pitch + threadIdx.x * s.s_w;
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
          const int tap = min(tap0 + t, taps - 1);  // beyond the last one, nothing is written
          const int u = tap / k.K_w, v = tap % k.K_w;
          sum[t] += gradient * static_cast<A>(corner[u * k.d_h * pitch + v * k.d_w]);
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int t = 0; t < TAPS; ++t) {
      if (mine && tap0 + t < taps) {
        dkernel[(at.ng * taps + tap0 + t) * pixels + ij] = static_cast<T>(sum[t]);
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------
// v2: the tile with its margin is in shared memory, where K*K neighbours read it again.
//
// forward:         halo of x, K*K of kernel: 8 + 196 bytes for one y (K = 7, float32)
// backward_input:  halo of dy, K*K of kernel for one dx
// backward_kernel: (C_g of dy, C_g * halo of x) / K for one dkernel: a row of the window at once
// ---------------------------------------------------------------------------------------------

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, 4>)
forward_v2(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  forward_tiled<T, K, 1>(x, GivenEntries<T, K>{kernel}, y, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, 4>)
backward_input_v2(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  backward_input_tiled<T, K, 1>(dy, kernel, dx, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, 4>)
backward_kernel_v2(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  backward_kernel_tiled<T, K, (K ? K : 4), 1>(dy, x, dkernel, s);
}

// ---------------------------------------------------------------------------------------------
// v3: a thread keeps each number that it reads in a register for all its uses. An entry of the
// kernel is read once for 16 channels, and the K*K taps of dkernel are summed side by side.
//
// forward:         halo of x, K*K / 16 of kernel: 8 + 12.25 bytes for one y (K = 7, C_g = 16)
// backward_input:  halo of dy, K*K / 16 of kernel for one dx
// backward_kernel: (C_g of dy, C_g * halo of x) / (K*K) for one dkernel
// Apart from the margins, which neighbouring blocks share in the cache, this is the minimum
// for C_g <= 16; the next 16 channels of a larger group read the kernel again. Shared memory is
// now the limit: it still answers K*K reads for each y, one for every multiply-add.
// ---------------------------------------------------------------------------------------------

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, 2>)
forward_v3(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  forward_tiled<T, K, 16>(x, GivenEntries<T, K>{kernel}, y, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, 2>)
backward_input_v3(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  backward_input_tiled<T, K, 16>(dy, kernel, dx, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, 2>)
backward_kernel_v3(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  backward_kernel_tiled<T, K, (K ? K * K : 16), 4>(dy, x, dkernel, s);
}
