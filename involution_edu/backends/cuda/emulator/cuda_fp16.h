// Stands in for CUDA's header of this name: __half is in cuda_host.h.
#include "cuda_host.h"
