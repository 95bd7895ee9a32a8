// Drains CAN descriptors: many frames a system call, stamped by the kernel.
#include <netinet/in.h>
#include <pybind11/pybind11.h>
#include <pybind11/typing.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "can_bind.hpp"
#include "can_objects.hpp"
#include "giljabi/codecs/can_frames.hpp"

namespace py = pybind11;

namespace giljabi::bindings {
namespace {

using codecs::CanFrame;

constexpr std::size_t kBatch = 64;      // datagrams a system call
constexpr std::size_t kDatagram = 512;  // a CAN FD frame as MessagePack has 220 bytes
constexpr double kMaxAge = 1.0;  // s that a frame may have waited in the kernel; the clock was set otherwise

double seconds(const timespec& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

class Reader {
 public:
  Reader(const py::object& received, const std::string& framing, int bus)
      : type_(received), framing_(framing), bus_(bus), batch_(std::make_unique<Batch>()) {
    if (framing != "socketcan" && framing != "can_msgpack" && framing != "slcan") {
      throw std::invalid_argument("framing '" + framing + "' carries no CAN frame");
    }
  }

  // Frames of one chunk (a datagram, or any part of a stream), stamped `t`.
  py::list parse(const py::bytes& chunk, double t) {
    py::list out;
    char* bytes = nullptr;
    Py_ssize_t n = 0;
    if (PyBytes_AsStringAndSize(chunk.ptr(), &bytes, &n) != 0) {
      throw py::error_already_set();
    }
    take(reinterpret_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(n), t, out);
    return out;
  }

  // Everything that a datagram socket has, at most `limit` frames; OSError when it is broken. `own`: address
  // and port in host order of our own sender, whose datagrams are left out.
  py::typing::Tuple<py::list, py::list> drain(int fd, double now, std::size_t limit,
                                              std::uint32_t own_address, int own_port) {
    py::list out;
    py::list hardware;
    Batch& b = *batch_;
    for (std::size_t got = 0; got < limit;) {
      b.prepare();
      int n = 0;
      {
        const py::gil_scoped_release release;
        do {
          n = ::recvmmsg(fd, b.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
        } while (n < 0 && errno == EINTR);
      }
      if (n < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
          break;
        }
        if (py::len(out) > 0) {
          break;  // said again by the next call
        }
        PyErr_SetFromErrno(PyExc_OSError);
        throw py::error_already_set();
      }
      timespec wall{};
      ::clock_gettime(CLOCK_REALTIME, &wall);
      for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
        const sockaddr_in& from = b.names[i];
        if (own_port > 0 && from.sin_family == AF_INET && ntohs(from.sin_port) == own_port &&
            ntohl(from.sin_addr.s_addr) == own_address) {
          continue;
        }
        if (b.headers[i].msg_len == 0) {
          continue;
        }
        double hard = 0.0;
        const double t = stamp(b.headers[i].msg_hdr, now, seconds(wall), hard);
        const std::size_t before = py::len(out);
        if ((b.headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
          ++malformed_;
        } else {
          take(b.bytes[i].data(), b.headers[i].msg_len, t, out);
        }
        if (hardware_ && py::len(out) > before) {
          hardware.append(hard);
        }
      }
      got += static_cast<std::size_t>(n);
      if (static_cast<std::size_t>(n) < kBatch) {
        break;
      }
    }
    return py::make_tuple(out, hardware);
  }

  std::size_t malformed() const { return malformed_; }
  std::size_t refused() const { return refused_; }
  std::size_t overflow() const { return overflow_; }
  std::string stamps() const { return hardware_ ? "hardware" : kernel_ ? "kernel" : "read"; }

 private:
  struct Batch {
    std::array<std::array<std::uint8_t, kDatagram>, kBatch> bytes;
    alignas(cmsghdr) std::array<std::array<char, 256>, kBatch> control;
    std::array<iovec, kBatch> vectors{};
    std::array<sockaddr_in, kBatch> names{};
    std::array<mmsghdr, kBatch> headers{};

    void prepare() {
      for (std::size_t i = 0; i < kBatch; ++i) {
        vectors[i] = {bytes[i].data(), bytes[i].size()};
        msghdr& h = headers[i].msg_hdr;
        h = {};
        h.msg_iov = &vectors[i];
        h.msg_iovlen = 1;
        names[i].sin_family = AF_UNSPEC;
        h.msg_name = &names[i];
        h.msg_namelen = sizeof names[i];
        h.msg_control = control[i].data();
        h.msg_controllen = control[i].size();
        headers[i].msg_len = 0;
      }
    }
  };

  // Stack time of a datagram: `now` less what it waited since the kernel took it.
  double stamp(msghdr& header, double now, double wall, double& hard) {
    double taken = 0.0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level != SOL_SOCKET) {
        continue;
      }
      if (c->cmsg_type == SO_TIMESTAMPNS) {
        timespec t{};
        std::memcpy(&t, CMSG_DATA(c), sizeof t);
        taken = seconds(t);
      } else if (c->cmsg_type == SO_TIMESTAMPING) {
        std::array<timespec, 3> t{};  // struct scm_timestamping of <linux/errqueue.h>
        std::memcpy(t.data(), CMSG_DATA(c), sizeof t);
        taken = seconds(t[0]);
        hard = seconds(t[2]);
        hardware_ = hardware_ || hard > 0.0;
      } else if (c->cmsg_type == SO_RXQ_OVFL) {
        std::uint32_t lost = 0;
        std::memcpy(&lost, CMSG_DATA(c), sizeof lost);
        overflow_ = lost;
      }
    }
    const double age = wall - taken;
    if (taken <= 0.0 || age < 0.0 || age > kMaxAge) {
      return now;
    }
    kernel_ = true;
    return now - age;
  }

  void take(const std::uint8_t* bytes, std::size_t n, double t, py::list& out) {
    CanFrame f;
    if (framing_ != "slcan") {
      const bool good = framing_ == "socketcan" ? codecs::parse_socketcan(bytes, n, f)
                                                : codecs::parse_can_msgpack(bytes, n, f);
      if (good) {
        out.append(type_.make(t, f, bus_));
      } else {
        ++malformed_;
      }
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      switch (slcan_.add(bytes[i], f)) {
        case codecs::SlcanParser::Got::frame:
          out.append(type_.make(t, f, bus_));
          break;
        case codecs::SlcanParser::Got::malformed:
          ++malformed_;
          break;
        case codecs::SlcanParser::Got::refusal:
          ++refused_;
          break;
        default:
          break;
      }
    }
  }

  ReceivedType type_;
  std::string framing_;
  int bus_;
  std::unique_ptr<Batch> batch_;
  codecs::SlcanParser slcan_;
  std::size_t malformed_ = 0;
  std::size_t refused_ = 0;
  std::size_t overflow_ = 0;
  bool kernel_ = false;
  bool hardware_ = false;
};

}  // namespace

void bind_can_receive(py::module_& m) {
  using py::arg;
  py::class_<Reader>(m, "Reader", "CAN frames out of a socket or a stream; times in s.")
      .def(py::init<const py::object&, const std::string&, int>(), arg("received"), arg("framing"),
           arg("bus") = 0, "received: the class of frames; framing: socketcan, can_msgpack or slcan.")
      .def("parse", &Reader::parse, arg("chunk"), arg("t"),
           "Frames of a datagram, or of any part of a stream of slcan.")
      .def("drain", &Reader::drain, arg("fd"), arg("now"), arg("limit") = 4096, arg("own_address") = 0,
           arg("own_port") = 0,
           "(frames, the hardware's stamp of each where there is one); datagrams of our own sender are left "
           "out.")
      .def_property_readonly("malformed", &Reader::malformed, "Datagrams or lines that are no frame.")
      .def_property_readonly("refused", &Reader::refused, "Commands that an slcan adapter refused.")
      .def_property_readonly("overflow", &Reader::overflow, "Frames that the kernel dropped, since opening.")
      .def_property_readonly("stamps", &Reader::stamps, "Where stamps come from: hardware, kernel or read.");
}

}  // namespace giljabi::bindings
