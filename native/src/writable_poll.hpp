#pragma once

#include <uv.h>

namespace millrace {

class Environment;

/// One-shot waiting for a descriptor to become writable, by uv_poll. On the heap, and its own
/// owner: libuv lets go of a handle only after its close callback.
class WritablePoll {
 public:
  class Listener {
   public:
    /// Writable, reset or hung up. The listener may close the poll in it.
    virtual void OnWritable() = 0;
    /// Closed because the environment goes away; no more calls, and none to the poll.
    virtual void OnPollClosed() = 0;

   protected:
    ~Listener() = default;
  };

  /// Sets `error` to a negative errno and returns nullptr when the descriptor cannot be polled.
  static WritablePoll* Open(Environment& environment, int fd, Listener* listener, int* error);

  /// 0, or a negative errno.
  int Arm();
  bool armed() const;
  /// The descriptor may be closed at once afterwards; the poll may not be used any more.
  void Close();

 private:
  WritablePoll(Environment& environment, Listener* listener)
      : environment_(environment), listener_(listener) {}
  ~WritablePoll() = default;

  Environment& environment_;
  Listener* listener_;
  uv_poll_t handle_;
};

}  // namespace millrace
