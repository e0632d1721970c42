#include "node/daemon/loop.h"

#include <cassert>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

namespace shoal {

struct Loop::Impl {
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{io.get_executor()};
  boost::asio::steady_timer turn_timer{io};
  boost::asio::signal_set signals{io};
  boost::asio::thread_pool workers{kWorkers};
  boost::asio::thread_pool recorder{1};
  std::thread::id thread;

  void wait_for_signal(std::function<void(int)> handler) {
    signals.async_wait([this, handler = std::move(handler)](const boost::system::error_code& ec, int number) {
      if (ec) return;
      handler(number);
      wait_for_signal(handler);
    });
  }
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::this_thread::get_id();
}

Loop::~Loop() = default;

void Loop::post(std::function<void()> task) {
  boost::asio::post(impl_->io, std::move(task));
}

void Loop::after(Duration delay, std::function<void()> task) {
  auto timer = std::make_shared<boost::asio::steady_timer>(impl_->io, delay);
  timer->async_wait([timer, task = std::move(task)](const boost::system::error_code& ec) {
    if (!ec) task();
  });
}

void Loop::on_worker(std::function<void()> task) {
  boost::asio::post(impl_->workers, std::move(task));
}

void Loop::on_recorder(std::function<void()> task) {
  boost::asio::post(impl_->recorder, std::move(task));
}

void Loop::request_turn() {
  assert(on_loop());
  if (std::exchange(turn_requested_, true)) return;
  post([this] {
    turn_requested_ = false;
    turn_();
  });
}

void Loop::request_turn_at(Time at) {
  impl_->turn_timer.expires_at(at);
  impl_->turn_timer.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) request_turn();
  });
}

void Loop::on_signal(std::function<void(int)> handler) {
  impl_->signals.add(SIGTERM);
  impl_->signals.add(SIGINT);
  impl_->wait_for_signal(std::move(handler));
}

void Loop::run_until_stopped() {
  impl_->thread = std::this_thread::get_id();
  impl_->io.run();
}

void Loop::stop() {
  impl_->guard.reset();
  impl_->io.stop();
}

void Loop::join_workers() {
  impl_->workers.join();
  impl_->recorder.join();
}

bool Loop::on_loop() const {
  return std::this_thread::get_id() == impl_->thread;
}

}  // namespace shoal
