// The kernel's constants by name, one table for rules on system calls, for what hooks on them are shown, and for what a
// violation says. test/table/constants.test.ts compares it to the machine's headers.

/** Written as in the headers: `NAME=value`. */
const texts = {
  families: `
    AF_UNSPEC=0 AF_UNIX=1 AF_LOCAL=1 AF_INET=2 AF_AX25=3 AF_IPX=4 AF_APPLETALK=5 AF_NETROM=6 AF_BRIDGE=7
    AF_ATMPVC=8 AF_X25=9 AF_INET6=0xa AF_ROSE=0xb AF_KEY=0xf AF_NETLINK=0x10 AF_PACKET=0x11 AF_ASH=0x12
    AF_ECONET=0x13 AF_ATMSVC=0x14 AF_RDS=0x15 AF_SNA=0x16 AF_IRDA=0x17 AF_PPPOX=0x18 AF_WANPIPE=0x19 AF_LLC=0x1a
    AF_IB=0x1b AF_MPLS=0x1c AF_CAN=0x1d AF_TIPC=0x1e AF_BLUETOOTH=0x1f AF_IUCV=0x20 AF_RXRPC=0x21 AF_ISDN=0x22
    AF_PHONET=0x23 AF_IEEE802154=0x24 AF_CAIF=0x25 AF_ALG=0x26 AF_NFC=0x27 AF_VSOCK=0x28 AF_KCM=0x29
    AF_QIPCRTR=0x2a AF_SMC=0x2b AF_XDP=0x2c AF_MCTP=0x2d`,
  socketTypes: `
    SOCK_STREAM=1 SOCK_DGRAM=2 SOCK_RAW=3 SOCK_RDM=4 SOCK_SEQPACKET=5 SOCK_DCCP=6 SOCK_PACKET=0xa
    SOCK_CLOEXEC=0x80000 SOCK_NONBLOCK=0x800`,
  protocols: `
    IPPROTO_IP=0 IPPROTO_ICMP=1 IPPROTO_IGMP=2 IPPROTO_TCP=6 IPPROTO_UDP=0x11 IPPROTO_IPV6=0x29
    IPPROTO_ICMPV6=0x3a IPPROTO_SCTP=0x84 IPPROTO_UDPLITE=0x88 IPPROTO_RAW=0xff IPPROTO_MPTCP=0x106
    NETLINK_ROUTE=0 NETLINK_USERSOCK=2 NETLINK_SOCK_DIAG=4 NETLINK_NFLOG=5 NETLINK_XFRM=6 NETLINK_SELINUX=7
    NETLINK_AUDIT=9 NETLINK_CONNECTOR=0xb NETLINK_NETFILTER=0xc NETLINK_KOBJECT_UEVENT=0xf NETLINK_GENERIC=0x10
    NETLINK_CRYPTO=0x15`,
  openFlags: `
    O_RDONLY=0 O_WRONLY=1 O_RDWR=2 O_ACCMODE=3 O_CREAT=0x40 O_EXCL=0x80 O_NOCTTY=0x100 O_TRUNC=0x200
    O_APPEND=0x400 O_NONBLOCK=0x800 O_DSYNC=0x1000 O_SYNC=0x101000 O_ASYNC=0x2000 O_NOATIME=0x40000
    O_CLOEXEC=0x80000 O_PATH=0x200000`,
  modes: `
    S_IFMT=0xf000 S_IFREG=0x8000 S_IFDIR=0x4000 S_IFCHR=0x2000 S_IFBLK=0x6000 S_IFIFO=0x1000 S_IFLNK=0xa000
    S_IFSOCK=0xc000 S_ISUID=0x800 S_ISGID=0x400 S_ISVTX=0x200 S_IRWXU=0x1c0 S_IRUSR=0x100 S_IWUSR=0x80
    S_IXUSR=0x40 S_IRWXG=0x38 S_IRGRP=0x20 S_IWGRP=0x10 S_IXGRP=8 S_IRWXO=7 S_IROTH=4 S_IWOTH=2 S_IXOTH=1`,
  accessModes: `
    F_OK=0 R_OK=4 W_OK=2 X_OK=1`,
  atFlags: `
    AT_SYMLINK_NOFOLLOW=0x100 AT_REMOVEDIR=0x200 AT_EACCESS=0x200 AT_SYMLINK_FOLLOW=0x400 AT_NO_AUTOMOUNT=0x800
    AT_EMPTY_PATH=0x1000 AT_STATX_FORCE_SYNC=0x2000 AT_STATX_DONT_SYNC=0x4000`,
  directories: `
    AT_FDCWD=0xffffff9c`,
  cloneFlags: `
    CLONE_NEWTIME=0x80 CLONE_VM=0x100 CLONE_FS=0x200 CLONE_FILES=0x400 CLONE_SIGHAND=0x800 CLONE_PIDFD=0x1000
    CLONE_PTRACE=0x2000 CLONE_VFORK=0x4000 CLONE_PARENT=0x8000 CLONE_THREAD=0x10000 CLONE_NEWNS=0x20000
    CLONE_SYSVSEM=0x40000 CLONE_SETTLS=0x80000 CLONE_PARENT_SETTID=0x100000 CLONE_CHILD_CLEARTID=0x200000
    CLONE_DETACHED=0x400000 CLONE_UNTRACED=0x800000 CLONE_CHILD_SETTID=0x1000000 CLONE_NEWCGROUP=0x2000000
    CLONE_NEWUTS=0x4000000 CLONE_NEWIPC=0x8000000 CLONE_NEWUSER=0x10000000 CLONE_NEWPID=0x20000000
    CLONE_NEWNET=0x40000000 CLONE_IO=0x80000000`,
  prctls: `
    PR_SET_PDEATHSIG=1 PR_GET_PDEATHSIG=2 PR_GET_DUMPABLE=3 PR_SET_DUMPABLE=4 PR_GET_KEEPCAPS=7
    PR_SET_KEEPCAPS=8 PR_GET_TIMING=0xd PR_SET_TIMING=0xe PR_SET_NAME=0xf PR_GET_NAME=0x10 PR_GET_SECCOMP=0x15
    PR_SET_SECCOMP=0x16 PR_CAPBSET_READ=0x17 PR_CAPBSET_DROP=0x18 PR_GET_TSC=0x19 PR_SET_TSC=0x1a
    PR_GET_SECUREBITS=0x1b PR_SET_SECUREBITS=0x1c PR_SET_TIMERSLACK=0x1d PR_GET_TIMERSLACK=0x1e
    PR_TASK_PERF_EVENTS_DISABLE=0x1f PR_TASK_PERF_EVENTS_ENABLE=0x20 PR_MCE_KILL=0x21 PR_MCE_KILL_GET=0x22
    PR_SET_MM=0x23 PR_SET_CHILD_SUBREAPER=0x24 PR_GET_CHILD_SUBREAPER=0x25 PR_SET_NO_NEW_PRIVS=0x26
    PR_GET_NO_NEW_PRIVS=0x27 PR_GET_TID_ADDRESS=0x28 PR_SET_THP_DISABLE=0x29 PR_GET_THP_DISABLE=0x2a
    PR_CAP_AMBIENT=0x2f PR_GET_SPECULATION_CTRL=0x34 PR_SET_SPECULATION_CTRL=0x35 PR_SET_IO_FLUSHER=0x39
    PR_GET_IO_FLUSHER=0x3a PR_SET_SYSCALL_USER_DISPATCH=0x3b PR_SCHED_CORE=0x3e PR_SET_MDWE=0x41
    PR_GET_MDWE=0x42 PR_SET_TAGGED_ADDR_CTRL=0x37 PR_PAC_SET_ENABLED_KEYS=0x3c PR_SET_MEMORY_MERGE=0x43 PR_SET_VMA=0x53564d41 PR_SET_PTRACER=0x59616d61`,
  protections: `
    PROT_NONE=0 PROT_READ=1 PROT_WRITE=2 PROT_EXEC=4 PROT_GROWSDOWN=0x1000000 PROT_GROWSUP=0x2000000`,
  mapFlags: `
    MAP_SHARED=1 MAP_PRIVATE=2 MAP_SHARED_VALIDATE=3 MAP_FIXED=0x10 MAP_ANONYMOUS=0x20 MAP_GROWSDOWN=0x100
    MAP_LOCKED=0x2000 MAP_NORESERVE=0x4000 MAP_POPULATE=0x8000 MAP_NONBLOCK=0x10000 MAP_STACK=0x20000
    MAP_HUGETLB=0x40000 MAP_SYNC=0x80000 MAP_FIXED_NOREPLACE=0x100000`,
  remapFlags: `
    MREMAP_MAYMOVE=1 MREMAP_FIXED=2 MREMAP_DONTUNMAP=4`,
  advices: `
    MADV_NORMAL=0 MADV_RANDOM=1 MADV_SEQUENTIAL=2 MADV_WILLNEED=3 MADV_DONTNEED=4 MADV_FREE=8 MADV_REMOVE=9
    MADV_DONTFORK=0xa MADV_DOFORK=0xb MADV_MERGEABLE=0xc MADV_UNMERGEABLE=0xd MADV_HUGEPAGE=0xe
    MADV_NOHUGEPAGE=0xf MADV_DONTDUMP=0x10 MADV_DODUMP=0x11 MADV_WIPEONFORK=0x12 MADV_KEEPONFORK=0x13
    MADV_COLD=0x14 MADV_PAGEOUT=0x15 MADV_POPULATE_READ=0x16 MADV_POPULATE_WRITE=0x17 MADV_HWPOISON=0x64`,
  fcntls: `
    F_DUPFD=0 F_GETFD=1 F_SETFD=2 F_GETFL=3 F_SETFL=4 F_GETLK=5 F_SETLK=6 F_SETLKW=7 F_SETOWN=8 F_GETOWN=9
    F_SETSIG=0xa F_GETSIG=0xb F_SETOWN_EX=0xf F_GETOWN_EX=0x10 F_OFD_GETLK=0x24 F_OFD_SETLK=0x25
    F_OFD_SETLKW=0x26 F_SETLEASE=0x400 F_GETLEASE=0x401 F_NOTIFY=0x402 F_DUPFD_CLOEXEC=0x406 F_SETPIPE_SZ=0x407
    F_GETPIPE_SZ=0x408 F_ADD_SEALS=0x409 F_GET_SEALS=0x40a F_GET_RW_HINT=0x40b F_SET_RW_HINT=0x40c`,
  ioctls: `
    TCGETS=0x5401 TCSETS=0x5402 TCSETSW=0x5403 TCSETSF=0x5404 TIOCSCTTY=0x540e TIOCGPGRP=0x540f TIOCSPGRP=0x5410
    TIOCSTI=0x5412 TIOCGWINSZ=0x5413 TIOCSWINSZ=0x5414 TIOCLINUX=0x541c TIOCCONS=0x541d TIOCPKT=0x5420
    FIONBIO=0x5421 TIOCNOTTY=0x5422 TIOCSETD=0x5423 FIONREAD=0x541b TIOCGETD=0x5424 TIOCGPTPEER=0x5441
    FIONCLEX=0x5450 FIOCLEX=0x5451 FIOASYNC=0x5452 FIOSETOWN=0x8901 SIOCSPGRP=0x8902 SIOCADDRT=0x890b
    SIOCDELRT=0x890c SIOCGIFCONF=0x8912 SIOCGIFFLAGS=0x8913 SIOCSIFFLAGS=0x8914 SIOCGIFADDR=0x8915
    SIOCSIFADDR=0x8916 SIOCGIFHWADDR=0x8927 SIOCETHTOOL=0x8946 FICLONE=0x40049409 FICLONERANGE=0x4020940d
    FS_IOC_SETFLAGS=0x40086602 FS_IOC_GETFLAGS=0x80086601 TUNSETIFF=0x400454ca`,
  clocks: `
    CLOCK_REALTIME=0 CLOCK_MONOTONIC=1 CLOCK_PROCESS_CPUTIME_ID=2 CLOCK_THREAD_CPUTIME_ID=3
    CLOCK_MONOTONIC_RAW=4 CLOCK_REALTIME_COARSE=5 CLOCK_MONOTONIC_COARSE=6 CLOCK_BOOTTIME=7
    CLOCK_REALTIME_ALARM=8 CLOCK_BOOTTIME_ALARM=9 CLOCK_TAI=0xb`,
  timerFlags: `
    TIMER_ABSTIME=1`,
  limits: `
    RLIMIT_CPU=0 RLIMIT_FSIZE=1 RLIMIT_DATA=2 RLIMIT_STACK=3 RLIMIT_CORE=4 RLIMIT_RSS=5 RLIMIT_NPROC=6
    RLIMIT_NOFILE=7 RLIMIT_MEMLOCK=8 RLIMIT_AS=9 RLIMIT_LOCKS=0xa RLIMIT_SIGPENDING=0xb RLIMIT_MSGQUEUE=0xc
    RLIMIT_NICE=0xd RLIMIT_RTPRIO=0xe RLIMIT_RTTIME=0xf`,
  usages: `
    RUSAGE_SELF=0 RUSAGE_CHILDREN=0xffffffff RUSAGE_THREAD=1`,
  priorities: `
    PRIO_PROCESS=0 PRIO_PGRP=1 PRIO_USER=2`,
  policies: `
    SCHED_OTHER=0 SCHED_FIFO=1 SCHED_RR=2 SCHED_BATCH=3 SCHED_IDLE=5 SCHED_DEADLINE=6`,
  randomFlags: `
    GRND_NONBLOCK=1 GRND_RANDOM=2 GRND_INSECURE=4`,
  memfdFlags: `
    MFD_CLOEXEC=1 MFD_ALLOW_SEALING=2 MFD_HUGETLB=4 MFD_NOEXEC_SEAL=8 MFD_EXEC=0x10`,
  levels: `
    IPPROTO_IP=0 SOL_SOCKET=1 IPPROTO_TCP=6 IPPROTO_UDP=0x11 IPPROTO_IPV6=0x29 IPPROTO_RAW=0xff SOL_PACKET=0x107
    SOL_NETLINK=0x10e SOL_TLS=0x11a SOL_XDP=0x11b`,
  socketOptions: `
    SO_DEBUG=1 SO_REUSEADDR=2 SO_TYPE=3 SO_ERROR=4 SO_DONTROUTE=5 SO_BROADCAST=6 SO_SNDBUF=7 SO_RCVBUF=8
    SO_KEEPALIVE=9 SO_OOBINLINE=0xa SO_PRIORITY=0xc SO_LINGER=0xd SO_REUSEPORT=0xf SO_PASSCRED=0x10
    SO_PEERCRED=0x11 SO_RCVLOWAT=0x12 SO_SNDLOWAT=0x13 SO_BINDTODEVICE=0x19 SO_ATTACH_FILTER=0x1a
    SO_DETACH_FILTER=0x1b SO_TIMESTAMP=0x1d SO_PASSSEC=0x22 SO_MARK=0x24 SO_PROTOCOL=0x26 SO_DOMAIN=0x27
    SO_BUSY_POLL=0x2e SO_ATTACH_BPF=0x32 SO_ZEROCOPY=0x3c SO_BINDTOIFINDEX=0x3e TCP_NODELAY=1 TCP_MAXSEG=2
    TCP_CORK=3 TCP_KEEPIDLE=4 TCP_KEEPINTVL=5 TCP_KEEPCNT=6 TCP_USER_TIMEOUT=0x12 TCP_CONGESTION=0xd
    TCP_FASTOPEN=0x17 TCP_FASTOPEN_CONNECT=0x1e TCP_ULP=0x1f TCP_REPAIR=0x13 IP_TOS=1 IP_TTL=2 IP_OPTIONS=4
    IP_TRANSPARENT=0x13 IP_FREEBIND=0xf IP_ADD_MEMBERSHIP=0x23 IP_DROP_MEMBERSHIP=0x24 IP_MULTICAST_IF=0x20
    IP_MULTICAST_TTL=0x21 IP_MULTICAST_LOOP=0x22 IPV6_V6ONLY=0x1a IPV6_JOIN_GROUP=0x14 IPV6_LEAVE_GROUP=0x15
    IPV6_UNICAST_HOPS=0x10 IPV6_MULTICAST_HOPS=0x12 UDP_ENCAP=0x64 UDP_SEGMENT=0x67 UDP_GRO=0x68`,
  messageFlags: `
    MSG_OOB=1 MSG_PEEK=2 MSG_DONTROUTE=4 MSG_CTRUNC=8 MSG_TRUNC=0x20 MSG_DONTWAIT=0x40 MSG_EOR=0x80
    MSG_WAITALL=0x100 MSG_CONFIRM=0x800 MSG_ERRQUEUE=0x2000 MSG_NOSIGNAL=0x4000 MSG_MORE=0x8000
    MSG_WAITFORONE=0x10000 MSG_ZEROCOPY=0x4000000 MSG_FASTOPEN=0x20000000 MSG_CMSG_CLOEXEC=0x40000000`,
  shutdowns: `
    SHUT_RD=0 SHUT_WR=1 SHUT_RDWR=2`,
  futexes: `
    FUTEX_WAIT=0 FUTEX_WAKE=1 FUTEX_REQUEUE=3 FUTEX_CMP_REQUEUE=4 FUTEX_WAKE_OP=5 FUTEX_LOCK_PI=6
    FUTEX_UNLOCK_PI=7 FUTEX_TRYLOCK_PI=8 FUTEX_WAIT_BITSET=9 FUTEX_WAKE_BITSET=0xa FUTEX_WAIT_REQUEUE_PI=0xb
    FUTEX_CMP_REQUEUE_PI=0xc FUTEX_LOCK_PI2=0xd FUTEX_PRIVATE_FLAG=0x80 FUTEX_CLOCK_REALTIME=0x100`,
  epolls: `
    EPOLL_CTL_ADD=1 EPOLL_CTL_DEL=2 EPOLL_CTL_MOD=3`,
  epollFlags: `
    EPOLL_CLOEXEC=0x80000`,
  eventFlags: `
    EFD_CLOEXEC=0x80000 EFD_NONBLOCK=0x800 EFD_SEMAPHORE=1`,
  timerfdFlags: `
    TFD_CLOEXEC=0x80000 TFD_NONBLOCK=0x800 TFD_TIMER_ABSTIME=1`,
  signalfdFlags: `
    SFD_CLOEXEC=0x80000 SFD_NONBLOCK=0x800`,
  inotifyFlags: `
    IN_CLOEXEC=0x80000 IN_NONBLOCK=0x800`,
  watches: `
    IN_ACCESS=1 IN_MODIFY=2 IN_ATTRIB=4 IN_CLOSE_WRITE=8 IN_CLOSE_NOWRITE=0x10 IN_OPEN=0x20 IN_MOVED_FROM=0x40
    IN_MOVED_TO=0x80 IN_CREATE=0x100 IN_DELETE=0x200 IN_DELETE_SELF=0x400 IN_MOVE_SELF=0x800 IN_ALL_EVENTS=0xfff
    IN_ONLYDIR=0x1000000 IN_DONT_FOLLOW=0x2000000 IN_EXCL_UNLINK=0x4000000 IN_MASK_CREATE=0x10000000
    IN_MASK_ADD=0x20000000 IN_ISDIR=0x40000000 IN_ONESHOT=0x80000000`,
  personas: `
    PER_LINUX=0 PER_LINUX32=8 UNAME26=0x20000 ADDR_NO_RANDOMIZE=0x40000 FDPIC_FUNCPTRS=0x80000
    MMAP_PAGE_ZERO=0x100000 ADDR_COMPAT_LAYOUT=0x200000 READ_IMPLIES_EXEC=0x400000 ADDR_LIMIT_32BIT=0x800000
    SHORT_INODE=0x1000000 WHOLE_SECONDS=0x2000000 STICKY_TIMEOUTS=0x4000000 ADDR_LIMIT_3GB=0x8000000`,
  ptraces: `
    PTRACE_TRACEME=0 PTRACE_PEEKTEXT=1 PTRACE_PEEKDATA=2 PTRACE_PEEKUSER=3 PTRACE_POKETEXT=4 PTRACE_POKEDATA=5
    PTRACE_POKEUSER=6 PTRACE_CONT=7 PTRACE_KILL=8 PTRACE_SINGLESTEP=9 PTRACE_ATTACH=0x10 PTRACE_DETACH=0x11
    PTRACE_SYSCALL=0x18 PTRACE_SETOPTIONS=0x4200 PTRACE_GETEVENTMSG=0x4201 PTRACE_GETSIGINFO=0x4202
    PTRACE_GETREGSET=0x4204 PTRACE_SETREGSET=0x4205 PTRACE_SEIZE=0x4206 PTRACE_INTERRUPT=0x4207
    PTRACE_LISTEN=0x4208`,
  renameFlags: `
    RENAME_NOREPLACE=1 RENAME_EXCHANGE=2 RENAME_WHITEOUT=4`,
  seccomps: `
    SECCOMP_SET_MODE_STRICT=0 SECCOMP_SET_MODE_FILTER=1 SECCOMP_GET_ACTION_AVAIL=2 SECCOMP_GET_NOTIF_SIZES=3`,
  seccompFlags: `
    SECCOMP_FILTER_FLAG_TSYNC=1 SECCOMP_FILTER_FLAG_LOG=2 SECCOMP_FILTER_FLAG_SPEC_ALLOW=4
    SECCOMP_FILTER_FLAG_NEW_LISTENER=8 SECCOMP_FILTER_FLAG_TSYNC_ESRCH=0x10
    SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV=0x20`,
  archPrctls: `
    ARCH_SET_GS=0x1001 ARCH_SET_FS=0x1002 ARCH_GET_FS=0x1003 ARCH_GET_GS=0x1004 ARCH_GET_CPUID=0x1011
    ARCH_SET_CPUID=0x1012`,
  waitOptions: `
    WNOHANG=1 WUNTRACED=2 WSTOPPED=2 WEXITED=4 WCONTINUED=8 WNOWAIT=0x1000000 __WNOTHREAD=0x20000000
    __WALL=0x40000000 __WCLONE=0x80000000`,
  waitIds: `
    P_ALL=0 P_PID=1 P_PGID=2 P_PIDFD=3`,
  locks: `
    LOCK_SH=1 LOCK_EX=2 LOCK_NB=4 LOCK_UN=8`,
  seeks: `
    SEEK_SET=0 SEEK_CUR=1 SEEK_END=2 SEEK_DATA=3 SEEK_HOLE=4`,
  ipcFlags: `
    IPC_CREAT=0x200 IPC_EXCL=0x400 IPC_NOWAIT=0x800`,
  ipcCommands: `
    IPC_RMID=0 IPC_SET=1 IPC_STAT=2 IPC_INFO=3`,
  mountFlags: `
    MS_RDONLY=1 MS_NOSUID=2 MS_NODEV=4 MS_NOEXEC=8 MS_SYNCHRONOUS=0x10 MS_REMOUNT=0x20 MS_BIND=0x1000
    MS_MOVE=0x2000 MS_REC=0x4000 MS_PRIVATE=0x40000 MS_SLAVE=0x80000 MS_SHARED=0x100000`,
  syncFlags: `
    MS_ASYNC=1 MS_SYNC=4 MS_INVALIDATE=2`,
  umountFlags: `
    MNT_FORCE=1 MNT_DETACH=2 MNT_EXPIRE=4 UMOUNT_NOFOLLOW=8`,
  lockFlags: `
    MCL_CURRENT=1 MCL_FUTURE=2 MCL_ONFAULT=4`,
  allocations: `
    FALLOC_FL_KEEP_SIZE=1 FALLOC_FL_PUNCH_HOLE=2 FALLOC_FL_COLLAPSE_RANGE=8 FALLOC_FL_ZERO_RANGE=0x10
    FALLOC_FL_INSERT_RANGE=0x20 FALLOC_FL_UNSHARE_RANGE=0x40`,
  closeFlags: `
    CLOSE_RANGE_UNSHARE=2 CLOSE_RANGE_CLOEXEC=4`,
  signals: `
    SIGHUP=1 SIGINT=2 SIGQUIT=3 SIGILL=4 SIGTRAP=5 SIGABRT=6 SIGBUS=7 SIGFPE=8 SIGKILL=9 SIGUSR1=0xa SIGSEGV=0xb
    SIGUSR2=0xc SIGPIPE=0xd SIGALRM=0xe SIGTERM=0xf SIGSTKFLT=0x10 SIGCHLD=0x11 SIGCONT=0x12 SIGSTOP=0x13
    SIGTSTP=0x14 SIGTTIN=0x15 SIGTTOU=0x16 SIGURG=0x17 SIGXCPU=0x18 SIGXFSZ=0x19 SIGVTALRM=0x1a SIGPROF=0x1b
    SIGWINCH=0x1c SIGIO=0x1d SIGPWR=0x1e SIGSYS=0x1f`,
  maskings: `
    SIG_BLOCK=0 SIG_UNBLOCK=1 SIG_SETMASK=2`,
  xattrFlags: `
    XATTR_CREATE=1 XATTR_REPLACE=2`,
  spliceFlags: `
    SPLICE_F_MOVE=1 SPLICE_F_NONBLOCK=2 SPLICE_F_MORE=4 SPLICE_F_GIFT=8`,
  bpfs: `
    BPF_MAP_CREATE=0 BPF_MAP_LOOKUP_ELEM=1 BPF_MAP_UPDATE_ELEM=2 BPF_MAP_DELETE_ELEM=3 BPF_MAP_GET_NEXT_KEY=4
    BPF_PROG_LOAD=5 BPF_OBJ_PIN=6 BPF_OBJ_GET=7 BPF_PROG_ATTACH=8 BPF_PROG_DETACH=9`,
  ioPriorities: `
    IOPRIO_WHO_PROCESS=1 IOPRIO_WHO_PGRP=2 IOPRIO_WHO_USER=3`,
};

/** Those that architectures have numbers of their own for (asm/fcntl.h): x86_64, aarch64. */
const byArchitecture: Readonly<Record<string, readonly [group: string, x86_64: number, aarch64: number]>> = {
  O_DIRECT: ['openFlags', 0x4000, 0x10000],
  O_LARGEFILE: ['openFlags', 0x8000, 0x20000],
  O_DIRECTORY: ['openFlags', 0x10000, 0x4000],
  O_NOFOLLOW: ['openFlags', 0x20000, 0x8000],
  O_TMPFILE: ['openFlags', 0x410000, 0x404000],
};

export type ConstantGroup = keyof typeof texts;
export type Constants = ReadonlyMap<string, number>;

const groups = new Map<ConstantGroup, Constants>();

/** A group's constants by name, made when they are first needed. */
export function constantsOf(group: ConstantGroup): Constants {
  let known = groups.get(group);
  if (known === undefined) {
    const made = new Map<string, number>();
    for (const [, name = '', value] of texts[group].matchAll(/(\w+)=(\w+)/g)) made.set(name, Number(value));
    for (const [name, [of, x86, arm]] of Object.entries(byArchitecture)) {
      if (of === group) made.set(name, process.arch === 'arm64' ? arm : x86);
    }
    known = made;
    groups.set(group, known);
  }
  return known;
}

export function allGroups(): ConstantGroup[] {
  return Object.keys(texts) as ConstantGroup[];
}

/** What single arguments are, by `call argument`; several groups together where both make sense. */
const ofArguments: Readonly<Record<string, readonly ConstantGroup[]>> = {
  'accept4 3': ['socketTypes'],
  'access 1': ['accessModes'],
  'arch_prctl 0': ['archPrctls'],
  'bpf 0': ['bpfs'],
  'clock_getres 0': ['clocks'],
  'clock_gettime 0': ['clocks'],
  'clock_nanosleep 0': ['clocks'],
  'clock_nanosleep 1': ['timerFlags'],
  'clock_settime 0': ['clocks'],
  'clone 0': ['cloneFlags', 'signals'],
  'close_range 2': ['closeFlags'],
  'dup3 2': ['openFlags'],
  'epoll_create1 0': ['epollFlags'],
  'epoll_ctl 1': ['epolls'],
  'eventfd2 1': ['eventFlags'],
  'faccessat 2': ['accessModes'],
  'faccessat2 2': ['accessModes'],
  'fallocate 1': ['allocations'],
  'fcntl 1': ['fcntls'],
  'fcntl 2': ['openFlags'],
  'flock 1': ['locks'],
  'fsetxattr 4': ['xattrFlags'],
  'futex 1': ['futexes'],
  'getpriority 0': ['priorities'],
  'getrandom 2': ['randomFlags'],
  'getrlimit 0': ['limits'],
  'getrusage 0': ['usages'],
  'getsockopt 1': ['levels'],
  'getsockopt 2': ['socketOptions'],
  'inotify_add_watch 2': ['watches'],
  'inotify_init1 0': ['inotifyFlags'],
  'ioctl 1': ['ioctls'],
  'ioprio_get 0': ['ioPriorities'],
  'ioprio_set 0': ['ioPriorities'],
  'lseek 2': ['seeks'],
  'lsetxattr 4': ['xattrFlags'],
  'madvise 2': ['advices'],
  'memfd_create 1': ['memfdFlags'],
  'mlockall 0': ['lockFlags'],
  'mmap 2': ['protections'],
  'mmap 3': ['mapFlags'],
  'mount 3': ['mountFlags'],
  'mprotect 2': ['protections'],
  'mremap 3': ['remapFlags'],
  'msgctl 1': ['ipcCommands'],
  'msgget 1': ['ipcFlags', 'modes'],
  'msync 2': ['syncFlags'],
  'personality 0': ['personas'],
  'pipe2 1': ['openFlags'],
  'pkey_mprotect 2': ['protections'],
  'prctl 0': ['prctls'],
  'prlimit64 1': ['limits'],
  'ptrace 0': ['ptraces'],
  'recvfrom 3': ['messageFlags'],
  'recvmmsg 3': ['messageFlags'],
  'recvmsg 2': ['messageFlags'],
  'renameat2 4': ['renameFlags'],
  'rt_sigprocmask 0': ['maskings'],
  'sched_setscheduler 1': ['policies'],
  'seccomp 0': ['seccomps'],
  'seccomp 1': ['seccompFlags'],
  'semctl 2': ['ipcCommands'],
  'semget 2': ['ipcFlags', 'modes'],
  'sendmmsg 3': ['messageFlags'],
  'sendmsg 2': ['messageFlags'],
  'sendto 3': ['messageFlags'],
  'setns 1': ['cloneFlags'],
  'setpriority 0': ['priorities'],
  'setrlimit 0': ['limits'],
  'setsockopt 1': ['levels'],
  'setsockopt 2': ['socketOptions'],
  'setxattr 4': ['xattrFlags'],
  'shmctl 1': ['ipcCommands'],
  'shmget 2': ['ipcFlags', 'modes'],
  'shutdown 1': ['shutdowns'],
  'signalfd4 3': ['signalfdFlags'],
  'socket 0': ['families'],
  'socket 1': ['socketTypes'],
  'socket 2': ['protocols'],
  'socketpair 0': ['families'],
  'socketpair 1': ['socketTypes'],
  'splice 5': ['spliceFlags'],
  'tee 3': ['spliceFlags'],
  'timer_create 0': ['clocks'],
  'timerfd_create 0': ['clocks'],
  'timerfd_create 1': ['timerfdFlags'],
  'timerfd_settime 1': ['timerfdFlags'],
  'umount2 1': ['umountFlags'],
  'unshare 0': ['cloneFlags'],
  'vmsplice 3': ['spliceFlags'],
  'wait4 2': ['waitOptions'],
  'waitid 0': ['waitIds'],
  'waitid 3': ['waitOptions'],
};

/** What arguments of a kind (native/syscalls/table.h) are. */
const ofKinds: Readonly<Record<string, readonly ConstantGroup[]>> = {
  dirfd: ['directories'],
  dirfd2: ['directories'],
  open_flags: ['openFlags'],
  at_flags: ['atFlags'],
  mode: ['modes'],
  signal: ['signals'],
};

/** The groups whose names make sense for an argument; empty: it is a number without names. */
export function groupsFor(call: string, argument: number, kind: string): readonly ConstantGroup[] {
  return ofArguments[`${call} ${argument}`] ?? ofKinds[kind] ?? [];
}

/** The argument places that the table speaks of, for its test. */
export function namedPlaces(): string[] {
  return Object.keys(ofArguments);
}

/** Groups whose members are bits to be combined. */
const bits: ReadonlySet<ConstantGroup> = new Set([
  'openFlags',
  'socketTypes',
  'atFlags',
  'modes',
  'cloneFlags',
  'protections',
  'mapFlags',
  'remapFlags',
  'timerFlags',
  'randomFlags',
  'memfdFlags',
  'messageFlags',
  'epollFlags',
  'eventFlags',
  'timerfdFlags',
  'signalfdFlags',
  'inotifyFlags',
  'watches',
  'personas',
  'renameFlags',
  'seccompFlags',
  'waitOptions',
  'locks',
  'ipcFlags',
  'mountFlags',
  'syncFlags',
  'umountFlags',
  'lockFlags',
  'allocations',
  'closeFlags',
  'xattrFlags',
  'spliceFlags',
  'accessModes',
] as const);

/** A value by name: `AF_INET`, `O_WRONLY|O_CREAT`, and what has no name in hexadecimal. Undefined: nothing of it has one. */
export function named(from: readonly ConstantGroup[], value: number): string | undefined {
  for (const group of from) {
    for (const [name, known] of constantsOf(group)) if (known === value) return name;
  }
  const names: string[] = [];
  let left = value;
  // A type, and flags above it: linux/net.h, SOCK_TYPE_MASK.
  if (from.includes('socketTypes')) {
    const type = named(from, value & 0xf);
    if (type === undefined || (value & 0xf) === value) return undefined;
    names.push(type);
    left &= ~0xf;
  }
  for (const group of from) {
    if (!bits.has(group)) continue;
    for (const [name, bit] of constantsOf(group)) {
      if (bit === 0 || (left & bit) !== bit) continue;
      names.push(name);
      left &= ~bit;
    }
  }
  if (names.length === 0) return undefined;
  if (left !== 0) names.push(`0x${(left >>> 0).toString(16)}`);
  return names.join('|');
}
