// Runs the test suite over a supervisor that is built with sanitizers; any finding of theirs is a failure.
//   npm run test:sanitizers [-- address|thread] [--selection] [vitest's own arguments]     without a name, both
// The addon, and Node, are plain. What is run is a copy of the tree, so that nothing can run with such a supervisor by
// mistake.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buildSupervisor, builds, findingsOf, root } from './build.mjs';

/** Test files that do not ask about what a sanitizer looks at, or cannot under it; each with its reason. */
const leftOut = {
  'test/boundary/container-rules.test.ts': 'what is found in a container is gone with it',
  'test/demo/**': 'asks how the demo prints',
  'test/packaging/**': 'asks about the binaries that are published',
};

/**
 * `--selection`, for CI: of each part of the supervisor something, and of what it reads from a hostile tree the most.
 * Arguments of vitest's. Together they take some three minutes where two processors have nothing else to do.
 */
const selections = {
  address: [
    'test/families/',
    '--exclude=test/families/files-errno.test.ts', // long, and bad-arguments and same-by-all-calls ask the same code
    'test/boundary/exec-interpreter',
    'test/boundary/fd-swap',
    'test/boundary/given-up-rights',
    'test/boundary/rule-names',
    'test/boundary/second-wall',
    'test/boundary/symlink-swap',
    'test/boundary/toctou-path',
    'test/boundary/where-it-is',
    'test/lifecycle/forbidden',
    'test/lifecycle/full-ring',
    'test/lifecycle/grace',
    'test/lifecycle/held',
    'test/lifecycle/limits',
    'test/lifecycle/start',
    'test/lifecycle/stops',
    'test/lifecycle/supervisor-killed',
  ],
  // Where its threads meet: calls that wait, are cut short or end early.
  thread: [
    'test/families/descendants',
    'test/families/files.test',
    'test/families/landlock',
    'test/families/network.test',
    'test/families/signals',
    'test/boundary/fd-swap',
    'test/boundary/symlink-swap',
    'test/boundary/where-it-is',
    'test/lifecycle/full-ring',
    'test/lifecycle/grace',
    'test/lifecycle/held',
    'test/lifecycle/limits',
    'test/lifecycle/stops',
    'test/transparency/signals',
  ],
};

/** What a sanitizer says that is no finding; each with its reason. */
const notices = [
  // The supervisor goes to a stack of its own where RLIMIT_STACK is small (native/supervisor/main.cc), and never back.
  /^==\d+==WARNING: ASan doesn't fully support makecontext\/swapcontext .*\n/gm,
  /^==\d+==WARNING: ASan is ignoring requested __asan_handle_no_return: .*\nFalse positive .*\nFor details .*\n/gm,
];

const selected = process.argv.includes('--selection');
const args = process.argv.slice(2).filter((arg) => arg !== '--selection');
const named = args.filter((arg) => arg in builds);
const rest = args.filter((arg) => !(arg in builds));

function run(command, commandArgs, options = {}) {
  const { status, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  return status;
}

function must(...command) {
  if (run(...command) !== 0) process.exit(1);
}

must(process.execPath, ['native/build.mjs', '--if-needed']);
must('npm', ['run', '-s', 'build']);

let failed = false;
for (const sanitizer of named.length > 0 ? named : Object.keys(builds)) {
  const supervisor = await buildSupervisor(builds[sanitizer]);
  // A sandbox of any user writes there.
  const findings = findingsOf(builds[sanitizer]);
  rmSync(findings, { recursive: true, force: true });
  mkdirSync(findings);
  chmodSync(findings, 0o1777);

  const folder = mkdtempSync(join(tmpdir(), `holdfast-${sanitizer}-`));
  chmodSync(folder, 0o755);
  const copy = join(folder, 'tree');
  cpSync(root, copy, {
    recursive: true,
    // node_modules too: what runs in a sandbox may read the tree, and nothing beside it.
    filter: (path) => !/^(\.git|build\/(?!Release$|Release\/|test-programs).*)$/.test(relative(root, path)),
    verbatimSymlinks: true,
    preserveTimestamps: true, // by them the tests' programs are known to be old
  });
  copyFileSync(supervisor, join(copy, 'build/Release/holdfast-supervisor'));
  const status = run(
    'npx',
    [
      'vitest',
      'run',
      '--config',
      'test/vitest.config.ts',
      ...Object.keys(leftOut).map((pattern) => `--exclude=${pattern}`),
      ...(selected ? selections[sanitizer] : []),
      ...rest,
    ],
    // A start takes 20 to 50 times as long.
    { cwd: copy, env: { ...process.env, HOLDFAST_TEST_PATIENCE: '6', HOLDFAST_TEST_SANITIZER: sanitizer } },
  );
  rmSync(folder, { recursive: true, force: true });

  const found = readdirSync(findings)
    .map((name) => [
      name,
      notices.reduce((text, notice) => text.replace(notice, ''), readFileSync(join(findings, name), 'utf8')),
    ])
    .filter(([, text]) => text !== '');
  const seen = new Set();
  for (const [name, text] of found) {
    const summary = /^SUMMARY: .*$/m.exec(text)?.[0] ?? text.slice(0, 200);
    if (seen.size < 20 && !seen.has(summary)) console.error(`\n${name}:\n${text}`);
    seen.add(summary);
  }
  console.log(
    `${sanitizer}: ${found.length} findings, of ${seen.size} kinds, in ${findings}; vitest: exit code ${status}`,
  );
  for (const summary of seen) console.log(`  ${summary}`);
  failed ||= status !== 0 || found.length > 0;
}
process.exitCode = failed ? 1 : 0;
