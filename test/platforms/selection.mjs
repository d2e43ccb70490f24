// What is run in a cell of the table: `core` is small enough for an emulated machine in CI, `wide` has a file of every
// family of calls, every race, the walls and the lifecycle, `whole` is the suite; `kernel` is what the engine of that name has.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const core = [
  ...['boundary/restrict-rules', 'boundary/sealed-page', 'boundary/symlink-swap', 'boundary/toctou-path'],
  ...['families/fork', 'families/network', 'lifecycle/start'],
];

const wide = [
  ...core,
  ...['api/native', 'api/syscall-policy'],
  ...['boundary/create-moved', 'boundary/create-swap', 'boundary/exec-interpreter', 'boundary/fd-swap'],
  ...['boundary/given-up-rights', 'boundary/handed-over', 'boundary/injected-code', 'boundary/layers'],
  ...[
    'boundary/layers-names',
    'boundary/layers-network',
    'boundary/leader-replaced',
    'boundary/rename-folder',
    'boundary/rename-parent',
  ],
  ...['boundary/restrict', 'boundary/rule-names', 'boundary/second-wall', 'boundary/strict-start'],
  ...['boundary/toctou-argv', 'boundary/toctou-folder', 'boundary/toctou-sockaddr', 'boundary/toctou-unix'],
  ...['boundary/where-it-is', 'families/changed-ids', 'families/directory', 'families/exec', 'families/exit'],
  ...[
    'families/files',
    'families/hide',
    'families/ipc',
    'families/landlock',
    'families/mounts',
    'families/network-reach',
    'families/on-syscall',
  ],
  ...[
    'families/proc',
    'families/scratch',
    'families/signals',
    'families/terminals',
    'families/tmp',
    'families/verdicts',
  ],
  ...[
    'families/one-architecture',
    'lifecycle/ending',
    'lifecycle/kill-tree',
    'lifecycle/places',
    'lifecycle/supervisor-killed',
  ],
  ...['transparency/restarts', 'transparency/signals'],
];

/** For CI: emulated, that is what ten minutes have room for. */
const aarch64 = [
  ...['boundary/create-moved', 'boundary/create-swap', 'boundary/exec-interpreter', 'boundary/fd-swap'],
  ...['boundary/leader-replaced', 'boundary/rename-folder', 'boundary/sealed-page', 'boundary/symlink-swap'],
  ...['engines/kernel', 'engines/nested', 'engines/ptrace'],
  ...['families/directory', 'families/exit', 'families/files', 'families/fork', 'families/ipc', 'families/network'],
  ...['families/descendants', 'families/landlock', 'families/mounts', 'families/on-syscall', 'families/terminals'],
  ...['families/one-architecture', 'families/signals', 'lifecycle/inspect', 'lifecycle/start', 'transparency/restarts'],
];

const paths = (names) => names.map((name) => `test/${name}.test.ts`);

const test = join(dirname(fileURLToPath(import.meta.url)), '..');
/** It changes settings of a machine of its own for good (Yama 3). */
const alone = 'test/lifecycle/hosts.test.ts';
/** Of each folder; the whole suite takes longer than an emulated machine should live. */
const folders = readdirSync(test, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) =>
    readdirSync(join(test, name), { recursive: true })
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `test/${name}/${file}`)
      .filter((file) => file !== alone)
      .sort(),
  )
  .filter((files) => files.length > 0);

/** Files that are run at once, and then others. */
export const selections = {
  aarch64: [paths(aarch64)],
  core: [paths(core)],
  wide: [paths(wide)],
  kernel: [paths(['engines/kernel', 'cli/doctor'])],
  whole: [...folders, [alone]],
};
