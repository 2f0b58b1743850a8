// A native thread that may be refused: a process has only so many, and its user too.
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

  // `system` when the operating system gives no thread; nothing runs then.
  Status start(std::function<void()> run);
  // The same for a thread whose end no other thread waits for.
  static Status detached(std::function<void()> run);
  bool running() const { return running_; }
  void join();

 private:
  pthread_t id_{};
  bool running_ = false;
};

}  // namespace ringfence
