// Starts where something is missing: each works as Node's own spawn does, or says by a code what is missing.
import { rmdirSync } from 'node:fs';
import { checkSupport, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { runBare } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const library = new URL('../../dist/index.js', import.meta.url).href;

/** Starts /bin/true in a Node of its own, under a launcher, and says what came of it. */
async function startUnder(launcher: readonly string[], before = '', cwd?: string): Promise<string> {
  const code = `import(${JSON.stringify(library)}).then(({ spawnSandboxed }) => { ${before}
    const child = spawnSandboxed('/bin/true', { stdio: 'ignore' });
    let told; child.on('error', (error) => { told = error.code; });
    child.on('close', (exit) => console.log(told ?? 'exit ' + exit)); }).catch((error) => console.log('thrown', error.code));`;
  const [command = process.execPath, ...args] = [...launcher, process.execPath, '-e', code];
  const { stdout } = await runBare(command, args, cwd === undefined ? {} : { cwd });
  return stdout.trim();
}

test('a hook in the tick of a start that fails is no error of its own', async () => {
  const child = spawnSandboxed('/no/such/command', { stdio: 'ignore' });
  expect(() => child.onOpen(() => undefined)).not.toThrow();
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.on('error', resolve));
  expect(error.code).toBe('ENOENT');
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => child.onOpen(() => undefined)).toThrow(/tick of the spawn/);
});

test('in a working directory that is gone the command starts, as bare', async () => {
  const folder = temporaryFolder();
  const gone = `process.chdir(${JSON.stringify(folder)}); require('node:fs').rmdirSync(${JSON.stringify(folder)});`;
  expect(await startUnder([], gone)).toBe('exit 0');
  expect(() => rmdirSync(folder)).toThrow('ENOENT');
});

test('RLIMIT_FSIZE 0 is named', async () => {
  expect(await startUnder(['prlimit', '--fsize=0'])).toBe('ERR_HOLDFAST_LIMIT');
});

test('checkSupport tries a start', async () => {
  const support = checkSupport();
  expect(support.supported).toBe(true);
  expect(await checkSupport({ start: true })).toEqual(support);
});
