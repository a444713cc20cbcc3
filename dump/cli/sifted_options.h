#ifndef DUMP_CLI_SIFTED_OPTIONS_H_
#define DUMP_CLI_SIFTED_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dumpctl {

// Which options a command line may name. CLI11 compares each option that it is told of with all
// before it: to tell it of those of `dump` took a tenth of the time that a small dump takes.
class OptionNames {
 public:
  static OptionNames All() { return OptionNames(true); }
  // All that the words can be taken for, values of other options among them.
  static OptionNames In(const std::vector<std::string>& words);

  // Of an option as CLI11 is told it: "-R,--leave-running,!--no-leave-running".
  bool Hold(std::string_view option) const;

  // An option is asked for that these do not hold, so that the line cannot be judged by them.
  void Miss() { missed_ = true; }
  bool missed() const { return missed_; }

 private:
  explicit OptionNames(bool all) : all_(all) {}

  bool all_;
  std::set<std::string, std::less<>> names_;  // with their dashes
  bool missed_ = false;
};

// What CLI11's option takes, where it is there at all.
class SiftedOption {
 public:
  SiftedOption(OptionNames& names, CLI::Option* option) : names_(&names), option_(option) {}

  template <typename... T>
  SiftedOption check(T&&... what) {
    return With([&](CLI::Option& option) { option.check(std::forward<T>(what)...); });
  }
  template <typename... T>
  SiftedOption transform(T&&... what) {
    return With([&](CLI::Option& option) { option.transform(std::forward<T>(what)...); });
  }
  template <typename... T>
  SiftedOption expected(T... counts) {
    return With([&](CLI::Option& option) { option.expected(counts...); });
  }
  SiftedOption type_name(const char* name) {
    return With([&](CLI::Option& option) { option.type_name(name); });
  }
  SiftedOption description(const char* text) {
    return With([&](CLI::Option& option) { option.description(text); });
  }
  SiftedOption default_str(const char* text) {
    return With([&](CLI::Option& option) { option.default_str(text); });
  }
  SiftedOption take_all() {
    return With([&](CLI::Option& option) { option.take_all(); });
  }
  // Whose absence is an error can only be told with all options.
  SiftedOption required() {
    if (option_ == nullptr) names_->Miss();
    return With([&](CLI::Option& option) { option.required(); });
  }
  SiftedOption needs(const SiftedOption& other) {
    if (option_ != nullptr && other.option_ == nullptr) names_->Miss();
    return With([&](CLI::Option& option) {
      if (other.option_ != nullptr) option.needs(other.option_);
    });
  }
  SiftedOption excludes(const SiftedOption& other) {
    return With([&](CLI::Option& option) {
      if (other.option_ != nullptr) option.excludes(other.option_);
    });
  }

 private:
  template <typename Deed>
  SiftedOption With(Deed deed) {
    if (option_ != nullptr) deed(*option_);
    return *this;
  }

  OptionNames* names_;
  CLI::Option* option_;  // null: it is not named
};

// A command that knows only those of its options that are named.
class SiftedCommand {
 public:
  // Both must outlive it.
  SiftedCommand(CLI::App& command, OptionNames& names) : command_(command), names_(names) {}

  template <typename... T>
  SiftedOption add_option(const std::string& name, T&&... rest) {
    if (!names_.Hold(name)) return {names_, nullptr};
    return {names_, command_.add_option(name, std::forward<T>(rest)...)};
  }
  template <typename... T>
  SiftedOption add_flag(const std::string& name, T&&... rest) {
    if (!names_.Hold(name)) return {names_, nullptr};
    return {names_, command_.add_flag(name, std::forward<T>(rest)...)};
  }
  template <typename Value, typename... T>
  SiftedOption add_option_function(const std::string& name, T&&... rest) {
    if (!names_.Hold(name)) return {names_, nullptr};
    return {names_, command_.add_option_function<Value>(name, std::forward<T>(rest)...)};
  }
  SiftedOption get_option(const std::string& name) {
    return {names_, command_.get_option_no_throw(name)};
  }

 private:
  CLI::App& command_;
  OptionNames& names_;
};

}  // namespace dumpctl

#endif  // DUMP_CLI_SIFTED_OPTIONS_H_
