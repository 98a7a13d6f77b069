// What counted.h needs of the CUDA source: included after it.
#pragma once

template <> struct Sum<Counted> { using type = float; };

// Preferred to that of pairs.cuh: numbers that one instruction reads are counted as such.
template <int COUNT> Vector<Counted, COUNT> read_vector(const Counted* from) {
  Vector<Counted, COUNT> all;
  from->count(reads, COUNT);
  for (int q = 0; q < COUNT; ++q) all.at[q].value = from[q].value;
  return all;
}

extern "C" void take_counts(unsigned long long* taken) {
  for (int memory : {0, 1}) {
    taken[2 * memory] = reads[memory];
    taken[2 * memory + 1] = writes[memory];
    reads[memory] = writes[memory] = 0;
  }
  taken[4] = cycles, taken[5] = least_cycles;
  cycles = least_cycles = 0;
}
