// Ctrl-C, a resized terminal and a return from the background, as things to ask about.
//
// At most one at a time; handlers are put back by the destructor. A signal that the caller ignores (nohup)
// stays ignored.
#pragma once

#include <chrono>
#include <csignal>

namespace shoal::cli {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  [[nodiscard]] static bool interrupted();   // Ctrl-C was pressed
  [[nodiscard]] static bool take_resumed();  // the program was stopped (Ctrl-Z) and goes on; true once

  // Waits; returns early when a signal arrives.
  static void wait(std::chrono::milliseconds time);

  // Ends the program as Ctrl-C would have, so that a shell loop around it ends, too.
  [[noreturn]] static void die_interrupted();

 private:
  struct sigaction old_int_ {};
  struct sigaction old_winch_ {};
  struct sigaction old_cont_ {};
};

}  // namespace shoal::cli
