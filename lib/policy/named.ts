// Policies that have a name.
import type { Policy } from './policy.ts';
import { type PresetName, presets } from './presets/presets.ts';

/** Without a version: the newest. `'build@1'` means for ever what it meant when there was no other. */
type Versioned<Name extends string> = Name | `${Name}@1`;
/** The name of a ready policy, from which others can start. docs/policies.md says what each gives. */
export type PolicyName = Versioned<'compute' | PresetName>;
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
const compute: Policy = {
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
};

/** By name, and by name and version. */
export const namedPolicies = Object.fromEntries(
  Object.entries({ compute: [{ policy: compute }], ...presets }).flatMap(([name, versions]) => [
    ...versions.slice(-1).map(({ policy }) => [name, policy] as const),
    ...versions.map(({ policy }, i) => [`${name}@${i + 1}`, policy] as const),
  ]),
) as Readonly<Record<PolicyName, Policy>>;

/** Those that leave nothing of the working directory, and that a running tree can be restricted to. */
export const isCompute = (name: unknown): boolean => name === 'compute' || name === 'compute@1';
