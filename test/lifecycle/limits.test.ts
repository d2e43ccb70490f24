// Small resource limits: what Node cannot have is an error of the spawn, and what the command has is not the supervisor's.
import { expect, test } from 'vitest';
import { startHost } from './host.ts';
import { event, textOf } from './tree.ts';

/** Lines of a host that lowers a limit of its own, with prlimit(1), and then starts a command. */
async function under(limit: string, script: string): Promise<string[]> {
  const host = startHost(`
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
const opened = () => fs.readdirSync('/proc/self/fd').length;
await once(spawnSandboxed('true', [], { policy }), 'close');
execFileSync('prlimit', ['--pid', String(process.pid), ${limit}]);
${script}`);
  const output = textOf(host.stdout);
  expect(await event(host, 'exit')).toEqual([0, null]);
  return (await output).trim().split('\n');
}

test('without a descriptor left, each spawn is an error event and a close, and leaks nothing', async () => {
  const lines = await under(
    "'--nofile=' + (opened() + 3) + ':'",
    `
await new Promise((resolve) => setTimeout(resolve, 50));
const before = opened();
for (let i = 0; i < 3; i++) {
  const child = spawnSandboxed('true', [], { policy });
  const error = new Promise((resolve) => child.on('error', (error) => resolve(error.code)));
  const closed = new Promise((resolve) => child.on('close', (...end) => resolve(end)));
  say(await error, await closed);
}
say(opened() - before);`,
  );
  expect(lines).toEqual(['EMFILE -24,', 'EMFILE -24,', 'EMFILE -24,', '0']);
});

test.each([
  ['descriptors', "'--nofile=40:'", 'ulimit -n', '40'],
  ['stack', "'--stack=32768:'", 'ulimit -s', '32'],
])('the command has the limit of its %s, the supervisor as much as it may', async (_, limit, ask, expected) => {
  const lines = await under(
    limit,
    `
const child = spawnSandboxed('bash', ['-c', '${ask}; cat /etc/passwd > /dev/null'], { policy, stdio: ['ignore', 'inherit', 'inherit'] });
say(await once(child, 'close'));`,
  );
  expect(lines).toEqual([expected, '0,']);
});
