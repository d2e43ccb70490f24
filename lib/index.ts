export { HoldfastError, type HoldfastErrorCode, type HoldfastErrorDetails, type PolicyProblem } from './errors.ts';
export { type ConsideredRule, type ExplainQuestion, type Explanation, explain } from './explain/explain.ts';
export type { Ancestor, Call, Caller, PathCall } from './hooks/families/common.ts';
export type { ExecCall } from './hooks/families/exec.ts';
export type {
  AccessCall,
  ChdirCall,
  ChmodCall,
  ChownCall,
  GetxattrCall,
  LinkCall,
  MkdirCall,
  MknodCall,
  OpenAccess,
  OpenCall,
  ReadlinkCall,
  RenameCall,
  SetxattrCall,
  StatCall,
  StatfsCall,
  SymlinkCall,
  TruncateCall,
  UnlinkCall,
  UtimesCall,
  WatchCall,
} from './hooks/families/files.ts';
export type { HookEvent, HookedCall } from './hooks/families/index.ts';
export type { BindCall, ConnectCall, SendCall } from './hooks/families/network.ts';
export type { ExitCall, ForkCall, ForkKind } from './hooks/families/processes.ts';
export type { SignalCall } from './hooks/families/signals.ts';
export type { SyscallArgument, SyscallCall } from './hooks/families/syscall.ts';
export type {
  CallerFilter,
  ForkFilter,
  HookFilter,
  OpenFilter,
  PathFilter,
  PortFilter,
  ProgramFilter,
} from './hooks/filter.ts';
export type { Hook, HookArguments, HookVerdict, SyscallHook, SyscallVerdict } from './hooks/hooks.ts';
export type {
  ClockFields,
  CpuFields,
  RusageFields,
  SyscallStructs,
  SysinfoFields,
  TimeFields,
  TimesFields,
  UnameFields,
} from './hooks/structs.ts';
export {
  allow,
  deny,
  type FieldsVerdict,
  fake,
  kill,
  type RedirectOptions,
  type RedirectProgram,
  type RedirectSignal,
  type RedirectTarget,
  redirect,
  respond,
  Verdict,
  type VerdictKind,
} from './hooks/verdict.ts';
export type { LimitHolder, LimitName, LimitPlan, Limits } from './limits/limits.ts';
export type { LimitReached } from './limits/reached.ts';
export type { ByteSize, Duration } from './limits/units.ts';
export { type DefinePolicyOptions, definePolicy } from './policy/define.ts';
export type { ExecEntry, ExecPolicy, Under } from './policy/exec.ts';
export type { PolicyWarning } from './policy/idle.ts';
export { loadPolicy } from './policy/load.ts';
export type { PolicyName, StrictName } from './policy/named.ts';
export type {
  CompiledPolicy,
  FileAccess,
  FileDenial,
  NetworkDenial,
  NetworkOperation,
  Policy,
  PolicyDefaults,
} from './policy/policy.ts';
export type { Restriction } from './policy/restriction.ts';
export type { OpenedSyscall, SyscallName } from './policy/syscall-table.ts';
export type {
  ArgumentComparison,
  ArgumentValue,
  SyscallFilter,
  SyscallPolicy,
  SyscallRule,
} from './policy/syscalls.ts';
export type { Access, Accesses, AccessKind } from './process/accesses.ts';
export type { CallRulePlan, RestrictionPlan } from './process/call-plan.ts';
export type { Engine } from './process/engine.ts';
export type { SandboxedProcessEvents } from './process/events.ts';
export { Inspection, type Mapping, type ThreadState } from './process/inspection.ts';
export type { CallClass, ClassPlan, Layer, PlanObstacle, SandboxPlan } from './process/layers.ts';
export type { ExecEvent, ForkEvent, LifecycleEvent, ProcessExitEvent } from './process/lifecycle.ts';
export type { NamedArguments } from './process/named-arguments.ts';
export type { ProcessState, ProgramOfProcess, TreeProcess } from './process/processes.ts';
export type { Arm64Registers, Registers, RegisterValues, X64Registers } from './process/registers.ts';
export type { UnusedRules } from './process/rule-use.ts';
export { SandboxedProcess } from './process/sandboxed-process.ts';
export type { ExecutableUsage, ProcessUsage, TreeUsage } from './process/usage.ts';
export type { LoggedCall, Suggestion, Violation, ViolationAccess } from './process/violation.ts';
export type { LearnedField, Omission, Proposal } from './record/generalise.ts';
export {
  type LearnOptions,
  type LearnProgress,
  type Lesson,
  learn,
  lessonBounds,
  mergeLesson,
} from './record/learn.ts';
export type {
  Report,
  ReportAccess,
  ReportDropped,
  ReportExec,
  ReportProcess,
  ReportRefusal,
} from './report/data.ts';
export { reportPage } from './report/page.ts';
export { type ReportRecorder, report } from './report/report.ts';
export {
  type SandboxedChildProcess,
  type SandboxedChildProcessOptions,
  sandboxedChildProcess,
} from './run/child-process.ts';
export {
  type ExecFileSandboxed,
  type ExecFileSandboxedOptions,
  type ExecSandboxed,
  type ExecSandboxedOptions,
  execFileSandboxed,
  execSandboxed,
} from './run/exec.ts';
export { type ForkSandboxed, type ForkSandboxedOptions, forkSandboxed } from './run/fork.ts';
export type { RunInput } from './run/input.ts';
export type { CaptureOptions, RunEncoding, RunSandboxedOptions } from './run/options.ts';
export { type RunOutput, SandboxedError, type SandboxedResult } from './run/result.ts';
export { runSandboxed, type SandboxedRun } from './run/run.ts';
export { type RunSandboxedSyncOptions, runSandboxedSync, type SandboxHooks } from './run/sync.ts';
export { compilePolicy, type SandboxOptions, type SpawnSandboxedOptions } from './spawn/options.ts';
export { createSandboxPool, type SandboxPool, type SandboxPoolOptions } from './spawn/pool.ts';
export { spawnSandboxed } from './spawn/spawn.ts';
export type { Machine, ResourceLimit } from './support/machine.ts';
export { checkSupport, type Support, type SupportProblem } from './support/support.ts';
export type { EngineTrial } from './support/trial.ts';
