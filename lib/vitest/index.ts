export type {
  CallFilter,
  Delay,
  ExpectedViolation,
  FakeTime,
  Fault,
  FileTree,
  InjectedFault,
  Instant,
  InterveningCall,
  Sandbox,
  SandboxMatchers,
  SandboxOptions,
  SandboxRun,
  SandboxRunOptions,
  SandboxRunPromise,
  SpiedCall,
} from '../testing/index.ts';
export { expect, it, type SandboxFixtures, test } from './fixture.ts';
