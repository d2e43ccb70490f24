// Node does not listen for a while, and the tree goes on being refused: the ring between them is full, and its workers wait.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSandboxed, type Violation } from 'holdfast';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, linesUntil, policyFor, python, stateOf, textOf } from './tree.ts';

const ringBytes = 1 << 20; // kRingBytes, native/protocol/protocol.h

/** Looks again and again without going back to the event loop, so that Node takes nothing from the ring. */
function lookUntil(holds: () => boolean, what: string): void {
  const end = Date.now() + 60_000;
  const word = new Int32Array(new SharedArrayBuffer(4));
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within a minute: ${what}`);
    Atomics.wait(word, 0, 0, 20);
  }
}

/** A child whose opens are refused, each with a record of 4,000 bytes and more; it counts them in a file. */
async function scene(rounds: number) {
  const folder = temporaryFolder('ring');
  const outside = temporaryFolder('outside');
  let secret = outside;
  while (secret.length < 3_700) secret = join(secret, 'd'.repeat(240));
  mkdirSync(secret, { recursive: true });
  secret = join(secret, 'secret');
  writeFileSync(secret, 'secret');
  writeFileSync(join(folder, 'counter'), '0'.repeat(8));
  const script = `
import os, sys, time
counter = os.open('counter', os.O_WRONLY)
while not os.path.exists('go'): time.sleep(0.01)
for i in range(${rounds}):
    try: os.close(os.open(sys.argv[1], os.O_RDONLY))
    except PermissionError: os.pwrite(counter, b'%08d' % (i + 1), 0)
`;
  writeFileSync(join(folder, 'script'), script);
  const shell = `${python} -S script '${secret}' & echo pid $!; wait $!; echo status $?`;
  const child = spawnSandboxed('bash', ['-c', shell], { cwd: folder, policy: policyFor(folder) });
  const violations: Violation[] = [];
  child.on('violation', (violation) => {
    if (violation.path === secret) violations.push(violation);
  });
  const output = textOf(child.stdout);
  const pid = Number((await linesUntil(child.stdout, 'pid'))[0]?.split(' ')[1]);
  const count = () => Number(readFileSync(join(folder, 'counter'), 'utf8'));
  const begin = () => writeFileSync(join(folder, 'go'), '');
  return { child, violations, output, pid, count, begin };
}

/** Until it gets no further. More than the ring has room for cannot be counted before that. */
function untilFull(count: () => number): void {
  let [last, same] = [0, 0];
  lookUntil(() => {
    const now = count();
    same = now === last ? same + 1 : 0;
    last = now;
    return now > 60 && same > 50;
  }, 'the ring is full');
  expect(last * 3_700).toBeLessThan(ringBytes);
}

test('a full ring makes the tree wait, and loses no violation', { timeout: patient(120_000) }, async () => {
  const { child, violations, output, count, begin } = await scene(500);
  const closed = event(child, 'close', 60_000);
  begin();
  untilFull(count);
  expect(violations).toEqual([]);
  expect(await closed).toEqual([0, null]);
  expect(await output).toMatch(/status 0\n$/);
  expect(count()).toBe(500);
  expect(violations).toHaveLength(500);
});

test('a caller that dies meanwhile stays a zombie until its worker has done with it', {
  timeout: patient(120_000),
}, async () => {
  const { child, violations, output, pid, count, begin } = await scene(1_000);
  const closed = event(child, 'close', 60_000);
  begin();
  untilFull(count);
  process.kill(pid, 'SIGKILL');
  lookUntil(() => stateOf(pid) !== 'S', 'it dies');
  // Its number must not become somebody else's, for as long as the worker waits.
  for (let looks = 0; looks < 25; looks++) {
    let waited = 0;
    lookUntil(() => waited++ > 0, 'a moment');
    expect(stateOf(pid)).toBe('Z');
  }
  const refused = count();
  expect(await closed).toEqual([0, null]);
  expect(await output).toMatch(/status 137\n$/);
  expect(violations.length - refused).toBeLessThanOrEqual(1);
});
