// giljabi._core.nmea: NMEA 0183 framing and fields.
#include "giljabi/codecs/nmea.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include "giljabi/codecs/nmea_fields.hpp"
#include "giljabi/codecs/nmea_values.hpp"
#include "registry.hpp"

namespace py = pybind11;

namespace {

using giljabi::codecs::NmeaFramer;
using giljabi::codecs::NmeaReject;
using giljabi::codecs::NmeaSentence;
using giljabi::codecs::NmeaValue;

py::str to_str(std::string_view s) { return py::str(s.data(), s.size()); }

// Named values into a Python dictionary; keys are literals, so that each becomes a Python string once.
class DictSink {
 public:
  void number(const char* key, double v) { set(key, PyFloat_FromDouble(v)); }
  void whole(const char* key, std::int64_t v) { set(key, PyLong_FromLongLong(v)); }
  void text(const char* key, std::string_view v) {
    set(key, PyUnicode_DecodeASCII(v.data(), static_cast<Py_ssize_t>(v.size()), nullptr));
  }
  void flag(const char* key, bool v) { set(key, PyBool_FromLong(v ? 1 : 0)); }
  void used(const char* key, const std::int64_t* ids, std::size_t n) {
    py::list list;
    for (std::size_t i = 0; i < n; ++i) list.append(ids[i]);
    set(key, list.release().ptr());
  }
  void satellites(const char* key, const giljabi::codecs::NmeaSatellite* rows, std::size_t n) {
    py::list list;
    for (std::size_t i = 0; i < n; ++i) {
      DictSink row;
      row.whole("id", rows[i].id);
      if (!std::isnan(rows[i].elevation_deg)) row.number("elevation_deg", rows[i].elevation_deg);
      if (!std::isnan(rows[i].azimuth_deg)) row.number("azimuth_deg", rows[i].azimuth_deg);
      if (!std::isnan(rows[i].cn0_dbhz)) row.number("cn0_dbhz", rows[i].cn0_dbhz);
      list.append(std::move(row.out));
    }
    set(key, list.release().ptr());
  }

  py::dict out;

 private:
  // Takes the reference to `value`.
  void set(const char* key, PyObject* value) {
    const py::object owned = py::reinterpret_steal<py::object>(value);
    if (!owned || PyDict_SetItem(out.ptr(), name(key), owned.ptr()) != 0) throw py::error_already_set();
  }

  static PyObject* name(const char* key) {
    static std::unordered_map<const char*, PyObject*> names;  // kept until the process ends
    PyObject*& known = names[key];
    if (known == nullptr) known = PyUnicode_InternFromString(key);
    return known;
  }
};

class Sentence {
 public:
  explicit Sentence(const NmeaSentence& s) : text_(s.text), tag_(s.tag) {}

  std::string_view text() const { return text_; }
  std::string_view tag() const { return tag_; }
  std::string_view address() const { return text().substr(1, text().find(',') - 1); }
  bool standard() const { return address().size() == 5 && address()[0] != 'P'; }
  bool proprietary() const { return address()[0] == 'P'; }
  std::string_view talker() const {
    return standard() ? address().substr(0, 2) : proprietary() ? address().substr(0, 1) : std::string_view();
  }
  std::string_view type() const { return address().substr(talker().size()); }

  py::typing::Tuple<py::str, py::ellipsis> fields() const {
    std::string_view rest = text();
    std::size_t n = 0;
    for (char c : rest) n += c == ',' ? 1 : 0;
    py::tuple out(n);
    rest.remove_prefix(std::min(rest.find(','), rest.size()));
    for (std::size_t i = 0; i < n; ++i) {
      rest.remove_prefix(1);
      const std::string_view f = rest.substr(0, rest.find(','));
      PyObject* s = PyUnicode_DecodeASCII(f.data(), static_cast<Py_ssize_t>(f.size()), nullptr);
      if (s == nullptr) throw py::error_already_set();
      PyTuple_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), s);
      rest.remove_prefix(f.size());
    }
    return out;
  }

  std::string_view field(std::size_t i) const { return giljabi::codecs::nmea_field(text(), i); }

  py::typing::Optional<py::typing::Dict<py::str, py::object>> values() const {
    DictSink sink;
    giljabi::codecs::NmeaFault fault;
    if (!giljabi::codecs::nmea_values(type(), text(), sink, fault)) return py::none();
    if (fault) fail(static_cast<std::size_t>(fault.field), fault.expected);
    return sink.out;
  }

  double number(std::size_t i) const {
    double v = 0.0;
    if (giljabi::codecs::nmea_number(field(i), v) == NmeaValue::kMalformed) fail(i, "a decimal number");
    return v;
  }
  double coordinate(std::size_t i) const {
    double v = 0.0;
    if (giljabi::codecs::nmea_coordinate(field(i), field(i + 1), v) == NmeaValue::kMalformed)
      fail(i, "ddmm.mmm and a hemisphere");
    return v;
  }
  double clock(std::size_t i) const {
    double v = 0.0;
    if (giljabi::codecs::nmea_clock(field(i), v) == NmeaValue::kMalformed) fail(i, "hhmmss.ss");
    return v;
  }

 private:
  [[noreturn]] void fail(std::size_t i, const char* expected) const {
    throw py::value_error(std::string(address()) + " field " + std::to_string(i) + " is '" +
                          std::string(field(i)) + "'; " + expected + " is expected");
  }

  std::string text_;
  std::string tag_;
};

class Framer {
 public:
  Framer(const std::string& checksum, std::size_t max_length) : framer_(required(checksum), max_length) {
    if (max_length < 16 || max_length > 65536)
      throw py::value_error("max_length is " + std::to_string(max_length) + "; 16 to 65536 is expected");
  }

  py::typing::List<Sentence> feed(const py::buffer& data) {
    const BufferView view(data);
    py::list out;
    framer_.feed(
        static_cast<const std::uint8_t*>(view.get().buf), static_cast<std::size_t>(view.get().len),
        [&out](const NmeaSentence& s) { out.append(py::cast(Sentence(s), py::return_value_policy::move)); });
    return out;
  }
  void finish() { framer_.finish(); }

  std::uint64_t accepted() const { return framer_.accepted(); }
  std::uint64_t skipped_bytes() const { return framer_.skipped_bytes(); }
  py::typing::Dict<py::str, int> rejected() const {
    py::dict out;
    for (std::size_t i = 0; i < giljabi::codecs::kNmeaRejects; ++i) {
      const std::uint64_t n = framer_.rejected(static_cast<NmeaReject>(i));
      if (n > 0) out[giljabi::codecs::kNmeaRejectNames[i]] = n;
    }
    return out;
  }

 private:
  // Bytes-like object of any kind, contiguous, released at the end of the scope.
  class BufferView {
   public:
    explicit BufferView(const py::buffer& b) {
      if (PyObject_GetBuffer(b.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
    }
    ~BufferView() { PyBuffer_Release(&view_); }
    BufferView(const BufferView&) = delete;
    BufferView& operator=(const BufferView&) = delete;
    const Py_buffer& get() const { return view_; }

   private:
    Py_buffer view_{};
  };

  static bool required(const std::string& checksum) {
    if (checksum == "required") return true;
    if (checksum == "none") return false;
    throw py::value_error("checksum is '" + checksum + "'; 'required' or 'none' is expected");
  }

  NmeaFramer framer_;
};

void bind(py::module_& m) {
  py::class_<Sentence>(m, "Sentence",
                       "One sentence with a right checksum; field 0 is the first behind the address.")
      .def_property_readonly(
          "text", [](const Sentence& s) { return to_str(s.text()); },
          "From the start character up to, without, `*hh`.")
      .def_property_readonly(
          "tag", [](const Sentence& s) { return to_str(s.tag()); },
          "Inside of the TAG block, without its checksum; empty when there is none.")
      .def_property_readonly(
          "address", [](const Sentence& s) { return to_str(s.address()); }, "GPGGA, PUBX ...")
      .def_property_readonly(
          "talker", [](const Sentence& s) { return to_str(s.talker()); },
          "GP, II ...; P for proprietary sentences.")
      .def_property_readonly(
          "type", [](const Sentence& s) { return to_str(s.type()); },
          "GGA, VDM ...; maker and kind for proprietary sentences.")
      .def_property_readonly("fields", &Sentence::fields, "All fields behind the address, as text.")
      .def(
          "field", [](const Sentence& s, std::size_t i) { return to_str(s.field(i)); }, py::arg("i"),
          "Field i as text; empty when absent.")
      .def(
          "values", &Sentence::values,
          "What the sentence says, named and in SI (keys end in a unit where not); None when its type is not "
          "known, ValueError when a field is malformed. Empty fields are left out.")
      .def("number", &Sentence::number, py::arg("i"),
           "Field i as a number; NaN when empty or absent, ValueError else.")
      .def("coordinate", &Sentence::coordinate, py::arg("i"),
           "Fields i (ddmm.mmm) and i+1 (hemisphere) in signed degrees; NaN when empty, ValueError when "
           "malformed.")
      .def("clock", &Sentence::clock, py::arg("i"),
           "Field i (hhmmss.ss) as seconds of the day, below 86401; NaN when empty, ValueError when "
           "malformed.")
      .def("__repr__", [](const Sentence& s) { return "<Sentence " + std::string(s.text()) + ">"; });

  py::class_<Framer>(m, "Framer", "Bytes in any chunking to sentences (IEC 61162-1); counts what it drops.")
      .def(py::init<const std::string&, std::size_t>(), py::arg("checksum") = "required",
           py::arg("max_length") = 1024)
      .def("feed", &Framer::feed, py::arg("data"), "Sentences completed by these bytes.")
      .def("finish", &Framer::finish, "End of the stream or of a datagram: drops what is incomplete.")
      .def_property_readonly("accepted", &Framer::accepted)
      .def_property_readonly("rejected", &Framer::rejected, "Dropped sentences by reason.")
      .def_property_readonly("skipped_bytes", &Framer::skipped_bytes, "Bytes outside of any sentence.");

  py::tuple known(std::size(giljabi::codecs::nmea::kKnown));
  for (std::size_t i = 0; i < known.size(); ++i) known[i] = to_str(giljabi::codecs::nmea::kKnown[i].type);
  m.attr("KNOWN") = known;

  m.def(
      "checksum", [](const std::string& body) { return giljabi::codecs::nmea_checksum(body); },
      py::arg("body"), "Exclusive or of the characters between the start character and `*`.");
}

const giljabi::bindings::Registration registration{"nmea", "NMEA 0183 framing and fields", bind};

}  // namespace
