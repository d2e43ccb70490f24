#include "guards.h"

#include <fcntl.h>
#include <linux/net.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#include <algorithm>

#include "../arch/arch.h"
#include "classes.h"
#include "sealed_range.h"

namespace holdfast {
namespace {

constexpr uint64_t kWhole = ~uint64_t{0};
constexpr uint64_t kInt = 0xffffffff;

// Both architectures can be told to ignore the high bits of an address (arm64 always does in munmap and its like, x86
// after ARCH_ENABLE_TAGGED_ADDR), so they must not make a low address look high. Bits 55..0 are the address on both:
// Documentation/arch/arm64/tagged-address-abi.rst, Documentation/arch/x86/x86_64/mm.rst.
constexpr uint64_t kAddress = 0x00ffffffffffffff;

constexpr uint32_t kZero[] = {0};
constexpr uint32_t kOne[] = {1};
constexpr uint32_t kInternetSizes[] = {sizeof(sockaddr_in), sizeof(sockaddr_in6)};

static_assert(kBouncePageEnd <= 0xffffffff);
constexpr uint32_t kPageEnd[] = {kBouncePageEnd};

// Not a constant expression, so that a list out of order does not compile.
inline void values_are_not_sorted() {}

constexpr std::span<const uint32_t> sorted(std::span<const uint32_t> values) {
  for (size_t i = 1; i < values.size(); i++)
    if (values[i - 1] >= values[i]) values_are_not_sorted();
  return values;
}

// An `int` or `unsigned int`; an address, a length or an `unsigned long`.
constexpr Condition argument(uint8_t index, Relation relation, std::span<const uint32_t> values, uint64_t mask = kInt) {
  return {index, relation, mask, sorted(values)};
}
constexpr Condition whole(uint8_t index, Relation relation, std::span<const uint32_t> values, uint64_t mask = kWhole) {
  return {index, relation, mask, sorted(values)};
}

// A range that begins at or above the end of the sealed page cannot reach it: the kernel refuses ranges that wrap. Nor
// can one that begins at 0 and ends where the page begins: the kernel has nothing there, and says so.
constexpr uint32_t kAbovePageStart[] = {kBouncePageAddress + 1};
constexpr Condition kHigh[] = {whole(0, Relation::at_least, kPageEnd, kAddress)};
constexpr Condition kNull[] = {whole(0, Relation::one_of, kZero), whole(1, Relation::below, kAbovePageStart)};
constexpr Alternative kHighAddress[] = {kHigh, kNull};

// Address 0 leaves the choice to the kernel, which never chooses a place that is taken. With MAP_FIXED it is below
// vm.mmap_min_addr, or at worst a mapping of page zero, whose length could reach us: so 0 only without the fixed flags.
constexpr uint32_t kFixed = 0x10 | 0x100000;  // MAP_FIXED | MAP_FIXED_NOREPLACE, the same on both architectures
constexpr Condition kAnywhere[] = {whole(0, Relation::one_of, kZero), argument(3, Relation::one_of, kZero, kFixed)};
constexpr Alternative kHighAddressOrAny[] = {kHigh, kAnywhere};

// mremap reads the new address only with MREMAP_FIXED (2) or MREMAP_DONTUNMAP (4), mremap(2).
constexpr Condition kMoveAnywhere[] = {whole(0, Relation::at_least, kPageEnd, kAddress),
                                       argument(3, Relation::one_of, kZero, 2 | 4)};
constexpr Condition kMoveHigh[] = {whole(0, Relation::at_least, kPageEnd, kAddress),
                                   whole(4, Relation::at_least, kPageEnd, kAddress)};
constexpr Condition kMoveZero[] = {whole(0, Relation::at_least, kPageEnd, kAddress),
                                   argument(3, Relation::one_of, kZero, 2), whole(4, Relation::one_of, kZero)};
constexpr Condition kMoveNull[] = {whole(0, Relation::one_of, kZero), whole(1, Relation::below, kAbovePageStart),
                                   argument(3, Relation::one_of, kZero, 2 | 4)};
constexpr Alternative kHighMove[] = {kMoveAnywhere, kMoveHigh, kMoveZero, kMoveNull};

constexpr Condition kFirstIsZero[] = {argument(0, Relation::one_of, kZero)};
constexpr Alternative kPidZero[] = {kFirstIsZero};

// setpgid(2): a group that gets the number of the process that begins it.
constexpr Condition kSecondIsZero[] = {argument(1, Relation::one_of, kZero)};
constexpr Alternative kGroupNew[] = {kSecondIsZero};

// PRIO_PROCESS is 0, IOPRIO_WHO_PROCESS is 1. Who 0 of the process kinds is the caller; of a group or a user it may be
// processes outside the tree as well.
constexpr Condition kPriority[] = {argument(0, Relation::one_of, kZero), argument(1, Relation::one_of, kZero)};
constexpr Condition kIoprio[] = {argument(0, Relation::one_of, kOne), argument(1, Relation::one_of, kZero)};
constexpr Alternative kPriorityOwn[] = {kPriority};
constexpr Alternative kIoprioOwn[] = {kIoprio};

// clone takes the low half of its flags (lower_32_bits in the kernel). CLONE_NEWTIME is not in the list: its bit
// belongs to the exit signal here.
constexpr uint32_t kCloneBits = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                CLONE_NEWPID | CLONE_NEWNET | CLONE_UNTRACED | CLONE_PTRACE | CLONE_PARENT;
constexpr Condition kClone[] = {argument(0, Relation::one_of, kZero, kCloneBits)};
constexpr Alternative kClonePlain[] = {kClone};

constexpr Condition kUnshare[] = {whole(0, Relation::one_of, kZero, ~uint64_t{CLONE_FILES | CLONE_FS | CLONE_SYSVSEM})};
constexpr Alternative kUnsharePlain[] = {kUnshare};

// MFD_NOEXEC_SEAL (memfd_create(2), since Linux 6.3): what is made so is never executable.
constexpr Condition kNotExecuted[] = {argument(1, Relation::none_of, kZero, 0x8)};
constexpr Alternative kMemoryNotExecuted[] = {kNotExecuted};

// Another one in each supervisor: one that runs in a sandbox puts its rules on in sight of the one outside.
uint32_t random_mark() {
  uint32_t bytes;
  memcpy(&bytes, reinterpret_cast<const uint8_t*>(getauxval(AT_RANDOM)) + 8, sizeof bytes);  // getauxval(3): 16 of them
  return bytes | 0x80000000;
}
uint32_t ruleset_mark[] = {random_mark()};
constexpr uint32_t kExecMarks[] = {kStopsExec};
constexpr Condition kRuleset[] = {whole(2, Relation::one_of, ruleset_mark)};
constexpr Alternative kRulesetOwn[] = {kRuleset};

// The kernel opens nothing (EFAULT). A sandbox around this one hands its own over in answer to such a call.
constexpr Condition kPathIsNull[] = {whole(1, Relation::one_of, kZero)};
constexpr Alternative kNoPath[] = {kPathIsNull};

// A query, or nothing but the 32-bit name of the machine and bits that take no protection from anybody else.
constexpr uint32_t kPersonalityQuery[] = {0xffffffff};
constexpr uint32_t kPersonalityBits = 8 /* PER_LINUX32 */ | UNAME26 | ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC;
constexpr Condition kQueryPersonality[] = {argument(0, Relation::one_of, kPersonalityQuery)};
constexpr Condition kSetPersonality[] = {argument(0, Relation::one_of, kZero, kInt & ~uint64_t{kPersonalityBits})};
constexpr Alternative kPersonalityPlain[] = {kQueryPersonality, kSetPersonality};

// SECCOMP_SET_MODE_STRICT (the kernel refuses it beside a filter), GET_ACTION_AVAIL, GET_NOTIF_SIZES.
constexpr uint32_t kSeccompQueries[] = {0, 2, 3};
constexpr Condition kSeccompAsks[] = {argument(0, Relation::one_of, kSeccompQueries)};
// What the command puts on before its exec, or the supervisor for it: no listener, as it has no flags.
constexpr Condition kSeccompRules[] = {argument(0, Relation::one_of, kOne), argument(1, Relation::one_of, kZero),
                                       whole(3, Relation::one_of, ruleset_mark)};
constexpr Alternative kSeccompQuery[] = {kSeccompAsks, kSeccompRules};

// Held: PR_CAPBSET_DROP, PR_SET_SECUREBITS and PR_CAP_AMBIENT, which change what the caller may do; PR_SET_SECCOMP;
// PR_SET_DUMPABLE, PR_SET_MM, PR_SET_SYSCALL_USER_DISPATCH, PR_SCHED_CORE (takes a pid), PR_SET_PTRACER, and whatever
// is newer than this list. A subreaper takes the orphans of its own descendants only, so the supervisor stays behind
// it: prctl(2). Numbers stand for what older headers lack.
constexpr uint32_t kPrctlOptions[] = {
    PR_SET_PDEATHSIG,
    PR_GET_PDEATHSIG,
    PR_GET_DUMPABLE,
    PR_GET_UNALIGN,
    PR_SET_UNALIGN,
    PR_GET_KEEPCAPS,
    PR_SET_KEEPCAPS,
    PR_GET_FPEMU,
    PR_SET_FPEMU,
    PR_GET_FPEXC,
    PR_SET_FPEXC,
    PR_GET_TIMING,
    PR_SET_TIMING,
    PR_SET_NAME,
    PR_GET_NAME,
    PR_GET_ENDIAN,
    PR_GET_SECCOMP,
    PR_CAPBSET_READ,
    PR_GET_TSC,
    PR_SET_TSC,
    PR_GET_SECUREBITS,
    PR_SET_TIMERSLACK,
    PR_GET_TIMERSLACK,
    PR_TASK_PERF_EVENTS_DISABLE,
    PR_TASK_PERF_EVENTS_ENABLE,
    PR_MCE_KILL,
    PR_MCE_KILL_GET,
    PR_SET_CHILD_SUBREAPER,
    PR_GET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_TID_ADDRESS,
    PR_SET_THP_DISABLE,
    PR_GET_THP_DISABLE,
    43,
    44,  // PR_MPX_{ENABLE,DISABLE}_MANAGEMENT
    45,
    46,  // PR_{SET,GET}_FP_MODE
    50,
    51,  // PR_SVE_{SET,GET}_VL
    PR_GET_SPECULATION_CTRL,
    PR_SET_SPECULATION_CTRL,
    54,
    55,
    56,  // PR_PAC_RESET_KEYS, PR_{SET,GET}_TAGGED_ADDR_CTRL
    57,
    58,  // PR_{SET,GET}_IO_FLUSHER
    60,
    61,  // PR_PAC_{SET,GET}_ENABLED_KEYS
    63,
    64,  // PR_SME_{SET,GET}_VL
    65,
    66,  // PR_{SET,GET}_MDWE
    67,
    68,  // PR_{SET,GET}_MEMORY_MERGE
    74,
    75,
    76,  // PR_{GET,SET,LOCK}_SHADOW_STACK_STATUS
    77,
    78,          // PR_TIMER_CREATE_RESTORE_IDS, PR_FUTEX_HASH
    0x41555856,  // PR_GET_AUXV
    0x53564d41,  // PR_SET_VMA
};
constexpr uint32_t kSetSeccomp[] = {PR_SET_SECCOMP};
constexpr Condition kPrctlListed[] = {argument(0, Relation::one_of, kPrctlOptions)};
constexpr Alternative kPrctlHarmless[] = {kPrctlListed};

// A negative clock id is ~pid << 3 with the kind in the low bits: 3 a descriptor, 4 and more a thread of the caller's
// own process (the kernel insists), 0 to 2 the time of any process (include/linux/posix-timers_types.h). ~0 << 3 is the
// caller.
constexpr uint32_t kNegative[] = {0x80000000};
constexpr uint32_t kClockOfDescriptorOrThread[] = {3, 4, 5, 6};
constexpr uint32_t kClockOfCaller[] = {0xfffffff8, 0xfffffff9, 0xfffffffa};
constexpr Condition kClockOfMachine[] = {argument(0, Relation::below, kNegative)};
constexpr Condition kClockOfKind[] = {argument(0, Relation::one_of, kClockOfDescriptorOrThread, 7)};
constexpr Condition kClockOfSelf[] = {argument(0, Relation::one_of, kClockOfCaller)};
constexpr Alternative kClockOwn[] = {kClockOfMachine, kClockOfKind, kClockOfSelf};

// All of fcntl(2) up to Linux 6.18 but F_SETOWN (8) and F_SETOWN_EX (15), which name who gets a signal, and F_SETFL (4)
// with O_ASYNC: of a terminal it makes the foreground process group the one that does.
constexpr uint32_t kFcntlCommands[] = {
    0,    1,    2,    3,                 // F_DUPFD, F_GETFD, F_SETFD, F_GETFL
    5,    6,    7,                       // F_GETLK, F_SETLK, F_SETLKW
    9,    10,   11,   16,   17,          // F_GETOWN, F_SETSIG, F_GETSIG, F_GETOWN_EX, F_GETOWNER_UIDS
    36,   37,   38,                      // F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW
    1024, 1025, 1026, 1027, 1028, 1029,  // F_SETLEASE, F_GETLEASE, F_NOTIFY, F_DUPFD_QUERY, F_CREATED_QUERY, F_CANCELLK
    1030, 1031, 1032, 1033, 1034,        // F_DUPFD_CLOEXEC, F_{SET,GET}PIPE_SZ, F_{ADD,GET}_SEALS
    1035, 1036, 1037, 1038,              // F_{GET,SET}_RW_HINT, F_{GET,SET}_FILE_RW_HINT
};
constexpr Condition kFcntl[] = {argument(1, Relation::one_of, kFcntlCommands)};
constexpr uint32_t kFcntlSetFlags[] = {4};
constexpr Condition kFcntlNotAsync[] = {argument(1, Relation::one_of, kFcntlSetFlags),
                                        argument(2, Relation::one_of, kZero, 0x2000 /* O_ASYNC */)};
constexpr Alternative kFcntlHarmless[] = {kFcntl, kFcntlNotAsync};

// Not here on purpose: TIOCSTI and TIOCLINUX (type for the user), TIOCCONS, TIOCSETD, TIOCSIG, FIOSETOWN, SIOCSPGRP and
// FIOASYNC (name who gets a signal), FS_IOC_SETFLAGS (works on a descriptor open for reading), SIOCUNIXFILE and the
// queries of a pidfd or a namespace (open something), and every device's own.
constexpr uint32_t kIoctlCommands[] = {
    0x2,                                         // FIGETBSZ
    0x1260,     0x1268,     0x127b,              // BLKGETSIZE, BLKSSZGET, BLKPBSZGET
    0x5401,     0x5402,     0x5403,     0x5404,  // TCGETS, TCSETS, TCSETSW, TCSETSF
    0x5405,     0x5406,     0x5407,     0x5408,  // TCGETA, TCSETA, TCSETAW, TCSETAF
    0x5409,     0x540a,     0x540b,              // TCSBRK, TCXONC, TCFLSH
    0x540c,     0x540d,                          // TIOCEXCL, TIOCNXCL
    0x540e,  // TIOCSCTTY: another session's terminal only with CAP_SYS_ADMIN, which the tree has not (tty_jobctrl.c)
    0x540f,     0x5410,     0x5411,  // TIOCGPGRP, TIOCSPGRP (only groups of the caller's session), TIOCOUTQ
    0x5413,     0x5414,     0x5415,  // TIOCGWINSZ, TIOCSWINSZ, TIOCMGET
    0x5416,     0x5417,     0x5418,  // TIOCMBIS, TIOCMBIC, TIOCMSET
    0x5419,     0x541a,              // TIOCGSOFTCAR, TIOCSSOFTCAR
    0x541b,                          // FIONREAD
    0x541e,                          // TIOCGSERIAL
    0x5420,     0x5421,     0x5422,  // TIOCPKT, FIONBIO, TIOCNOTTY
    0x5424,     0x5425,              // TIOCGETD, TCSBRKP
    0x5427,     0x5428,     0x5429,  // TIOCSBRK, TIOCCBRK, TIOCGSID
    0x5450,     0x5451,              // FIONCLEX, FIOCLEX
    0x5456,                          // TIOCGLCKTRMIOS
    0x545d,     0x5460,              // TIOCGICOUNT, FIOQSIZE
    0x8903,     0x8904,     0x8905,     0x8906, 0x8907,  // FIOGETOWN, SIOCGPGRP, SIOCATMARK, SIOCGSTAMP, SIOCGSTAMPNS
    0x8910,     0x8912,     0x8913,     0x8915,          // SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR
    0x8917,     0x8919,     0x891b,     0x891d,  // SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFMETRIC
    0x8921,     0x8927,     0x8933,     0x8938,  // SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFCOUNT
    0x8942,     0x894b,     0x8970,              // SIOCGIFTXQLEN, SIOCOUTQNSD, SIOCGIFMAP
    0x40045431,                                  // TIOCSPTLCK
    0x40049409,                                  // FICLONE
    0x4020940d,                                  // FICLONERANGE
    0x402c542b, 0x402c542c, 0x402c542d,          // TCSETS2, TCSETSW2, TCSETSF2
    0x80045200,                                  // RNDGETENTCNT
    0x80045430, 0x80045432,                      // TIOCGPTN, TIOCGDEV
    0x80045438, 0x80045439, 0x80045440,          // TIOCGPKT, TIOCGPTLCK, TIOCGEXCL
    0x80081272,                                  // BLKGETSIZE64
    0x80086601, 0x80087601,                      // FS_IOC_GETFLAGS, FS_IOC_GETVERSION
    0x80108906, 0x80108907,                      // SIOCGSTAMP_NEW, SIOCGSTAMPNS_NEW
    0x801c581f,                                  // FS_IOC_FSGETXATTR
    0x802c542a,                                  // TCGETS2
    0xc020660b,                                  // FS_IOC_FIEMAP
};
constexpr Condition kIoctlListed[] = {argument(1, Relation::one_of, kIoctlCommands)};
constexpr Alternative kIoctlHarmless[] = {kIoctlListed};

constexpr uint32_t kUnix[] = {1};
constexpr uint32_t kInternet[] = {2, 10};         // AF_INET, AF_INET6
constexpr uint32_t kStreamOrDatagram[] = {1, 2};  // under SOCK_TYPE_MASK, 0xf
constexpr uint32_t kTcpOrUdp[] = {0, 6, 17};      // not MPTCP: its subflows go to addresses that the peer chooses
constexpr uint32_t kNetlink[] = {16};
constexpr Condition kSocketUnix[] = {argument(0, Relation::one_of, kUnix)};
constexpr Condition kSocketInternet[] = {argument(0, Relation::one_of, kInternet),
                                         argument(1, Relation::one_of, kStreamOrDatagram, 0xf),
                                         argument(2, Relation::one_of, kTcpOrUdp)};
constexpr Condition kSocketRoute[] = {argument(0, Relation::one_of, kNetlink), argument(2, Relation::one_of, kZero)};
constexpr Alternative kSocketPlain[] = {kSocketInternet, kSocketUnix, kSocketRoute};
constexpr Alternative kSocketpairPlain[] = {kSocketUnix};

// The kernel looks at the address only if its pointer is not null; the length alone means nothing.
constexpr Condition kNoAddress[] = {whole(4, Relation::one_of, kZero)};
constexpr Alternative kSendtoWithoutAddress[] = {kNoAddress};

// What common programs set, and nothing that makes the kernel send by itself (joins are judged by a handler), to or
// from another place than the one that was judged, or that runs code in the kernel. Socket level
// (asm-generic/socket.h): not SO_PASSCRED and SO_PASSPIDFD, which give a unix socket a name of its own (a handler looks
// at it).
constexpr uint32_t kLevelSocket[] = {1};
constexpr uint32_t kSocketOptions[] = {
    1,  2,  5,  6,       // SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST
    7,  8,  9,  10,      // SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE
    11, 12, 13, 14, 15,  // SO_NO_CHECK, SO_PRIORITY, SO_LINGER, SO_BSDCOMPAT, SO_REUSEPORT
    18, 19, 20, 21,      // SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD
    29, 32, 33, 34, 35,  // SO_TIMESTAMP, SO_{SND,RCV}BUFFORCE, SO_PASSSEC, SO_TIMESTAMPNS
    37, 40, 42, 45, 46,  // SO_TIMESTAMPING, SO_RXQ_OVFL, SO_PEEK_OFF, SO_SELECT_ERR_QUEUE, SO_BUSY_POLL
    47, 49, 60,          // SO_MAX_PACING_RATE, SO_INCOMING_CPU, SO_ZEROCOPY
    63, 64, 65, 66, 67,  // SO_TIMESTAMP{,NS,ING}_NEW, SO_{RCV,SND}TIMEO_NEW
    69, 70, 72, 74,      // SO_PREFER_BUSY_POLL, SO_BUSY_POLL_BUDGET, SO_BUF_LOCK, SO_TXREHASH
    82, 83,              // SO_RCVPRIORITY, SO_PASSRIGHTS
};
constexpr Condition kOptionSocket[] = {argument(1, Relation::one_of, kLevelSocket),
                                       argument(2, Relation::one_of, kSocketOptions)};
// linux/tcp.h. TCP_FASTOPEN_CONNECT only defers a connect that is judged when it is made.
constexpr uint32_t kLevelTcp[] = {6};
constexpr uint32_t kTcpOptions[] = {
    1,  2,  3,  4,  5,
    6,                   // TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEP{IDLE,INTVL,CNT}
    7,  8,  9,  10, 12,  // TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_QUICKACK
    13, 16, 17, 18,      // TCP_CONGESTION, TCP_THIN_LINEAR_TIMEOUTS, TCP_THIN_DUPACK, TCP_USER_TIMEOUT
    23, 25, 27, 30, 36,
    37,  // TCP_FASTOPEN, TCP_NOTSENT_LOWAT, TCP_SAVE_SYN, TCP_FASTOPEN_CONNECT, TCP_INQ, TCP_TX_DELAY
};
constexpr Condition kOptionTcp[] = {argument(1, Relation::one_of, kLevelTcp),
                                    argument(2, Relation::one_of, kTcpOptions)};
// linux/in.h. Not IP_LOCAL_PORT_RANGE (51), source routes, foreign addresses and devices, nor joins.
constexpr uint32_t kIpOptions[] = {
    1,  2,  6,  7,  8,       // IP_TOS, IP_TTL, IP_RECVOPTS, IP_RETOPTS, IP_PKTINFO
    10, 11, 12, 13, 18, 20,  // IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_PASSSEC, IP_RECVORIGDSTADDR
    21, 23, 24, 25, 26,      // IP_MINTTL, IP_CHECKSUM, IP_BIND_ADDRESS_NO_PORT, IP_RECVFRAGSIZE, IP_RECVERR_RFC4884
    32, 33, 34, 36, 45, 49,  // IP_MULTICAST_{IF,TTL,LOOP}, IP_DROP_MEMBERSHIP, MCAST_LEAVE_GROUP, IP_MULTICAST_ALL
};
constexpr Condition kOptionIp[] = {argument(1, Relation::one_of, kZero), argument(2, Relation::one_of, kIpOptions)};
// linux/in6.h. Not IPV6_FLOWLABEL_MGR (32) either: a label can carry a routing header.
constexpr uint32_t kLevelIpv6[] = {41};
constexpr uint32_t kIpv6Options[] = {
    2,  8,  16, 17, 18, 19,  // IPV6_2292PKTINFO, IPV6_2292HOPLIMIT, IPV6_UNICAST_HOPS, IPV6_MULTICAST_{IF,HOPS,LOOP}
    21, 23, 24, 25, 26,      // IPV6_DROP_MEMBERSHIP, IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR, IPV6_V6ONLY
    29, 31, 45, 49, 51,      // IPV6_MULTICAST_ALL, IPV6_RECVERR_RFC4884, MCAST_LEAVE_GROUP, IPV6_RECV{PKTINFO,HOPLIMIT}
    52, 53, 56, 58, 60, 62,  // IPV6_HOPLIMIT, IPV6_RECV{HOPOPTS,RTHDR,DSTOPTS,PATHMTU}, IPV6_DONTFRAG
    66, 67, 70, 72, 73,  // IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_AUTOFLOWLABEL, IPV6_ADDR_PREFERENCES, IPV6_MINHOPCOUNT
    74, 77,              // IPV6_RECVORIGDSTADDR, IPV6_RECVFRAGSIZE
};
constexpr Condition kOptionIpv6[] = {argument(1, Relation::one_of, kLevelIpv6),
                                     argument(2, Relation::one_of, kIpv6Options)};
constexpr uint32_t kLevelUdp[] = {17};
constexpr uint32_t kUdpOptions[] = {1, 101, 102, 103, 104};  // UDP_CORK, UDP_NO_CHECK6_{TX,RX}, UDP_SEGMENT, UDP_GRO
constexpr Condition kOptionUdp[] = {argument(1, Relation::one_of, kLevelUdp),
                                    argument(2, Relation::one_of, kUdpOptions)};
constexpr uint32_t kLevelNetlink[] = {270};
constexpr uint32_t kNetlinkOptions[] = {1, 2, 3, 4, 5, 10, 11, 12};  // without rings and LISTEN_ALL_NSID
constexpr Condition kOptionNetlink[] = {argument(1, Relation::one_of, kLevelNetlink),
                                        argument(2, Relation::one_of, kNetlinkOptions)};
constexpr Alternative kSetsockoptHarmless[] = {kOptionSocket, kOptionTcp, kOptionIp,
                                               kOptionIpv6,   kOptionUdp, kOptionNetlink};

}  // namespace

std::span<const Alternative> alternatives(Guard guard) {
  switch (guard) {
    case Guard::always_held:
      return {};
    case Guard::clock_own:
      return kClockOwn;
    case Guard::clone_plain:
      return kClonePlain;
    case Guard::fcntl_harmless:
      return kFcntlHarmless;
    case Guard::group_new:
      return kGroupNew;
    case Guard::high_address:
      return kHighAddress;
    case Guard::high_address_or_any:
      return kHighAddressOrAny;
    case Guard::high_move:
      return kHighMove;
    case Guard::ioctl_harmless:
      return kIoctlHarmless;
    case Guard::ioprio_own:
      return kIoprioOwn;
    case Guard::memory_not_executed:
      return kMemoryNotExecuted;
    case Guard::no_path:
      return kNoPath;
    case Guard::personality_plain:
      return kPersonalityPlain;
    case Guard::pid_zero:
      return kPidZero;
    case Guard::prctl_harmless:
      return kPrctlHarmless;
    case Guard::priority_own:
      return kPriorityOwn;
    case Guard::ruleset_own:
      return kRulesetOwn;
    case Guard::seccomp_query:
      return kSeccompQuery;
    case Guard::sendto_without_address:
      return kSendtoWithoutAddress;
    case Guard::setsockopt_harmless:
      return kSetsockoptHarmless;
    case Guard::socket_plain:
      return kSocketPlain;
    case Guard::socketpair_plain:
      return kSocketpairPlain;
    case Guard::unshare_plain:
      return kUnsharePlain;
  }
  return {};
}

namespace {

bool holds(const Condition& condition, uint64_t argument) {
  const uint64_t value = argument & condition.mask;
  const auto is_one = [&] { return std::binary_search(condition.values.begin(), condition.values.end(), value); };
  switch (condition.relation) {
    case Relation::one_of:
      return is_one();
    case Relation::none_of:
      return !is_one();
    case Relation::at_least:
      return value >= condition.values[0];
    case Relation::below:
      return value < condition.values[0];
  }
  return false;
}

}  // namespace

namespace {

bool changes_of_rights_stop = false, connects_stop = false, decided_at_stops = false, forks_counted = false,
     all_held_by_stops = false, fetched_by_name = false, nothing_held = false;

bool changes_rights(const Row& row) {
  static constexpr int kNumbers[] = {SYS_setuid,    SYS_setgid,   SYS_setreuid, SYS_setregid,  SYS_setresuid,
                                     SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capset};
  return std::find(std::begin(kNumbers), std::end(kNumbers), row.number()) != std::end(kNumbers);
}

}  // namespace

namespace {

bool any_holds(std::span<const Alternative> all, const uint64_t (&args)[6]) {
  return std::any_of(all.begin(), all.end(), [&](const Alternative& alternative) {
    return std::all_of(alternative.begin(), alternative.end(),
                       [&](const Condition& condition) { return holds(condition, args[condition.argument]); });
  });
}

}  // namespace

bool lets_by(Guard guard, const uint64_t (&args)[6]) { return any_holds(alternatives(guard), args); }

bool lets_by(const Row& row, const uint64_t (&args)[6]) {
  return lets_by(row.guard, args) || any_holds(left_alternatives(row), args);
}

bool is_taken_back(const Row& row, const uint64_t (&args)[6]) {
  const uint8_t classes = taken_back();
  return classes != 0 && any_holds(taken_back_alternatives(row, classes), args);
}

void stop_changes_of_rights() { changes_of_rights_stop = true; }
uint32_t own_ruleset_mark() { return ruleset_mark[0]; }

void stop_connects() { connects_stop = true; }
void decide_at_stops() { decided_at_stops = true; }

void hold_by_stops(bool by_name) {
  all_held_by_stops = true;
  fetched_by_name = by_name;
}

bool are_held_by_stops() { return all_held_by_stops; }

bool are_fetched_by_name() { return fetched_by_name; }

void hold_nothing() { nothing_held = true; }

bool is_nothing_held() { return nothing_held; }

protocol::Engine engine_in_use() {
  return nothing_held        ? protocol::Engine::kernel
         : all_held_by_stops ? protocol::Engine::ptrace
                             : protocol::Engine::notify;
}
void count_forks() { forks_counted = true; }

bool is_counted(const Row& row) {
  if (!forks_counted || row.family != Family::process) return false;
  const std::string_view name = row.name;
  return name == "fork" || name == "vfork" || name == "clone";
}

std::optional<Condition> stopped_if(const Row& row) {
  if (all_held_by_stops || nothing_held) return std::nullopt;
  if (changes_of_rights_stop && changes_rights(row))
    return Condition{0, Relation::at_least, kInt, kZero};  // whatever it says
  if (row.way == Way::bounce && row.args[0] == Arg::path && row.args[1] == Arg::none && !decided_at_stops &&
      arch::kFilterSeesChanges)
    return Condition{0, Relation::at_least, kWhole, kPageEnd};
  if (row.way == Way::verify && !decided_at_stops) return Condition{kExecMark, Relation::one_of, kWhole, kExecMarks};
  if (row.way != Way::perform) return std::nullopt;
  if (row.index(Arg::address) >= 0) {
    if (connects_stop) return Condition{0, Relation::at_least, kInt, kZero};
    return Condition{static_cast<uint8_t>(row.index(Arg::address_size)), Relation::none_of, kWhole, kInternetSizes};
  }
  if (row.guard == Guard::prctl_harmless) return Condition{0, Relation::one_of, kInt, kSetSeccomp};
  const int flags = row.index(Arg::open_flags);
  if (flags < 0) return std::nullopt;
  return Condition{static_cast<uint8_t>(flags), Relation::none_of, O_PATH, kZero};
}

bool is_stopped(const Row& row, const uint64_t (&args)[6]) {
  if (all_held_by_stops) return row.way != Way::let_by && row.way != Way::absent;
  const std::optional<Condition> condition = stopped_if(row);
  if (!condition) return row.way == Way::bounce || row.way == Way::verify;
  return holds(*condition, args[condition->argument]);
}

}  // namespace holdfast
