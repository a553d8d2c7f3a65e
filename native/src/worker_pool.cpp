#include "worker_pool.hpp"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace millrace {

namespace {

/// Signals are for Node's threads. Those that a fault of this very thread raises stay open, or the
/// kernel would end the process without a trace.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, fault);
    pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

Napi::Value WorkerPool::Submit(Napi::Env env, std::unique_ptr<Job> job) {
  Admit(env);
  const Napi::Value promise(env, job->MakePromise(env));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  completions_.Expect();
  available_.Post();
  return promise;
}

void WorkerPool::Admit(Napi::Env env) {
  bool needsThread = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.size() >= kMaxWaitingJobs) {
      ThrowMisuse(env, EAGAIN, name_, "",
                  "too many jobs wait in this pool; await some before asking for more");
    }
    needsThread = waiting_.size() >= idle_ && threads_.size() < maxThreads_;
  }
  if (needsThread) StartThread(env);
}

void WorkerPool::StartThread(Napi::Env env) {
  try {
    const SignalsBlocked blocked;  // the new thread inherits the mask
    threads_.emplace_back([this] { Main(); });
  } catch (const std::system_error& error) {
    // With one thread at least the job will be done, if later.
    if (threads_.empty()) ThrowFailure(env, {error.code().value(), "pthread_create", ""});
  }
}

void WorkerPool::Main() {
  pthread_setname_np(pthread_self(), name_);
  for (;;) {
    std::unique_ptr<Job> job;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      idle_ += 1;
    }
    available_.Wait();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      idle_ -= 1;
      if (cancelled_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    try {
      job->Run(cancelled_);
    } catch (const std::bad_alloc&) {
      job->Fail(ENOMEM, name_, "");
    }
    completions_.Post(std::move(job));
  }
}

void WorkerPool::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = true;
  }
  for (size_t i = 0; i < threads_.size(); ++i) available_.Post();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  waiting_.clear();
}

}  // namespace millrace
