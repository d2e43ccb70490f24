#include "ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "../protocol/tlv.h"

extern char** environ;

namespace holdfast {

using protocol::kMostPlaces;
using protocol::Message;
using protocol::Place;
using protocol::Tag;

bool waits_for_command(int argc, char** argv, CommandLine& line) {
  if (argc != 3 || strcmp(argv[2], "ready") != 0) return false;
  line.channel = atoi(argv[1]);
  line.stdio_count = line.channel;
  return line.channel == 3;
}

namespace {

// Never given back: the command's arguments and environment are used until its exec.
struct Told {
  uint8_t bytes[protocol::kMaxInline];
  std::vector<char*> arguments, environment;
};

// Texts with a NUL behind each. False if the last one has none.
bool split(protocol::Field field, std::vector<char*>& out) {
  char* at = reinterpret_cast<char*>(const_cast<uint8_t*>(field.data));
  char* const end = at + field.size;
  if (field.size != 0 && end[-1] != '\0') return false;
  for (; at < end; at += strlen(at) + 1) out.push_back(at);
  out.push_back(nullptr);
  return true;
}

// Reads one message. The descriptors that come with it are all ours, whatever it is.
bool receive(int socket, Message& message, Told& told, std::vector<UniqueFd>& fds) {
  iovec parts[] = {{&message, sizeof message}, {told.bytes, sizeof told.bytes}};
  alignas(cmsghdr) char control[CMSG_SPACE((kMostPlaces + 1) * sizeof(int))];
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t size;
  while ((size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) continue;
  if (size <= 0) return false;
  fds = take_descriptors(header);
  return (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && size >= static_cast<ssize_t>(sizeof message) &&
         message.magic == protocol::kMagic && message.version == protocol::kVersion &&
         message.type == static_cast<uint32_t>(protocol::MessageType::command) &&
         message.value == size - static_cast<ssize_t>(sizeof message);
}

// As launch() in the addon does for a supervisor that is started with its command (addon/launch.cc). What is ignored is
// /dev/null from 0 to 2 already.
bool put_into_place(const protocol::Field& places, std::vector<UniqueFd>& fds) {
  const int count = static_cast<int>(places.size);
  std::vector<int> from(places.size, -1);
  size_t next = 1;  // behind the directory
  for (int place = 0; place < count; place++) {
    if (places.data[place] == static_cast<uint8_t>(Place::ignored)) continue;
    if (next == fds.size()) return false;
    UniqueFd& fd = fds[next++];
    // What stands in the way of another is moved.
    if (fd.get() < count) fd = UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, count));
    if (!fd) return false;
    from[static_cast<size_t>(place)] = fd.get();
  }
  if (next != fds.size()) return false;
  for (int place = 0; place < count; place++) {
    const int fd = from[static_cast<size_t>(place)];
    if (fd < 0) continue;
    if (dup2(fd, place) < 0) return false;
    if (place > 2 || places.data[place] != static_cast<uint8_t>(Place::inherited)) continue;
    const int flags = fcntl(place, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(place, F_SETFL, flags & ~O_NONBLOCK);
  }
  return true;
}

}  // namespace

bool receive_command(const Control& control, CommandLine& line, Surroundings& where) {
  Told& told = *new Told;
  Message message = {};
  std::vector<UniqueFd> fds;
  if (!receive(control.socket(), message, told, fds) || fds.empty()) return false;
  protocol::FieldReader reader(told.bytes, static_cast<size_t>(message.value));
  protocol::Field field, places = {};
  while (reader.next(field)) {
    if (field.tag == Tag::arguments_ && !split(field, told.arguments)) return false;
    if (field.tag == Tag::environment_ && !split(field, told.environment)) return false;
    if (field.tag == Tag::places_) places = field;
    if (field.tag == Tag::engine_) line.engine = static_cast<protocol::Engine>(field.number());
    // Its child is traced already.
    if (line.engine == protocol::Engine::kernel) return false;
    if (field.tag == Tag::group_) line.group = static_cast<protocol::JobGroup>(field.number());
    if (field.tag == Tag::umask_) where.mask = static_cast<mode_t>(field.number() & 0777);
  }
  // argv[0], the command, the end.
  if (reader.bad() || told.arguments.size() < 3 || told.environment.empty() || places.size > kMostPlaces) return false;
  if (fchdir(fds[0].get()) != 0) return false;
  // Its number may be a place.
  where.directory = UniqueFd(fcntl(fds[0].get(), F_DUPFD_CLOEXEC, static_cast<int>(places.size)));
  if (!where.directory) return false;
  fds[0].reset();
  if (!put_into_place(places, fds)) return false;
  umask(where.mask);
  environ = told.environment.data();
  line.stdio_count = static_cast<int>(places.size);
  line.command = told.arguments[1];
  told.arguments[1] = told.arguments[0];  // the command's own list begins with its argv0
  line.arguments = told.arguments.data() + 1;
  return true;
}

}  // namespace holdfast
