// What most tests include, compiled once for each variant: half of the time that a test's compilation takes.
// Each file includes by itself what it uses; without a precompiled header this one is merely included first.
#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "log_fixture.h"
#include "region/waiter.h"
