import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deny } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { python } from '../lifecycle/tree.ts';
import { attack, attackTwin, expectBitten, expectHeld, type Scene, scene } from './race.ts';

const timeout = patient(120_000);
const rounds = 150;
const modes = ['thread', 'vm', 'shared'];

function programs(): Scene {
  const made = scene();
  for (const folder of [made.inside, made.outside]) copyFileSync(program('race_exec'), join(folder, 'program'));
  return made;
}

describe('the path of a program that changes during execve', () => {
  test.each(modes)('by %s runs only what was approved', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    const attacked = await attack('race_exec', [mode, 'path', rounds, inside, outside], {
      policy: { files: { read: [inside] } },
    });
    expectHeld(attacked);
    expect(attacked.violations.some((violation) => violation.path === join(outside, 'program'))).toBe(true);
  });

  test.each(modes)('by %s runs the other under the twin', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    expectBitten(
      await attackTwin('race_exec', [mode, 'path', 5_000, inside, outside], { hold: 'execve', denyPath: outside }),
    );
  });
});

describe('an argument that changes during execve', () => {
  test.each(modes)('by %s is seen by the program as the hook saw it', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    const attacked = await attack('race_exec', [mode, 'argument', rounds, inside, outside], {
      policy: { files: { read: [inside] } },
      hooks: (child) =>
        child.onExec((call) => {
          if (call.argv.includes('goof')) return deny('EACCES');
        }),
    });
    expectHeld(attacked);
    expect(attacked.race.refusals).toBeGreaterThan(0);
  });

  test.each(modes)('by %s is another under the twin', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    const options = { hold: 'execve', denyArgument: 'goof' };
    expectBitten(await attackTwin('race_exec', [mode, 'argument', 5_000, inside, outside], options));
  });
});

// The hook's thinking is held until another thread of the caller has written: what the kernel reads is what it wrote.
describe('an argument list that changes while a hook thinks about it', () => {
  const script = (write: string) => `
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
texts = [ctypes.create_string_buffer(text) for text in (b'echo', b'first', b'second', b'third')]
at = lambda i: ctypes.cast(texts[i], ctypes.c_void_p).value
arguments = (ctypes.c_void_p * 5)(at(0), at(1), at(2), None, None)
def change():
    while not os.path.exists('go'): time.sleep(0.01)
    ${write}
    os.write(1, b'changed\\n')
threading.Thread(target=change).start()
libc.execv(b'/bin/echo', arguments)
`;

  test.each([
    ['grows', 'arguments[3] = at(3)'],
    ['shrinks', 'arguments[2] = None'],
    ['has another text', "texts[2].value = b'other'"],
    ['has its texts in another order', 'arguments[1], arguments[2] = arguments[2], arguments[1]'],
    ['begins otherwise', "texts[0].value = b'oche'"],
  ])('and %s runs nothing', async (_, write) => {
    const folder = temporaryFolder('argv');
    const outcome = await runSandboxed(python, ['-S', '-c', script(write)], {
      cwd: folder,
      hooks: (child) => {
        const changed = new Promise((resolve) => child.stdout?.once('data', resolve));
        child.onExec({ path: '/bin/echo' }, async () => {
          writeFileSync(join(folder, 'go'), '');
          await changed;
        });
      },
    });
    expect(outcome).toMatchObject({ signal: 'SIGKILL', stdout: 'changed\n' });
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ reason: 'the argument list changed after it was approved' }),
    );
  });

  test('and is as it was runs', async () => {
    const outcome = await runSandboxed(python, ['-S', '-c', script('pass')], {
      hooks: (child) => child.onExec(() => {}),
    });
    expect(outcome.stdout).toMatch(/first second\n$/);
  });
});
