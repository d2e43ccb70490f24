// What matchers take for right, and in which words they say that it is otherwise.
import { runSandboxed } from 'holdfast';
import { createSandbox, expectRun, type SandboxRun } from 'holdfast/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

const sandbox = createSandbox({ files: { 'in.txt': 'text', 'gone.txt': '' } });
let run: SandboxRun;

beforeAll(async () => {
  const script = `mkdir out; echo a > out/a.txt; echo b > out/b.txt; rm gone.txt
echo x > in.txt; echo x > in.txt; cat /etc/shadow; echo x > "$(printf 'out\\033[31m')"; echo why >&2; exit 3`;
  const policy = {
    files: { write: ['out', '.'], deny: [{ path: 'in.txt', access: ['write' as const] }, 'out\u001b*'] },
  };
  run = await sandbox.run('/bin/sh', ['-c', script], { policy });
});
afterAll(() => sandbox.close());

const says = (check: () => void): string => {
  try {
    check();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_ASSERTION' });
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

test('refusals by path, pattern, and what else is known of them', () => {
  expectRun(run).toHaveViolated(['in.txt', '/etc/shadow', 'out?[[]31m']);
  expectRun(run).toHaveViolated(['*.txt', '/etc/*', { path: 'out*', access: 'write' }]);
  expectRun(run).toHaveViolated([
    sandbox.path('in.txt'),
    { access: 'read', executable: '**/cat' },
    { rule: 'files.deny[1]' },
  ]);
  expectRun(run).not.toHaveViolated([]);
  expectRun(run).not.toHaveViolated(['in.txt', '/etc/shadow']);
  expectRun(run).not.toHaveViolated(['**', '/etc/passwd']);
});

test('what is refused and not expected is said once, with how often, without control characters', () => {
  const text = says(() => expectRun(run).toHaveViolated([]));
  expect(text).toMatch(/^expected no refusals, but 4 calls were refused:$/m);
  expect(text).toMatch(/^ {2}write in\.txt {2}\(openat: EACCES, files\.deny\[0\]\), 2 times$/m);
  expect(text).toMatch(
    /^ {2}read \/etc\/shadow {2}\(openat: EACCES.*\)\n {6}to allow it: files\.read: "\/etc\/shadow"$/m,
  );
  expect(text).toContain('out\\u001b[31m');
  expect(text).not.toContain('\u001b');
});

test('what is expected and not refused is said with how the program ended', () => {
  const text = says(() => expectRun(run).toHaveViolated(['**', '/etc/shadow', { address: '1.2.3.4' }]));
  expect(text).toMatch(
    /^expected and not refused:\n {2}\{ address: '1\.2\.3\.4' \}\nIt ended by exit code 3\nIt wrote to stderr:\n(.*\n)* {2}why$/,
  );
});

test('ends', () => {
  expectRun(run).toHaveExited(3);
  expect(says(() => expectRun(run).not.toHaveExited(3))).toBe('expected another end than exit code 3');
  const text = says(() => expectRun(run).toHaveExited('SIGTERM'));
  expect(text).toMatch(/^expected it to end by SIGTERM, but it ended by exit code 3\n/);
  expect(text).toContain('4 calls were refused');
});

test('files', () => {
  expectRun(run).toHaveWritten(['out/a.txt', 'out/b.txt']);
  expectRun(run).toHaveWritten(['out/**']);
  expectRun(run).toHaveWritten(['out/']);
  expectRun(run).toHaveWritten([/^out\/.\.txt$/]);
  expectRun(run).toHaveRemoved(['gone.txt']);
  const text = says(() => expectRun(run).toHaveWritten(['out/a.txt', 'out/c.txt']));
  expect(text).toBe('written, and not expected:\n  out/b.txt\nexpected, and not written:\n  out/c.txt');
  expect(says(() => expectRun(run).not.toHaveRemoved(['gone.txt']))).toContain('gone.txt');
});

test('connections', () => {
  const connected = { ...run, connections: ['127.0.0.1:80', '[::1]:443', 'unix:/run/x'] };
  expectRun(connected).toHaveConnectedTo([80, 443, 'unix:/run/x']);
  expectRun(connected).toHaveConnectedTo(['127.0.0.1:80', /^\[::1\]/, /^unix/]);
  expectRun(run).toHaveConnectedTo([]);
  expect(says(() => expectRun(connected).toHaveConnectedTo([80, 8080]))).toBe(
    'connected to, and not expected:\n  [::1]:443\n  unix:/run/x\nexpected, and not connected to:\n  8080',
  );
});

test('a result of runSandboxed will do, where no more is asked', async () => {
  const result = await runSandboxed('/bin/cat', ['/etc/shadow'], { reject: false });
  expectRun(result).toHaveViolated(['/etc/shadow']);
  expectRun(result).not.toHaveExited(0);
  expect(() => expectRun(result).toHaveWritten([])).toThrow(/this result has no written/);
});

test('wrong use is an error, and no failed expectation', () => {
  const wrong = (check: () => void, message: RegExp) =>
    expect(check).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  wrong(() => expectRun(Promise.resolve(run) as never).toHaveViolated([]), /toHaveViolated\(\): .*await the run first/);
  wrong(() => expectRun(undefined as never).not.toHaveExited(0), /toHaveExited\(\): .*not undefined/);
  wrong(() => expectRun(run).toHaveViolated('x' as never), /toHaveViolated\(\): 'x' must be a list/);
  wrong(() => expectRun(run).toHaveViolated([{ pth: 'x' } as never]), /toHaveViolated\(\)\[0\]\.pth: .*is no field/);
  wrong(() => expectRun(run).toHaveExited(256), /toHaveExited\(\): 256/);
  wrong(() => expectRun(run).not.toHaveExited('15' as never), /toHaveExited\(\): '15'/);
  wrong(() => expectRun(run).toHaveWritten([5 as never]), /toHaveWritten\(\)\[0\]: 5/);
  wrong(() => expectRun(run).toHaveConnectedTo(['']), /toHaveConnectedTo\(\)\[0\]: ''/);
});
