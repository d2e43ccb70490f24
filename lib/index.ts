export { HoldfastError, type HoldfastErrorCode, type HoldfastErrorDetails } from './errors.ts';
export type { SandboxedProcessEvents } from './events.ts';
export type { Call, PathCall } from './families/common.ts';
export type { ExecCall } from './families/exec.ts';
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
} from './families/files.ts';
export type { HookEvent, HookedCall } from './families/index.ts';
export type { BindCall, ConnectCall, SendCall } from './families/network.ts';
export type { SignalCall } from './families/signals.ts';
export type { HookFilter, OpenFilter, PathFilter, PortFilter } from './filter.ts';
export type { Hook, HookArguments, HookVerdict } from './hooks.ts';
export type { SandboxOptions, SpawnSandboxedOptions } from './options.ts';
export type { FileAccess, FileDenial, NetworkDenial, NetworkOperation, Policy } from './policy.ts';
export { SandboxedProcess } from './sandboxed-process.ts';
export { spawnSandboxed } from './spawn.ts';
export { checkSupport, type Support, type SupportProblem } from './support.ts';
export { allow, deny, kill, type RedirectTarget, redirect, respond, Verdict, type VerdictKind } from './verdict.ts';
export type { Violation } from './violation.ts';
