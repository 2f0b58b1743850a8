// What most files of the explorer and of the protocols include, compiled once: half of the time that its build takes.
// Each file includes by itself what it uses; without a precompiled header this one is merely included first.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "region/region.h"
