// What an async hook has said of a new file is said of its name: the folder is moved while the hook thinks.
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { allow, deny } from 'holdfast';
import { expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

test('a file is made where the hook has approved it, or nowhere', async () => {
  const folder = temporaryFolder('moved');
  const [here, there] = [join(folder, 'here'), join(folder, 'there')];
  mkdirSync(here);
  const asked: string[] = [];
  const outcome = await runSandboxed('sh', ['-c', `cd ${folder}; cd here; echo text > new; echo $?`], {
    policy: { files: { write: [folder] } },
    hooks: (child) =>
      child.onOpen({ path: `${folder}/**` }, async (call) => {
        if (!call.path.endsWith('/new')) return undefined;
        asked.push(call.path);
        await setImmediate();
        if (call.path !== join(here, 'new')) return deny('EPERM');
        renameSync(here, there);
        return allow();
      }),
  });
  expect(asked).toEqual([join(here, 'new'), join(there, 'new')]);
  expect(outcome.stdout).not.toBe('0\n');
  expect(existsSync(join(there, 'new'))).toBe(false);

  // By a path that leads to the new folder of that name, it is made there.
  renameSync(there, here);
  const turns: string[] = [];
  const again = await runSandboxed('sh', ['-c', `echo text > ${here}/new`], {
    policy: { files: { write: [folder] } },
    hooks: (child) =>
      child.onOpen({ path: `${here}/new` }, async (call) => {
        turns.push(call.path);
        await setImmediate();
        if (turns.length === 1) {
          renameSync(here, there);
          mkdirSync(here);
        }
        return allow();
      }),
  });
  expect(again.code).toBe(0);
  expect(turns).toHaveLength(2);
  expect(existsSync(join(there, 'new'))).toBe(false);
  expect(readFileSync(join(here, 'new'), 'utf8')).toBe('text\n');
});

test('a socket is bound under the name that the hook has approved, or nowhere', async () => {
  const folder = temporaryFolder('moved');
  const [here, there] = [join(folder, 'here'), join(folder, 'there')];
  mkdirSync(here);
  const script = `import os, socket
os.chdir(${JSON.stringify(here)})
s = socket.socket(socket.AF_UNIX)
try: s.bind('new'); print('bound')
except OSError as error: print(error.errno)`;
  const outcome = await runSandboxed(python, ['-c', script], {
    policy: policyFor(folder),
    hooks: (child) =>
      child.onBind(async () => {
        await setImmediate();
        renameSync(here, there);
        return allow();
      }),
  });
  expect(outcome.stdout).toBe('13\n');
  expect(existsSync(join(there, 'new'))).toBe(false);
  expect(outcome.violations).toMatchObject([{ syscall: 'bind', path: join(here, 'new') }]);
});
