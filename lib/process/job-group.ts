// The process group that a command begins in (native/protocol/protocol.h: JobGroup).

/** The number of each is its place. */
const groups = ['shared', 'own', 'session'] as const;

/**
 * At a terminal that of this process, as any child's: Ctrl-C reaches it. Without one it has one of its own: what the
 * kernel sends to groups by itself (SIGHUP and SIGCONT to one that is orphaned with a stopped member, setpgid(2)) is not
 * to reach this process through what it runs.
 */
export const jobGroupOf = (detached: boolean, terminal: boolean): number =>
  groups.indexOf(detached ? 'session' : terminal ? 'shared' : 'own');
