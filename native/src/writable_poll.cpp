#include "writable_poll.hpp"

#include "environment.hpp"

namespace millrace {

WritablePoll* WritablePoll::Open(Environment& environment, int fd, Listener* listener,
                                 int* error) {
  auto* poll = new WritablePoll(environment, listener);
  *error = uv_poll_init(environment.loop(), &poll->handle_, fd);
  if (*error != 0) {
    delete poll;  // libuv has not taken the handle
    return nullptr;
  }
  poll->handle_.data = poll;
  environment.HandleOpened();
  environment.polls().insert(poll);
  return poll;
}

// Without UV_DISCONNECT: that also reports a peer which has merely ended its own sending. It may
// still read what it is slow to take, and as the condition lasts, every wait would end at once. A
// reset and a full hang-up (EPOLLERR, EPOLLHUP) are reported whatever is asked for.
int WritablePoll::Arm() {
  return uv_poll_start(&handle_, UV_WRITABLE, [](uv_poll_t* handle, int, int) {
    uv_poll_stop(handle);
    static_cast<WritablePoll*>(handle->data)->listener_->OnWritable();
  });
}

bool WritablePoll::armed() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&handle_)) != 0;
}

void WritablePoll::Close() {
  environment_.polls().erase(this);
  listener_->OnPollClosed();
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_), [](uv_handle_t* handle) {
    auto* poll = static_cast<WritablePoll*>(handle->data);
    Environment& environment = poll->environment_;
    delete poll;
    environment.HandleClosed();
  });
}

}  // namespace millrace
