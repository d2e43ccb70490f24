// A thread that is not the leader of its process executes a program: it takes the leader's number. A call of the leader's that is held just
// then belongs to nobody any more: nothing is done by it in the new program's name, or in its memory (execve(2)).
import { chmodSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, textOf } from '../lifecycle/tree.ts';

const start = (args: string[], folder: string, hook: (child: SandboxedProcess) => void) => {
  const child = spawnSandboxed(program('leader_replaced'), args, {
    policy: { files: { read: [program('leader_replaced'), folder], write: [folder] } },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  hook(child);
  return child;
};

/** A hook that answers when it is told to. */
function waiting() {
  let asked = 0;
  let answer: () => void = () => {};
  const told = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const hook = async () => {
    asked++;
    await told;
    return allow();
  };
  return { hook, answer, asked: () => asked };
}

/** The hook was asked once, and answers when the other program runs, which then looks and ends. */
async function answerTooLate(child: SandboxedProcess, { answer, asked }: ReturnType<typeof waiting>) {
  expect(String((await event(child.stdout, 'data'))[0])).toBe('new\n');
  expect(asked()).toBe(1);
  answer();
  await new Promise((resolve) => setTimeout(resolve, 50));
  child.stdin?.end('look\n');
  expect(await event(child, 'close')).toEqual([0, null]);
}

describe('the leader’s call is held by a hook while another thread executes a program', () => {
  test('its answer is not written into that one’s memory', async () => {
    const folder = temporaryFolder('replaced');
    symlinkSync('the-old-answer', join(folder, 'link'));
    const waits = waiting();
    const child = start(['readlink', join(folder, 'link')], folder, (held) =>
      held.onReadlink({ path: join(folder, 'link') }, waits.hook),
    );
    const out = textOf(child.stdout);
    await answerTooLate(child, waits);
    expect(await out).toBe('new\nuntouched\n');
  });

  test('it is not carried out any more', async () => {
    const folder = temporaryFolder('replaced');
    writeFileSync(join(folder, 'file'), '');
    const waits = waiting();
    const child = start(['unlink', join(folder, 'file')], folder, (held) => held.onUnlink(waits.hook));
    await answerTooLate(child, waits);
    expect(existsSync(join(folder, 'file'))).toBe(true);
  });

  test('that fails after it was allowed: the leader’s call is asked about once more, and answered', async () => {
    const folder = temporaryFolder('replaced');
    symlinkSync('answer', join(folder, 'link'));
    const broken = join(folder, 'broken');
    writeFileSync(broken, '\0no program\n');
    chmodSync(broken, 0o755);
    const { hook, answer } = waiting();
    const child = start(['fails', join(folder, 'link'), broken], folder, (held) =>
      held.onReadlink({ path: join(folder, 'link') }, hook),
    );
    const out = textOf(child.stdout);
    expect(String((await event(child.stdout, 'data'))[0])).toBe('exec 8\n'); // ENOEXEC
    answer();
    expect(await event(child, 'close')).toEqual([0, null]);
    expect(await out).toBe('exec 8\n6 answer\n');
  });
});
