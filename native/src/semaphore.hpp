#pragma once

#include <semaphore.h>

#include <cerrno>

namespace millrace {

/// Counts what is there to be taken (sem_overview(7)). Not a condition variable: glibc's from 2.25 on, so
/// that of Debian 12, can lose the wake-up of one of several waiting threads (sourceware bug 25847, mended in 2.41 and
/// by some distributions), and a sync that is the only one under way would then never end.
class Semaphore {
 public:
  Semaphore() { sem_init(&semaphore_, 0, 0); }
  ~Semaphore() { sem_destroy(&semaphore_); }

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  void Post() { sem_post(&semaphore_); }
  void Wait() {
    while (sem_wait(&semaphore_) != 0 && errno == EINTR) continue;
  }

 private:
  sem_t semaphore_;
};

}  // namespace millrace
