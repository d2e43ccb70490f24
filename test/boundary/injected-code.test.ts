import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { unusedPort } from '../helpers/ports.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

test.skipIf(process.arch !== 'x64')(
  // the attack's code is written in x86_64 instructions
  'code written over the instruction of a held call gets nothing by the calls that are injected there',
  { timeout: patient(60_000) },
  async () => {
    const secret = join(temporaryFolder('injected'), 'file');
    writeFileSync(secret, 'secret\n');
    const port = await unusedPort();
    const outcome = await runSandboxed(program('injected_code'), [secret, String(port), '32'], {
      policy: {
        files: { read: ['/usr', '/lib', '/lib64', '/etc'] },
        network: { connect: [`127.0.0.1:${port}`, 'unix:@thirteenchars'] },
      },
      // Held for as long as the other thread needs to write its code.
      hooks: (child) => child.onConnect(() => sleep(10)),
    });
    expect(outcome.stderr).toBe('');
    expect(JSON.parse(outcome.stdout)).toEqual({ rounds: 32, escapes: 0 });
    // What the written code asked for has been judged as the program's own wish.
    expect(outcome.violations.some((violation) => violation.path === secret)).toBe(true);
  },
);
