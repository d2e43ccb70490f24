#include "known_places.h"

#include <string>
#include <string_view>

#include "../protocol/tlv.h"
#include "canonical.h"

namespace holdfast {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::FieldWriter;
using protocol::Tag;

// Follows the path of one rule, if it is one.
void follow_path(const Field& rule, Canonicaliser& paths) {
  FieldReader reader(rule);
  Field field;
  while (reader.next(field)) {
    if (field.tag == Tag::nameRule_) follow_path(field, paths);
    if (field.tag != Tag::path_ || field.text().find('\0') != std::string_view::npos) continue;
    CanonicalPath unused;
    paths.follow(field.text(), unused);
  }
}

}  // namespace

void with_known_places(const std::vector<std::string>& mounts, const uint8_t* fields, size_t size,
                       std::vector<uint8_t>& out, const std::atomic<bool>& stopped) {
  Canonicaliser paths(Canonicaliser::Links::in_file_system);
  FieldReader reader(fields, size);
  Field field;
  while (!stopped && reader.next(field))
    if (field.tag == Tag::fileRule_ || field.tag == Tag::unixRule_ || field.tag == Tag::hookRule_ ||
        field.tag == Tag::underRule_ || field.tag == Tag::execRule_)
      follow_path(field, paths);

  constexpr size_t kHeads = 64;  // more than three fields' heads and padding
  size_t room = 0;
  for (const std::string& mount : mounts) room += kHeads + mount.size();
  for (const auto& [place, target] : paths.targets())
    if (!target.empty()) room += kHeads + place.size() + target.size();
  out.resize(room);
  FieldWriter writer(out.data(), out.size());
  for (const std::string& mount : mounts) {
    const size_t mark = writer.begin(Tag::procMount_);
    writer.text(Tag::path_, mount);
    writer.end(mark);
  }
  for (const auto& [place, target] : paths.targets()) {
    if (target.empty()) continue;
    const size_t mark = writer.begin(Tag::knownLink_);
    writer.text(Tag::path_, place);
    writer.text(Tag::target_, target);
    writer.end(mark);
  }
  out.resize(writer.size());
  out.insert(out.end(), fields, fields + size);
}

void with_known_links(const uint8_t* fields, size_t size, std::vector<uint8_t>& out) {
  const std::atomic<bool> never = false;
  with_known_places({}, fields, size, out, never);
}

}  // namespace holdfast
