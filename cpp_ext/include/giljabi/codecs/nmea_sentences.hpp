// The sentences of NMEA 0183 (IEC 61162-1) that are read, one row a field.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace giljabi::codecs {

enum class NmeaKind : std::uint8_t {
  kNumber,      // field i in [low, high] times scale; of several rows with one key the first that is given
  kAside,       // field i; outside [low, high] it counts as not given
  kWhole,       // whole number in [low, high]
  kText,        // as it is
  kFlag,        // whether field i is one of `letters`
  kClock,       // hhmmss.ss to seconds of the day
  kPosition,    // fields i to i + 3
  kSided,       // field i, E positive and W negative by field i + 1
  kVariation,   // the same for a value that may be left out
  kInUnit,      // field i in the unit that field j names
  kByLetter,    // field i under the name that field j chooses
  kDate,        // ddmmyy
  kUsed,        // satellites of GSA
  kSatellites,  // those of GSV
};

struct NmeaLetter {
  char letter;
  double scale;
  const char* key;  // nullptr: that of the row
};
using NmeaChoice = std::array<NmeaLetter, 4>;

struct NmeaRow {
  NmeaKind kind;
  const char* key;
  std::uint8_t i;
  std::uint8_t j;
  double scale;
  double low, high;
  const char* letters;
  const NmeaChoice* choice;
};

namespace nmea {

inline constexpr double kKnot = 1852.0 / 3600.0, kKmh = 1.0 / 3.6, kMile = 1852.0,
                        kDegree = 3.14159265358979323846 / 180;
inline constexpr double kInf = std::numeric_limits<double>::infinity();

constexpr bool ends_with(std::string_view s, std::string_view end) {
  return s.size() >= end.size() && s.substr(s.size() - end.size()) == end;
}

// What a value may be at most in its unit; beyond it the field is malformed.
constexpr double largest(std::string_view key) {
  return ends_with(key, "_deg")     ? 360.0
         : ends_with(key, "_mps")   ? 1100.0
         : ends_with(key, "_radps") ? 1e5
         : ends_with(key, "_m")     ? 1e8
         : ends_with(key, "_s")     ? 1e7
                                    : 1e9;
}

constexpr NmeaRow number(const char* key, std::uint8_t i, double scale = 1.0, double low = -kInf,
                         double high = kInf) {
  const double most = largest(key) / scale;
  return {NmeaKind::kNumber,         key, i,      0, scale, low < -most ? -most : low,
          high > most ? most : high, "",  nullptr};
}
constexpr NmeaRow aside(const char* key, std::uint8_t i, double low, double high) {
  return {NmeaKind::kAside, key, i, 0, 1.0, low, high, "", nullptr};
}
constexpr NmeaRow whole(const char* key, std::uint8_t i, double low = 0.0, double high = 1e9) {
  return {NmeaKind::kWhole, key, i, 0, 1.0, low, high, "", nullptr};
}
constexpr NmeaRow text(const char* key, std::uint8_t i) {
  return {NmeaKind::kText, key, i, 0, 1.0, 0.0, 0.0, "", nullptr};
}
constexpr NmeaRow flag(const char* key, std::uint8_t i, const char* yes = "A") {
  return {NmeaKind::kFlag, key, i, 0, 1.0, 0.0, 0.0, yes, nullptr};
}
constexpr NmeaRow of_kind(NmeaKind kind, const char* key, std::uint8_t i) {
  return {kind, key, i, 0, 1.0, 0.0, 0.0, "", nullptr};
}
constexpr NmeaRow clock(std::uint8_t i) { return of_kind(NmeaKind::kClock, "utc_of_day_s", i); }
constexpr NmeaRow position(std::uint8_t i) { return of_kind(NmeaKind::kPosition, "lat_deg", i); }
constexpr NmeaRow date(std::uint8_t i) { return of_kind(NmeaKind::kDate, "day", i); }
constexpr NmeaRow variation(std::uint8_t i) { return of_kind(NmeaKind::kVariation, "variation_deg", i); }
constexpr NmeaRow in_unit(const char* key, std::uint8_t i, std::uint8_t j, const NmeaChoice& units) {
  return {NmeaKind::kInUnit, key, i, j, 1.0, 0.0, 0.0, "", &units};
}
constexpr NmeaRow by_letter(std::uint8_t i, std::uint8_t j, const NmeaChoice& names) {
  return {NmeaKind::kByLetter, "", i, j, 1.0, 0.0, 0.0, "", &names};
}

inline constexpr NmeaChoice kSpeeds{
    {{'N', kKnot, nullptr}, {'K', kKmh, nullptr}, {'M', 1.0, nullptr}, {'S', 1609.344 / 3600.0, nullptr}}};
inline constexpr NmeaChoice kLengths{
    {{'N', kMile, nullptr}, {'K', 1000.0, nullptr}, {'M', 1.0, nullptr}, {'S', 1609.344, nullptr}}};
inline constexpr NmeaChoice kBearings{{{'T', 1.0, "bearing_deg"},
                                       {'M', 1.0, "bearing_magnetic_deg"},
                                       {'R', 1.0, "bearing_relative_deg"},
                                       {'\1', 1.0, nullptr}}};
inline constexpr NmeaChoice kLegs{{{'T', 1.0, "bearing_of_leg_deg"},
                                   {'M', 1.0, "bearing_of_leg_magnetic_deg"},
                                   {'\1', 1.0, nullptr},
                                   {'\1', 1.0, nullptr}}};
inline constexpr NmeaChoice kSteer{{{'T', 1.0, "heading_to_steer_deg"},
                                    {'M', 1.0, "heading_to_steer_magnetic_deg"},
                                    {'\1', 1.0, nullptr},
                                    {'\1', 1.0, nullptr}}};
inline constexpr NmeaChoice kTracks{
    {{'T', 1.0, "track_deg"}, {'M', 1.0, "track_magnetic_deg"}, {'\1', 1.0, nullptr}, {'\1', 1.0, nullptr}}};
inline constexpr NmeaChoice kHeadings{{{'T', 1.0, "heading_deg"},
                                       {'M', 1.0, "heading_magnetic_deg"},
                                       {'\1', 1.0, nullptr},
                                       {'\1', 1.0, nullptr}}};
inline constexpr NmeaChoice kCourses{{{'T', 1.0, "target_course_deg"},
                                      {'R', 1.0, "target_course_relative_deg"},
                                      {'\1', 1.0, nullptr},
                                      {'\1', 1.0, nullptr}}};
inline constexpr NmeaChoice kWind{{{'R', 1.0, "wind_angle_apparent_deg"},
                                   {'T', 1.0, "wind_angle_true_deg"},
                                   {'\1', 1.0, nullptr},
                                   {'\1', 1.0, nullptr}}};

inline constexpr NmeaRow kHeading = number("heading_deg", 0, 1.0, 0.0, 360.0);
inline constexpr NmeaRow kMagnetic = number("heading_magnetic_deg", 0, 1.0, 0.0, 360.0);
inline constexpr NmeaRow kSatellites = whole("satellites_in_use", 6);
inline constexpr NmeaRow kHdop = number("hdop", 7, 1.0, 0.0, 1e6);
inline constexpr NmeaRow kAltitude = aside("alt_m", 8, -1e3, 1e5);

// --- position ---
inline constexpr NmeaRow kGga[] = {clock(0),
                                   position(1),
                                   whole("quality", 5, 0, 9),
                                   kSatellites,
                                   kHdop,
                                   kAltitude,
                                   number("geoid_separation_m", 10),
                                   number("dgnss_age_s", 12),
                                   text("dgnss_station", 13)};
inline constexpr NmeaRow kGns[] = {clock(0),
                                   position(1),
                                   text("mode", 5),
                                   kSatellites,
                                   kHdop,
                                   kAltitude,
                                   number("geoid_separation_m", 9),
                                   number("dgnss_age_s", 10),
                                   text("dgnss_station", 11)};
inline constexpr NmeaRow kRmc[] = {
    clock(0), flag("valid", 1, "AD"), position(2),     number("sog_mps", 6, kKnot), number("cog_deg", 7),
    date(8),  variation(9),           text("mode", 11)};
inline constexpr NmeaRow kGll[] = {position(0), clock(4), flag("valid", 5, "AD"), text("mode", 6)};
inline constexpr NmeaRow kVtg[] = {number("cog_deg", 0), number("cog_magnetic_deg", 2),
                                   number("sog_mps", 4, kKnot), number("sog_mps", 6, kKmh), text("mode", 8)};
// Before NMEA 0183 2.0 the unit letters were not there: four fields.
inline constexpr NmeaRow kOldVtg[] = {number("cog_deg", 0), number("cog_magnetic_deg", 1),
                                      number("sog_mps", 2, kKnot), number("sog_mps", 3, kKmh)};
inline constexpr NmeaRow kZda[] = {clock(0), whole("day", 1, 1, 31), whole("month", 2, 1, 12),
                                   whole("year", 3, 0, 2200)};
inline constexpr NmeaRow kGst[] = {clock(0),
                                   number("range_rms_m", 1),
                                   number("std_major_m", 2),
                                   number("std_minor_m", 3),
                                   number("std_major_direction_deg", 4),
                                   number("std_north_m", 5, 1.0, 0.0),
                                   number("std_east_m", 6, 1.0, 0.0),
                                   number("std_up_m", 7, 1.0, 0.0)};
inline constexpr NmeaRow kGsa[] = {text("selection", 0),
                                   whole("fix_dimensions", 1),
                                   of_kind(NmeaKind::kUsed, "satellites_used", 2),
                                   number("pdop", 14, 1.0, 0.0),
                                   number("hdop", 15, 1.0, 0.0),
                                   number("vdop", 16, 1.0, 0.0)};
inline constexpr NmeaRow kGsv[] = {whole("sentences", 0), whole("sentence", 1),
                                   whole("satellites_in_view", 2),
                                   of_kind(NmeaKind::kSatellites, "satellites", 3)};
// --- attitude ---
inline constexpr NmeaRow kHdt[] = {kHeading};
inline constexpr NmeaRow kThs[] = {kHeading, text("mode", 1)};
inline constexpr NmeaRow kHdg[] = {kMagnetic, of_kind(NmeaKind::kSided, "deviation_deg", 1), variation(3)};
inline constexpr NmeaRow kHdm[] = {kMagnetic};
inline constexpr NmeaRow kRot[] = {number("rate_of_turn_radps", 0, kDegree / 60.0, -7200.0, 7200.0),
                                   flag("valid", 1)};
inline constexpr NmeaRow kAshr[] = {clock(0),
                                    number("heading_deg", 1, 1.0, 0.0, 360.0),
                                    number("roll_deg", 3),
                                    number("pitch_deg", 4),
                                    number("heave_m", 5),
                                    number("roll_std_deg", 6),
                                    number("pitch_std_deg", 7),
                                    number("heading_std_deg", 8),
                                    whole("quality", 9)};
// --- water and wind ---
inline constexpr NmeaRow kVhw[] = {kHeading, number("heading_magnetic_deg", 2, 1.0, 0.0, 360.0),
                                   number("water_speed_mps", 4, kKnot), number("water_speed_mps", 6, kKmh)};
inline constexpr NmeaRow kVbw[] = {number("water_speed_mps", 0, kKnot),
                                   number("water_speed_across_mps", 1, kKnot),
                                   flag("water_valid", 2),
                                   number("ground_speed_mps", 3, kKnot),
                                   number("ground_speed_across_mps", 4, kKnot),
                                   flag("ground_valid", 5)};
inline constexpr NmeaRow kDbt[] = {number("depth_m", 2), number("depth_m", 0, 0.3048),
                                   number("depth_m", 4, 1.8288)};
inline constexpr NmeaRow kDpt[] = {number("depth_m", 0), number("transducer_offset_m", 1),
                                   number("range_m", 2)};
inline constexpr NmeaRow kMwv[] = {by_letter(0, 1, kWind), in_unit("wind_speed_mps", 2, 3, kSpeeds),
                                   flag("valid", 4)};
inline constexpr NmeaRow kMwd[] = {number("wind_direction_deg", 0), number("wind_direction_magnetic_deg", 2),
                                   number("wind_speed_mps", 6), number("wind_speed_mps", 4, kKnot)};
// --- machinery ---
inline constexpr NmeaRow kRsa[] = {number("rudder_deg", 0, 1.0, -180.0, 180.0), flag("valid", 1),
                                   number("rudder_port_deg", 2, 1.0, -180.0, 180.0), flag("port_valid", 3)};
inline constexpr NmeaRow kRpm[] = {text("source", 0), whole("number", 1, 0, 99),
                                   number("speed_radps", 2, 6.0 * kDegree), number("pitch_percent", 3),
                                   flag("valid", 4)};
// --- autopilot ---
inline constexpr NmeaRow kXte[] = {flag("valid", 0), flag("cycle_lock", 1),
                                   in_unit("cross_track_m", 2, 4, kLengths), text("steer", 3),
                                   text("mode", 5)};
inline constexpr NmeaRow kApb[] = {
    flag("valid", 0),          flag("cycle_lock", 1), in_unit("cross_track_m", 2, 4, kLengths),
    text("steer", 3),          flag("arrived", 5),    flag("passed", 6),
    by_letter(7, 8, kLegs),    text("waypoint", 9),   by_letter(10, 11, kBearings),
    by_letter(12, 13, kSteer), text("mode", 14)};
inline constexpr NmeaRow kHtc[] = {flag("override", 0),
                                   number("rudder_order_deg", 1, 1.0, 0.0, 180.0),
                                   text("rudder_side", 2),
                                   text("steering_mode", 3),
                                   text("turn_mode", 4),
                                   number("rudder_limit_deg", 5, 1.0, 0.0, 180.0),
                                   number("off_heading_limit_deg", 6, 1.0, 0.0, 180.0),
                                   number("turn_radius_m", 7, kMile),
                                   number("turn_rate_radps", 8, kDegree / 60.0),
                                   by_letter(9, 12, kSteer),
                                   number("off_track_limit_m", 10, kMile),
                                   by_letter(11, 12, kTracks),
                                   text("status", 13)};
inline constexpr NmeaRow kHtd[] = {flag("override", 0),
                                   number("rudder_order_deg", 1, 1.0, 0.0, 180.0),
                                   text("rudder_side", 2),
                                   text("steering_mode", 3),
                                   text("turn_mode", 4),
                                   number("rudder_limit_deg", 5, 1.0, 0.0, 180.0),
                                   number("off_heading_limit_deg", 6, 1.0, 0.0, 180.0),
                                   number("turn_radius_m", 7, kMile),
                                   number("turn_rate_radps", 8, kDegree / 60.0),
                                   by_letter(9, 12, kSteer),
                                   number("off_track_limit_m", 10, kMile),
                                   by_letter(11, 12, kTracks),
                                   flag("rudder_within_limit", 13),
                                   flag("heading_within_limit", 14),
                                   flag("track_within_limit", 15),
                                   by_letter(16, 12, kHeadings)};
// --- radar ---
inline constexpr NmeaRow kTtm[] = {whole("target", 0),
                                   in_unit("distance_m", 1, 9, kLengths),
                                   by_letter(2, 3, kBearings),
                                   in_unit("target_speed_mps", 4, 9, kSpeeds),
                                   by_letter(5, 6, kCourses),
                                   in_unit("cpa_m", 7, 9, kLengths),
                                   number("tcpa_s", 8, 60.0),
                                   text("name", 10),
                                   text("status", 11),
                                   flag("reference_target", 12, "R"),
                                   clock(13),
                                   text("acquisition", 14)};
inline constexpr NmeaRow kTll[] = {whole("target", 0), position(1),       text("name", 5),
                                   clock(6),           text("status", 7), flag("reference_target", 8, "R")};
inline constexpr NmeaRow kOsd[] = {kHeading,
                                   flag("heading_valid", 1),
                                   number("cog_deg", 2),
                                   text("course_reference", 3),
                                   in_unit("sog_mps", 4, 8, kSpeeds),
                                   text("speed_reference", 5),
                                   number("set_deg", 6),
                                   in_unit("drift_mps", 7, 8, kSpeeds)};

}  // namespace nmea

struct NmeaKnown {
  std::string_view type;
  const NmeaRow* rows;
  std::size_t n_rows;
  const NmeaRow* old_rows;  // of a sentence of at most old_fields fields
  std::size_t n_old_rows;
  std::size_t old_fields;
};

namespace nmea {

template <std::size_t N>
constexpr NmeaKnown known(std::string_view type, const NmeaRow (&rows)[N]) {
  return {type, rows, N, nullptr, 0, 0};
}

inline constexpr NmeaKnown kKnown[] = {known("GGA", kGga),
                                       known("RMC", kRmc),
                                       known("GLL", kGll),
                                       known("GNS", kGns),
                                       {"VTG", kVtg, std::size(kVtg), kOldVtg, std::size(kOldVtg), 4},
                                       known("ZDA", kZda),
                                       known("GST", kGst),
                                       known("GSA", kGsa),
                                       known("GSV", kGsv),
                                       known("HDT", kHdt),
                                       known("THS", kThs),
                                       known("HDG", kHdg),
                                       known("HDM", kHdm),
                                       known("ROT", kRot),
                                       known("ASHR", kAshr),
                                       known("VHW", kVhw),
                                       known("VBW", kVbw),
                                       known("DBT", kDbt),
                                       known("DPT", kDpt),
                                       known("MWV", kMwv),
                                       known("MWD", kMwd),
                                       known("RSA", kRsa),
                                       known("RPM", kRpm),
                                       known("XTE", kXte),
                                       known("APB", kApb),
                                       known("HTC", kHtc),
                                       known("HTD", kHtd),
                                       known("TTM", kTtm),
                                       known("TLL", kTll),
                                       known("OSD", kOsd)};

}  // namespace nmea

// Rows of a type (`GGA`; of a proprietary sentence maker and kind, `ASHR`), nullptr when it is not known.
inline const NmeaKnown* nmea_known(std::string_view type) {
  for (const NmeaKnown& k : nmea::kKnown) {
    if (k.type == type) return &k;
  }
  return nullptr;
}

}  // namespace giljabi::codecs
