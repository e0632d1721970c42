#include "transport/origin/hub_error.h"

#include "transport/origin/text.h"

#include <utility>

namespace shoal {
namespace {

std::string repo_text(const HubQuestion& question) {
  return std::string(to_string(question.repo.type)) + " " + question.repo.name;
}

Error repo_not_found(const HubQuestion& question, int status) {
  std::string message = repo_text(question) + " does not exist on " + question.host;
  message += question.with_token ? ", or this token may not see it: check the name and the token"
                                 : ": check the name";
  return {Code::not_found, std::move(message), status};
}

Error gated(const HubQuestion& question, int status) {
  const std::string page = question.host + std::string(web_prefix(question.repo.type)) + question.repo.name;
  std::string message = repo_text(question) + " is gated: accept its conditions at " + page;
  message += question.with_token ? " with the account of this token" : " and set a token (HF_TOKEN)";
  return {Code::gated, std::move(message), status};
}

Error unauthorized(const HubQuestion& question, int status) {
  if (question.with_token) {
    return {
        Code::unauthorized,
        question.host + " refused the token for " + repo_text(question) + ": check HF_TOKEN or log in again",
        status};
  }
  // The Hub answers a stranger's question for a missing repo with a bare 401 so as not to tell it from a
  // private one; its own clients call that "repository not found" (reference section 6).
  return {Code::not_found,
          repo_text(question) + " does not exist, or is private: set a token (HF_TOKEN) if it is yours",
          status};
}

}  // namespace

std::string_view web_prefix(RepoType type) {
  switch (type) {
    case RepoType::model:
      return "/";
    case RepoType::dataset:
      return "/datasets/";
    case RepoType::space:
      break;
  }
  return "/spaces/";
}

std::string HubQuestion::text() const {
  if (repo.name.empty()) return printable(path);
  std::string out;
  if (!path.empty()) out = printable(path) + " of ";
  out += repo_text(*this);
  if (!revision.empty()) out += " at " + printable(revision);
  return out;
}

Error hub_error(const HubQuestion& question, const ResponseHead& head) {
  const int status = head.status;
  const std::string_view code = head.value("x-error-code");
  if (code == "GatedRepo") return gated(question, status);
  if (code == "RepoNotFound") return repo_not_found(question, status);
  if (code == "RevisionNotFound") {
    return {Code::not_found,
            repo_text(question) + " has no revision " + printable(question.revision) +
                ": check the branch, tag or commit",
            status};
  }
  if (code == "EntryNotFound") return {Code::not_found, "there is no " + question.text(), status};

  switch (status) {
    case 401:
      return unauthorized(question, status);
    case 403:
      return {Code::unauthorized,
              question.host + " forbids " + question.text() +
                  (question.with_token ? " to the owner of this token" : " without a token: set HF_TOKEN"),
              status};
    case 404:
    case 410:
      return {Code::not_found, question.host + " has no " + question.text() + ": check the name", status};
    case 408:
      return {Code::timeout, question.host + " gave up waiting for the request for " + question.text(),
              status};
    case 429:
      return {Code::rate_limited,
              question.host + " limits requests, asked for " + question.text() +
                  (question.with_token ? ": try again later" : ": try again later or set a token (HF_TOKEN)"),
              status};
    case 451:
      return {Code::unauthorized,
              question.host + " may not give out " + question.text() + " for legal reasons", status};
    default:
      break;
  }
  if (status >= 500) {
    return {Code::unavailable,
            question.host + " answers " + std::to_string(status) + " for " + question.text() +
                ": try again later",
            status};
  }
  return {Code::invalid,
          question.host + " answers " + std::to_string(status) + " for " + question.text() +
              ": is it a Hugging Face Hub?",
          status};
}

bool is_passing_trouble(int status) {
  return status == 408 || (status >= 500 && status != 501 && status != 505);
}

}  // namespace shoal
