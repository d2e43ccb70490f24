// Made by docs/generate-syscalls.mjs from native/syscalls/table.def: change that, not this.

/** Every system call of Linux 6.18 on x86_64 and aarch64. */
export type SyscallName =
  | '_sysctl'
  | 'accept'
  | 'accept4'
  | 'access'
  | 'acct'
  | 'add_key'
  | 'adjtimex'
  | 'afs_syscall'
  | 'alarm'
  | 'arch_prctl'
  | 'bind'
  | 'bpf'
  | 'brk'
  | 'cachestat'
  | 'capget'
  | 'capset'
  | 'chdir'
  | 'chmod'
  | 'chown'
  | 'chroot'
  | 'clock_adjtime'
  | 'clock_getres'
  | 'clock_gettime'
  | 'clock_nanosleep'
  | 'clock_settime'
  | 'clone'
  | 'clone3'
  | 'close'
  | 'close_range'
  | 'connect'
  | 'copy_file_range'
  | 'creat'
  | 'create_module'
  | 'delete_module'
  | 'dup'
  | 'dup2'
  | 'dup3'
  | 'epoll_create'
  | 'epoll_create1'
  | 'epoll_ctl'
  | 'epoll_ctl_old'
  | 'epoll_pwait'
  | 'epoll_pwait2'
  | 'epoll_wait'
  | 'epoll_wait_old'
  | 'eventfd'
  | 'eventfd2'
  | 'execve'
  | 'execveat'
  | 'exit'
  | 'exit_group'
  | 'faccessat'
  | 'faccessat2'
  | 'fadvise64'
  | 'fallocate'
  | 'fanotify_init'
  | 'fanotify_mark'
  | 'fchdir'
  | 'fchmod'
  | 'fchmodat'
  | 'fchmodat2'
  | 'fchown'
  | 'fchownat'
  | 'fcntl'
  | 'fdatasync'
  | 'fgetxattr'
  | 'file_getattr'
  | 'file_setattr'
  | 'finit_module'
  | 'flistxattr'
  | 'flock'
  | 'fork'
  | 'fremovexattr'
  | 'fsconfig'
  | 'fsetxattr'
  | 'fsmount'
  | 'fsopen'
  | 'fspick'
  | 'fstat'
  | 'fstatfs'
  | 'fsync'
  | 'ftruncate'
  | 'futex'
  | 'futex_requeue'
  | 'futex_wait'
  | 'futex_waitv'
  | 'futex_wake'
  | 'futimesat'
  | 'get_kernel_syms'
  | 'get_mempolicy'
  | 'get_robust_list'
  | 'get_thread_area'
  | 'getcpu'
  | 'getcwd'
  | 'getdents'
  | 'getdents64'
  | 'getegid'
  | 'geteuid'
  | 'getgid'
  | 'getgroups'
  | 'getitimer'
  | 'getpeername'
  | 'getpgid'
  | 'getpgrp'
  | 'getpid'
  | 'getpmsg'
  | 'getppid'
  | 'getpriority'
  | 'getrandom'
  | 'getresgid'
  | 'getresuid'
  | 'getrlimit'
  | 'getrusage'
  | 'getsid'
  | 'getsockname'
  | 'getsockopt'
  | 'gettid'
  | 'gettimeofday'
  | 'getuid'
  | 'getxattr'
  | 'getxattrat'
  | 'init_module'
  | 'inotify_add_watch'
  | 'inotify_init'
  | 'inotify_init1'
  | 'inotify_rm_watch'
  | 'io_cancel'
  | 'io_destroy'
  | 'io_getevents'
  | 'io_pgetevents'
  | 'io_setup'
  | 'io_submit'
  | 'io_uring_enter'
  | 'io_uring_register'
  | 'io_uring_setup'
  | 'ioctl'
  | 'ioperm'
  | 'iopl'
  | 'ioprio_get'
  | 'ioprio_set'
  | 'kcmp'
  | 'kexec_file_load'
  | 'kexec_load'
  | 'keyctl'
  | 'kill'
  | 'landlock_add_rule'
  | 'landlock_create_ruleset'
  | 'landlock_restrict_self'
  | 'lchown'
  | 'lgetxattr'
  | 'link'
  | 'linkat'
  | 'listen'
  | 'listmount'
  | 'listxattr'
  | 'listxattrat'
  | 'llistxattr'
  | 'lookup_dcookie'
  | 'lremovexattr'
  | 'lseek'
  | 'lsetxattr'
  | 'lsm_get_self_attr'
  | 'lsm_list_modules'
  | 'lsm_set_self_attr'
  | 'lstat'
  | 'madvise'
  | 'map_shadow_stack'
  | 'mbind'
  | 'membarrier'
  | 'memfd_create'
  | 'memfd_secret'
  | 'migrate_pages'
  | 'mincore'
  | 'mkdir'
  | 'mkdirat'
  | 'mknod'
  | 'mknodat'
  | 'mlock'
  | 'mlock2'
  | 'mlockall'
  | 'mmap'
  | 'modify_ldt'
  | 'mount'
  | 'mount_setattr'
  | 'move_mount'
  | 'move_pages'
  | 'mprotect'
  | 'mq_getsetattr'
  | 'mq_notify'
  | 'mq_open'
  | 'mq_timedreceive'
  | 'mq_timedsend'
  | 'mq_unlink'
  | 'mremap'
  | 'mseal'
  | 'msgctl'
  | 'msgget'
  | 'msgrcv'
  | 'msgsnd'
  | 'msync'
  | 'munlock'
  | 'munlockall'
  | 'munmap'
  | 'name_to_handle_at'
  | 'nanosleep'
  | 'newfstatat'
  | 'nfsservctl'
  | 'open'
  | 'open_by_handle_at'
  | 'open_tree'
  | 'open_tree_attr'
  | 'openat'
  | 'openat2'
  | 'pause'
  | 'perf_event_open'
  | 'personality'
  | 'pidfd_getfd'
  | 'pidfd_open'
  | 'pidfd_send_signal'
  | 'pipe'
  | 'pipe2'
  | 'pivot_root'
  | 'pkey_alloc'
  | 'pkey_free'
  | 'pkey_mprotect'
  | 'poll'
  | 'ppoll'
  | 'prctl'
  | 'pread64'
  | 'preadv'
  | 'preadv2'
  | 'prlimit64'
  | 'process_madvise'
  | 'process_mrelease'
  | 'process_vm_readv'
  | 'process_vm_writev'
  | 'pselect6'
  | 'ptrace'
  | 'putpmsg'
  | 'pwrite64'
  | 'pwritev'
  | 'pwritev2'
  | 'query_module'
  | 'quotactl'
  | 'quotactl_fd'
  | 'read'
  | 'readahead'
  | 'readlink'
  | 'readlinkat'
  | 'readv'
  | 'reboot'
  | 'recvfrom'
  | 'recvmmsg'
  | 'recvmsg'
  | 'remap_file_pages'
  | 'removexattr'
  | 'removexattrat'
  | 'rename'
  | 'renameat'
  | 'renameat2'
  | 'request_key'
  | 'restart_syscall'
  | 'rmdir'
  | 'rseq'
  | 'rt_sigaction'
  | 'rt_sigpending'
  | 'rt_sigprocmask'
  | 'rt_sigqueueinfo'
  | 'rt_sigreturn'
  | 'rt_sigsuspend'
  | 'rt_sigtimedwait'
  | 'rt_tgsigqueueinfo'
  | 'sched_get_priority_max'
  | 'sched_get_priority_min'
  | 'sched_getaffinity'
  | 'sched_getattr'
  | 'sched_getparam'
  | 'sched_getscheduler'
  | 'sched_rr_get_interval'
  | 'sched_setaffinity'
  | 'sched_setattr'
  | 'sched_setparam'
  | 'sched_setscheduler'
  | 'sched_yield'
  | 'seccomp'
  | 'security'
  | 'select'
  | 'semctl'
  | 'semget'
  | 'semop'
  | 'semtimedop'
  | 'sendfile'
  | 'sendmmsg'
  | 'sendmsg'
  | 'sendto'
  | 'set_mempolicy'
  | 'set_mempolicy_home_node'
  | 'set_robust_list'
  | 'set_thread_area'
  | 'set_tid_address'
  | 'setdomainname'
  | 'setfsgid'
  | 'setfsuid'
  | 'setgid'
  | 'setgroups'
  | 'sethostname'
  | 'setitimer'
  | 'setns'
  | 'setpgid'
  | 'setpriority'
  | 'setregid'
  | 'setresgid'
  | 'setresuid'
  | 'setreuid'
  | 'setrlimit'
  | 'setsid'
  | 'setsockopt'
  | 'settimeofday'
  | 'setuid'
  | 'setxattr'
  | 'setxattrat'
  | 'shmat'
  | 'shmctl'
  | 'shmdt'
  | 'shmget'
  | 'shutdown'
  | 'sigaltstack'
  | 'signalfd'
  | 'signalfd4'
  | 'socket'
  | 'socketpair'
  | 'splice'
  | 'stat'
  | 'statfs'
  | 'statmount'
  | 'statx'
  | 'swapoff'
  | 'swapon'
  | 'symlink'
  | 'symlinkat'
  | 'sync'
  | 'sync_file_range'
  | 'syncfs'
  | 'sysfs'
  | 'sysinfo'
  | 'syslog'
  | 'tee'
  | 'tgkill'
  | 'time'
  | 'timer_create'
  | 'timer_delete'
  | 'timer_getoverrun'
  | 'timer_gettime'
  | 'timer_settime'
  | 'timerfd_create'
  | 'timerfd_gettime'
  | 'timerfd_settime'
  | 'times'
  | 'tkill'
  | 'truncate'
  | 'tuxcall'
  | 'umask'
  | 'umount2'
  | 'uname'
  | 'unlink'
  | 'unlinkat'
  | 'unshare'
  | 'uprobe'
  | 'uretprobe'
  | 'uselib'
  | 'userfaultfd'
  | 'ustat'
  | 'utime'
  | 'utimensat'
  | 'utimes'
  | 'vfork'
  | 'vhangup'
  | 'vmsplice'
  | 'vserver'
  | 'wait4'
  | 'waitid'
  | 'write'
  | 'writev';

/** Refused, unless a policy opens them. */
export type OpenedSyscall = 'memfd_secret' | 'modify_ldt';

export const openedSyscalls: readonly OpenedSyscall[] = ['memfd_secret', 'modify_ldt'];

/** Of each: name, number on x86_64, on aarch64, how it is finished, and what its arguments are (*: all 64 bits count). */
export const syscallTable = `
_sysctl 156 - refuse pointer*
accept 43 202 let_by socket pointer* pointer*
accept4 288 242 let_by socket pointer* pointer* flags
access 21 - perform path* mode
acct 163 89 refuse path*
add_key 248 217 refuse text* text* pointer* size* value
adjtimex 159 171 refuse pointer*
afs_syscall 183 - refuse
alarm 37 - let_by value
arch_prctl 158 - let_by command value*
bind 49 200 bounce socket address* address_size
bpf 321 280 refuse command pointer* size
brk 12 214 let_by pointer*
cachestat 451 451 let_by fd pointer* pointer* flags
capget 125 90 let_by pointer* pointer*
capset 126 91 observe pointer* pointer*
chdir 80 49 bounce path*
chmod 90 - perform path* mode
chown 92 - perform path* uid gid
chroot 161 51 refuse path*
clock_adjtime 305 266 refuse value pointer*
clock_getres 229 114 observe value pointer*
clock_gettime 228 113 observe value pointer*
clock_nanosleep 230 115 observe value flags pointer* pointer*
clock_settime 227 112 refuse value pointer*
clone 56 220 refuse flags pointer* pointer* pointer* pointer*
clone3 435 435 absent pointer* size*
close 3 57 let_by fd
close_range 436 436 let_by fd fd flags
connect 42 203 perform socket address* address_size
copy_file_range 326 285 let_by fd pointer* fd pointer* size* flags
creat 85 - perform path* mode
create_module 174 - refuse text* size*
delete_module 176 106 refuse text* flags
dup 32 23 let_by fd
dup2 33 - let_by fd fd
dup3 292 24 let_by fd fd flags
epoll_create 213 - let_by size
epoll_create1 291 20 let_by flags
epoll_ctl 233 21 let_by fd command fd pointer*
epoll_ctl_old 214 - refuse
epoll_pwait 281 22 let_by fd pointer* count value pointer* size*
epoll_pwait2 441 441 let_by fd pointer* count pointer* pointer* size*
epoll_wait 232 - let_by fd pointer* count value
epoll_wait_old 215 - refuse
eventfd 284 - let_by value
eventfd2 290 19 let_by value flags
execve 59 221 verify path* argv* envp*
execveat 322 281 verify dirfd path* argv* envp* at_flags
exit 60 93 let_by value
exit_group 231 94 let_by value
faccessat 269 48 perform dirfd path* mode
faccessat2 439 439 perform dirfd path* mode at_flags
fadvise64 221 223 let_by fd value* length* value
fallocate 285 47 let_by fd mode value* length*
fanotify_init 300 262 refuse flags open_flags
fanotify_mark 301 263 refuse fd flags mask* dirfd path*
fchdir 81 50 observe fd
fchmod 91 52 perform fd mode
fchmodat 268 53 perform dirfd path* mode
fchmodat2 452 452 perform dirfd path* mode at_flags
fchown 93 55 perform fd uid gid
fchownat 260 54 perform dirfd path* uid gid at_flags
fcntl 72 25 bounce fd command pid
fdatasync 75 83 let_by fd
fgetxattr 193 10 perform fd text* buffer* size*
file_getattr 468 468 absent dirfd path* pointer* size* at_flags
file_setattr 469 469 absent dirfd path* pointer* size* at_flags
finit_module 313 273 refuse fd text* flags
flistxattr 196 13 perform fd buffer* size*
flock 73 32 let_by fd value
fork 57 - let_by
fremovexattr 199 16 perform fd text*
fsconfig 431 431 refuse fd command text* pointer* value
fsetxattr 190 7 perform fd text* buffer* size* flags
fsmount 432 432 refuse fd flags flags
fsopen 430 430 refuse text* flags
fspick 433 433 refuse dirfd path* flags
fstat 5 80 let_by fd buffer*
fstatfs 138 44 let_by fd buffer*
fsync 74 82 let_by fd
ftruncate 77 46 let_by fd length*
futex 202 98 let_by pointer* command value pointer* pointer* value
futex_requeue 456 456 let_by pointer* flags count count
futex_wait 455 455 let_by pointer* value* mask* flags pointer* value
futex_waitv 449 449 let_by pointer* count flags pointer* value
futex_wake 454 454 let_by pointer* mask* count flags
futimesat 261 - perform dirfd path* times*
get_kernel_syms 177 - refuse pointer*
get_mempolicy 239 236 let_by pointer* pointer* value* pointer* flags
get_robust_list 274 100 observe tid pointer* pointer*
get_thread_area 211 - refuse pointer*
getcpu 309 168 let_by pointer* pointer* pointer*
getcwd 79 17 let_by buffer* size*
getdents 78 - perform fd buffer* size
getdents64 217 61 perform fd buffer* size
getegid 108 177 let_by
geteuid 107 175 let_by
getgid 104 176 let_by
getgroups 115 158 let_by count pointer*
getitimer 36 102 let_by value pointer*
getpeername 52 205 let_by socket pointer* pointer*
getpgid 121 155 observe pid
getpgrp 111 - let_by
getpid 39 172 let_by
getpmsg 181 - refuse
getppid 110 173 let_by
getpriority 140 141 observe command pid
getrandom 318 278 let_by buffer* size* flags
getresgid 120 150 let_by pointer* pointer* pointer*
getresuid 118 148 let_by pointer* pointer* pointer*
getrlimit 97 163 let_by value pointer*
getrusage 98 165 let_by value pointer*
getsid 124 156 observe pid
getsockname 51 204 let_by socket pointer* pointer*
getsockopt 55 209 let_by socket value command pointer* pointer*
gettid 186 178 let_by
gettimeofday 96 169 let_by pointer* pointer*
getuid 102 174 let_by
getxattr 191 8 perform path* text* buffer* size*
getxattrat 464 464 absent dirfd path* at_flags text* pointer* size*
init_module 175 105 refuse pointer* size* text*
inotify_add_watch 254 27 bounce fd path* mask
inotify_init 253 - let_by
inotify_init1 294 26 let_by flags
inotify_rm_watch 255 28 let_by fd value
io_cancel 210 3 let_by value* pointer* pointer*
io_destroy 207 1 let_by value*
io_getevents 208 4 let_by value* count* count* pointer* pointer*
io_pgetevents 333 292 let_by value* count* count* pointer* pointer* pointer*
io_setup 206 0 let_by count pointer*
io_submit 209 2 let_by value* count* pointer*
io_uring_enter 426 426 refuse fd count count flags pointer* size*
io_uring_register 427 427 refuse fd command pointer* count
io_uring_setup 425 425 refuse count pointer*
ioctl 16 29 perform fd command pointer*
ioperm 173 - refuse value* count* value
iopl 172 - refuse value
ioprio_get 252 31 observe command pid
ioprio_set 251 30 observe command pid value
kcmp 312 272 refuse pid pid value value* value*
kexec_file_load 320 294 refuse fd fd size* text* flags
kexec_load 246 104 refuse pointer* count pointer* flags
keyctl 250 219 refuse command value* value* value* value*
kill 62 129 perform pid signal
landlock_add_rule 445 445 let_by fd value pointer* flags
landlock_create_ruleset 444 444 observe pointer* size* flags
landlock_restrict_self 446 446 bounce fd flags
lchown 94 - perform path* uid gid
lgetxattr 192 9 perform path* text* buffer* size*
link 86 - perform path* path2*
linkat 265 37 perform dirfd path* dirfd2 path2* at_flags
listen 50 201 bounce socket value
listmount 458 458 refuse pointer* buffer* count* flags
listxattr 194 11 perform path* buffer* size*
listxattrat 465 465 absent dirfd path* at_flags buffer* size*
llistxattr 195 12 perform path* buffer* size*
lookup_dcookie 212 18 refuse value buffer* size*
lremovexattr 198 15 perform path* text*
lseek 8 62 let_by fd value* value
lsetxattr 189 6 perform path* text* buffer* size* flags
lsm_get_self_attr 459 459 let_by value pointer* pointer* flags
lsm_list_modules 461 461 let_by pointer* pointer* flags
lsm_set_self_attr 460 460 refuse value pointer* size flags
lstat 6 - perform path* buffer*
madvise 28 233 observe pointer* length* value
map_shadow_stack 453 453 let_by pointer* length* flags
mbind 237 235 observe pointer* length* value* pointer* value flags
membarrier 324 283 let_by command flags value
memfd_create 319 279 let_by text* flags
memfd_secret 447 447 refuse flags
migrate_pages 256 238 refuse pid value* pointer* pointer*
mincore 27 232 let_by pointer* length* pointer*
mkdir 83 - perform path* mode
mkdirat 258 34 perform dirfd path* mode
mknod 133 - perform path* mode device
mknodat 259 33 perform dirfd path* mode device
mlock 149 228 let_by pointer* length*
mlock2 325 284 let_by pointer* length* flags
mlockall 151 230 let_by flags
mmap 9 222 bounce pointer* length* value flags fd value*
modify_ldt 154 - refuse command pointer* size*
mount 165 40 refuse text* path* text* flags pointer*
mount_setattr 442 442 refuse dirfd path* flags pointer* size*
move_mount 429 429 refuse dirfd path* dirfd2 path2* flags
move_pages 279 239 refuse pid count* pointer* pointer* pointer* flags
mprotect 10 226 observe pointer* length* value
mq_getsetattr 245 185 let_by fd pointer* pointer*
mq_notify 244 184 let_by fd pointer*
mq_open 240 180 perform text* flags mode pointer*
mq_timedreceive 243 183 let_by fd buffer* size* pointer* pointer*
mq_timedsend 242 182 let_by fd buffer* size* value pointer*
mq_unlink 241 181 perform text*
mremap 25 216 observe pointer* length* length* flags pointer*
mseal 462 462 observe pointer* length* flags
msgctl 71 187 observe value command pointer*
msgget 68 186 perform value flags
msgrcv 70 188 observe value pointer* size* value* flags
msgsnd 69 189 observe value pointer* size* flags
msync 26 227 let_by pointer* length* flags
munlock 150 229 let_by pointer* length*
munlockall 152 231 let_by
munmap 11 215 observe pointer* length*
name_to_handle_at 303 264 refuse dirfd path* pointer* pointer* at_flags
nanosleep 35 101 let_by pointer* pointer*
newfstatat 262 79 perform dirfd path* buffer* at_flags
nfsservctl 180 42 refuse command pointer* pointer*
open 2 - perform path* open_flags mode
open_by_handle_at 304 265 refuse fd pointer* open_flags
open_tree 428 428 refuse dirfd path* flags
open_tree_attr 467 467 refuse dirfd path* flags pointer* size*
openat 257 56 perform dirfd path* open_flags mode
openat2 437 437 perform dirfd path* how* size*
pause 34 - let_by
perf_event_open 298 241 refuse pointer* pid value fd flags*
personality 135 92 refuse value
pidfd_getfd 438 438 refuse pidfd fd flags
pidfd_open 434 434 perform pid flags
pidfd_send_signal 424 424 perform pidfd signal info* flags
pipe 22 - let_by pointer*
pipe2 293 59 let_by pointer* flags
pivot_root 155 41 refuse path* path2*
pkey_alloc 330 289 let_by flags value*
pkey_free 331 290 let_by value
pkey_mprotect 329 288 observe pointer* length* value value
poll 7 - let_by pointer* count value
ppoll 271 73 let_by pointer* count pointer* pointer* size*
prctl 157 167 perform command value* value* value* value*
pread64 17 67 let_by fd buffer* size* length*
preadv 295 69 let_by fd pointer* count* length* length*
preadv2 327 286 let_by fd pointer* count* length* length* flags
prlimit64 302 261 observe pid value pointer* pointer*
process_madvise 440 440 refuse pidfd pointer* count* value flags
process_mrelease 448 448 refuse pidfd flags
process_vm_readv 310 270 refuse pid pointer* count* pointer* count* flags
process_vm_writev 311 271 refuse pid pointer* count* pointer* count* flags
pselect6 270 72 let_by count pointer* pointer* pointer* pointer* pointer*
ptrace 101 117 refuse command* pid pointer* pointer*
putpmsg 182 - refuse
pwrite64 18 68 let_by fd buffer* size* length*
pwritev 296 70 let_by fd pointer* count* length* length*
pwritev2 328 287 let_by fd pointer* count* length* length* flags
query_module 178 - refuse text* command pointer* size* pointer*
quotactl 179 60 refuse command path* value pointer*
quotactl_fd 443 443 refuse fd command value pointer*
read 0 63 let_by fd buffer* size*
readahead 187 213 let_by fd value* size*
readlink 89 - perform path* buffer* size
readlinkat 267 78 perform dirfd path* buffer* size
readv 19 65 let_by fd pointer* count*
reboot 169 142 refuse value value command pointer*
recvfrom 45 207 let_by socket buffer* size* flags pointer* pointer*
recvmmsg 299 243 let_by socket pointer* count flags pointer*
recvmsg 47 212 let_by socket pointer* flags
remap_file_pages 216 234 observe pointer* length* value* value* flags
removexattr 197 14 perform path* text*
removexattrat 466 466 absent dirfd path* at_flags text*
rename 82 - perform path* path2*
renameat 264 38 perform dirfd path* dirfd2 path2*
renameat2 316 276 perform dirfd path* dirfd2 path2* flags
request_key 249 218 refuse text* text* text* value
restart_syscall 219 128 let_by
rmdir 84 - perform path*
rseq 334 293 let_by pointer* size flags value
rt_sigaction 13 134 let_by signal pointer* pointer* size*
rt_sigpending 127 136 let_by pointer* size*
rt_sigprocmask 14 135 let_by command pointer* pointer* size*
rt_sigqueueinfo 129 138 perform pid signal info*
rt_sigreturn 15 139 let_by
rt_sigsuspend 130 133 let_by pointer* size*
rt_sigtimedwait 128 137 let_by pointer* pointer* pointer* size*
rt_tgsigqueueinfo 297 240 perform pid tid signal info*
sched_get_priority_max 146 125 let_by value
sched_get_priority_min 147 126 let_by value
sched_getaffinity 204 123 observe pid size pointer*
sched_getattr 315 275 observe pid pointer* size flags
sched_getparam 143 121 observe pid pointer*
sched_getscheduler 145 120 observe pid
sched_rr_get_interval 148 127 observe pid pointer*
sched_setaffinity 203 122 observe pid size pointer*
sched_setattr 314 274 observe pid pointer* flags
sched_setparam 142 118 observe pid pointer*
sched_setscheduler 144 119 observe pid value pointer*
sched_yield 24 124 let_by
seccomp 317 277 bounce command flags pointer*
security 185 - refuse
select 23 - let_by count pointer* pointer* pointer* pointer*
semctl 66 191 observe value value command pointer*
semget 64 190 perform value count flags
semop 65 193 observe value pointer* count
semtimedop 220 192 observe value pointer* count pointer*
sendfile 40 71 let_by fd fd pointer* size*
sendmmsg 307 269 bounce socket message* count flags
sendmsg 46 211 bounce socket message* flags
sendto 44 206 bounce socket buffer* size* flags address* address_size
set_mempolicy 238 237 let_by value pointer* value*
set_mempolicy_home_node 450 450 let_by pointer* length* value* flags
set_robust_list 273 99 let_by pointer* size*
set_thread_area 205 - refuse pointer*
set_tid_address 218 96 let_by pointer*
setdomainname 171 162 refuse text* size
setfsgid 123 152 observe gid
setfsuid 122 151 observe uid
setgid 106 144 observe gid
setgroups 116 159 observe count pointer*
sethostname 170 161 refuse text* size
setitimer 38 103 let_by value pointer* pointer*
setns 308 268 refuse fd flags
setpgid 109 154 observe pid value
setpriority 141 140 observe command pid value
setregid 114 143 observe gid gid
setresgid 119 149 observe gid gid gid
setresuid 117 147 observe uid uid uid
setreuid 113 145 observe uid uid
setrlimit 160 164 let_by value pointer*
setsid 112 157 let_by
setsockopt 54 208 bounce socket value command pointer* size
settimeofday 164 170 refuse pointer* pointer*
setuid 105 146 observe uid
setxattr 188 5 perform path* text* buffer* size* flags
setxattrat 463 463 absent dirfd path* at_flags text* pointer* size*
shmat 30 196 observe value pointer* flags
shmctl 31 195 observe value command pointer*
shmdt 67 197 let_by pointer*
shmget 29 194 perform value size* flags
shutdown 48 210 let_by socket value
sigaltstack 131 132 let_by pointer* pointer*
signalfd 282 - let_by fd pointer* size*
signalfd4 289 74 let_by fd pointer* size* flags
socket 41 198 perform value value value
socketpair 53 199 perform value value value pointer*
splice 275 76 let_by fd pointer* fd pointer* size* flags
stat 4 - perform path* buffer*
statfs 137 43 perform path* buffer*
statmount 457 457 refuse pointer* buffer* size* flags
statx 332 291 perform dirfd path* at_flags mask buffer*
swapoff 168 225 refuse path*
swapon 167 224 refuse path* flags
symlink 88 - perform text* path2*
symlinkat 266 36 perform text* dirfd2 path2*
sync 162 81 let_by
sync_file_range 277 84 let_by fd value* length* flags
syncfs 306 267 let_by fd
sysfs 139 - refuse value value* buffer*
sysinfo 99 179 let_by buffer*
syslog 103 116 refuse command buffer* size
tee 276 77 let_by fd fd size* flags
tgkill 234 131 perform pid tid signal
time 201 - let_by pointer*
timer_create 222 107 observe value pointer* pointer*
timer_delete 226 111 let_by value
timer_getoverrun 225 109 let_by value
timer_gettime 224 108 let_by value pointer*
timer_settime 223 110 let_by value flags pointer* pointer*
timerfd_create 283 85 let_by value flags
timerfd_gettime 287 87 let_by fd pointer*
timerfd_settime 286 86 let_by fd flags pointer* pointer*
times 100 153 let_by pointer*
tkill 200 130 perform tid signal
truncate 76 45 perform path* length*
tuxcall 184 - refuse
umask 95 166 observe mode
umount2 166 39 refuse path* flags
uname 63 160 let_by buffer*
unlink 87 - perform path*
unlinkat 263 35 perform dirfd path* at_flags
unshare 272 97 observe flags*
uprobe 336 - let_by
uretprobe 335 - let_by
uselib 134 - refuse path*
userfaultfd 323 282 refuse flags
ustat 136 - refuse device buffer*
utime 132 - perform path* times*
utimensat 280 88 perform dirfd path* times* at_flags
utimes 235 - perform path* times*
vfork 58 - let_by
vhangup 153 58 refuse
vmsplice 278 75 let_by fd pointer* count* flags
vserver 236 - refuse
wait4 61 260 let_by value pointer* flags pointer*
waitid 247 95 let_by value value pointer* flags pointer*
write 1 64 let_by fd buffer* size*
writev 20 66 let_by fd pointer* count*
`;
