import type { execFileSync as nodeExecFileSync, spawn as nodeSpawn } from 'node:child_process';
import { on, once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import {
  type Accesses,
  allow,
  type CallRulePlan,
  type CompiledPolicy,
  type ConnectCall,
  compilePolicy,
  createSandboxPool,
  definePolicy,
  deny,
  type Engine,
  type ExitCall,
  type Explanation,
  execFileSandboxed,
  execSandboxed,
  explain,
  type ForkCall,
  type ForkKind,
  fake,
  forkSandboxed,
  HoldfastError,
  type Inspection,
  kill,
  type Layer,
  type Lesson,
  type LifecycleEvent,
  type LimitName,
  type LimitPlan,
  type LimitReached,
  type Limits,
  type LoggedCall,
  learn,
  loadPolicy,
  type OpenCall,
  type Policy,
  type PolicyProblem,
  type ProcessExitEvent,
  type RenameCall,
  type Report,
  type RestrictionPlan,
  redirect,
  report,
  reportPage,
  respond,
  runSandboxed,
  runSandboxedSync,
  type SandboxedError,
  type SandboxedProcess,
  type SandboxedResult,
  type SandboxPlan,
  type SandboxPool,
  type SpawnSandboxedOptions,
  type Suggestion,
  sandboxedChildProcess,
  spawnSandboxed,
  type TreeProcess,
  type TreeUsage,
  type UnusedRules,
  type Violation,
} from 'holdfast';
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd';

// The streams follow from stdio, as in child_process.
const piped = spawnSandboxed('ls');
expectType<Writable>(piped.stdin);
expectType<Readable>(piped.stdout);
expectType<Readable>(piped.stderr);
const inherited = spawnSandboxed('ls', ['-l'], { stdio: 'inherit' });
expectType<null>(inherited.stdin);
expectType<null>(inherited.stdout);
const mixed = spawnSandboxed('ls', [], { stdio: ['ignore', 'pipe', 'inherit'] });
expectType<null>(mixed.stdin);
expectType<Readable>(mixed.stdout);
expectType<null>(mixed.stderr);

expectAssignable<SandboxedProcess>(piped);
expectType<number | undefined>(piped.pid);
expectType<number | null>(piped.exitCode);
expectType<NodeJS.Signals | null>(piped.signalCode);

// Each hook gets its own kind of call, and may answer only what makes sense for it.
piped.onOpen((call) => {
  expectType<OpenCall>(call);
  expectType<string>(call.path);
});
piped.onRename((call) => {
  expectType<RenameCall>(call);
  expectType<string>(call.from);
  expectType<string>(call.to);
});
piped.onConnect((call) => {
  expectType<ConnectCall>(call);
  expectType<string>(call.address);
  if (call.family === 'unix') expectType<undefined>(call.port);
  else expectType<number>(call.port);
});
piped.onOpen(() => allow());
piped.onOpen(() => deny());
piped.onOpen(() => deny('ENOENT'));
piped.onOpen(() => kill('SIGTERM'));
piped.onOpen(() => redirect('/etc/hosts'));
piped.onOpen(() => respond('contents'));
piped.onOpen(async () => deny('ENOENT'));
piped.onOpen(async () => {});
piped.onConnect(() => redirect({ address: '127.0.0.1', port: 80 }));
expectError(piped.onSignal({ path: '/x' }, () => {}));
piped.onSignal({}, () => {});
expectError(piped.onOpen(() => redirect({ address: '127.0.0.1', port: 80 })));
piped.onConnect((call) => (call.family === 'unix' ? redirect('/run/other.sock') : deny()));
piped.onBind(() => redirect('/run/other.sock'));
piped.onSend(() => redirect('/run/other.sock'));
expectError(piped.onSignal(() => redirect('/run/other.sock')));
expectError(piped.onConnect(() => respond('contents')));
expectError(piped.onRename(() => respond('contents')));
expectError(piped.onOpen(() => 'deny'));
expectError(piped.onOpen(() => true));

// System calls by name: the struct that a call fills says what respond() takes.
piped.onSyscall('uname', () => respond({ nodename: 'builder', release: '6.1.0' }));
piped.onSyscall('getppid', (call) => {
  expectType<'getppid'>(call.syscall);
  return respond(1);
});
piped.onSyscall('socket', { args: [{ index: 0, equals: 'AF_NETLINK' }] }, async () => deny('EAFNOSUPPORT'));
piped.onSyscall('getrandom', () => respond(Buffer.alloc(8)));
piped.onSyscall('openat', ({ args }) => {
  expectType<string | undefined>(args[1]?.text);
  return allow();
});
expectError(piped.onSyscall('unmae', () => {}));
expectError(piped.onSyscall('getppid', () => respond({ nodename: 'x' })));
expectError(piped.onSyscall('uname', () => respond({ nodname: 'x' })));
expectError(piped.onSyscall('uname', () => respond({ nodename: 1 })));
expectError(piped.onSyscall('openat', () => respond('contents')));
expectError(piped.onSyscall('openat', () => redirect('/x')));
expectError(piped.onSyscall('socket', { args: [{ index: 0 }] }, () => {}));
expectError(piped.onSyscall('socket', { args: [{ index: 0, equals: 1, less: 2 }] }, () => {}));
expectError(piped.onSyscall('socket', { arg: [] }, () => {}));
piped.on('syscall', (call) => expectType<LoggedCall>(call));

// Rules on system calls.
expectAssignable<Policy>({
  syscalls: {
    deny: [
      'personality',
      135,
      { call: 'socket', args: [{ index: 0, equals: 'AF_NETLINK' }], errno: 'EAFNOSUPPORT' },
      { call: 'clone', args: [{ index: 0, maskedEquals: { mask: 'CLONE_NEWUSER', value: 0 } }], action: 'trap' },
      { call: 'lseek', args: [{ index: 1, range: [0n, 2n ** 40n] }], action: 'log' },
    ],
    only: ['read', 'write'],
    otherwise: 'kill',
  },
});
expectNotAssignable<Policy>({ syscalls: { deny: ['persnality'] } });
expectNotAssignable<Policy>({ syscalls: { deny: [{ call: 'socket', action: 'kill', errno: 'EPERM' }] } });
expectNotAssignable<Policy>({ syscalls: { deny: [{ call: 'socket', action: 'stop' }] } });
expectNotAssignable<Policy>({ syscalls: { deny: [{ call: 'socket', args: [{ index: 6, equals: 1 }] }] } });
expectNotAssignable<Policy>({ syscalls: { deny: [{ call: 'socket', args: [{ index: 0, maskedEquals: 1 }] }] } });

// Filters: a path and a direction for open, a path for the other path calls, a port for addresses.
piped.onOpen({ path: '/etc/**', access: 'write' }, () => deny());
piped.onRename({ path: ['*.lock'] }, () => deny());
piped.onConnect({ port: [1, 1023] }, () => deny());
expectError(piped.onRename({ access: 'write' }, () => deny()));
expectError(piped.onConnect({ path: '/etc/**' }, () => deny()));
expectError(piped.onOpen({ path: '/etc/**' }));

// Setters and listeners chain.
expectAssignable<SandboxedProcess>(piped.onOpen(() => {}).onConnect(() => {}));
piped.on('violation', (violation) => expectType<Violation>(violation));
piped.on('close', (code, signal) => {
  expectType<number | null>(code);
  expectType<NodeJS.Signals | null>(signal);
});
piped.on('hookError', (error) => expectType<HoldfastError>(error));
expectError(piped.on('violence', () => {}));

// Policies and options.
expectAssignable<Policy>({
  files: { read: ['/usr', new URL('file:///etc')], deny: [{ path: '/etc', access: ['write'] }] },
});
expectAssignable<Policy>({
  network: { connect: ['127.0.0.1:80'], bind: ['*:0'] },
  exec: ['/usr/bin'],
  defaults: false,
});
expectAssignable<Policy>({
  files: { metadata: ['/'], deny: [{ path: '/etc', access: ['metadata'] }] },
  defaults: { proc: false },
});
expectNotAssignable<Policy>({ defaults: { prok: false } });
expectAssignable<Policy>({ extends: 'compute', defaults: { cwd: false } });
expectAssignable<Policy>({ extends: [{ exec: [] }, compilePolicy('compute'), 'compute'] });
expectNotAssignable<Policy>({ extends: 'computer' });
expectError(spawnSandboxed('ls', [], { policy: 'computer' }));
expectType<Promise<void>>(piped.restrict({ network: 'none', files: { write: [] }, exec: [] }));
expectType<Promise<void>>(piped.restrict('strict'));
expectType<Promise<void>>(piped.restrict('compute'));
expectAssignable<Policy>({
  syscalls: { allow: ['modify_ldt', { call: 'memfd_secret', args: [{ index: 0, equals: 0 }] }] },
});
expectError<Policy>({ syscalls: { allow: ['ptrace'] } });
expectAssignable<SpawnSandboxedOptions>({ policy: 'strict' });
expectError<Policy>({ extends: 'strict' });
expectType<Promise<void>>(
  piped.restrict({ syscalls: { deny: ['uname'], only: ['read'] }, exec: { deny: ['/bin/sh'] } }),
);
expectError(piped.restrict({ syscalls: { deny: ['unmae'] } }));
expectError(piped.restrict({ network: 'all' }));
expectError(piped.restrict({ scratch: true }));
expectType<Promise<Inspection>>(piped.inspect(1));
expectError(piped.inspect('1'));
expectNotAssignable<Policy>({ files: { metadata: true } });
expectType<Promise<SandboxPlan>>(spawnSandboxed('ls').plan());

// The tree.
expectType<Promise<void>>(piped.killTree());
expectType<Promise<void>>(piped.killTree('SIGTERM', { forceKillAfter: 100 }));
expectError(piped.killTree('SIGNOTHING'));
expectError(piped.killTree('SIGTERM', { grace: 100 }));
expectType<Promise<void>>(piped.freeze());
expectType<Promise<void>>(piped.thaw());
expectType<Promise<TreeProcess[]>>(piped.processes());
expectType<Promise<TreeUsage>>(piped.getUsage());
expectType<TreeUsage | undefined>(piped.usage);
expectType<Promise<void>>(piped[Symbol.asyncDispose]());
expectAssignable<AsyncIterable<LifecycleEvent>>(piped.lifecycle());
piped.on('processExit', (event) => {
  expectType<ProcessExitEvent>(event);
  expectType<number>(event.usage.userTime);
});
piped.on('exec', ({ argv, initial }) => {
  expectType<readonly string[]>(argv);
  expectType<boolean>(initial);
});
expectError(piped.on('fork', ({ argv }) => argv));
declare const happened: LifecycleEvent;
if (happened.type === 'exit') expectType<NodeJS.Signals | null>(happened.signal);
expectError(happened.code);
expectAssignable<SpawnSandboxedOptions>({ record: true });
expectType<'enforce' | 'report'>(piped.mode);
expectAssignable<Policy>({ mode: 'report', files: { deny: [{ path: '/x', dry: true }] } });
expectNotAssignable<Policy>({ mode: 'audit' });
expectAssignable<Policy>({ mode: 'enforce' });
expectNotAssignable<Policy>({ mode: true });
expectNotAssignable<Policy>({ files: { deny: [{ path: '/x', dry: 'yes' }] } });
expectAssignable<Policy>({ files: { hide: ['.env', '**/*.pem', new URL('file:///srv/keys')] } });
expectNotAssignable<Policy>({ files: { hide: '.env' } });
expectNotAssignable<Policy>({ files: { hide: [{ path: '.env' }] } });
expectAssignable<Policy>({ tmp: true });
expectAssignable<Policy>({ tmp: false, scratch: true });
expectNotAssignable<Policy>({ tmp: '/tmp' });
expectType<Promise<Accesses>>(piped.accesses());
expectType<Promise<Lesson>>(learn('make', ['-j2'], { policy: { files: {} }, programs: true }));
expectError(learn('make', [], { record: true }));
expectAssignable<SpawnSandboxedOptions>({ forceKillAfter: 100, usageByExecutable: true });
expectNotAssignable<SpawnSandboxedOptions>({ forceKillAfter: '1s' });
piped.onOpen(async (call) => {
  expectType<number | undefined>(call.ppid);
  expectType<string>(await call.cwd());
  expectType<Buffer>(await call.readMemory(0x1000, 16));
  expectType<readonly string[] | undefined>((await call.ancestry())[0]?.argv);
  expectError(call.readMemory('0x1000', 16));
});
piped.onExec((call) => {
  expectType<boolean>(call.initial);
});
spawnSandboxed('ls')
  .plan()
  .then(({ classes, landlockAbi }) => {
    expectType<number>(landlockAbi);
    expectType<Layer>(classes.metadata.layer);
    expectType<string | undefined>(classes.read.obstacles[0]?.change);
    expectError(classes.reading);
  });
expectNotAssignable<Policy>({ files: { read: '/usr' } });
expectNotAssignable<Policy>({ files: { execute: ['/usr'] } });
expectAssignable<SpawnSandboxedOptions>({
  cwd: '/',
  env: { A: 'b' },
  uid: 1000,
  detached: true,
  hookTimeout: 5000,
  policy: {},
});
expectNotAssignable<SpawnSandboxedOptions>({ hookTimeout: '5s' });
expectNotAssignable<SpawnSandboxedOptions>({ polices: {} });
expectError(spawnSandboxed());
expectError(spawnSandboxed(['ls']));

// A compiled policy is taken where a policy is, and nothing else passes for one.
const compiled = compilePolicy({ files: { read: ['/'] } }, { cwd: new URL('file:///') });
expectType<CompiledPolicy>(compiled);
expectAssignable<SpawnSandboxedOptions['policy']>(compiled);
expectNotAssignable<CompiledPolicy>({});
expectError(compilePolicy({ files: { raed: [] } }));
expectError(compilePolicy());
expectError(compilePolicy({}, { cwd: 1 }));
expectError(compilePolicy({}, { cdw: '/' }));

// A pool spawns as spawnSandboxed does.
const pool = createSandboxPool({ size: 2 });
expectType<SandboxPool>(pool);
expectType<typeof spawnSandboxed>(pool.spawn);
expectType<null>(pool.spawn('ls', [], { stdio: ['ignore', 'pipe', 'inherit'] }).stdin);
expectType<Readable>(pool.spawn('ls', [], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout);
expectType<Promise<void>>(pool.close());
expectAssignable<AsyncDisposable>(pool);
expectError(createSandboxPool({}));
expectError(createSandboxPool({ size: '2' }));
expectError(pool.spawn('ls', [], { nonsense: true }));

// Exec policy: a list, or at length; entries by arguments and descent. Filters by descent, for every hook.
expectAssignable<Policy>({ exec: ['/bin/sh', { path: '/usr/bin/git', argv: ['status', '**'], under: '**/make' }] });
expectAssignable<Policy>({ exec: { deny: [{ path: '**/curl', under: ['**/make'] }] } });
expectAssignable<Policy>({ exec: { written: false, writableMappings: false } });
expectNotAssignable<Policy>({ exec: { written: 'no' } });
expectAssignable<Policy>({ files: { deny: [{ path: '/x', under: '**/make' }] } });
expectNotAssignable<Policy>({ exec: [{ argv: [] }] });
expectNotAssignable<Policy>({ exec: { allow: [{ path: '/x', argv: 'push' }] } });
piped.onSignal({ under: '**/make' }, () => deny());
piped.onConnect({ port: 80, under: ['**/make'] }, () => deny());
expectError(piped.onStat({ under: 3 }, () => deny()));
// Limits: numbers or text with a unit of the right kind.
spawnSandboxed('ls', [], {
  limits: { memory: '256MiB', cpuTime: '2s', wallTime: 1000, processes: 1, output: '1.5MB' },
});
expectAssignable<Limits>({ threads: 4, openFiles: 10, fileSize: 0, written: '1GiB', coreSize: 0, exact: true });
expectError(spawnSandboxed('ls', [], { limits: { memory: '256' } }));
expectError(spawnSandboxed('ls', [], { limits: { memory: '256Mib' } }));
expectError(spawnSandboxed('ls', [], { limits: { memory: '2s' } }));
expectError(spawnSandboxed('ls', [], { limits: { cpuTime: '2MiB' } }));
expectError(spawnSandboxed('ls', [], { limits: { processes: '4' } }));
expectError(spawnSandboxed('ls', [], { limits: { exact: 'yes' } }));
expectError(spawnSandboxed('ls', [], { limits: { memroy: 1 } }));
piped.on('stop', (signal) => expectType<NodeJS.Signals>(signal));
piped.on('continue', () => {});
piped.on('limit', (reached) => {
  expectType<LimitReached>(reached);
  expectType<LimitName>(reached.name);
  expectType<number>(reached.reached);
});
expectType<LimitReached | undefined>(piped.limit);
expectType<readonly LimitPlan[]>((await piped.plan()).limits);
expectType<readonly CallRulePlan[]>((await piped.plan()).calls);
expectType<readonly RestrictionPlan[]>((await piped.plan()).restrictions);
expectType<'kernel' | 'stop' | 'nobody' | undefined>((await piped.plan()).restrictions[0]?.calls[0]?.held);

// fake() where a success is no more than a number; redirect() by what is redirected.
piped.onMkdir(() => fake());
piped.onMkdir(() => fake(0));
piped.onSend(() => fake(5));
piped.onWatch(() => fake(3));
expectError(piped.onMkdir(() => fake(5)));
expectError(piped.onOpen(() => fake()));
expectError(piped.onStat(() => fake()));
expectError(piped.onExec(() => fake(0)));
piped.onExec((call) => redirect({ path: '/bin/true', argv: ['true', ...call.argv], env: { A: 'b', C: undefined } }));
piped.onBind(() => redirect({ address: '127.0.0.1', port: 80 }));
piped.onSend(() => redirect({ address: '127.0.0.1', port: 80 }));
piped.onSignal((call) => redirect({ signal: 'SIGTERM', pid: call.targetPid }));
piped.onSignal(() => redirect({ pid: 3 }));
piped.onFork({ kind: 'process', executable: '**/make', under: '**/npm' }, (call) => {
  expectType<ForkCall>(call);
  expectType<ForkKind>(call.kind);
  expectType<readonly string[]>(call.flags);
  return fake(4);
});
piped.onFork({ kind: ['thread', 'vfork'] }, async () => deny('EAGAIN'));
piped.onExit({ executable: '**/make' }, async (call) => {
  expectType<ExitCall>(call);
  expectType<number | null>(call.code);
  expectType<NodeJS.Signals | null>(call.signal);
  expectType<Buffer>(await call.readMemory(0n, 1));
  expectError(call.syscall);
});
piped.onExit(() => {});
expectError(piped.onExit(() => allow()));
expectError(piped.onExit(() => kill()));
expectError(piped.onExit(async () => deny()));
expectError(piped.onExit(() => fake()));
expectError(piped.onExit({ kind: 'process' }, () => {}));
expectError(piped.onFork({ kind: 'child' }, () => deny()));
expectError(piped.onFork({ path: '/x' }, () => deny()));
expectError(piped.onFork(() => fake()));
expectError(piped.onFork(() => redirect({ pid: 3 })));
expectError(piped.onSignal({ executable: '/x' }, () => deny()));
expectError(piped.onExec(() => redirect('/bin/true')));
expectError(piped.onExec(() => redirect({ path: '/bin/true', argv: 'x' })));
expectError(piped.onSignal(() => redirect({ path: '/bin/true' })));
expectError(piped.onOpen(() => redirect({ path: '/bin/true' })));

// Policies as data.
const defined = definePolicy({ files: { read: ['$CWD'] } }, { cwd: new URL('file:///x'), package: '/x' });
expectType<Policy>(defined);
expectType<Policy>(loadPolicy('policy.json'));
expectType<Policy>(loadPolicy(new URL('file:///x'), { cwd: '/x' }));
expectAssignable<SpawnSandboxedOptions['policy']>(defined);
expectError(definePolicy('compute'));
expectError(definePolicy({ files: { raed: [] } }));
expectError(definePolicy({}, { cdw: '/' }));
expectError(loadPolicy());
expectType<readonly PolicyProblem[] | undefined>(new HoldfastError('ERR_HOLDFAST_POLICY', '').problems);
expectType<Engine | undefined>(new HoldfastError('ERR_HOLDFAST_LISTENER', '').engine);

// Results: what stdout is follows the options.
{
  const plain = await runSandboxed('ls');
  expectType<SandboxedResult<string, string, undefined>>(plain);
  expectType<string>(plain.stdout);
  expectType<undefined>(plain.all);
  const lines = await runSandboxed('ls', ['-l'], { lines: true, all: true });
  expectType<string[]>(lines.stdout);
  expectType<string[]>(lines.all);
  const bytes = await runSandboxed('ls', { encoding: 'buffer', stdio: ['ignore', 'pipe', 'inherit'] });
  expectType<Buffer>(bytes.stdout);
  expectType<undefined>(bytes.stderr);
  const none = await runSandboxed('ls', { stdio: 'inherit', all: true });
  expectType<undefined>(none.stdout);
  expectType<undefined>(none.all);
  const { error } = await runSandboxed('ls', { reject: false });
  expectType<SandboxedError<string, string, undefined> | undefined>(error);
  const { child } = runSandboxed('ls', { hooks: (process) => process.onOpen(() => allow()) });
  expectType<Writable | null>(child.stdin);
  expectType<Readable>(child.stdout);
  expectType<Writable>(runSandboxed('ls', { stdio: 'pipe' }).child.stdin);
  expectError(runSandboxed('ls', { polcy: {} }));
  expectError(runSandboxed('ls', { encoding: 'utf9' }));
  expectAssignable<Parameters<typeof runSandboxed>[2]>({ input: ['a', 'b'], policy: { files: { read: ['/'] } } });
}

// The same while this thread waits.
expectType<SandboxedResult<string, string, undefined>>(runSandboxedSync('ls'));
expectType<string[]>(runSandboxedSync('ls', [], { lines: true, hooks: (s) => s.onOpen(() => deny()) }).stdout);
expectError(runSandboxedSync('ls', { input: ['a'] }));
expectError(runSandboxedSync('ls', { signal: AbortSignal.abort() }));

// As node:child_process has them.
{
  const child = spawnSandboxed('true');
  expectType<Promise<unknown[]>>(once(child, 'close') as Promise<unknown[]>);
  for await (const [violation] of on(child, 'violation')) void violation;
  execFileSandboxed('ls', ['-l'], { encoding: 'buffer' }, (_, stdout) => expectType<Buffer>(stdout));
  execFileSandboxed('ls', (_, stdout) => expectType<string>(stdout));
  execSandboxed('ls', { policy: {} }, (_, stdout) => expectType<string>(stdout));
  expectType<string>((await promisify(execFileSandboxed)('ls')).stdout);
  expectType<Buffer>((await promisify(execSandboxed)('ls', { encoding: null })).stdout);
  expectError(execSandboxed('ls', { shell: true }));
  forkSandboxed('x.js', ['a'], { silent: true }).send?.({ a: 1 });
  expectAssignable<typeof nodeSpawn>(sandboxedChildProcess({ policy: 'compute' }).spawn);
  expectError(sandboxedChildProcess({ cwd: '/' }));
  expectType<string>(sandboxedChildProcess().execSync('ls', { encoding: 'utf8' }));
  expectType<number | null>(sandboxedChildProcess().spawnSync('ls').status);
  expectAssignable<typeof nodeExecFileSync>(sandboxedChildProcess().execFileSync);
}

// Reports.
{
  const recorder = report(spawnSandboxed('ls', { stdio: 'ignore' }));
  report(runSandboxed('ls').child);
  expectType<Promise<Report>>(recorder.data());
  expectType<Promise<void>>(recorder.write(new URL('file:///report.html')));
  expectType<string>(reportPage(await recorder.data()));
  expectType<{ readonly field: string; readonly value: string }[]>(
    (await recorder.data()).refusals.flatMap(({ suggestion }) => suggestion ?? []),
  );
  expectError(report('ls'));
  expectError(reportPage({}));
}

expectAssignable<SpawnSandboxedOptions>({ policy: 'build' });
expectAssignable<Policy>({ extends: ['build@1', 'npm-install-script', 'compute@1'] });
expectError(spawnSandboxed('ls', [], { policy: 'build@2' }));
// What a refusal says, and what would be refused.
declare const refusal: Violation;
expectType<Suggestion | undefined>(refusal.suggestion);
expectType<readonly string[] | undefined>(refusal.argv);
expectType<boolean>(refusal.probe);
expectType<Explanation>(explain({ files: { read: ['.'] } }, { path: 'file', access: 'write', cwd: '/srv' }));
expectType<Explanation>(explain(undefined, { exec: '/usr/bin/true', argv: ['true'], under: ['/bin/sh'] }));
expectType<Explanation>(explain('compute', { address: '127.0.0.1:80', access: 'bind' }));
expectError(explain({}, { address: '127.0.0.1:80', access: 'read' }));
expectError(explain({}, {}));
expectType<true | undefined>(explain({ mode: 'report' }, { path: '/x' }).dry);
expectType<boolean | undefined>(explain({ tmp: true }, { path: '/tmp/x' }).exists);
expectType<true | undefined>(explain({}, { path: '/x' }).considered[0]?.dry);
expectType<Promise<UnusedRules>>(piped.unusedRules());
