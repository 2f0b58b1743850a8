// What most files of the protocols, of their tests and of the explorer include, compiled once: about half of the time that
// these take to build. Each file includes by itself what it uses; without a precompiled header this one is merely included first.
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
