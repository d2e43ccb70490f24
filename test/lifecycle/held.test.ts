// Calls that wait for a hook: what may happen to them meanwhile.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, deny, type HoldfastError, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { allGone, event, policyFor, python, sleep, startOf, stateOf, textOf, treeFrom, until, within } from './tree.ts';

function scene(): { folder: string; slow: string } {
  const folder = temporaryFolder('held');
  writeFileSync(join(folder, 'slow'), 'slow content\n');
  writeFileSync(join(folder, 'fast'), 'fast content\n');
  return { folder, slow: join(folder, 'slow') };
}

/** A command one of whose opens is held until somebody answers it. */
function holding(script: string, { folder, slow }: { folder: string; slow: string }, options: object = {}) {
  const child = spawnSandboxed('bash', ['-c', script], { policy: policyFor(folder), cwd: folder, ...options });
  const held: ((answer?: unknown) => void)[] = [];
  child.onOpen({ path: slow }, () => new Promise<never>((resolve) => held.push(resolve as never)));
  return { child, held };
}

describe('a hook that never answers', () => {
  test('is too late after hookTimeout: the call is denied, hookError says so, and the command goes on', async () => {
    const { folder, slow } = scene();
    const errors: HoldfastError[] = [];
    const before = Date.now();
    const outcome = await runSandboxed('sh', ['-c', 'cat slow; echo $?; cat fast; exit 5'], {
      policy: policyFor(folder),
      cwd: folder,
      hookTimeout: 150,
      hooks: (child) => {
        child.on('hookError', (error) => errors.push(error));
        child.onOpen({ path: slow }, () => new Promise<never>(() => {}));
      },
    });
    expect(Date.now() - before).toBeGreaterThanOrEqual(140);
    expect(outcome).toMatchObject({ code: 5, stdout: '1\nfast content\n' });
    expect(outcome.stderr).toMatch(/slow: Permission denied/);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: 'ERR_HOLDFAST_HOOK_TIMEOUT', event: 'open', call: { path: slow } });
    expect(outcome.violations).toContainEqual(expect.objectContaining({ path: slow, errno: 'EACCES' }));
  });

  test('on every call, with many callers at once: each is denied in its time', async () => {
    const { folder, slow } = scene();
    let errors = 0;
    const outcome = await runSandboxed(
      'bash',
      ['-c', 'for i in $(seq 20); do cat slow & done 2> /dev/null; wait; echo end'],
      {
        policy: policyFor(folder),
        cwd: folder,
        hookTimeout: 200,
        hooks: (child) => {
          child.on('hookError', () => {
            errors += 1;
          });
          child.onOpen({ path: slow }, () => new Promise<never>(() => {}));
        },
      },
    );
    expect(outcome).toMatchObject({ code: 0, stdout: 'end\n' });
    expect(errors).toBe(20);
  });

  test('more calls held than there are verdict slots: the others wait, none is lost', {
    timeout: patient(120_000),
  }, async () => {
    const { folder, slow } = scene();
    const script =
      'ulimit -u unlimited 2> /dev/null; for i in $(seq 300); do { read -r line < slow; echo "$line"; } & done; wait';
    const { child, held } = holding(script, { folder, slow });
    const output = textOf(child.stdout);
    const closed = event(child, 'close', 90_000);
    await until(
      () => held.length >= 200,
      () => `200 are asked, ${held.length} were`,
      patient(60_000),
    );
    let answered = 0;
    await until(
      () => {
        for (; answered < held.length; answered++) held[answered]?.(allow());
        return answered >= 300;
      },
      () => `all 300 are asked, ${held.length} were`,
      patient(60_000),
    );
    await closed;
    expect((await output).match(/slow content/g)).toHaveLength(300);
  });
});

describe('a call is held', () => {
  test('only its own thread waits: other processes and threads go on', async () => {
    const scenery = scene();
    const { child, held } = holding(
      'cat slow & for i in $(seq 30); do cat fast; done; echo others done; wait; exit 6',
      scenery,
    );
    const output = textOf(child.stdout);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    await until(() => text.includes('others done') && held.length === 1, 'the others are done');
    expect(text).not.toContain('slow');
    const closed = event(child, 'close');
    held[0]?.();
    expect(await closed).toEqual([6, null]);
    expect(await output).toContain('slow content');
  });

  test('kill() ends the command while it waits', async () => {
    const scenery = scene();
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const { child, held } = holding('exec cat slow', scenery);
      await until(() => held.length === 1, 'the call is held');
      const seen = { role: 'command', pid: child.pid ?? 0, start: startOf(child.pid ?? 0) };
      const closed = event(child, 'close');
      expect(child.kill(signal)).toBe(true);
      expect(await closed).toEqual([null, signal]);
      await allGone([seen]);
      held[0]?.(allow());
    }
  });

  test('its own parent may kill it', async () => {
    const scenery = scene();
    const script = 'cat slow & child=$!; read -r go; kill -9 $child; wait $child; echo "status $?"; cat fast; exit 7';
    const { child, held } = holding(script, scenery);
    const output = textOf(child.stdout);
    await until(() => held.length === 1, 'the call is held');
    const closed = event(child, 'close');
    child.stdin.end('go\n');
    expect(await closed).toEqual([7, null]);
    expect(await output).toBe('status 137\nfast content\n');
    held[0]?.(allow());
  });

  test('its command ends: a held descendant dies with the tree', async () => {
    const scenery = scene();
    const { child, held } = holding('cat slow > /dev/null 2>&1 & read -r go; exit 8', scenery);
    await until(() => held.length === 1, 'the call is held');
    const closed = event(child, 'close');
    child.stdin.end('go\n');
    expect(await closed).toEqual([8, null]);
    held[0]?.(allow());
  });

  test('a whole tree dies with a call of it held', async () => {
    const { folder, slow } = scene();
    const child = spawnSandboxed(program('life_tree'), ['open', slow], { policy: policyFor(folder) });
    let held = false;
    child.onOpen({ path: slow }, () => {
      held = true;
      return new Promise<never>(() => {});
    });
    const tree = await treeFrom(child.stdout);
    await until(() => held, 'the call is held');
    const closed = event(child, 'close');
    child.kill('SIGKILL');
    expect(await closed).toEqual([null, 'SIGKILL']);
    await allGone(tree.values());
  });

  test('a signal handler runs, and the call goes on or fails as for any slow call', async () => {
    const scenery = scene();
    const script = `exec ${python} -c "
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))
print('started', flush=True)
print(open('slow').read(), end='')
print(open('fast').read(), end='')
"`;
    const { child, held } = holding(script, scenery);
    const output = textOf(child.stdout);
    await until(() => held.length >= 1, 'the call is held');
    child.kill('SIGUSR1');
    await sleep(200);
    const answering = setInterval(() => {
      for (const answer of held.splice(0)) answer(allow());
    }, 10);
    expect(await event(child, 'close')).toEqual([0, null]);
    clearInterval(answering);
    expect((await output).split('\n').sort()).toEqual(['', 'fast content', 'handled', 'slow content', 'started']);
  });

  test('stopped and continued, it still gets its answer', async () => {
    const scenery = scene();
    const { child, held } = holding('exec cat slow', scenery);
    const output = textOf(child.stdout);
    await until(() => held.length === 1, 'the call is held');
    child.kill('SIGSTOP');
    await sleep(100);
    held[0]?.(allow());
    await sleep(100);
    expect(child.exitCode).toBeNull();
    child.kill('SIGCONT');
    const closed = event(child, 'close');
    const answering = setInterval(() => {
      for (const answer of held.splice(0)) answer(allow());
    }, 10);
    expect(await closed).toEqual([0, null]);
    clearInterval(answering);
    expect(await output).toBe('slow content\n');
  });

  test('the command itself: held at its exec it can be killed, denied and answered late', async () => {
    const { folder } = scene();
    const start = (hook: (child: SandboxedProcess) => void) => {
      const child = spawnSandboxed('sh', ['-c', 'touch ran'], { policy: policyFor(folder), cwd: folder });
      hook(child);
      return child;
    };
    let asked = false;
    const killed = start((child) =>
      child.onExec(() => {
        asked = true;
        return new Promise<never>(() => {});
      }),
    );
    const closed = event(killed, 'close');
    await until(() => asked, 'the exec is held');
    expect(killed.pid).toBeGreaterThan(0);
    expect(stateOf(killed.pid ?? 0)).not.toBe('gone');
    killed.kill('SIGKILL');
    await closed;
    expect(killed.signalCode).toBe('SIGKILL');
    expect(existsSync(join(folder, 'ran'))).toBe(false);

    const denied = start((child) => child.onExec(() => deny('EPERM')));
    const [error] = (await within(
      new Promise((resolve) => denied.on('error', (...args) => resolve(args))),
      'an error',
    )) as [Error];
    expect(error).toBeInstanceOf(Error);
    expect(existsSync(join(folder, 'ran'))).toBe(false);

    const late = start((child) => child.onExec(async () => void (await sleep(100))));
    expect(await event(late, 'close')).toEqual([0, null]);
    expect(existsSync(join(folder, 'ran'))).toBe(true);
  });
});
