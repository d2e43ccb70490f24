// Runs a program twice in a folder of the same name, bare and then held with a hook on every open, and compares what it
// printed, how it ended, and every file that it left.
import { createHash } from 'node:crypto';
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Policy } from 'holdfast';
import { expect } from 'vitest';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const nobody = 65534;

export interface Comparison {
  command?: string;
  args?: readonly string[];
  /** Shell text, instead of a command: run by `bash -c`. */
  script?: string;
  /** Fills the folder before each run. */
  prepare?: (folder: string) => void | Promise<void>;
  input?: string;
  /** What may be read besides the system and the folder itself. */
  read?: string[];
  /** What may be written besides the folder itself. */
  write?: string[];
  network?: NonNullable<Policy['network']>;
  /** As root, the program runs as the user that has no rights: some refuse to run as root. */
  asNobody?: boolean;
  env?: NodeJS.ProcessEnv;
  /** Takes out of the output what really differs from run to run: pids, times. */
  normalise?: (text: string) => string;
  /** Files (relative names) whose contents differ from run to run. */
  volatile?: RegExp;
  /** How it must end; 0 unless said. A comparison of two failures would prove nothing. */
  code?: number;
}

function snapshot(root: string, volatile: RegExp | undefined, under = ''): Record<string, unknown> {
  const seen: Record<string, unknown> = {};
  for (const name of readdirSync(join(root, under)).sort()) {
    const path = join(under, name);
    const status = lstatSync(join(root, path));
    const about = { mode: status.mode.toString(8), uid: status.uid, gid: status.gid };
    if (status.isDirectory()) {
      seen[path] = about;
      Object.assign(seen, snapshot(root, volatile, path));
    } else if (status.isSymbolicLink()) {
      seen[path] = { ...about, target: readlinkSync(join(root, path)) };
    } else if (status.isFile() && !volatile?.test(path)) {
      const content = createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex');
      seen[path] = { ...about, links: status.nlink, size: status.size, content };
    } else {
      seen[path] = about;
    }
  }
  return seen;
}

export function policyFor(folder: string, read: string[] = [], write: string[] = []): Policy {
  const node = dirname(dirname(realpathSync(process.execPath)));
  return {
    files: {
      read: ['/usr', '/bin', '/sbin', '/lib', '/lib64', '/etc', '/proc', '/sys', '/dev', node, folder, ...read],
      write: [folder, '/dev/null', '/dev/zero', '/dev/full', '/dev/tty', '/dev/shm', ...write],
    },
    network: { connect: [`unix:${folder}`], bind: [`unix:${folder}`] },
  };
}

export async function compare(what: Comparison): Promise<{ bare: Outcome; held: Outcome; opens: number }> {
  const scene = temporaryFolder('same');
  const folder = join(scene, 'run');
  const line = what.script === undefined ? [what.command ?? '', ...(what.args ?? [])] : ['bash', '-c', what.script];
  const changesUser = what.asNobody === true && process.getuid?.() === 0;
  if (changesUser) line.unshift('setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups');
  const [command = '', ...args] = line;
  const normalise = what.normalise ?? ((text: string) => text);

  const one = async (name: string, run: (options: object) => Promise<Outcome>) => {
    for (const inner of ['', 'home', 'tmp']) mkdirSync(join(folder, inner), { recursive: true });
    await what.prepare?.(folder);
    if (changesUser) for (const inner of ['', 'home', 'tmp']) chownSync(join(folder, inner), nobody, nobody);
    const env = {
      // Without folders of the user's own, whose scripts may need more than the policy allows.
      PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: join(folder, 'home'),
      TMPDIR: join(folder, 'tmp'),
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      SHELL: '/bin/sh',
      ...what.env,
    };
    const outcome = await run({ cwd: folder, env, input: what.input });
    const files = snapshot(folder, what.volatile);
    renameSync(folder, join(scene, name));
    return { outcome, files };
  };

  const bare = await one('bare', (options) => runBare(command, args, options));
  let opens = 0;
  const held = await one('held', (options) =>
    runSandboxed(command, args, {
      ...options,
      policy: { ...policyFor(folder, what.read, what.write), ...(what.network && { network: what.network }) },
      hooks: (child) =>
        child.onOpen(() => {
          opens += 1;
        }),
    }),
  );
  const shown = ({ code, signal, stdout, stderr }: Outcome) => ({
    code,
    signal,
    stdout: normalise(stdout),
    stderr: normalise(stderr),
  });
  const context = JSON.stringify(held.outcome.violations, null, 1);
  expect(shown(bare.outcome), 'bare').toMatchObject({ code: what.code ?? 0, signal: null });
  expect(shown(held.outcome), `violations: ${context}`).toEqual(shown(bare.outcome));
  expect(held.files, `violations: ${context}`).toEqual(bare.files);
  expect(opens, 'opens that the hook saw').toBeGreaterThan(0);
  return { bare: bare.outcome, held: held.outcome, opens };
}
