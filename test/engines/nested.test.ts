// A sandbox that is made inside a sandbox: by the engine kernel, and never wider than the one around it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSupport, type Policy, type Violation } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { started } from '../boundary/conversation.ts';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { descendantsOf, until } from '../lifecycle/tree.ts';

const library = new URL('../../dist/index.js', import.meta.url).href;
const { landlockAbi = 0 } = await checkSupport();
/** Inside, where this suite's own choice does not count. */
const env = { ...process.env, HOLDFAST_ENGINE: 'auto' };

function scene() {
  const work = temporaryFolder('nested');
  for (const name of ['inner', 'outer']) {
    mkdirSync(join(work, name));
    writeFileSync(join(work, name, 'there'), `of ${name}\n`);
  }
  const [inner, outer] = ['inner', 'outer'].map((name) => join(work, name)) as [string, string];
  const system = ['/usr', '/bin', '/lib', '/lib64', '/etc'];
  const innerPolicy: Policy = {
    files: { read: [...system, program('..'), inner], write: [inner, '/dev/null'], metadata: ['/'] },
    defaults: { proc: false, cwd: false },
  };
  return { work, inner, outer, innerPolicy };
}

/** A program that makes a sandbox of its own, as `code` says. */
const makes = (code: string, ...args: unknown[]) => [
  '--input-type=module',
  '-e',
  `import { spawnSandboxed } from ${JSON.stringify(library)};
const args = ${JSON.stringify(args)};
const say = (...words) => console.log(words.join(' '));
const start = (command, list, options) => spawnSandboxed(command, list, options).on('error', (error) => say(error.code, error.message));
${code}`,
];

const has = landlockAbi >= 6 && !sanitizer;
describe.skipIf(!has)(
  'inside (the engine kernel needs ABI 6 of Landlock; a sanitizer keeps the child in memory of its own)',
  () => {
    test('what the inner policy leaves out is refused, whoever makes the call; so is what the outer one does', async () => {
      const { work, inner, outer, innerPolicy } = scene();
      const script = `cat ${inner}/there; cat ${outer}/there; echo x > ${inner}/made; echo x > ${outer}/made; mkdir ${outer}/folder
mv ${inner}/made ${outer}/; ln -s there ${outer}/link; head -c1 /proc/self/status; rm ${outer}/there; mkdir -p a/b && cd a && cp ../made b/ && rm ../made && cd .. && cp -r a c && find . -name made && rm -r a c; echo end`;
      const code = `const child = start('sh', ['-c', args[0]], { cwd: args[1], policy: args[2], stdio: ['ignore', 'inherit', 'inherit'] });
child.on('close', (code) => say(child.engine, code));`;
      for (const held of [false, true]) {
        // Once all that can be is left to the kernel, once nothing is.
        const policy: Policy = {
          files: {
            read: ['/'],
            write: [work, '/dev/null', '/proc/self'],
            ...(held && { deny: [join(work, 'nothing')] }),
          },
        };
        const { stdout, code: exit } = await runSandboxed(
          process.execPath,
          makes(code, `{ ${script}; } 2>&1`, inner, innerPolicy),
          { cwd: work, env, policy },
        );
        expect(stdout.split('\n')[0]).toBe('of inner');
        expect(stdout.match(/Permission denied/g)).toHaveLength(7);
        expect(stdout).toMatch(/^(\.\/[ac]\/b\/made\n){2}end\nkernel 0$/m);
        expect(exit).toBe(0);
        expect(existsSync(join(outer, 'made'))).toBe(false);
        expect(readFileSync(join(outer, 'there'), 'utf8')).toBe('of outer\n');
      }
    });

    test('the outer policy holds for all that the inner one gives, and its violations tell of it', async () => {
      const { work, inner, outer, innerPolicy } = scene();
      const wide = {
        ...innerPolicy,
        files: { ...innerPolicy.files, read: ['/usr', '/bin', '/lib', '/lib64', '/etc', work] },
      };
      const code = `start('cat', ['there', args[0]], { cwd: args[1], policy: args[2], stdio: ['ignore', 'inherit', 'inherit'] }).on('close', (code) => say(code));`;
      const { stdout, violations } = await runSandboxed(
        process.execPath,
        makes(code, join(outer, 'there'), inner, wide),
        { cwd: work, env, policy: { files: { read: ['/'], write: [inner, '/dev/null'], deny: [outer] } } },
      );
      expect(stdout).toBe('of inner\n1\n');
      const told = violations.filter(({ path }: Violation) => path === join(outer, 'there'));
      expect(told).toEqual([expect.objectContaining({ errno: 'EACCES', executable: expect.stringMatching(/cat$/) })]);
    });

    test(
      'it ends as a whole, by killTree() or with its supervisor, and nobody outside it does',
      async () => {
        const { work, inner, innerPolicy } = scene();
        const forks =
          'for i in 1 2 3; do (trap "" TERM; setsid sh -c "while :; do sleep 1 & wait; done") & done; echo ready; wait';
        const code = `import { spawn } from 'node:child_process';
const beside = spawn('sleep', ['600']);
const child = start('sh', ['-c', args[0]], { cwd: args[1], policy: args[2], stdio: ['ignore', 'pipe', 'inherit'], descendants: 'wait' });
child.stdout.once('data', () => say('ready', child.pid, beside.pid));
child.on('close', (code, signal) => { say('closed', signal); });
process.stdin.on('data', (text) => { if (String(text).includes('kill')) child.killTree(); else beside.kill(); });
process.stdin.on('end', () => process.exit(0));`;
        for (const how of ['killTree', 'supervisor'] as const) {
          const { child, next, closed } = started(
            process.execPath,
            makes(code, forks, inner, innerPolicy),
            { files: { read: ['/'], write: [work, '/dev/null'] } },
            undefined,
            { env, cwd: work },
          );
          const [, , beside] = (await next()).split(' ').map(Number);
          const isThere = (pid: number) =>
            existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
          const named = (name: string) =>
            descendantsOf(child.pid as number).filter(
              (pid) => isThere(pid) && readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith(name),
            );
          await until(() => named('sleep').length >= 4, 'all of them run');
          if (how === 'killTree') child.stdin.write('kill\n');
          else for (const pid of named('holdfast-superv')) process.kill(pid, 'SIGKILL');
          await until(() => named('sleep').length === 1, 'only who is beside it is left');
          expect(isThere(beside as number)).toBe(true);
          expect(await next()).toMatch(how === 'killTree' ? /^closed/ : /^ERR_HOLDFAST_SUPERVISOR_LOST/);
          child.stdin.write('beside\n');
          child.stdin.end();
          await closed;
        }
      },
      patient(60_000),
    );

    test('what it cannot have is refused with the reason, before anything has run', async () => {
      const { work } = scene();
      const { stdout } = await runSandboxed(process.execPath, makes(`start('true', []);`), {
        cwd: work,
        env,
        policy: { files: { read: ['/'], write: [work, '/dev/null'] } },
      });
      expect(stdout).toMatch(
        /^ERR_HOLDFAST_PTRACE .*The engine 'kernel' needs no ptrace, .*policy\.defaults: \{ proc: false \}/s,
      );
    });
  },
);
