/*
 * For LD_PRELOAD: every sync of the process pretends to have worked. The control of the power cuts: with
 * it they must find losses, or they would find none anywhere. It covers Node's own calls and those of the
 * native module, which both go through the C library.
 */
#include <stddef.h>
#include <sys/types.h>

int fsync(int fd) { return fd < 0 ? -1 : 0; }
int fdatasync(int fd) { return fd < 0 ? -1 : 0; }
int msync(void *start, size_t length, int flags) {
  (void)start, (void)length, (void)flags;
  return 0;
}
int syncfs(int fd) { return fd < 0 ? -1 : 0; }
int sync_file_range(int fd, off_t offset, off_t bytes, unsigned flags) {
  (void)offset, (void)bytes, (void)flags;
  return fd < 0 ? -1 : 0;
}
void sync(void) {}
