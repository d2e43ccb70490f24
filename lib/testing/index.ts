export type { FakeTime, Instant } from './clock.ts';
export { type CurrentSandbox, type EachTest, sandboxForEach, withSandbox } from './each.ts';
export type { FileTree } from './files.ts';
export type {
  CallFilter,
  Delay,
  Fault,
  InjectedFault,
  InterveningCall,
  SpiedCall,
} from './interventions.ts';
export {
  type ExpectedViolation,
  expectRun,
  type MatcherResult,
  matchers,
  type SandboxMatchers,
} from './matchers.ts';
export {
  createSandbox,
  Sandbox,
  type SandboxOptions,
  type SandboxRun,
  type SandboxRunOptions,
  type SandboxRunPromise,
} from './sandbox.ts';
