// Checks that no test misses when they are off, each with the reason why nothing can be seen of it. `checks` are what
// `npm run test:mutation` prints (file: function: condition), or an expression for a kind of them. A check that a test
// does miss is never looked up here.
const survivors = [
  {
    reason:
      'the number of a held caller stays its own while a worker works for it (test/lifecycle/full-ring, test/native/held_test), so this only ends the work for nobody early; after an exec by another thread it is the same process, which by then may no longer wait',
    checks: [/still_held\(\)/, /changes(\.|->)held\(\)/],
  },
  {
    reason:
      'fails only if /proc/TID/status of a held thread cannot be read or the kernel refuses the supervisor ids that it has: no tree brings that about, and what follows would be done with the rights of before',
    checks: [
      /: (as_caller|caller|sender|peer|on\.as_caller|with_umask|with_umask && with_umask-)(\.|>)error != 0/,
      /view\/creds\.cc: umask_of: /,
      /view\/rights\.cc: read_ids: /,
      /view\/rights\.cc: (read_status: !fd|ids_of: const int error = read_ids)/,
      /view\/creds\.cc: As(Caller|Peer)::.*own_ids\(\)\.known/,
      'native/view/fs_context.cc: WithUmask::WithUmask: error != 0',
      /files_open\.cc: file_size_limit: /,
      'native/families/files_open.cc: truncate_path: const int error = file_size_limit(call, limit); error != 0',
      'native/families/process.cc: refuse_other: error != 0 (4)',
      'native/families/process.cc: on_many: result < 0',
    ],
  },
  {
    reason: 'fstat(2) and its like on a descriptor that is open do not fail',
    checks: [
      /: (::)?fstat\([^&]*&\w+\) != 0$/,
      /network\.cc: listen_socket: getsockopt\(/,
      /pass_credentials: getsockopt\(/,
      'native/engine/exec_check.cc: exec_is_as_approved: stat(name, &status) != 0',
      'native/engine/exec_check.cc: exec_is_as_approved: !find_mapping(call.tid, start, first)',
      'native/engine/exec_check.cc: exec_is_as_approved: call.read(stack, &count, sizeof count) != 0',
      'native/engine/mappings.cc: find_mapping: !maps',
      'native/families/exec.cc: execute: size < 0',
      'native/families/ipc.cc: on_info: control(kind, 0, IPC_INFO, &limits) < 0',
      'native/families/ipc.cc: on_command: control(kind, id, IPC_RMID, nullptr) != 0',
      'native/families/ipc.cc: on_place: const int error = look(kind, id, status)',
      'native/families/files_names.cc: rename_once: result < 0 && must_make && errno == EINVAL && (flags & RENAME_NOREPLACE) == 0',
      'native/view/walk.cc: Walk::run: error == 0 && (how_ & RESOLVE_BENEATH) != 0 && ::fstat(here_.get(), &base_) != 0',
    ],
  },
  {
    reason:
      'reached only where a container forbids pidfd_getfd: test/boundary/container-rules runs other test files under such a rule, in processes of their own, and is too slow to be asked about each check',
    checks: [
      /families\/caller\.cc: copy_descriptor: /,
      /can_borrow\(call/,
      /: (out\.)?error == EPERM$/,
      'native/families/signals.cc: send_by_pidfd: !copy',
      'native/families/signals.cc: send_by_pidfd: sandbox.tree.group_of(target) != found',
      'native/families/files_held.cc: access_held: const int error = copy_descriptor(call, at.reached_by, copy); error != 0',
      /engine\/injection\.cc: /,
      'native/engine/tracer.cc: Tracer::on_seccomp_stop: tracee.phase >= Phase::fetch_socket',
    ],
  },
  {
    reason: 'out of descriptors, memory or slots: the machine is to be short of them at this very call',
    checks: [
      'native/engine/bouncing.cc: Tracer::apply_bounce: const int error = sandbox_.page.create()',
      'native/engine/bouncing.cc: Tracer::apply_bounce: tracee.slot < 0',
      'native/view/resolve.cc: Resolution::fail: error == EMFILE',
      'native/view/resolve.cc: Resolution::existing: object || is_our_own_trouble(error)',
      /view\/walk\.cc: (name_in: !list|long_name: !here|long_name: error != ENAMETOOLONG|Walk::go_to: error != 0)/,
      'native/view/resolve.cc: resolve_below: !start',
      /Walk::jump: const int error = go_to/,
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
    reason: 'the library never sends such; test/native/config_test and decide_test do',
    checks: [
      /policy\/config\.cc: (parse_fields|Config::parse|is_device|shown): /,
      'native/policy/ask.cc: ask: answer.lost',
      'native/policy/ask.cc: ask: answer.too_long',
      'native/families/directory.cc: change_directory: decision.kind == Decision::Kind::redirect',
      'native/families/directory.cc: change_directory: to.size() >= Bounce::kCapacity',
    ],
  },
  {
    reason: 'the kernel gives the same answer when it is asked after all',
    checks: [
      'native/families/files_names.cc: rename_once: from.missing',
      /files_names\.cc: (rename|unlink)_path: \(flags & ~/,
      'native/families/files_names.cc: symlink_path: size == 0',
      /files_names\.cc: (symlink|mknod)_path: is_visibly_there\(/,
      'native/families/files_names.cc: mknod_path: const int error = error_of_type(mode); error != 0',
      'native/families/files_names.cc: watch_path: at.missing',
      'native/families/files_names.cc: on_name: at.missing && facts.paths[0].access == 0',
      'native/families/files_names.cc: link_once: from.missing',
      'native/families/files_attributes.cc: read_attribute: (call.arg(Arg::flags) & ~uint64_t{XATTR_CREATE | XATTR_REPLACE}) != 0',
      'native/families/files_attributes.cc: change_mode: result == 0 || (errno != ENOSYS && errno != EPERM)',
      'native/families/files_attributes.cc: change_mode: S_ISLNK(st.st_mode)',
      'native/families/directory.cc: change_directory: !S_ISDIR(status.st_mode)',
      'native/families/exec.cc: execute: length < 0',
      'native/families/network.cc: listen_socket: listen(socket.get(), backlog) != 0',
      'native/view/resolve.cc: Resolution::run: size >= PATH_MAX',
      'native/view/resolve.cc: resolve_text: given.size() >= PATH_MAX',
      'native/view/proc_view.cc: look_at_proc: thread != group && sandbox.tree.group_of(thread) != group',
      'native/families/exec.cc: execute: (error = resolve_text(sandbox, call, AT_FDCWD, interpreter, kFollow | kContents, loader)) != 0',
    ],
  },
  {
    reason: 'a quicker way to the same answer',
    checks: [
      'native/families/exec.cc: read_arguments: here.size() >= sizeof pointer',
      'native/families/files_attributes.cc: stat_path: of_descriptor',
      'native/view/creds.cc: AsCaller::AsCaller: worn.on',
      'native/view/creds.cc: AsCaller::AsCaller: same',
      'native/policy/name_filter.cc: NameFilter::would_lose: to == folder_',
    ],
  },
  {
    reason:
      'a window between two calls of the supervisor that nothing holds open; whoever loses the race looks once more',
    checks: [
      'native/engine/lifecycle.cc: Tracer::adopt: sandbox_.tree.doomed()',
      'native/engine/lifecycle.cc: Tracer::on_exec: tracee == nullptr',
      'native/engine/lifecycle.cc: Tracer::on_exec: !tracee->exec',
      'native/engine/notify.cc: hand_over: error != ENOENT',
      'native/engine/tracer.cc: Tracer::apply: sandbox_.tree.contains(tracee.group)',
      'native/families/files_names.cc: rename_once: result < 0 && must_make && errno == EEXIST && (flags & RENAME_NOREPLACE) == 0',
      'native/families/process.cc: refuse_other: !ended',
      'native/view/fs_context.cc: WithUmask::WithUmask: !inside_',
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
