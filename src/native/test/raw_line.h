// Lines as bare fields, for tests that damage them and for the explorer, which looks at what no actor sees yet.
#pragma once

#include "region/line.h"

namespace ringfence {

struct RawLine {
  template <class L>
  static auto& of(L& line) {
    return line.shared_;
  }
};

}  // namespace ringfence
