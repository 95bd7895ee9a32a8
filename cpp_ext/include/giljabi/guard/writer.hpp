// Writes frames to one device without ever blocking, and counts what did not get out.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace giljabi::guard {

struct WriterStats {
  std::uint64_t frames = 0;   // written whole
  std::uint64_t bytes = 0;    // written, of partial frames too
  std::uint64_t partial = 0;  // cut by a full buffer; the rest is dropped, the receiver's checksum refuses it
  std::uint64_t would_block = 0;  // dropped: the buffer was full
  std::uint64_t errors = 0;       // dropped: the system refused
  std::uint64_t no_device = 0;    // dropped: no descriptor
  int last_errno = 0;
};

class Writer {
 public:
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { drop(); }

  // Takes its own duplicate, so that a descriptor number that is closed and used again elsewhere never gets a
  // frame. Returns 0, or errno when `fd` is not open.
  int take(int fd) noexcept {
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
      return errno;
    }
    const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
      return errno;
    }
    const bool is_socket = S_ISSOCK(info.st_mode);
    if (!is_socket) {
      // Only sockets can be told per call not to block.
      const int flags = ::fcntl(own, F_GETFL);
      if (flags < 0 || ::fcntl(own, F_SETFL, flags | O_NONBLOCK) < 0) {
        const int why = errno;
        ::close(own);
        return why;
      }
    }
    drop();
    fd_ = own;
    socket_ = is_socket;
    return 0;
  }

  void drop() noexcept {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = -1;
  }

  bool open() const noexcept { return fd_ >= 0; }
  const WriterStats& stats() const noexcept { return stats_; }

  // True when the whole frame went to the system.
  bool write(const std::uint8_t* data, std::size_t size) noexcept {
    if (fd_ < 0) {
      ++stats_.no_device;
      return false;
    }
    ssize_t n = -1;
    do {
      n = socket_ ? ::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) : ::write(fd_, data, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
      stats_.last_errno = errno;
      ++(errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? stats_.would_block : stats_.errors);
      return false;
    }
    stats_.bytes += static_cast<std::uint64_t>(n);
    const bool whole = static_cast<std::size_t>(n) == size;
    ++(whole ? stats_.frames : stats_.partial);
    return whole;
  }

 private:
  int fd_ = -1;
  bool socket_ = false;
  WriterStats stats_;
};

}  // namespace giljabi::guard
