// What a report holds: plain data, which JSON keeps as it is.
import type { LimitPlan } from '../limits/limits.ts';
import type { LimitReached } from '../limits/reached.ts';
import type { Engine } from '../process/engine.ts';
import type { CallClass, ClassPlan } from '../process/layers.ts';
import type { ProcessUsage, TreeUsage } from '../process/usage.ts';

/** What a tree did. All times but `started` are milliseconds since then, as Node heard of it. */
export interface Report {
  readonly format: 'holdfast-report';
  /** Raised when a member changes its meaning or goes away; members may be added without. */
  readonly version: 1;
  /** Version of the package that wrote it. */
  readonly holdfast: string;
  readonly command: string;
  /** All arguments, argv[0] first. */
  readonly argv: readonly string[];
  /** Unix milliseconds. */
  readonly started: number;
  /** Until nothing of the tree was left and its streams had closed. */
  readonly duration: number;
  /** Of the command: null if a signal ended it, or if it could not be started. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The errno (`ENOENT`) or other reason for which it could not be started. */
  readonly problem?: string;
  /** The limit that the tree was killed for; else the first at which something was refused. */
  readonly limit?: LimitReached;
  readonly engine?: Engine;
  /** Whether it was recorded from the first process on. */
  readonly fromStart: boolean;
  /** In the order of their beginning; `id` is the place in this list. */
  readonly processes: readonly ReportProcess[];
  /** What was read, written, executed, connected to, each once. Undefined where nobody recorded it (option `record`). */
  readonly accesses?: readonly ReportAccess[];
  readonly refusals: readonly ReportRefusal[];
  readonly limits: readonly LimitPlan[];
  readonly limitsReached: readonly LimitReached[];
  readonly usage?: TreeUsage;
  /** Which layer decides each class of calls. */
  readonly layers?: Readonly<Record<CallClass, ClassPlan>>;
  readonly warnings: readonly string[];
  readonly hookErrors: readonly string[];
  /** What did not fit, and is missing above: how many. All 0 where the report is whole. */
  readonly dropped: ReportDropped;
}

export interface ReportDropped {
  readonly processes: number;
  /** Programs that were executed, and of which nothing but the path is there. */
  readonly arguments: number;
  /** Distinct refusals. */
  readonly refusals: number;
  /** Calls that are in no access. */
  readonly accesses: number;
  readonly messages: number;
}

export interface ReportProcess {
  readonly id: number;
  readonly pid: number;
  /** The `id` of its maker: null for the command, and where that is not in the report. */
  readonly parent: number | null;
  readonly start: number;
  /** Null if it was still there when the report ended. */
  readonly end: number | null;
  /** What it ran when it began. */
  readonly executable: string;
  /** What it executed, in order. */
  readonly execs: readonly ReportExec[];
  readonly code: number | null;
  readonly signal: string | null;
  readonly usage?: ProcessUsage;
}

export interface ReportExec {
  readonly at: number;
  readonly executable: string;
  readonly argv: readonly string[];
  /** Whether there are more. */
  readonly argvCut: boolean;
}

/** What one program did to one path or address, counted. */
export interface ReportAccess {
  /** `read`, `write`, `exec`, `metadata`, `connect`, `bind`, `signal`, … */
  readonly access: string;
  readonly path?: string;
  readonly address?: string;
  readonly port?: number;
  readonly signal?: string;
  readonly syscall?: string;
  readonly program: string;
  readonly count: number;
  readonly first: number;
  readonly last: number;
  readonly outcome: 'allowed' | 'refused' | 'failed';
  readonly errno?: string;
  readonly rule?: string;
  readonly probe: boolean;
}

/** The same refusal to the same program, counted. */
export interface ReportRefusal {
  readonly syscall: string;
  readonly access?: string;
  readonly path?: string;
  readonly to?: string;
  readonly address?: string;
  readonly port?: number;
  readonly signal?: string;
  readonly errno?: string;
  readonly rule?: string;
  readonly reason?: string;
  /** In one line, with the pid of the first. */
  readonly message: string;
  /** What in a policy would allow it. */
  readonly suggestion?: { readonly field: string; readonly value: string };
  /** Name of the hook that would be asked. */
  readonly hook?: string;
  readonly program: string;
  /** A look at what exists and is not granted, which programs mostly do without. */
  readonly probe: boolean;
  /** It was let by: the policy, or its rule, only reports. */
  readonly dry?: true;
  readonly count: number;
  readonly first: number;
  readonly last: number;
  /** Who made it, at most 64 processes: their `id`s, and when each made it first. */
  readonly processes: readonly { readonly id: number; readonly first: number }[];
}
