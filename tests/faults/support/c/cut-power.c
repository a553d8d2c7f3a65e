/*
 * cut-power DIRECTORY SEED [FILE]...: what a power cut does to the ext4 that is mounted at DIRECTORY.
 *
 * Of each FILE first the page where its data ends, and one of those before it, reach the device while
 * what lies between need not: a tail that was written back out of order. Then nothing reaches the device
 * any more, the journal's open transaction included (EXT4_IOC_SHUTDOWN without a flush of the log; see
 * fs/ext4/ioctl.c in Linux). Exits with 0 when the power is off.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2

enum { kPageBytes = 4096, kPagesBehind = 16 };

static int has_data(const unsigned char *bytes, ssize_t length) {
  for (ssize_t i = 0; i < length; i++) {
    if (bytes[i] != 0) return 1;
  }
  return 0;
}

/* The last page that is not all zeros: files are allocated ahead of their data. -1 for none. */
static off_t last_page(int fd) {
  static unsigned char page[kPageBytes];
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  for (off_t at = (status.st_size - 1) / kPageBytes; at >= 0; at--) {
    const ssize_t length = pread(fd, page, kPageBytes, at * kPageBytes);
    if (length > 0 && has_data(page, length)) return at;
  }
  return -1;
}

static void write_back(int fd, off_t page) {
  sync_file_range(fd, page * kPageBytes, kPageBytes,
                  SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

static void write_back_tail(const char *path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return; /* A segment that retention removed meanwhile. */
  const off_t last = last_page(fd);
  if (last >= 0) write_back(fd, last);
  if (last > 0) write_back(fd, last - rand() % (last < kPagesBehind ? last : kPagesBehind));
  close(fd);
}

/* That the pages belong to their files is in the journal: a sync of any file commits it. */
static void commit_journal(const char *directory) {
  char path[4096];
  snprintf(path, sizeof path, "%s/.commit", directory);
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (write(fd, "x", 1) == 1) fsync(fd);
  close(fd);
}

int main(int count, char **arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: cut-power DIRECTORY SEED [FILE]...\n");
    return 2;
  }
  srand((unsigned)strtoul(arguments[2], NULL, 10));
  const int directory = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    perror(arguments[1]);
    return 1;
  }
  for (int i = 3; i < count; i++) write_back_tail(arguments[i]);
  if (count > 3) commit_journal(arguments[1]);
  uint32_t flags = EXT4_GOING_FLAGS_NOLOGFLUSH;
  if (ioctl(directory, EXT4_IOC_SHUTDOWN, &flags) != 0) {
    perror("EXT4_IOC_SHUTDOWN");
    return 1;
  }
  return 0;
}
