#include "transport/swarm/session_settings.h"

#include "transport/swarm/address_rules.h"

namespace shoal {
namespace {

void set_reach(lt::settings_pack& s, const SwarmOptions& options, const std::string& listen_interfaces) {
  s.set_str(lt::settings_pack::listen_interfaces, listen_interfaces);
  // The port that was asked for, or a start that fails and says so: neighbours are told the port.
  s.set_int(lt::settings_pack::max_retry_port_bind, 0);
  s.set_bool(lt::settings_pack::listen_system_port_fallback, false);
  // 200 machines may connect in the same moment, for several segments each; 5 would make SYNs wait a second.
  s.set_int(lt::settings_pack::listen_queue_size, 256);

  // Neighbours come from LSD on the cluster torrent, explicit peers and gossip. Nothing of a site leaves it.
  s.set_bool(lt::settings_pack::enable_dht, false);
  s.set_bool(lt::settings_pack::enable_upnp, false);
  s.set_bool(lt::settings_pack::enable_natpmp, false);
  s.set_bool(lt::settings_pack::enable_lsd, options.lsd);
  // We announce the cluster torrent ourselves, at our interval. libtorrent's own timer goes through all
  // torrents in turn, so that with many segments the cluster's turn would come late.
  s.set_int(lt::settings_pack::local_service_announce_interval, 3600);

  // uTP took ten times as long as TCP on loopback, and has nothing to yield to that TCP's own control does
  // not see.
  s.set_bool(lt::settings_pack::enable_outgoing_utp, false);
  s.set_bool(lt::settings_pack::enable_incoming_utp, false);
  s.set_int(lt::settings_pack::mixed_mode_algorithm, lt::settings_pack::prefer_tcp);

  // RC4 costs twice the CPU and proves nothing about who is there; closed clusters use TLS instead.
  s.set_int(lt::settings_pack::out_enc_policy, lt::settings_pack::pe_disabled);
  s.set_int(lt::settings_pack::in_enc_policy, lt::settings_pack::pe_disabled);
}

void set_connections(lt::settings_pack& s, const SwarmOptions& options) {
  // Several nodes may run behind one address, and a node may be reached by several segments' connections.
  s.set_bool(lt::settings_pack::allow_multiple_connections_per_ip, true);
  s.set_int(lt::settings_pack::connections_limit, options.max_connections);
  // Connections are started by the once-a-second tick or by a torrent's boost; neither may run out of its
  // quota when segments come by the dozen.
  s.set_int(lt::settings_pack::connection_speed, 1000);
  s.set_bool(lt::settings_pack::smooth_connects, false);
  s.set_int(lt::settings_pack::torrent_connect_boost, 255);
  // A machine of the same site answers in milliseconds or is not there.
  s.set_int(lt::settings_pack::peer_connect_timeout, 4);
  s.set_int(lt::settings_pack::handshake_timeout, 8);
  // A machine that lost power is noticed after this many seconds of silence; keep-alives go out at half of
  // it.
  s.set_int(lt::settings_pack::peer_timeout, 20);
  // We dial by our own book (dial_book.h). libtorrent forgets an endpoint after one failure until we dial
  // again, and retries one that was merely closed after a second: a seed that loads a moment later than the
  // leech connects.
  s.set_int(lt::settings_pack::max_failcount, 1);
  s.set_int(lt::settings_pack::min_reconnect_time, 1);
  s.set_int(lt::settings_pack::max_peerlist_size, 1000);
  // Nobody is exchanged for somebody better: all peers of a site are worth the same.
  s.set_int(lt::settings_pack::peer_turnover, 0);
  s.set_int(lt::settings_pack::peer_turnover_cutoff, 100);
  s.set_bool(lt::settings_pack::no_connect_privileged_ports, false);
}

void set_transfer(lt::settings_pack& s) {
  // Who asks is served, at once: the node decides how much it uploads by what it loads. With fixed slots the
  // first unchoke comes with the first interest, not at the next round of the choker.
  s.set_int(lt::settings_pack::choking_algorithm, lt::settings_pack::fixed_slots_choker);
  s.set_int(lt::settings_pack::unchoke_slots_limit, -1);
  // Everyone is unchoked: no need to tell which pieces may be asked for while choked.
  s.set_int(lt::settings_pack::allowed_fast_set_size, 0);

  // A new connection's watermark is the low one, because the factor multiplies what was sent in the second
  // before. The default of 10 KiB lets a seed read one block at a time, and a 16 MiB segment is over before
  // the first tick. Also the most that waits for one slow peer.
  s.set_int(lt::settings_pack::send_buffer_low_watermark, 512 * 1024);
  s.set_int(lt::settings_pack::send_buffer_watermark, 1024 * 1024);
  s.set_int(lt::settings_pack::send_buffer_watermark_factor, 100);

  // 4 MiB asked for ahead: what 10 Gbit/s carries in 3 ms. More would only be held by one peer while others
  // idle.
  s.set_int(lt::settings_pack::max_out_request_queue, 256);
  // libtorrent reads what the socket holds in one go and the connection keeps a buffer of that size. On
  // loopback the kernel's buffer grows to 6 MiB, and the idle connections of 60 fetched segments held 138
  // MiB. Half a MiB is 10 Gbit/s at 0.4 ms. Peak of a node that pulls 1 GiB from neighbours: 212 MiB without
  // these two, 74 MiB with them.
  s.set_int(lt::settings_pack::recv_socket_buffer_size, 512 * 1024);
  s.set_int(lt::settings_pack::max_peer_recv_buffer_size, 256 * 1024);
  s.set_int(lt::settings_pack::max_allowed_in_request_queue, 2000);
  // A block that did not come in this many seconds is asked of another peer; a seed on a busy disk may need a
  // few.
  s.set_int(lt::settings_pack::request_timeout, 15);
  s.set_int(lt::settings_pack::piece_timeout, 10);
  // Rarest first from the first piece on. Random first pieces are for swarms of strangers that trade.
  s.set_int(lt::settings_pack::initial_picker_threshold, 0);

  // No session-wide rate limit is ever set; without one there is no overhead to estimate.
  s.set_bool(lt::settings_pack::rate_limit_ip_overhead, false);
}

}  // namespace

lt::settings_pack site_settings(const SwarmOptions& options, const std::string& listen_interfaces) {
  lt::settings_pack s;
  s.set_str(lt::settings_pack::user_agent, "shoal/" + (options.version.empty() ? "0" : options.version));
  s.set_str(lt::settings_pack::peer_fingerprint, "-SL0100-");
  // Pieces, peers and traffic come from our plugins; only what went wrong comes as an alert.
  // In a closed cluster also who did not come through the TLS handshake.
  const auto alerts =
      options.trust ? lt::alert_category::error | lt::alert_category::peer : lt::alert_category::error;
  s.set_int(lt::settings_pack::alert_mask, static_cast<int>(static_cast<std::uint32_t>(alerts)));
  s.set_int(lt::settings_pack::alert_queue_size, 10000);
  s.set_bool(lt::settings_pack::support_share_mode, false);
  set_reach(s, options, listen_interfaces);
  set_connections(s, options);
  set_transfer(s);
  return s;
}

lt::ip_filter site_filter() {
  lt::ip_filter filter;
  filter.add_rule(lt::make_address("0.0.0.0"), lt::make_address("255.255.255.255"), lt::ip_filter::blocked);
  filter.add_rule(lt::make_address("::"), lt::make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
                  lt::ip_filter::blocked);
  for (const auto& range : site_ranges()) {
    filter.add_rule(lt::make_address(std::string(range.first)), lt::make_address(std::string(range.last)), 0);
  }
  return filter;
}

}  // namespace shoal
