// Policies that have a name.
import type { Policy } from './policy.ts';

/** The name of a ready policy, from which others can start. */
export type PolicyName = 'compute';
/**
 * `strict`: what seccomp's strict mode lets by (`read`, `write`, `exit`, `exit_group`, `rt_sigreturn`), from the program's own
 * `main` on, and before that what `compute` gives; a static program from its first call on. Nothing starts from it.
 */
export type StrictName = 'strict';

const noThread = { call: 'clone', args: [{ index: 0, maskedEquals: { mask: 'CLONE_THREAD', value: 0 } }] } as const;

/**
 * `compute`: what it was given to read and write (its streams), memory, threads of its own, and time. It may load the
 * system's libraries and runtimes, and nothing else is there for it: no working directory, no files, no network, no other
 * program, no other process.
 */
export const namedPolicies: Readonly<Record<PolicyName, Policy>> = {
  compute: {
    files: { ungranted: 'EACCES' },
    network: {},
    exec: [],
    syscalls: {
      deny: [
        'fork',
        'vfork',
        noThread,
        'socket',
        'socketpair',
        'inotify_init',
        'inotify_init1',
        'shmget',
        'semget',
        'msgget',
        'mq_open',
        'pidfd_open',
      ],
    },
    defaults: { cwd: false },
  },
};
