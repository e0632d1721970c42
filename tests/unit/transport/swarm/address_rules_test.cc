#include "transport/swarm/address_rules.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(AddressRules, TheEdgesOfEverySiteRangeAreInsideAndTheirNeighboursAreNot) {
  for (const auto* inside : {"10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
                             "169.254.0.1", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255",
                             "::1", "fc00::", "fdff::1", "fe80::1", "febf::1", "::ffff:10.1.2.3"}) {
    EXPECT_TRUE(is_site_address(inside)) << inside;
  }
  for (const auto* outside : {"9.255.255.255",
                              "11.0.0.0",
                              "100.63.255.255",
                              "100.128.0.0",
                              "126.255.255.255",
                              "128.0.0.0",
                              "169.253.0.1",
                              "172.15.255.255",
                              "172.32.0.0",
                              "192.167.255.255",
                              "192.169.0.0",
                              "8.8.8.8",
                              "::",
                              "::2",
                              "2001:db8::1",
                              "fbff::1",
                              "fec0::1",
                              "::ffff:8.8.8.8",
                              "0.0.0.0",
                              "255.255.255.255"}) {
    EXPECT_FALSE(is_site_address(outside)) << outside;
  }
}

TEST(AddressRules, WhatIsNoNumericAddressBelongsToNoSite) {
  for (const auto* text :
       {"", "localhost", "10.0.0", "10.0.0.1.2", "10.0.0.256", "fe80::1%eth0", " 10.0.0.1"}) {
    EXPECT_FALSE(is_site_address(text)) << text;
    EXPECT_FALSE(is_loopback(text)) << text;
  }
}

TEST(AddressRules, ALoopbackAddressMayBeDialledOnlyWhenANeighbourOnThisMachineToldIt) {
  EXPECT_TRUE(may_dial({"127.0.0.1", 8421}, "127.0.0.1"));
  EXPECT_TRUE(may_dial({"::1", 8421}, "127.0.0.1"));
  EXPECT_FALSE(may_dial({"127.0.0.1", 8421}, "10.0.0.2"));
  EXPECT_FALSE(may_dial({"::1", 8421}, "10.0.0.2"));
}

TEST(AddressRules, OnlyUnicastSiteAddressesWithAPortMayBeDialled) {
  EXPECT_TRUE(may_dial({"10.0.0.7", 8421}, "10.0.0.2"));
  EXPECT_FALSE(may_dial({"10.0.0.7", 0}, "10.0.0.2"));
  EXPECT_FALSE(may_dial({"8.8.8.8", 8421}, "10.0.0.2"));
  EXPECT_FALSE(may_dial({"fe80::1", 8421}, "fe80::2"));
  EXPECT_FALSE(may_dial({"printer.local", 8421}, "10.0.0.2"));
}

TEST(AddressRules, NothingHidesBehindANul) {
  using namespace std::string_literals;
  EXPECT_FALSE(is_numeric_address("10.0.0.7\0.elsewhere"s));
  EXPECT_FALSE(may_dial({"10.0.0.7\0.elsewhere"s, 8421}, "10.0.0.2"));
  EXPECT_FALSE(is_loopback("::1\0"s));
}

TEST(AddressRules, WithoutTheSiteRuleAnyUnicastAddressMayBeDialled) {
  EXPECT_TRUE(may_dial({"8.8.8.8", 8421}, "10.0.0.2", true));
  for (const auto* address : {"0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"}) {
    EXPECT_FALSE(may_dial({address, 8421}, "10.0.0.2", true)) << address;
  }
}

TEST(AddressRules, AHostAndPortAreReadInAllTheirForms) {
  EXPECT_EQ(parse_host_port("10.0.0.7:8421"), (Endpoint{"10.0.0.7", 8421}));
  EXPECT_EQ(parse_host_port("gpu-3.lab:1"), (Endpoint{"gpu-3.lab", 1}));
  EXPECT_EQ(parse_host_port("[fd00::7]:65535"), (Endpoint{"fd00::7", 65535}));
}

TEST(AddressRules, TextThatIsNoHostAndPortIsRefused) {
  for (const auto* text : {"", "host", ":8421", "host:", "host:0", "host:65536", "host:84x", "host:-1",
                           "[]:1", "[x]:1", "[10.0.0.1]:1", "fe80::1:8421", "a b:1", "host/x:1"}) {
    EXPECT_EQ(parse_host_port(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace shoal
