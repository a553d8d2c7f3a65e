/*
 * What this machine can do: the loops of a broker with nothing of a broker around them.
 *
 *   reference out WAY FILE CHUNK_BYTES [HOST]
 *                                         answers each request with the next chunk of a file
 *                                         WAY: sendfile, mmap (mmap + send), copy (pread + send)
 *   reference in WAY FILE CAPACITY_BYTES  appends the payload of each request to a file
 *                                         WAY: write (recv + pwrite), mmap (recv + copy into a mapping),
 *                                         direct (recv into the mapping)
 *   reference drive HOST PORT FRAMES DEPTH WARM COUNT
 *                                         sends the frames of a file, round and round, and drops what
 *                                         comes back: to these loops and to a broker alike
 *
 * Frames are those of millrace: u32 length, u32 header length, header, payload; big-endian. The loops
 * read no header. `out` and `in` listen on a free port of HOST, 127.0.0.1, print it as JSON on a line, serve
 * one connection, and print on a second line what that cost. `drive` prints what it moved, and in how
 * long, after the first WARM answers. Exit codes: 0 done, 1 a call failed, 2 wrong arguments.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* How far a file and the pages of its mapping are made ahead of what is appended. */
#define ALLOCATE_BYTES (64u << 20)
#define POPULATE_BYTES (4u << 20)
#define MAX_HEADER_BYTES 4096
#define LOOPBACK "127.0.0.1"
#define MAX_FRAME_BYTES (256u << 20)
/* What the receiver reads at a time, as large as a socket's buffer gets. */
#define RECEIVE_BYTES (256u << 10)

/* Calls that moved bytes, and those bytes; the two reads of a frame's head count as one. */
struct count { const char *name; uint64_t calls, bytes; };
static struct count received = {"read", 0, 0}, sent = {"send", 0, 0}, moved = {"", 0, 0};

static void fail(const char *what) {
  fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void refuse(const char *what, const char *text) {
  fprintf(stderr, "reference: %s, not \"%s\"\n", what, text);
  exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || *text < '0' || *text > '9' || *end != 0 || value < min || value > max)
    refuse(name, text);
  return value;
}

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) fail("malloc");
  return memory;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint32_t bigEndian(const unsigned char *bytes) {
  uint32_t value;
  memcpy(&value, bytes, 4);
  return ntohl(value);
}

/* All of `length` bytes; 0 when the peer has closed before the first. */
static int readAll(int fd, void *buffer, size_t length) {
  size_t done = 0;
  while (done < length) {
    ssize_t n = recv(fd, (char *)buffer + done, length - done, MSG_WAITALL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || (n == 0 && done > 0)) fail("recv");
    if (n == 0) return 0;
    received.calls++;
    received.bytes += n;
    done += n;
  }
  return 1;
}

static void sendAll(int fd, const void *buffer, size_t length, int flags, struct count *count) {
  for (size_t done = 0; done < length;) {
    ssize_t n = send(fd, (const char *)buffer + done, length - done, flags | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("send");
    count->calls++;
    count->bytes += n;
    done += n;
  }
}

/* The head of the next request; the length of its payload, or -1 when there are no more. */
static int64_t nextRequest(int fd) {
  unsigned char head[8], header[MAX_HEADER_BYTES];
  if (!readAll(fd, head, sizeof head)) return -1;
  uint32_t frame = bigEndian(head), headerLength = bigEndian(head + 4);
  if (headerLength > sizeof header || frame < 4 + headerLength || frame > MAX_FRAME_BYTES) {
    errno = EPROTO;
    fail("request");
  }
  if (headerLength > 0 && !readAll(fd, header, headerLength)) return -1;
  return (int64_t)frame - 4 - headerLength;
}

/* Listens on a free port, tells it, and takes one connection. */
static int acceptOne(const char *host) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) refuse("HOST must be an IPv4 address", host);
  socklen_t length = sizeof address;
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
      listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
    fail("listen");
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  int fd = accept(listener, NULL, NULL);
  if (fd < 0) fail("accept");
  close(listener);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/* Not ru_maxrss: that is inherited from whoever started this. */
static long residentBytes(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
  if (file != NULL) fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static void printCost(uint64_t payloadBytes, uint64_t copiedBytes) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  printf("{\"bytes\":%lu,\"cpuUserSeconds\":%.6f,\"cpuSystemSeconds\":%.6f,\"userCopiedBytes\":%lu,"
         "\"minorFaults\":%ld,\"majorFaults\":%ld,\"voluntarySwitches\":%ld,"
         "\"involuntarySwitches\":%ld,\"rssBytes\":%ld,\"calls\":{",
         (unsigned long)payloadBytes, seconds(use.ru_utime), seconds(use.ru_stime),
         (unsigned long)copiedBytes, use.ru_minflt, use.ru_majflt, use.ru_nvcsw, use.ru_nivcsw,
         residentBytes());
  const struct count *all[] = {&received, &sent, &moved};
  const char *comma = "";
  for (int i = 0; i < 3; i++) {
    if (all[i]->calls == 0) continue;
    printf("%s\"%s\":[%lu,%lu]", comma, all[i]->name, (unsigned long)all[i]->calls,
           (unsigned long)all[i]->bytes);
    comma = ",";
  }
  printf("}}\n");
}

static int serveOut(const char *way, const char *path, const char *chunkText, const char *host) {
  int bySendfile = strcmp(way, "sendfile") == 0, byMapping = strcmp(way, "mmap") == 0;
  if (!bySendfile && !byMapping && strcmp(way, "copy") != 0)
    refuse("out goes by sendfile, mmap or copy", way);
  uint64_t chunk = number("CHUNK_BYTES is 1 to 2^28", chunkText, 1, MAX_FRAME_BYTES);
  struct stat stat;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &stat) < 0) fail(path);
  uint64_t size = stat.st_size, served = 0;
  if (size < chunk) refuse("FILE holds at least a chunk", path);
  char *map = NULL;
  if (byMapping && (map = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0)) == MAP_FAILED)
    fail("mmap");
  char *buffer = byMapping || bySendfile ? NULL : allocate(chunk);
  moved.name = bySendfile ? "sendfile" : "pread";
  int fd = acceptOne(host);
  uint32_t head = htonl(chunk);
  for (off_t position = 0; nextRequest(fd) >= 0; served += chunk) {
    if (position + chunk > size) position = 0;
    sendAll(fd, &head, sizeof head, MSG_MORE, &sent);
    if (map != NULL) sendAll(fd, map + position, chunk, 0, &sent);
    for (uint64_t done = 0; map == NULL && done < chunk;) {
      off_t at = position + done;
      ssize_t n = bySendfile ? sendfile(fd, file, &at, chunk - done)
                             : pread(file, buffer, chunk - done, at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail(moved.name);
      moved.calls++;
      moved.bytes += n;
      done += n;
      if (buffer != NULL) sendAll(fd, buffer, n, 0, &sent);
    }
    position += chunk;
  }
  printCost(served, 0);
  return 0;
}

static int serveIn(const char *way, const char *path, const char *capacityText) {
  int direct = strcmp(way, "direct") == 0, byMapping = direct || strcmp(way, "mmap") == 0;
  if (!byMapping && strcmp(way, "write") != 0) refuse("in goes by write, mmap or direct", way);
  uint64_t capacity = number("CAPACITY_BYTES is 1 to 2^40", capacityText, 1, 1ull << 40);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) fail(path);
  char *map = NULL;
  if (byMapping &&
      (map = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)) == MAP_FAILED)
    fail("mmap");
  /* Only ever appended to, so never written twice: the fewer faults the better, where that is to be had. */
  if (byMapping) madvise(map, capacity, MADV_HUGEPAGE);
  uint64_t position = 0, allocated = 0, populated = 0, bufferBytes = 1 << 20;
  char *buffer = allocate(bufferBytes);
  const unsigned char answer[8] = {0, 0, 0, 4};
  moved.name = "pwritev";
  int fd = acceptOne(LOOPBACK);
  for (int64_t length; (length = nextRequest(fd)) >= 0;) {
    uint64_t end = position + length;
    if (end > capacity) {
      errno = ENOSPC;
      fail(path);
    }
    if ((uint64_t)length > bufferBytes) {
      free(buffer);
      buffer = allocate(bufferBytes = length);
    }
    if (end > allocated) {
      uint64_t more = smaller(capacity - allocated, (uint64_t)length + ALLOCATE_BYTES);
      if (fallocate(file, 0, allocated, more) < 0) fail("fallocate");
      allocated += more;
    }
    if (!direct && length > 0 && !readAll(fd, buffer, length)) break;
    if (map != NULL) {
      if (end > populated) {
        uint64_t from = populated, more = smaller(allocated - from, POPULATE_BYTES + length);
        /* Whole pages; a kernel that cannot populate has them faulted in by the copy. */
        populated = smaller((from + more + 4095) / 4096 * 4096, (allocated + 4095) / 4096 * 4096);
        madvise(map + from, populated - from, MADV_POPULATE_WRITE);
      }
      if (!direct) memcpy(map + position, buffer, length);
      else if (length > 0 && !readAll(fd, map + position, length)) break;
    }
    for (int64_t done = 0; map == NULL && done < length;) {
      ssize_t n = pwrite(file, buffer + done, length - done, position + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("pwrite");
      moved.calls++;
      moved.bytes += n;
      done += n;
    }
    position = end;
    sendAll(fd, answer, sizeof answer, 0, &sent);
  }
  printCost(position, map != NULL && !direct ? position : 0);
  if (map != NULL) munmap(map, capacity);
  if (ftruncate(file, position) < 0) fail("ftruncate");
  return 0;
}

static double nowSeconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* A whole file of frames, checked: their number, and where each begins. */
static uint64_t readFrames(const char *path, unsigned char **bytes, uint64_t **starts) {
  struct stat stat;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &stat) < 0) fail(path);
  uint64_t size = stat.st_size, frames = 0, at = 0;
  *bytes = allocate(size + 1);
  *starts = allocate((size / 8 + 2) * sizeof **starts);
  for (uint64_t done = 0; done < size;) {
    ssize_t n = read(file, *bytes + done, size - done);
    if (n <= 0) fail(path);
    done += n;
  }
  close(file);
  for (; at + 8 <= size; at += 4 + (uint64_t)bigEndian(*bytes + at)) (*starts)[frames++] = at;
  if (frames == 0 || at != size) refuse("FRAMES holds whole frames", path);
  (*starts)[frames] = size;
  return frames;
}

static int drive(char **args) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, args[0], &address.sin_addr) != 1) refuse("HOST is an IPv4 address", args[0]);
  address.sin_port = htons(number("PORT is 1 to 65535", args[1], 1, 65535));
  uint64_t depth = number("DEPTH is 1 to 1024", args[3], 1, 1024);
  uint64_t warm = number("WARM is 0 to 2^40", args[4], 0, 1ull << 40);
  uint64_t count = warm + number("COUNT is 1 to 2^40", args[5], 1, 1ull << 40);
  unsigned char *frames, head[4];
  uint64_t *starts, known = readFrames(args[2], &frames, &starts);
  char *buffer = allocate(RECEIVE_BYTES);
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  uint64_t asked = 0, sentBefore = 0, receivedBefore = 0, smallest = UINT64_MAX;
  double began = nowSeconds();
  for (uint64_t answers = 0; answers < count; answers++) {
    if (answers == warm) {
      began = nowSeconds();
      sentBefore = sent.bytes;
      receivedBefore = received.bytes;
    }
    for (; asked < count && asked - answers < depth; asked++) {
      uint64_t frame = asked % known;
      sendAll(fd, frames + starts[frame], starts[frame + 1] - starts[frame], 0, &sent);
    }
    if (!readAll(fd, head, sizeof head)) fail("the server ended early");
    uint64_t length = bigEndian(head);
    smallest = smaller(smallest, length);
    for (uint64_t left = length; left > 0;) {
      ssize_t n = recv(fd, buffer, smaller(left, RECEIVE_BYTES), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail("recv");
      received.bytes += n;
      left -= n;
    }
  }
  printf("{\"seconds\":%.6f,\"answers\":%lu,\"sentBytes\":%lu,\"receivedBytes\":%lu,"
         "\"smallestAnswerBytes\":%lu}\n",
         nowSeconds() - began, (unsigned long)(count - warm),
         (unsigned long)(sent.bytes - sentBefore), (unsigned long)(received.bytes - receivedBefore),
         (unsigned long)smallest);
  return 0;
}

int main(int argc, char **argv) {
  /* None of these outlives who started it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char *command = argc > 1 ? argv[1] : "";
  if ((argc == 5 || argc == 6) && strcmp(command, "out") == 0)
    return serveOut(argv[2], argv[3], argv[4], argc == 6 ? argv[5] : LOOPBACK);
  if (argc == 5 && strcmp(command, "in") == 0) return serveIn(argv[2], argv[3], argv[4]);
  if (argc == 8 && strcmp(command, "drive") == 0) return drive(argv + 2);
  fprintf(stderr, "reference: usage: reference out sendfile|mmap|copy FILE CHUNK_BYTES [HOST] | "
                  "in write|mmap|direct FILE CAPACITY_BYTES | drive HOST PORT FRAMES DEPTH WARM COUNT\n");
  return 2;
}
