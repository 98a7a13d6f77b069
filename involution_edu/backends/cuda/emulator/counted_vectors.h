// What counted.h needs of the CUDA source: included after it.
#pragma once

template <> struct Sum<Counted> { using type = float; };

// Preferred to that of pairs.cuh: the numbers that one instruction reads.
template <int COUNT> Vector<Counted, COUNT> read_vector(const Counted* from) {
  Vector<Counted, COUNT> all;
  from->count(reads, COUNT);
  for (int q = 0; q < COUNT; ++q) all.at[q].value = from[q].value;
  return all;
}

extern "C" void take_counts(unsigned long long* taken) {
  std::copy_n(counts, 6, taken);
  std::fill_n(counts, 6, 0);
}
