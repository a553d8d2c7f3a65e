#include "completions.hpp"

#include "environment.hpp"

namespace millrace {

napi_value Job::MakePromise(Napi::Env env) {
  napi_value promise = nullptr;
  if (napi_create_promise(env, &deferred_, &promise) != napi_ok) throw Napi::Error::New(env);
  return promise;
}

// Statuses are not looked at: they fail only when the thread is being terminated, and then nobody
// waits for the promise.
void Job::Settle(napi_env env) {
  if (failure_) {
    napi_value error = MakeError(env, failure_);
    if (error != nullptr) napi_reject_deferred(env, deferred_, error);
  } else {
    napi_resolve_deferred(env, deferred_, Result(env));
  }
}

napi_value Job::Result(napi_env env) const {
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  return undefined;
}

void Completions::Open(uv_loop_t* loop) {
  async_ = new uv_async_t;
  async_->data = this;
  uv_async_init(loop, async_,
                [](uv_async_t* handle) { static_cast<Completions*>(handle->data)->Drain(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(async_));
  environment_.HandleOpened();
}

void Completions::Close() {
  done_.clear();
  async_->data = &environment_;
  uv_close(reinterpret_cast<uv_handle_t*>(async_), [](uv_handle_t* handle) {
    Environment* environment = static_cast<Environment*>(handle->data);
    delete reinterpret_cast<uv_async_t*>(handle);
    environment->HandleClosed();
  });
  async_ = nullptr;
}

void Completions::Expect() {
  if (expected_ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(async_));
  expected_ += 1;
}

void Completions::Post(std::unique_ptr<Job> job) {
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    first = done_.empty();
    done_.push_back(std::move(job));
  }
  // The others are drained with the first.
  if (first) uv_async_send(async_);
}

void Completions::Drain() {
  std::vector<std::unique_ptr<Job>> done;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    done.swap(done_);
  }
  expected_ -= done.size();
  if (expected_ == 0) uv_unref(reinterpret_cast<uv_handle_t*>(async_));

  // Leaving the callback scope runs the microtasks, and with them what awaits these promises.
  environment_.InCallbackScope([this, &done](napi_env env) {
    for (const std::unique_ptr<Job>& job : done) {
      if (job->failure()) environment_.counters.Failed();
      job->Settle(env);
    }
    done.clear();
  });
}

}  // namespace millrace
