// Somebody at a terminal: Ctrl-C, Ctrl-Z and the size of the window, with a shell that controls jobs and without one.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { patience, patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const cli = file('../../dist/cli.js');
const terminal = file('../helpers/terminal.py');
const python = '/usr/bin/python3';
const timeout = patient(60_000);
const [ctrlC, ctrlZ, ctrlBackslash] = ['\x03', '\x1a', '\x1c'];

type Step = ['expect' | 'send', string] | ['size', number, number];
interface Seen {
  /** What stood on the terminal. */
  text: string;
  /** The text that did not come. */
  failure: string | null;
  /** Negative: a signal; null: it did not end. */
  code: number | null;
}

const programs: Readonly<Record<string, string>> = {
  // Says how many SIGINT it had, some time after the first. (What a handler prints may not stand in the middle of a print().)
  'counts.py': `
import os, signal, sys, time
say = lambda text: os.write(1, (text + '\\n').encode())
had = 0
def on(*_):
    global had
    had += 1
signal.signal(signal.SIGINT, on)
signal.signal(signal.SIGCONT, lambda *_: say('goes on'))
say('ready')
while had == 0: time.sleep(0.02)
time.sleep(0.4)
say(f'had {had} {os.getpgrp() == os.tcgetpgrp(0)}')
sys.exit(7)`,
  // As an editor does at Ctrl-Z: itself, or all of its process group.
  'stops.py': `
import os, signal, sys
print('ready', flush=True)
os.kill(os.getpid() if sys.argv[1] == 'itself' else 0, signal.SIGTSTP)
print('back', flush=True)
print('read', sys.stdin.readline(), flush=True)`,
  'size.py': `
import os, signal, time
say = lambda text: os.write(1, (text + ' %d %d\\n' % os.get_terminal_size(0)).encode())
changed = []
signal.signal(signal.SIGWINCH, lambda *_: changed.append(1))
say('ready')
while not changed: time.sleep(0.02)
say('now')`,
};

const folder = temporaryFolder('terminal');
for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);

async function at(steps: readonly Step[], command: readonly string[]): Promise<Seen> {
  const { stdout } = await promisify(execFile)(
    python,
    [terminal, String(10_000 * patience), JSON.stringify(steps), ...command],
    { cwd: folder, env: { ...process.env, PS1: '$ ', ENV: '', NODE: process.execPath, CLI: cli } },
  );
  const seen = JSON.parse(stdout) as Seen;
  if (seen.failure !== null || seen.code === null) console.error(stdout);
  return seen;
}

const run = [process.execPath, cli, 'run', '--quiet', '--'];
const learn = [process.execPath, cli, 'learn', '--quiet', '-o', 'policy.json', '--'];
/** A shell that somebody types into: it controls jobs. */
const shell = ['dash', '-i'];
const typed = (line: string): Step[] => [
  ['expect', '$ '],
  ['send', `${line}\n`],
];
const end: Step[] = typed('echo "[$?]"; exit');

describe.each([
  ['run', run],
  ['learn', learn],
] as const)('holdfast %s', (_, holdfast) => {
  test('Ctrl-C is one SIGINT for the program, whose exit code is the command’s', { timeout }, async () => {
    const seen = await at(
      [
        ['expect', 'ready'],
        ['send', ctrlC],
      ],
      [...holdfast, python, 'counts.py'],
    );
    expect(seen).toMatchObject({ failure: null, code: 7 });
    expect(seen.text).toContain('had 1 True\n');
  });

  test('what Ctrl-C or Ctrl-\\ ends', { timeout }, async () => {
    const sleeps = [...holdfast, 'sh', '-c', 'echo ready; exec sleep 100'];
    // By the signal itself: of a shell's loop nothing more comes.
    expect(
      await at(
        [
          ['expect', 'ready'],
          ['send', ctrlC],
        ],
        sleeps,
      ),
    ).toMatchObject({ failure: null, code: -2 });
    expect(
      await at(
        [
          ['expect', 'ready'],
          ['send', ctrlBackslash],
        ],
        sleeps,
      ),
    ).toMatchObject({ failure: null, code: 131 });
  });
});

test('in a loop of a script Ctrl-C ends the script, and a shell says 130', { timeout }, async () => {
  const once = `"$NODE" "$CLI" run -- sh -c 'echo ready; exec sleep 100'`;
  const loop = await at(
    [
      ['expect', 'ready'],
      ['send', ctrlC],
    ],
    ['bash', '-c', `for i in 1 2 3; do ${once}; done; echo behind`],
  );
  expect(loop).toMatchObject({ failure: null, code: -2 });
  expect(loop.text).not.toContain('behind');
  const seen = await at([...typed(once), ['expect', '\nready'], ['send', ctrlC], ...end], shell);
  expect(seen).toMatchObject({ failure: null, code: 0 });
  expect(seen.text).toContain('[130]');
});

test('Ctrl-Z stops both, and fg lets both go on', { timeout }, async () => {
  const seen = await at(
    [
      ...typed(`"$NODE" "$CLI" run -q -- ${python} counts.py`),
      ['expect', '\nready'],
      ['send', ctrlZ],
      ['expect', 'Stopped'],
      ...typed('jobs'),
      ['expect', 'Stopped'],
      ...typed('fg'),
      ['expect', 'goes on'],
      ['send', ctrlC],
      ['expect', 'had 1 True'],
      ...end,
    ],
    shell,
  );
  expect(seen).toMatchObject({ failure: null, code: 0 });
  expect(seen.text).toContain('[7]');
});

test.each(['itself', 'group'])('a program that stops %s gives the shell its prompt', { timeout }, async (which) => {
  const seen = await at(
    [
      ...typed(`"$NODE" "$CLI" run -q -- ${python} stops.py ${which}`),
      ['expect', '\nready'],
      ['expect', 'Stopped'],
      ...typed('fg'),
      ['expect', 'back'],
      ['send', 'line\n'],
      ['expect', 'read line'],
      ...end,
    ],
    shell,
  );
  expect(seen).toMatchObject({ failure: null, code: 0 });
  expect(seen.text).toContain('[0]');
});

test('a shell in the sandbox controls its own jobs', { timeout }, async () => {
  const seen = await at(
    [
      ...typed(`PS1='in ' "$NODE" "$CLI" run -q -- dash -i`),
      ['expect', '\nin '],
      ['send', `${python} counts.py\n`],
      ['expect', '\nready'],
      ['send', ctrlZ],
      ['expect', 'Stopped'],
      ['expect', '\nin '],
      ['send', 'fg\n'],
      ['expect', 'goes on'],
      ['send', ctrlC],
      ['expect', 'had 1 True'],
      ['expect', '\nin '],
      ['send', 'exit 5\n'],
      ...end,
    ],
    shell,
  );
  expect(seen).toMatchObject({ failure: null, code: 0 });
  expect(seen.text).toContain('[5]');
});

test('Ctrl-C is one SIGINT for a package manager under the guard', { timeout }, async () => {
  writeFileSync(join(folder, 'package.json'), '{}');
  const guard = [process.execPath, file('../../dist/guard.js')];
  const seen = await at(
    [
      ['expect', 'ready'],
      ['send', ctrlC],
    ],
    [...guard, python, 'counts.py'],
  );
  expect(seen).toMatchObject({ failure: null, code: 7 });
  expect(seen.text).toContain('had 1 True\n');
});

test('the size of the window, and its changes', { timeout }, async () => {
  const steps: Step[] = [
    ['expect', 'ready 0 0'],
    ['size', 33, 77],
    ['expect', 'now 77 33'],
  ];
  expect(await at(steps, [...run, python, 'size.py'])).toMatchObject({ failure: null, code: 0 });
});

test('the terminal is given back by a program that was killed with it', { timeout }, async () => {
  // Without job control nobody else would take it: what reads it then is told of its end.
  const script = `PS1='in ' "$NODE" "$CLI" run -q -l wallTime=500ms -- dash -i; echo over; read line; echo "got $line"`;
  const seen = await at(
    [
      ['expect', 'in '],
      ['expect', 'over'],
      ['send', 'this\n'],
    ],
    ['dash', '-c', script],
  );
  expect(seen).toMatchObject({ failure: null, code: 0 });
  expect(seen.text).toContain('got this\n');
});
