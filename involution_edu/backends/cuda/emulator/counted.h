// A float that counts where it is read and written. On the GPU, the stack of a fiber is registers.
#pragma once

// Reads and writes of global memory, of shared memory; cycles of its reads, and without conflicts.
inline unsigned long long counts[6], *const reads = counts, *const writes = counts + 1;

struct Counted {
  float value;
  Counted() = default;
  explicit Counted(float v) : value(v) {}
  Counted(const Counted& other) : value(static_cast<float>(other)) { count(writes); }
  explicit operator float() const { return count(reads), value; }
  Counted& operator=(const Counted& other) {
    value = static_cast<float>(other);
    count(writes);
    return *this;
  }
  void count(unsigned long long* kind, unsigned numbers = 1) const {
    const char* here = reinterpret_cast<const char*>(this);
    const char* memory = reinterpret_cast<const char*>(shared);
    const std::vector<char>& stack = host::running->stack;
    if (memory <= here && here < memory + sizeof(shared)) {
      kind[2] += numbers;
      if (kind == reads) {
        host::running->reads.push_back({static_cast<unsigned>(here - memory) / 4, numbers});
      }
    } else if (here < stack.data() || stack.data() + stack.size() <= here) {
      kind[0] += numbers;
    }
  }
};

// Add up the cycles of one warp's reads since the last barrier, if its threads made as many each.
// A bank has every 32nd number and answers one a cycle; 32 / n lanes that read n each go together.
inline void count_cycles(unsigned first, unsigned threads) {
  std::vector<const std::vector<host::Read>*> lanes;
  const std::vector<host::Read>* some = nullptr;  // of a lane that reads
  for (unsigned t = first; t < std::min(first + 32, threads); ++t) {
    lanes.push_back(&host::fibers[t].reads);
    if (lanes.back()->empty()) continue;
    if (some && some->size() != lanes.back()->size()) return;  // they branched: not counted
    some = lanes.back();
  }
  for (std::size_t k = 0; some && k < some->size(); ++k) {
    const unsigned numbers = (*some)[k].numbers;
    for (std::size_t from = 0; from < lanes.size(); from += 32 / numbers) {
      std::set<unsigned> banks[32];
      for (std::size_t l = from; l < std::min(from + 32 / numbers, lanes.size()); ++l) {
        for (unsigned n = 0; n < numbers && !lanes[l]->empty(); ++n) {
          const unsigned at = (*lanes[l])[k].at + n;
          banks[at % 32].insert(at);
        }
      }
      std::size_t most = 0;
      for (const auto& bank : banks) most = std::max(most, bank.size());
      counts[4] += most, counts[5] += most > 0;
    }
  }
}

inline const bool counting = (host::after_round = [] {  // between two barriers
  const unsigned threads = blockDim.x * blockDim.y;
  for (unsigned first = 0; first < threads; first += 32) count_cycles(first, threads);
  for (auto& fiber : host::fibers) fiber.reads.clear();
}, true);
