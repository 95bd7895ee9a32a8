// Servo packets against bytes of the makers' manuals, and the chain's promises about silence, noise and
// allocation.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "giljabi/codecs/servo_chain.hpp"
#include "giljabi/codecs/servo_instructions.hpp"

using namespace giljabi::codecs::servo;
using Bytes = std::vector<std::uint8_t>;

namespace {

template <class F>
Bytes made(Family family, F&& f) {
  Bytes data(512);
  Out out(data.data(), data.size());
  Instructions to(family, out);
  f(to);
  REQUIRE(!out.overflow());
  data.resize(out.size());
  return data;
}

ChainConfig positions(const std::vector<int>& ids, bool fast) {
  ChainConfig c;
  c.fast = fast;
  for (std::size_t k = 0; k < ids.size(); ++k) {
    JointConfig j;
    j.id = ids[k];
    j.goal_address = 116;
    j.goal_size = 4;
    j.goals.push_back({{0, 4, Field::kTwos}, static_cast<int>(k), 1000.0, 0.0, -4000.0, 4000.0, 0.0, 0.0});
    j.read_address = 132;
    j.fast_size = 4;
    j.slow_size = 4;
    j.reads.push_back({{0, 4, Field::kTwos}, kPosition, 0.001, 0.0});
    j.torque_address = 64;
    c.joints.push_back(j);
  }
  return c;
}

// Fast reply of the manual's form: error, id, four bytes, CRC so far; each servo's position is its id.
Bytes fast_reply(const std::vector<int>& ids) {
  const std::size_t length = 1 + 8 * ids.size();
  Bytes b{
      0xFF, 0xFF, 0xFD, 0, 0xFE, static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8),
      0x55};
  for (const int id : ids) {
    b.insert(b.end(), {0, static_cast<std::uint8_t>(id), static_cast<std::uint8_t>(id), 0, 0, 0});
    const std::uint16_t crc = crc16(b.data(), b.size());
    b.insert(b.end(), {static_cast<std::uint8_t>(crc), static_cast<std::uint8_t>(crc >> 8)});
  }
  return b;
}

}  // namespace

TEST_CASE("Dynamixel: the ping, read and write of the manual") {
  CHECK(made(Family::dynamixel, [](Instructions& to) { to.plain(1, kPing); }) ==
        Bytes{0xFF, 0xFF, 0xFD, 0, 1, 3, 0, 1, 0x19, 0x4E});
  CHECK(made(Family::dynamixel, [](Instructions& to) { to.read(1, 132, 4); }) ==
        Bytes{0xFF, 0xFF, 0xFD, 0, 1, 7, 0, 2, 0x84, 0, 4, 0, 0x1D, 0x15});
  CHECK(made(Family::dynamixel, [](Instructions& to) { to.write(1, kWrite, 116, {0, 2, 0, 0}); }) ==
        Bytes{0xFF, 0xFF, 0xFD, 0, 1, 9, 0, 3, 0x74, 0, 0, 2, 0, 0, 0xCA, 0x89});
}

TEST_CASE("Feetech: the ping and read of the manual") {
  CHECK(made(Family::feetech_sts, [](Instructions& to) { to.plain(1, kPing); }) ==
        Bytes{0xFF, 0xFF, 1, 2, 1, 0xFB});
  CHECK(made(Family::feetech_sts, [](Instructions& to) { to.read(1, 56, 2); }) ==
        Bytes{0xFF, 0xFF, 1, 4, 2, 0x38, 2, 0xBE});
}

TEST_CASE("chain: any single wrong byte of a fast reply costs one servo at most") {
  const std::vector<int> ids{3, 7, 4, 9};
  const Bytes good = fast_reply(ids);
  for (std::size_t at = 8; at < good.size(); ++at) {
    for (const int flip : {1, 0x40, 0xFF}) {
      Chain chain(positions(ids, true));
      std::uint8_t out[Chain::kMaxBytes];
      REQUIRE(chain.cycle(0.0, nullptr, nullptr, out, sizeof out) > 0);
      Bytes bad = good;
      bad[at] = static_cast<std::uint8_t>(bad[at] ^ flip);
      chain.feed(0.001, bad.data(), bad.size());
      for (std::size_t k = 0; k < ids.size(); ++k) {
        const double v = chain.joints()[k].value[kPosition];
        if (k == (at - 8) / 8) {
          CHECK(std::isnan(v));
        } else {
          CHECK(v == doctest::Approx(0.001 * ids[k]));
        }
      }
    }
  }
}

TEST_CASE("chain: goals only for joints that were seen, torque only by orders") {
  Chain chain(positions({1, 2}, true));
  std::uint8_t out[Chain::kMaxBytes];
  const double goals[2] = {0.5, 0.5};
  const std::uint8_t driven[2] = {kDriven, kDriven};
  const std::uint8_t released[2] = {kReleased, kReleased};
  const std::size_t read = chain.cycle(0.0, nullptr, nullptr, out, sizeof out);
  const Bytes reply = fast_reply({1});
  chain.feed(0.001, reply.data(), reply.size());
  // Released and never driven: nothing but the read.
  CHECK(chain.cycle(1.0, goals, released, out, sizeof out) == read);
  // Joint 2 was never seen: one goal and one torque on, and it stays out when it is seen later.
  CHECK(chain.cycle(2.0, goals, driven, out, sizeof out) == read + 14 + 5 + 14 + 2);
  CHECK(out[7] == kSyncWrite);
  CHECK(out[12] == 1);
  const Bytes both = fast_reply({1, 2});
  Chain fresh(positions({1, 2}, true));
  fresh.cycle(0.0, nullptr, nullptr, out, sizeof out);
  fresh.feed(0.001, both.data(), both.size());
  CHECK(fresh.cycle(1.0, goals, driven, out, sizeof out) == read + 14 + 10 + 14 + 4);
  // Without torque again: torque off is said, goals are not.
  CHECK(fresh.cycle(2.0, goals, released, out, sizeof out) == read + 14 + 4);
  CHECK(out[8] == 64);
  CHECK(out[13] == 0);
}

TEST_CASE("chain: a value that is no number has no bytes") {
  Chain chain(positions({1, 2}, true));
  std::uint8_t out[Chain::kMaxBytes];
  chain.cycle(0.0, nullptr, nullptr, out, sizeof out);
  const Bytes both = fast_reply({1, 2});
  chain.feed(0.001, both.data(), both.size());
  const double goals[2] = {std::nan(""), 0.5};
  const std::size_t n = chain.cycle(1.0, goals, nullptr, out, sizeof out);
  CHECK(n == 14 + 2 + 14 + 5);
  CHECK(out[12] == 2);
}

TEST_CASE("chain: requests that may move a joint are refused") {
  Chain chain(positions({1}, true));
  const auto asks = [&](const Bytes& b) { return chain.request(b.data(), b.size(), 0, 0); };
  using I = Instructions;
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.write(1, kWrite, 116, {0, 0, 0, 0}); })));
  CHECK_FALSE(
      asks(made(Family::dynamixel, [](I& to) { to.write(kBroadcast, kWrite, 112, {0, 0, 0, 0, 0}); })));
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.write(1, kWrite, 64, {1}); })));
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.write(1, kRegWrite, 112, {1, 0, 0, 0}); })));
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.plain(1, kAction); })));
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.plain(1, kReboot); })));
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.sync_write(60, 8, {{1, 0, 0, Bytes(8)}}); })));
  CHECK_FALSE(asks({0xFF, 0xFF}));
  CHECK(asks(made(Family::dynamixel, [](I& to) { to.write(1, kWrite, 98, {5}); })));
  CHECK_FALSE(asks(made(Family::dynamixel, [](I& to) { to.plain(1, kPing); })));  // one waits already
}

TEST_CASE("chain: nothing is sent while replies are due") {
  Chain chain(positions({1, 2}, false));
  std::uint8_t out[Chain::kMaxBytes];
  REQUIRE(chain.cycle(0.0, nullptr, nullptr, out, sizeof out) > 0);
  CHECK(chain.cycle(chain.nominal_end() - 1e-5, nullptr, nullptr, out, sizeof out) == 0);
  CHECK(chain.stats().skipped == 1);
  CHECK(chain.cycle(chain.nominal_end() + 1e-5, nullptr, nullptr, out, sizeof out) > 0);
}

TEST_CASE("chain: a cycle allocates nothing") {
  Chain chain(positions({1, 2, 3, 4}, true));
  std::uint8_t out[Chain::kMaxBytes];
  const double goals[4] = {0.1, 0.2, 0.3, 0.4};
  const std::uint8_t driven[4] = {kDriven, kDriven, kSafe, kReleased};
  const Bytes reply = fast_reply({1, 2, 3, 4});
  const Bytes cut(reply.begin(), reply.begin() + 20);
  const std::size_t before = giljabi::tests::allocations();
  for (int k = 0; k < 100; ++k) {
    chain.cycle(0.01 * k, goals, driven, out, sizeof out);
    const Bytes& r = k % 7 == 3 ? cut : reply;
    chain.feed(0.01 * k + 0.001, r.data(), r.size());
    chain.follow_up(0.01 * k + 0.009, out, sizeof out);
  }
  CHECK(giljabi::tests::allocations() == before);
}
