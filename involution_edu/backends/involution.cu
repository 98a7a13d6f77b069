// Rung 5: involution in CUDA C++, in versions, each one idea better than the one before it.
//
//   y[n, g*C_g + r, i, j] = sum over u, v of
//       kernel[n, g, u, v, i, j] * x[n, g*C_g + r, i*s + u*d - p, j*s + v*d - p]
//
// The operator does 2 FLOP for each product and needs little else than memory: with K = 7 and
// C_g = 16 in float32, 98 FLOP for the 20.25 bytes that one y needs at the least (4 of x, 4 of y
// and 4 * 49 / 16 of kernel). Any GPU does 98 FLOP sooner than it moves 20 bytes, so a version is
// better when it moves less. The numbers below are reads from global memory for each result,
// many of which the caches answer; halo is tile with margin over tile, at most 2.1 for 8 x 32
// pixels and K = 7.
//
// Compiled in are the storage type T (float, double, or __half, which is summed in float) and K:
// a square window without dilation, whose loops the compiler unrolls, or 0 for any window. All
// other sizes are arguments. Every gradient gathers: one thread owns one result, so nothing is
// added by two threads at once.
// cuda_versions.py holds the same table for Python, and computes each launch.

#include <cuda_fp16.h>

struct Sizes {  // as in geometry.py; a stride or padding is (rows, columns)
  int N, C, H, W, G, H_out, W_out, K_h, K_w, s_h, s_w, d_h, d_w, p_h, p_w;
};

// The window: constants wherever K is not 0.
template <int K> struct Window {
  int K_h, K_w, d_h, d_w;
  __device__ explicit Window(const Sizes& s)
      : K_h(K ? K : s.K_h), K_w(K ? K : s.K_w), d_h(K ? 1 : s.d_h), d_w(K ? 1 : s.d_w) {}
};

template <typename T> struct Sum { using type = T; };
template <> struct Sum<__half> { using type = float; };

constexpr int THREADS = 256;  // at most, in a block

// ---------------------------------------------------------------------------------------------
// v1: one thread for each result, straight from the equation.
//
// forward:         K*K of x, K*K of kernel: 392 bytes for the 98 FLOP of one y (K = 7, float32)
// backward_input:  K*K of dy, K*K of kernel for one dx
// backward_kernel: C_g of dy, C_g of x for one dkernel
// ---------------------------------------------------------------------------------------------

// The index of this thread among all threads: 64 bits, for there may be more than 2^31 results.
__device__ inline long long thread_index() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
forward_v1(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  using A = typename Sum<T>::type;
  const Window<K> k(s);
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long o = thread_index();
  const long long nc = o / pixels;  // n * C + c
  const int i = static_cast<int>(o % pixels / s.W_out), j = static_cast<int>(o % s.W_out);
  if (nc >= static_cast<long long>(s.N) * s.C) return;
  const long long ng = nc / (s.C / s.G);  // n * G + g

  A sum = 0;
  for (int u = 0; u < k.K_h; ++u) {
    for (int v = 0; v < k.K_w; ++v) {
      const int h = i * s.s_h + u * k.d_h - s.p_h, w = j * s.s_w + v * k.d_w - s.p_w;
      const bool image = 0 <= h && h < s.H && 0 <= w && w < s.W;
      const A value = image ? static_cast<A>(x[(nc * s.H + h) * s.W + w]) : A(0);
      sum += static_cast<A>(kernel[((ng * k.K_h + u) * k.K_w + v) * pixels + o % pixels]) * value;
    }
  }
  y[o] = static_cast<T>(sum);
}

// The output row (or column) whose window starts at padded row `top`, or -1 if there is none.
__device__ inline int output_at(int top, int stride, int outputs) {
  return top >= 0 && top % stride == 0 && top / stride < outputs ? top / stride : -1;
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_input_v1(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  using A = typename Sum<T>::type;
  const Window<K> k(s);
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long o = thread_index();
  const long long nc = o / s.W / s.H;
  const int h = static_cast<int>(o / s.W % s.H), w = static_cast<int>(o % s.W);
  if (nc >= static_cast<long long>(s.N) * s.C) return;
  const long long ng = nc / (s.C / s.G);

  A sum = 0;
  for (int u = 0; u < k.K_h; ++u) {
    const int i = output_at(h + s.p_h - u * k.d_h, s.s_h, s.H_out);
    for (int v = 0; v < k.K_w; ++v) {
      const int j = output_at(w + s.p_w - v * k.d_w, s.s_w, s.W_out);
      if (i >= 0 && j >= 0) {
        const long long ij = static_cast<long long>(i) * s.W_out + j;
        sum += static_cast<A>(kernel[((ng * k.K_h + u) * k.K_w + v) * pixels + ij]) *
               static_cast<A>(dy[nc * pixels + ij]);
      }
    }
  }
  dx[o] = static_cast<T>(sum);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_kernel_v1(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  using A = typename Sum<T>::type;
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long o = thread_index();
  const int i = static_cast<int>(o % pixels / s.W_out), j = static_cast<int>(o % s.W_out);
  const int v = static_cast<int>(o / pixels % k.K_w);
  const int u = static_cast<int>(o / pixels / k.K_w % k.K_h);
  const long long ng = o / pixels / k.K_w / k.K_h;
  if (ng >= static_cast<long long>(s.N) * s.G) return;
  const int h = i * s.s_h + u * k.d_h - s.p_h, w = j * s.s_w + v * k.d_w - s.p_w;
  const bool image = 0 <= h && h < s.H && 0 <= w && w < s.W;

  A sum = 0;
  for (int r = 0; r < C_g; ++r) {
    const long long nc = ng * C_g + r;
    const A value = image ? static_cast<A>(x[(nc * s.H + h) * s.W + w]) : A(0);
    sum += static_cast<A>(dy[nc * pixels + o % pixels]) * value;
  }
  dkernel[o] = static_cast<T>(sum);
}

// ---------------------------------------------------------------------------------------------
// What v2 and v3 share: a block of threads owns a tile of pixels of one group, one thread each.
// ---------------------------------------------------------------------------------------------

// The dynamic shared memory of the block; doubles, so that it is aligned for every T.
template <typename T> __device__ inline T* shared_memory() {
  extern __shared__ double shared[];
  return reinterpret_cast<T*>(shared);
}

struct Tile {
  long long ng;  // n * G + g
  int row, column;  // of the tile's first pixel
};

// The tile of this block, when an image of H x W pixels is cut into tiles of the block's size.
__device__ inline Tile tile_of_block(int H, int W) {
  const int tall = blockDim.y, wide = blockDim.x;
  const int down = (H + tall - 1) / tall, across = (W + wide - 1) / wide;
  const int block = blockIdx.x;
  return {block / across / down, block / across % down * tall, block % across * wide};
}

// Copy the rows x columns pixels from (h0, w0) on of `count` images of H x W into shared memory,
// as zeros where they lie outside. Neighbouring threads copy neighbouring columns.
template <typename T>
__device__ inline void load(
    T* tile, const T* __restrict__ images, int count, int h0, int w0, int rows, int columns,
    int H, int W) {
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  for (int t = thread; t < count * rows * columns; t += threads) {
    const int h = h0 + t / columns % rows, w = w0 + t % columns;
    const long long image = t / columns / rows;
    const bool inside = 0 <= h && h < H && 0 <= w && w < W;
    if (inside) {
      tile[t] = images[(image * H + h) * W + w];
    } else {
      tile[t] = T(0.0f);
    }
  }
}

// One thread for each pixel (i, j) of a tile of y. x is read into shared memory, CHANNELS
// channels at a time, and each entry of the kernel is used for all of them when it is read.
template <typename T, int K, int CHANNELS>
__device__ inline void forward_tiled(
    const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, const Sizes& s) {
  using A = typename Sum<T>::type;
  T* tile = shared_memory<T>();
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const Tile at = tile_of_block(s.H_out, s.W_out);
  const int i = at.row + threadIdx.y, j = at.column + threadIdx.x;
  const int h0 = at.row * s.s_h - s.p_h, w0 = at.column * s.s_w - s.p_w;
  const int rows = (blockDim.y - 1) * s.s_h + (k.K_h - 1) * k.d_h + 1;
  const int columns = (blockDim.x - 1) * s.s_w + (k.K_w - 1) * k.d_w + 1, area = rows * columns;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long ij = static_cast<long long>(i) * s.W_out + j;

  for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
    const int count = min(CHANNELS, C_g - r0);
    const long long nc = at.ng * C_g + r0;
    load(tile, x + nc * s.H * s.W, count, h0, w0, rows, columns, s.H, s.W);
    __syncthreads();  // the tile is whole
    if (i < s.H_out && j < s.W_out) {
      A sum[CHANNELS] = {};
#pragma unroll 1  // all rows of the window at once would not fit into the registers
      for (int u = 0; u < k.K_h; ++u) {
        const T* entries = kernel + (at.ng * k.K_h + u) * k.K_w * pixels + ij;
        const T* row = tile + (threadIdx.y * s.s_h + u * k.d_h) * columns + threadIdx.x * s.s_w;
#pragma unroll
        for (int v = 0; v < k.K_w; ++v) {
          const A entry = static_cast<A>(entries[v * pixels]);
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
// shared memory. Which outputs met (h, w) follows from h = i*s + u*d - p solved for i.
template <typename T, int K, int CHANNELS>
__device__ inline void backward_input_tiled(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, const Sizes& s) {
  using A = typename Sum<T>::type;
  T* tile = shared_memory<T>();
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const Tile at = tile_of_block(s.H, s.W);
  const int h = at.row + threadIdx.y, w = at.column + threadIdx.x;
  const int reach_h = (k.K_h - 1) * k.d_h, reach_w = (k.K_w - 1) * k.d_w;
  const int i0 = first_output(at.row + s.p_h - reach_h, s.s_h);
  const int j0 = first_output(at.column + s.p_w - reach_w, s.s_w);
  const int rows = (static_cast<int>(blockDim.y) - 1 + reach_h) / s.s_h + 1;
  const int columns = (static_cast<int>(blockDim.x) - 1 + reach_w) / s.s_w + 1;
  const int area = rows * columns;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;

  for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
    const int count = min(CHANNELS, C_g - r0);
    const long long nc = at.ng * C_g + r0;
    load(tile, dy + nc * pixels, count, i0, j0, rows, columns, s.H_out, s.W_out);
    __syncthreads();
    if (h < s.H && w < s.W) {
      A sum[CHANNELS] = {};
#pragma unroll 1
      for (int u = 0; u < k.K_h; ++u) {
        const int i = output_at(h + s.p_h - u * k.d_h, s.s_h, s.H_out);
        const long long entries =
            (at.ng * k.K_h + u) * k.K_w * pixels + static_cast<long long>(i) * s.W_out;
        const int row = (i - i0) * columns - j0;
#pragma unroll
        for (int v = 0; v < k.K_w; ++v) {
          const int j = output_at(w + s.p_w - v * k.d_w, s.s_w, s.W_out);
          const bool met = i >= 0 && j >= 0;
          const A entry = met ? static_cast<A>(kernel[entries + v * pixels + j]) : A(0);
#pragma unroll
          for (int r = 0; r < CHANNELS; ++r) {
            if (met && r < count) sum[r] += entry * static_cast<A>(tile[r * area + row + j]);
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

// One thread for each pixel (i, j) of a tile of dkernel. It holds TAPS places of the window in
// registers, adds up all channels, and then takes the next TAPS places; x is in shared memory.
template <typename T, int K, int TAPS, int CHANNELS>
__device__ inline void backward_kernel_tiled(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, const Sizes& s) {
  using A = typename Sum<T>::type;
  T* tile = shared_memory<T>();
  const Window<K> k(s);
  const int C_g = s.C / s.G;
  const Tile at = tile_of_block(s.H_out, s.W_out);
  const int i = at.row + threadIdx.y, j = at.column + threadIdx.x;
  const bool mine = i < s.H_out && j < s.W_out;
  const int h0 = at.row * s.s_h - s.p_h, w0 = at.column * s.s_w - s.p_w;
  const int rows = (blockDim.y - 1) * s.s_h + (k.K_h - 1) * k.d_h + 1;
  const int columns = (blockDim.x - 1) * s.s_w + (k.K_w - 1) * k.d_w + 1, area = rows * columns;
  const long long pixels = static_cast<long long>(s.H_out) * s.W_out;
  const long long ij = static_cast<long long>(i) * s.W_out + j;
  const int taps = k.K_h * k.K_w;

  for (int tap0 = 0; tap0 < taps; tap0 += TAPS) {
    A sum[TAPS] = {};
    for (int r0 = 0; r0 < C_g; r0 += CHANNELS) {
      const int count = min(CHANNELS, C_g - r0);
      const long long nc = at.ng * C_g + r0;
      load(tile, x + nc * s.H * s.W, count, h0, w0, rows, columns, s.H, s.W);
      __syncthreads();
      for (int r = 0; mine && r < count; ++r) {
        const A gradient = static_cast<A>(dy[(nc + r) * pixels + ij]);
        const T* corner = tile + r * area + threadIdx.y * s.s_h * columns + threadIdx.x * s.s_w;
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
          const int tap = min(tap0 + t, taps - 1);  // beyond the last one, nothing is written
          const int u = tap / k.K_w, v = tap % k.K_w;
          sum[t] += gradient * static_cast<A>(corner[u * k.d_h * columns + v * k.d_w]);
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
// v2: the tile with its margin lies in shared memory, where K*K neighbours read it again.
//
// forward:         halo of x, K*K of kernel: 8 + 196 bytes for one y (K = 7, float32)
// backward_input:  halo of dy, K*K of kernel for one dx
// backward_kernel: (C_g of dy, C_g * halo of x) / K for one dkernel: a row of the window at once
// ---------------------------------------------------------------------------------------------

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
forward_v2(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  forward_tiled<T, K, 1>(x, kernel, y, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_input_v2(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  backward_input_tiled<T, K, 1>(dy, kernel, dx, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_kernel_v2(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  backward_kernel_tiled<T, K, (K ? K : 4), 1>(dy, x, dkernel, s);
}

// ---------------------------------------------------------------------------------------------
// v3: what a thread reads, it keeps in registers for all that need it. An entry of the kernel is
// read once and used for 16 channels, and the K*K places of dkernel are summed side by side.
//
// forward:         halo of x, K*K / 16 of kernel: 8 + 12.25 bytes for one y (K = 7, C_g = 16)
// backward_input:  halo of dy, K*K / 16 of kernel for one dx
// backward_kernel: (C_g of dy, C_g * halo of x) / (K*K) for one dkernel
// Beyond the margins, which the cache shares among neighbouring blocks, this is the minimum
// where C_g <= 16; the next 16 channels of a larger group read the kernel again. What is left is
// shared memory: it still answers K*K reads for each y, one for every multiply-add.
// ---------------------------------------------------------------------------------------------

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
forward_v3(const T* __restrict__ x, const T* __restrict__ kernel, T* __restrict__ y, Sizes s) {
  forward_tiled<T, K, 16>(x, kernel, y, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_input_v3(
    const T* __restrict__ dy, const T* __restrict__ kernel, T* __restrict__ dx, Sizes s) {
  backward_input_tiled<T, K, 16>(dy, kernel, dx, s);
}

template <typename T, int K>
__global__ void __launch_bounds__(THREADS, 1)
backward_kernel_v3(
    const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dkernel, Sizes s) {
  backward_kernel_tiled<T, K, (K ? K * K : 16), 4>(dy, x, dkernel, s);
}
