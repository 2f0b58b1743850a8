#include "thread.h"

#include <sys/prctl.h>

#include <cstring>

namespace ringfence {

namespace {

struct Work {
  const char* name;
  std::function<void()> run;
};

void* runAndForget(void* data) {
  const std::unique_ptr<Work> work(static_cast<Work*>(data));
  prctl(PR_SET_NAME, work->name);
  work->run();
  return nullptr;
}

Status begin(pthread_t& id, const char* name, std::function<void()> run) {
  auto owned = std::make_unique<Work>(Work{name, std::move(run)});
  const int error = pthread_create(&id, nullptr, runAndForget, owned.get());
  if (error == 0) {
    static_cast<void>(owned.release());  // the thread owns it now
    return Status::fine();
  }
  Status status = Status::failed("system", std::string("no thread can be started: ") + std::strerror(error));
  status.hint = "the limit of threads is reached: end some processes, raise `ulimit -u`, or raise the container's pids limit";
  return status;
}

}  // namespace

Status Thread::start(const char* name, std::function<void()> run) {
  join();
  const Status status = begin(id_, name, std::move(run));
  running_ = status.ok();
  return status;
}

Status Thread::detached(const char* name, std::function<void()> run) {
  pthread_t id{};
  const Status status = begin(id, name, std::move(run));
  if (status.ok()) pthread_detach(id);
  return status;
}

void Thread::join() {
  if (!running_) return;
  running_ = false;
  pthread_join(id_, nullptr);
}

}  // namespace ringfence
