// For nvcc, to compile all versions of the CUDA kernels for one type and window:
//
//   nvcc -std=c++17 -arch=sm_90 -cubin involution.cu && cuobjdump -res-usage involution.cubin
//
// At run time nothing is compiled from here: cupy_raw.py has NVRTC compile the one kernel that a
// launch names.

#include "fused.cuh"
#include "units.cuh"

#define OPERATOR(version, T, K)                                                                  \
  template __global__ void forward_##version<T, K>(const T*, const T*, T*, Sizes);               \
  template __global__ void backward_input_##version<T, K>(const T*, const T*, T*, Sizes);        \
  template __global__ void backward_kernel_##version<T, K>(const T*, const T*, T*, Sizes);

#define GENERATE_AND_APPLY(version, T, K)                        \
  template __global__ void generate_and_apply_##version<T, K>(  \
      const T*, const T*, const T*, const T*, T*, Sizes);

OPERATOR(v1, float, 7)
OPERATOR(v2, float, 7)
OPERATOR(v3, float, 7)
OPERATOR(v4, float, 7)
template __global__ void forward_v5<float, 7, 28, 8, 1, 16>(const float*, const float*, float*, Sizes);
template __global__ void backward_input_v5<float, 7, 28, 8, 1, 16>(const float*, const float*, float*, Sizes);
template __global__ void backward_kernel_v5<float, 7, 7, 8, 1, 16>(const float*, const float*, float*, Sizes);
GENERATE_AND_APPLY(v1, float, 7)
GENERATE_AND_APPLY(v2, float, 7)
