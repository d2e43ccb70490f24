// Who installs, loads and bundles: all of a version that is written down here.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const bun = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}`;

/** Not every one is there for aarch64. */
const oldest22 = process.arch === 'arm64' ? '22.13.1' : '22.12.0';

/** The oldest of each line that `engines` names, the newest one that is supported long, and the newest. */
export const nodes = [
  { name: 'Node 20.19.0', version: '20.19.0' },
  { name: `Node ${oldest22}`, version: oldest22 },
  { name: 'Node 24.21.0', version: '24.21.0' },
  { name: 'Node 26.10.0', version: '26.10.0' },
];

const quiet = ['--no-audit', '--no-fund'];
const npm = (version, node) => ({
  name: `npm ${version.split('.')[0]}`,
  version,
  fetch: `npm@${version}`,
  node,
  command: (modules) => [join(modules, 'npm/bin/npm-cli.js'), 'install', 'holdfast', ...quiet],
});
const pnpm = (version, node) => ({
  name: `pnpm ${version.split('.')[0]}`,
  version,
  fetch: `pnpm@${version}`,
  node,
  command: (modules) => [
    join(modules, 'pnpm/bin', version.startsWith('10') ? 'pnpm.cjs' : 'pnpm.mjs'),
    'add',
    'holdfast',
  ],
  files: (registry) => ({ '.npmrc': `registry=${registry}\n` }),
});
const berry = (linker) => ({
  name: `yarn 4 (${linker})`,
  version: '4.18.1',
  fetch: '@yarnpkg/cli-dist@4.18.1',
  node: '20.19.0',
  command: (modules) => [join(modules, '@yarnpkg/cli-dist/bin/yarn.js'), 'add', 'holdfast'],
  files: (registry) => ({
    '.yarnrc.yml': `nodeLinker: ${linker}\nnpmRegistryServer: "${registry}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableTelemetry: false\nenableGlobalCache: false\n`,
    'yarn.lock': '',
  }),
  ...(linker === 'pnp' && {
    flags: (project) => [
      '-r',
      join(project, '.pnp.cjs'),
      '--experimental-loader',
      `file://${join(project, '.pnp.loader.mjs')}`,
    ],
  }),
});

const managersAsTheyCome = [
  npm('10.9.9', '20.19.0'),
  npm('11.21.2', oldest22),
  npm('12.2.1', '24.21.0'),
  pnpm('10.34.9', '20.19.0'),
  pnpm('11.28.11', '24.21.0'),
  pnpm('12.21.0', '24.21.0'),
  {
    name: 'yarn 1',
    version: '1.22.22',
    fetch: 'yarn@1.22.22',
    node: '20.19.0',
    command: (modules) => [join(modules, 'yarn/bin/yarn.js'), 'add', 'holdfast'],
    files: (registry) => ({ '.yarnrc': `registry "${registry}"\n` }),
  },
  berry('node-modules'),
  berry('pnp'),
  {
    name: 'bun 1',
    version: '1.4.5',
    fetch: `${bun}@1.4.5`,
    node: '20.19.0',
    command: (modules) => [join(modules, bun, 'bin/bun'), 'add', 'holdfast'],
    files: (registry) => ({ 'bunfig.toml': `[install]\nregistry = "${registry}"\n` }),
  },
];

/** Those that run scripts of dependencies unless they are told not to; the others ask first. */
const runsScripts = ['npm 10', 'npm 11', 'yarn 1'];

export const managers = managersAsTheyCome.flatMap((manager) => [
  manager,
  ...(runsScripts.includes(manager.name)
    ? [
        {
          ...manager,
          name: `${manager.name}, scripts off`,
          command: (modules) => [...manager.command(modules), '--ignore-scripts'],
        },
      ]
    : []),
]);

const bundled = (file, beside) => ({
  name: `bundled as ${file.endsWith('.cjs') ? 'CommonJS' : 'ESM'}`,
  file,
  external: false,
  expected: {
    beside,
    elsewhere: 'an error that says what to do',
    'without the package': 'an error that says what to do',
  },
});
const outside = (file) => ({ name: 'kept outside', file, external: true, expected: { beside: 'runs' } });

export const bundlers = [
  {
    name: 'esbuild',
    version: '0.28.2',
    fetch: 'esbuild@0.28.2',
    bundles: [outside('out.mjs'), bundled('out.mjs', 'runs'), bundled('out.cjs', 'an error that says what to do')],
    command: (modules, { project, out, external }) => [
      here('esbuild.mjs'),
      modules,
      join(project, 'import.mjs'),
      out,
      String(external),
    ],
  },
  {
    name: 'webpack',
    version: '5.113.0',
    fetch: 'webpack@5.113.0',
    // It writes down where a module lay when the bundle was made: wherever the bundle lies, it runs until the package is gone.
    bundles: [
      outside('out.mjs'),
      {
        ...bundled('out.mjs', 'runs'),
        expected: { beside: 'runs', elsewhere: 'runs', 'without the package': 'an error that says what to do' },
      },
    ],
    command: (modules, { project, out, external }) => [
      here('webpack.mjs'),
      modules,
      join(project, 'import.mjs'),
      out,
      String(external),
    ],
  },
  {
    name: 'rolldown',
    version: '1.2.19',
    fetch: 'rolldown@1.2.19',
    bundles: [outside('out.mjs'), bundled('out.mjs', 'runs')],
    command: (modules, { project, out, external }) => [
      join(modules, 'rolldown/bin/cli.mjs'),
      join(project, 'import.mjs'),
      '--platform',
      'node',
      '--file',
      out,
      ...(external ? ['--external', 'holdfast'] : []),
    ],
  },
];

const node10 = { name: 'node10', flags: ['--module', 'commonjs', '--moduleResolution', 'node10'] };
const resolutions = [
  { name: 'node16', flags: ['--module', 'node16', '--moduleResolution', 'node16'] },
  { name: 'nodenext', flags: ['--module', 'nodenext', '--moduleResolution', 'nodenext'] },
  { name: 'bundler', flags: ['--module', 'preserve', '--moduleResolution', 'bundler'] },
];
const typescript = (version, others) => ({
  name: `TypeScript ${version.split('.')[0]}`,
  version,
  fetch: `typescript@${version} @types/node@20.19.43`,
  resolutions: others,
});

/** Each by a source that is a module, one that is CommonJS, and one that its package decides of. */
export const compilers = [typescript('5.9.3', [node10, ...resolutions]), typescript('7.0.2', resolutions)];

/** Whether types and code are told apart as Node and compilers do. */
export const linter = { name: 'attw', version: '0.18.5', fetch: '@arethetypeswrong/cli@0.18.5' };

const denos = `@deno/linux-${process.arch}-glibc`;

/** Which are no Node: they import it, check types where they can, and a start says what to take. */
export const runtimes = [
  { name: 'Bun', version: '1.4.5', fetch: `${bun}@1.4.5`, run: (modules) => [join(modules, bun, 'bin/bun')] },
  {
    name: 'Deno',
    version: '2.9.6',
    fetch: `${denos}@2.9.6`,
    run: (modules) => [join(modules, denos, 'deno'), 'run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
    check: (modules) => [join(modules, denos, 'deno'), 'check', '--no-lock', '--node-modules-dir=manual'],
  },
];
