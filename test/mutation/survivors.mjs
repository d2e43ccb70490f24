// Checks that no test misses when they are off, each with the reason why nothing can be seen of it. `checks` are what
// `npm run test:mutation` prints (file: function: condition), or an expression for a kind of them. A check that a test
// does miss is never looked up here.
const survivors = [
  {
    reason:
      'the number of a held caller stays its own while a worker works for it (test/lifecycle/full-ring, test/native/held_test), so this only ends the work for nobody early; after an exec by another thread it is the same process, which by then may no longer wait',
    checks: [/: !?call_?\.still_held\(\)$/, /: !changes(\.|->)held\(\)$/],
  },
  {
    reason:
      'fails only if /proc/TID/status (or limits) of a held thread cannot be read or the kernel refuses the supervisor ids that it has: no tree brings that about, and what follows would be done with the rights of before',
    checks: [
      /: (as_caller|caller|sender|peer|on\.as_caller|with_umask|with_umask && with_umask-)(\.|>)error != 0( \(\d\))?$/,
      /families\/(signals|process)\.cc: \w+: unworn != 0$/,
      /view\/creds\.cc: umask_of: /,
      /view\/rights\.cc: read_ids: /,
      /view\/rights\.cc: (read_status: !fd|ids_of: const int error = read_ids)/,
      /view\/creds\.cc: As(Caller|Peer)::.*own_ids\(\)\.known/,
      'native/view/fs_context.cc: WithUmask::WithUmask: error != 0',
      /files_open\.cc: file_size_limit: (n <= 0|at == nullptr)$/,
      'native/families/files_open.cc: truncate_path: const int error = file_size_limit(call, limit); error != 0',
      'native/families/process.cc: on_many: !real_ids_of(call.tid, uid, gid)',
    ],
  },
  {
    reason:
      'fstat(2) and its like on a descriptor that is open do not fail, nor does capget(2) of the calling thread itself',
    checks: [
      'native/call/own_rights.cc: get_capabilities: const int error = read_words(words); error != 0',
      'native/call/own_rights.cc: set_effective: const int error = read_words(words); error != 0',
      'native/families/exec.cc: may_execute: fstat(file.object.get(), &status) != 0',
      'native/families/exec.cc: follow: fstat(loader.object.get(), &status) != 0',
      'native/families/exec.cc: follow: size < 0',
      'native/families/files_attributes.cc: change_mode: ::fstat(at.object.get(), &st) != 0',
      'native/families/ipc.cc: on_info: control(kind, 0, IPC_INFO, &limits) < 0',
      /network\.cc: listen_socket: getsockopt\(/,
      /pass_credentials: getsockopt\(/,
      'native/view/walk.cc: Walk::run: error == 0 && (how_ & RESOLVE_BENEATH) != 0 && ::fstat(here_.get(), &base_) != 0',
    ],
  },
  {
    reason:
      'fails at an exec stop only if somebody kills the process just then, and with the check off nothing is executed, either',
    checks: [
      'native/engine/exec_check.cc: is_as_approved: stat(name, &status) != 0',
      'native/engine/exec_check.cc: is_as_approved: !find_mapping(call.tid, start, first)',
      'native/engine/exec_check.cc: is_as_approved: call.read(stack, &count, sizeof count) != 0',
      'native/engine/mappings.cc: find_mapping: !maps',
    ],
  },
  {
    reason:
      'reached only where a container forbids pidfd_getfd: test/boundary/container-rules runs other test files under such a rule, in processes of their own, and is too slow to be asked about each check',
    checks: [
      /families\/caller\.cc: copy_descriptor: (call\.lent|call\.lent->error != 0|!process)$/,
      'native/families/caller.cc: take_copy: error == EPERM',
      'native/families/network_unix.cc: copy_socket: error == EPERM',
      // Else it is EBADF, which what is asked of the copy then says, too.
      'native/families/descriptor_owner.cc: set_owner: !take_copy(sandbox, call, call.fd(Arg::fd), kNoCopy, copy, finish)',
      'native/families/network_unix.cc: copy_socket: !take_copy(sandbox, call, call.fd(Arg::socket), kRefused, out, finish)',
      'native/families/signals.cc: send_by_pidfd: !copy',
      'native/families/signals.cc: send_by_pidfd: sandbox.tree.group_of(target) != found',
      'native/families/files_held.cc: access_held: const int error = copy_descriptor(call, at.reached_by, copy); error != 0',
      'native/families/files_held.cc: access_shown: !call.still_held() || !theirs.complete || !pinned.complete',
      'native/engine/injection.cc: Tracer::take_lent: tracee.lent->error == 0',
      'native/engine/injection.cc: Tracer::on_injected_exit: result < 0 (2)',
      'native/engine/tracer.cc: Tracer::on_seccomp_stop: tracee.phase >= Phase::fetch_socket',
    ],
  },
  {
    reason: 'for a kernel or a file system that the machines of the tests do not have',
    checks: [
      // Before Linux 6.9, which has PIDFD_THREAD.
      'native/families/caller.cc: copy_descriptor: !process && errno == EINVAL',
      // Without RENAME_NOREPLACE (9p, NFS); with the check off the refusal is EINVAL, and nothing is said.
      'native/families/files_names.cc: rename_once: result < 0 && must_make && errno == EINVAL && (flags & RENAME_NOREPLACE) == 0',
      // With pages of more than 4 KiB; with such the kernel refuses the same sizes (sched_getattr() in kernel/sched/syscalls.c).
      'native/families/process.cc: get_attributes: room < kFirstAttributes || room > sizeof copy',
    ],
  },
  {
    reason: 'out of descriptors, memory or slots: the machine is to be short of them at this very call',
    checks: [
      'native/engine/bouncing.cc: Tracer::apply_bounce: const int error = sandbox_.page.create()',
      'native/engine/bouncing.cc: Tracer::apply_bounce: tracee.slot < 0',
      'native/engine/injection.cc: Tracer::lend: socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0',
      'native/view/resolve.cc: Resolution::fail: error == EMFILE',
      'native/view/resolve.cc: Resolution::existing: object || is_our_own_trouble(error)',
      /view\/walk\.cc: (name_in: !list|long_name: error != ENAMETOOLONG)$/,
      'native/view/resolve.cc: resolve_below: !start',
    ],
  },
  {
    reason:
      'a start that fails there fails on no kernel that we support; with the check off it would fail at the exec, or not at all',
    checks: [
      'native/launch/launch.cc: drop_capabilities: const long result = raw_syscall(SYS_capget, raw(&header), raw(data))',
      'native/launch/launch.cc: become_command: raw_syscall(SYS_getppid) != area->supervisor',
      'native/launch/launch.cc: become_command: const long result = raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1)',
      'native/launch/launch.cc: executable: !S_ISREG(status.st_mode)',
    ],
  },
  {
    reason:
      'the library never sends such; test/native/config_test and decide_test do, and fail without it (each was tried)',
    checks: [
      /policy\/config\.cc: (fail: ok_|parse_fields: .*|Config::parse: .*)$/,
      'native/policy/ask.cc: ask: answer.lost',
      'native/policy/ask.cc: ask: answer.too_long',
    ],
  },
  {
    reason:
      'never true: what comes there has been made canonical, was read into PATH_MAX bytes, or is named by its caller',
    checks: [
      'native/policy/config.cc: place: !added',
      // Of sockets it is asked about connect and bind alone.
      'native/policy/rules.cc: Rules::decides_socket: index > 1',
      'native/view/resolve.cc: Resolution::run: size >= PATH_MAX',
      'native/view/resolve.cc: resolve_text: given.size() >= PATH_MAX',
    ],
  },
  {
    reason: 'the kernel gives the same answer when it is asked after all',
    checks: [
      'native/families/files_names.cc: rename_once: from.missing',
      'native/families/files_names.cc: watch_path: at.missing',
      'native/families/files_names.cc: on_name: at.missing && facts.paths[0].access == 0',
      'native/families/files_names.cc: link_once: from.missing',
      'native/families/files_attributes.cc: change_mode: result == 0 || (errno != ENOSYS && errno != EPERM)',
      'native/families/files_attributes.cc: change_mode: S_ISLNK(st.st_mode)',
      'native/families/files_open.cc: truncate_path: at.missing (2)',
      'native/view/proc_view.cc: look_at_proc: thread != group && sandbox.tree.group_of(thread) != group',
      // Put into the same register as an error or as a value: syscall_set_return_value(), asm/syscall.h of both architectures.
      'native/engine/notify.cc: answer: value < 0 && value >= -4095',
    ],
  },
  {
    reason:
      'what is asked there is said there (a violation), and with the check off Landlock refuses the exec, as is said',
    checks: [
      'native/families/exec.cc: follow: beyond_second_wall(sandbox, call, file.path, status)',
      'native/families/exec.cc: follow: beyond_second_wall(sandbox, call, loader.path, status)',
    ],
  },
  {
    reason: 'a quicker way to the same answer',
    checks: [
      'native/families/exec.cc: read_arguments: here.size() >= sizeof pointer',
      'native/families/files_attributes.cc: stat_path: of_descriptor',
      // Without a terminal its number is 0, which is none either: ENXIO.
      'native/families/files_open.cc: open_terminal_of: const int error = terminal_of(call, tty); error != 0',
      // The supervisor reads the same clock.
      'native/families/process.cc: read_clock: target == call.tgid()',
      // A copy of the socket that nobody would use.
      'native/families/network_unix.cc: take_socket: !is_path(name) && !binds',
      // What cannot be copied because it is not there is not there in the caller's own entry, either: EBADF.
      'native/families/signals.cc: send_by_pidfd: copied != 0 && copied != EPERM',
      // A rule more for what Landlock has been told of already, by a folder above it.
      'native/policy/second_wall.cc: is_covered: folders_.contains(path)',
      'native/view/creds.cc: AsCaller::AsCaller: worn.on',
      'native/view/creds.cc: AsCaller::AsCaller: same',
    ],
  },
  {
    reason:
      'a window between two calls of the supervisor that nothing holds open; whoever loses the race looks once more, or gets an error of the kernel',
    checks: [
      'native/engine/lifecycle.cc: Tracer::adopt: sandbox_.tree.doomed()',
      'native/engine/lifecycle.cc: Tracer::on_exec: tracee == nullptr',
      'native/engine/lifecycle.cc: Tracer::on_exec: !approved',
      'native/engine/notify.cc: hand_over: error != ENOENT',
      'native/engine/tracer.cc: Tracer::apply: sandbox_.tree.contains(tracee.group)',
      // The path has been read once, and another thread takes its memory away.
      'native/families/exec.cc: execute: length < 0',
      'native/families/files_names.cc: rename_once: result < 0 && must_make && errno == EEXIST && (flags & RENAME_NOREPLACE) == 0',
      // Forgotten by another call since the lock was let go; removed by somebody outside since.
      'native/families/ipc.cc: on_place: !is_own(kind, id)',
      'native/families/ipc.cc: on_place: const int error = look(kind, id, status)',
      'native/families/process.cc: make: !ended',
      'native/families/process.cc: may_change: !real_ids_of(target_, uid, gid)',
      'native/families/process.cc: read_clock: result == -ESRCH',
      // No call that answers into memory fails but when its target has just ended.
      'native/families/process.cc: writing: result < 0',
      'native/view/fs_context.cc: WithUmask::WithUmask: !inside_',
      // The kernel has walked the same way under the same conditions, and has met no such link.
      'native/view/walk.cc: Walk::jump: (how_ & (RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV)) != 0',
      'native/call/held.cc: fault: got < 0 && errno == ESRCH',
    ],
  },
];

const isMeant = (name, check) => (typeof check === 'string' ? name === check : check.test(name));

/** Why nothing can be seen of a check, if that is known. */
export const reasonOf = (name) => survivors.find(({ checks }) => checks.some((check) => isMeant(name, check)))?.reason;

/** What stands here and means no check: it was renamed, or is gone. */
export const unknownNames = (checks) =>
  survivors.flatMap((one) => one.checks).filter((check) => !checks.some(({ name }) => isMeant(name, check)));
