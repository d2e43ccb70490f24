// Policies for what is run every day, as data. A version means for ever what it meant: what is to mean something else is the next one.
import type { Policy } from '../policy.ts';
import {
  compilers,
  gitExecutes,
  laterExecuted,
  nodeInstallations,
  ownServers,
  projectSecrets,
  pythonInstallations,
  secrets,
  versionControl,
} from './parts.ts';

export type PresetName = 'agent' | 'build' | 'git' | 'node' | 'npm-install-script' | 'python' | 'test';

export interface Preset {
  /** What it gives, in a few words; docs/policies.md has them. */
  readonly gives: string;
  /** Programs that test/policy/presets.test.ts runs under it alone. */
  readonly triedWith: readonly string[];
  readonly policy: Policy;
}

const node = ['.', '$NODE_MODULES', ...nodeInstallations];

/** Each name's versions, the first being version 1. */
export const presets: Readonly<Record<PresetName, readonly Preset[]>> = {
  build: [
    {
      gives:
        'reading and writing the working directory, but not its history nor what other programs execute later; compilers; no network',
      triedWith: ['make and cc', 'g++', 'cmake', 'ninja', 'a configure script', 'git describe'],
      policy: {
        files: {
          read: ['.', '$NODE_MODULES', ...compilers],
          write: ['.'],
          deny: [...secrets, ...versionControl, ...laterExecuted],
          ungranted: 'ENOENT',
        },
        scratch: true,
      },
    },
  ],
  node: [
    {
      gives: 'reading the working directory and the packages that Node finds from there; no network',
      triedWith: ['node (modules, workers, child processes)', 'npm run'],
      policy: {
        files: { read: node, deny: [...secrets], ungranted: 'ENOENT' },
        scratch: true,
      },
    },
  ],
  'npm-install-script': [
    {
      gives:
        'what a script of an installed package needs that compiles: reading and writing its own folder (the working directory), the packages that Node finds from there, headers of Node; no network',
      triedWith: ['node', 'make and cc', 'python3'],
      policy: {
        files: {
          read: [...node, '~/.cache/node-gyp'],
          write: ['.'],
          deny: [...secrets, ...projectSecrets, ...versionControl, ...laterExecuted],
          ungranted: 'ENOENT',
        },
        scratch: true,
      },
    },
  ],
  test: [
    {
      gives: 'what `node` and `python` give, and servers of its own on loopback ports that the kernel chooses',
      triedWith: ['vitest', 'node --test', 'python3 -m unittest', 'an HTTP server and client in one test'],
      policy: {
        files: {
          read: [...node, ...pythonInstallations],
          deny: [...secrets],
          ungranted: 'ENOENT',
        },
        network: ownServers,
        tmp: true,
      },
    },
  ],
  python: [
    {
      gives: 'reading the working directory and installed Pythons; no network',
      triedWith: ['python3 with its standard library', 'a virtual environment', 'subprocess', 'multiprocessing'],
      policy: {
        files: { read: ['.', ...pythonInstallations], deny: [...secrets], ungranted: 'ENOENT' },
        tmp: true,
      },
    },
  ],
  git: [
    {
      gives:
        'reading and writing the working directory with its repository, but not the hooks and the configuration of that; nobody’s configuration and keys; no network',
      triedWith: [
        'git status, diff, log, add, commit, switch, merge, stash, gc',
        'git init and clone of a local repository, in a folder below',
      ],
      policy: {
        files: {
          read: ['.'],
          write: ['.'],
          deny: [...secrets, ...gitExecutes, ...laterExecuted],
          ungranted: 'ENOENT',
        },
        scratch: true,
      },
    },
  ],
  agent: [
    {
      gives:
        'what `build`, `git`, `node`, `python` and `test` give together, without the project’s own secrets (`.env`, `.npmrc`); no network but its own servers',
      triedWith: ['sh, grep, sed', 'git add, commit, log', 'make and cc', 'npm run', 'python3'],
      policy: {
        files: {
          read: [...node, ...pythonInstallations, ...compilers],
          write: ['.'],
          deny: [...secrets, ...projectSecrets, ...gitExecutes, ...laterExecuted],
          ungranted: 'ENOENT',
        },
        network: ownServers,
        scratch: true,
      },
    },
  ],
};
