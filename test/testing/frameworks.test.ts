// holdfast/vitest in a real run of vitest, holdfast/testing in a real run of node --test, both beside the built package: tests that pass, fail and
// time out leave nothing behind.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { root, vitestBlocks } from '../docs/blocks.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const project = temporaryFolder('framework');
/** Where the inner runs make their sandboxes. */
const temporary = join(project, 'tmp');
/** Where inner tests say what they have: one line of JSON each. */
const notes = join(project, 'notes');

function put(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(project, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (text.startsWith('#!')) chmodSync(path, 0o755);
  }
}

beforeAll(() => {
  mkdirSync(temporary);
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(root, join(project, 'node_modules/holdfast'));
  symlinkSync(join(root, 'node_modules/vitest'), join(project, 'node_modules/vitest'));
  put({
    'package.json': '{ "name": "my-cli", "type": "module", "bin": "cli.js" }',
    'cli.js': `#!/usr/bin/env node
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
mkdirSync('out', { recursive: true });
writeFileSync('out/list', readdirSync('fixtures').join());
`,
    'test/fixtures/a.txt': 'a',
  });
});

interface Note {
  test: string;
  folder: string;
  port: number;
  pid: number;
}

const taken = (): Note[] => {
  const lines = existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n') : [];
  return lines.map((line) => JSON.parse(line) as Note);
};

const alive = (pid: number) => existsSync(`/proc/${pid}`);
const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** Who has a sandbox's folder for its working directory, whoever that is. */
const atWork = () =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(temporary);
      } catch {
        return false; // gone, or somebody else's
      }
    });

/**
 * Nothing is left of a sandbox: no process, folder or port.
 * @param least So many tests have told what they had; one that has timed out may not have come so far on a slow machine.
 */
async function expectNothingLeft(least: number): Promise<void> {
  const all = taken();
  expect(all.length).toBeGreaterThanOrEqual(least);
  for (const { folder, port, pid } of all) {
    expect([existsSync(folder), await isFree(port), alive(pid)]).toEqual([false, true, false]);
  }
  expect(atWork()).toEqual([]);
  expect(readdirSync(temporary).filter((name) => name.startsWith('holdfast-'))).toEqual([]);
}

function run(args: string[]) {
  const result = spawnSync(process.execPath, args, {
    cwd: project,
    encoding: 'utf8',
    timeout: patient(60_000),
    env: { PATH: process.env.PATH, HOME: project, TMPDIR: temporary, NO_COLOR: '1' },
  });
  return { ...result, output: `${result.stdout}\n${result.stderr}` };
}

/** In a file of tests: what listens there until it is ended, told of to us. */
const serve = `
import { appendFileSync } from 'node:fs';
const server = (port) => \`import socket, time; s = socket.create_server(('', \${port})); time.sleep(1000)\`;
async function serve(sandbox, test) {
  const port = await sandbox.port();
  const run = sandbox.run('/usr/bin/python3', ['-Sc', server(port)]);
  await sandbox.listening(port);
  appendFileSync(${JSON.stringify(notes)}, JSON.stringify({ test, folder: sandbox.folder, port, pid: run.child.pid }) + '\\n');
}
`;
/** Mostly enough for a server to start, in milliseconds: a test is to time out after that. */
const enough = patient(3000);

test('a process that is left would be found', async () => {
  const child = spawn('sleep', ['1000'], { cwd: temporary, stdio: 'ignore' });
  await once(child, 'spawn');
  expect(atWork()).toEqual([String(child.pid)]);
  child.kill();
  await once(child, 'exit');
});

describe('vitest', () => {
  let report: {
    testResults: {
      name: string;
      status: string;
      assertionResults: { title: string; status: string; failureMessages: string[] }[];
    }[];
  };
  let output = '';
  const ended = (title: string) =>
    report.testResults.flatMap((file) => file.assertionResults).find((each) => each.title === title);

  beforeAll(() => {
    put({
      'vitest.config.js': 'export default { test: { globals: true, testTimeout: 30_000, maxWorkers: 2 } };',
      ...Object.fromEntries(vitestBlocks.map(({ text }, i) => [`test/block${i}.test.ts`, text])),
      'test/ends.test.js': `
import { expect, test } from 'holdfast/vitest';
${serve}
test('passes', async ({ sandbox }) => {
  await serve(sandbox, 'passes');
  expect(await sandbox.run('true')).toHaveExited(0);
});
test('fails', async ({ sandbox }) => {
  await serve(sandbox, 'fails');
  expect(await sandbox.run('sh', ['-c', 'echo x > out.txt; echo why >&2; exit 3'])).toHaveViolated([]);
});
test('fails by its end', async ({ sandbox }) => {
  expect(await sandbox.run('sh', ['-c', 'echo why >&2; exit 3'])).toHaveExited(0);
});
test.concurrent('times out', { timeout: ${enough} }, async ({ sandbox }) => {
  await serve(sandbox, 'times out');
  await sandbox.run('sh', ['-c', 'trap "" TERM; sleep 1000 & wait']);
});
test.concurrent('times out before it runs anything', { timeout: 500 }, async ({ sandbox }) => {
  sandbox.write({ a: '' });
  await new Promise(() => {});
});
test.concurrent.for([1, 2, 3])('at the same time %i', async (n, { sandbox }) => {
  sandbox.write({ n: String(n) });
  await serve(sandbox, 'concurrent');
  const run = await sandbox.run('cat', ['n']);
  if (run.stdout !== String(n)) throw new Error(run.stdout);
});
test.extend({ sandboxOptions: { files: { 'a.txt': 'of options' }, time: '2030-01-01' } })('has options', async ({ sandbox }) => {
  expect((await sandbox.run('sh', ['-c', 'date +%Y; cat a.txt'])).stdout).toBe('2030\\nof options');
});
test('needs no sandbox', () => {});
`,
    });
    const json = join(project, 'report.json');
    const vitest = join(project, 'node_modules/vitest/vitest.mjs');
    const result = run([vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${json}`]);
    output = result.output;
    expect(existsSync(json), output).toBe(true);
    report = JSON.parse(readFileSync(json, 'utf8'));
  }, patient(60_000));

  test('runs the examples of the documentation', () => {
    const files = report.testResults.filter(({ name }) => /block\d+\.test\.ts$/.test(name));
    expect(files).toHaveLength(vitestBlocks.length);
    expect(vitestBlocks.some(({ text }) => text.includes('the CLI writes only into out/'))).toBe(true);
    expect(
      files.map(({ status }) => status),
      output,
    ).toEqual(files.map(() => 'passed'));
  });

  test.each(['passes', 'at the same time 1', 'at the same time 3', 'has options', 'needs no sandbox'])(
    '%s',
    (title) => {
      expect(ended(title), output).toMatchObject({ status: 'passed' });
    },
  );

  test('says what was refused, what would allow it, and what the program said', () => {
    const [refused = ''] = ended('fails')?.failureMessages ?? [];
    expect(refused).toContain('expected no refusals, but 1 call was refused:\n  write out.txt  (openat: EACCES');
    expect(refused).toContain('to allow it: files.write: "out.txt"');
    const [exited = ''] = ended('fails by its end')?.failureMessages ?? [];
    expect(exited).toContain(
      'expected it to end by exit code 0, but it ended by exit code 3\nIt wrote to stderr:\n  why',
    );
  });

  test.each(['times out', 'times out before it runs anything'])('%s', (title) => {
    expect(ended(title)).toMatchObject({ status: 'failed' });
    expect(output).toMatch(new RegExp(`> ${title}\nError: Test timed out`));
  });

  test('leaves nothing, whatever came of a test', () => expectNothingLeft(5));
});

describe('node:test', () => {
  let output = '';

  beforeAll(() => {
    rmSync(notes);
    put({
      'node/ends.test.mjs': `
import { test } from 'node:test';
import { expectRun, withSandbox } from 'holdfast/testing';
${serve}
test('passes', withSandbox(async (sandbox) => {
  await serve(sandbox, 'passes');
  expectRun(await sandbox.run('true')).toHaveExited(0);
}));
test('fails', withSandbox(async (sandbox) => {
  await serve(sandbox, 'fails');
  expectRun(await sandbox.run('sh', ['-c', 'echo x > out.txt'])).toHaveViolated([]);
}));
test('times out', { timeout: ${enough} }, withSandbox(async (sandbox) => {
  await serve(sandbox, 'times out');
  await sandbox.run('sh', ['-c', 'trap "" TERM; sleep 1000 & wait']);
}));
`,
      'node/each.test.mjs': `
import { afterEach, beforeEach, describe, test } from 'node:test';
import { expectRun, sandboxForEach } from 'holdfast/testing';
${serve}
describe('one for each', () => {
  const current = sandboxForEach({ files: { a: 'a' } }, { beforeEach, afterEach });
  test('passes for each', async () => {
    await serve(current.sandbox, 'each');
    expectRun(await current.sandbox.run('cat', ['a'])).toHaveExited(0);
  });
  test('times out for each', { timeout: ${enough} }, async () => {
    await serve(current.sandbox, 'each times out');
    await current.sandbox.run('sleep', ['1000']);
  });
});
`,
      'node/require.test.cjs': `
const { test } = require('node:test');
const { createSandbox, expectRun } = require('holdfast/testing');
test('by require', async () => {
  const sandbox = createSandbox({ files: { a: '' } });
  expectRun(await sandbox.run('cat', ['a'])).toHaveExited(0);
  await sandbox.close();
});
`,
    });
    ({ output } = run(['--test', '--test-reporter=tap', 'node/']));
  }, patient(60_000));

  test.each([
    ['passes', 'ok'],
    ['passes for each', 'ok'],
    ['by require', 'ok'],
    ['fails', 'not ok'],
    ['times out', 'not ok'],
    ['times out for each', 'not ok'],
  ])('%s', (title, end) => {
    expect(output).toMatch(new RegExp(`^ *${end} \\d+ - ${title}$`, 'm'));
  });

  test('says what was refused', () => {
    expect(output).toContain('write out.txt');
    expect(output).toContain("code: 'ERR_ASSERTION'");
  });

  test('leaves nothing, whatever came of a test', () => expectNothingLeft(3));
});

test('a process that ends without closing its sandbox leaves no folder', () => {
  const line = "import { createSandbox } from 'holdfast/testing'; console.log(createSandbox().folder); process.exit()";
  const { stdout, output } = run(['--input-type=module', '-e', line]);
  expect(stdout, output).toMatch(/^\/.*holdfast-sandbox-/);
  expect(readdirSync(temporary).filter((name) => name.startsWith('holdfast-'))).toEqual([]);
});
