// A native thread whose start may be refused: processes and users have a limit of threads.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>

#include "status.h"

namespace ringfence {

class Thread {
 public:
  Thread() = default;
  ~Thread() { join(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // `name` is what the system's tools show, of up to 15 characters. `system` when the operating system refuses a thread; nothing
  // runs then.
  Status start(const char* name, std::function<void()> run);
  // Starts a thread that is never joined.
  static Status detached(const char* name, std::function<void()> run);
  bool running() const { return running_; }
  void join();

 private:
  pthread_t id_{};
  bool running_ = false;
};

}  // namespace ringfence
