import {
  createSandbox,
  type ExpectedViolation,
  expectRun,
  matchers,
  type Sandbox,
  type SandboxRun,
  sandboxForEach,
  withSandbox,
} from 'holdfast/testing';
import { expectAssignable, expectError, expectType } from 'tsd';

const sandbox = createSandbox({
  files: { 'a.txt': 'text', folder: { b: new Uint8Array() } },
  time: { at: '2030-01-01', frozen: true },
  hostname: 'builder',
});
expectType<Sandbox>(sandbox);
expectError(createSandbox({ file: {} }));
expectError(createSandbox({ time: { soon: true } }));

const running = sandbox.run('cli', ['build'], {
  policy: { files: { write: ['out'] } },
  time: new Date(),
  input: 'text',
});
expectAssignable<Promise<SandboxRun>>(running);
expectType<number | undefined>(running.child.pid);
expectError(sandbox.run('cli', [], { reject: true }));
expectError(sandbox.run('cli', [], { encoding: 'buffer' }));
const run = await running;
expectType<string>(run.stdout);
expectType<string>(run.all);
expectType<readonly string[]>(run.written);
expectType<readonly Buffer[] | undefined>(run.writtenBytes);

expectType<Sandbox>(sandbox.fail('write', { nth: 3, errno: 'ENOSPC' }));
sandbox.fail('getrandom', { errno: 5 }).delay('connect', 500, { port: 80 });
expectError(sandbox.fail('write', { nth: 3 }));
expectError(sandbox.fail('wirte', { errno: 'EIO' }));
expectType<string>(sandbox.fixture('dir'));
expectType<Promise<number>>(sandbox.port());

expectType<void>(expectRun(run).toHaveViolated([{ access: 'read', path: '/etc/passwd' }, 'a/*.txt']));
expectType<void>(expectRun(run).not.toHaveExited(0));
expectError(expectRun(run).toHaveViolated('x'));
expectError<ExpectedViolation>({ pth: 'x' });
expectType<boolean>(matchers.toHaveWritten(run, []).pass);

expectAssignable<() => Promise<void>>(withSandbox(async (inner) => expectType<Sandbox>(inner)));
expectType<Sandbox>(sandboxForEach().sandbox);
