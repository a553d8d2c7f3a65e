/*
 * For LD_PRELOAD: while the file named by NO_MAPS_WHILE exists, the process can map no more files, as when it
 * has vm.max_map_count mappings (see mmap(2), ENOMEM). Anonymous mappings go on working: V8 would end the
 * process without them, whatever a program does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  const char *path = getenv("NO_MAPS_WHILE");
  if (fd >= 0 && (flags & MAP_SHARED) != 0 && path != NULL && access(path, F_OK) == 0) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return mmap64(address, length, protection, flags, fd, offset);
}
