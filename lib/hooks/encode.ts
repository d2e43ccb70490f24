// Hooks' filters as the supervisor reads them.
import { FieldWriter } from '../native/fields.ts';
import type { Native } from '../native/native.ts';
import { callRule } from '../policy/encode.ts';
import { type UnderRule, writeUnder } from '../policy/exec.ts';
import { callActions } from '../policy/syscalls.ts';
import type { CompiledFilter } from './filter.ts';

export interface HookRule {
  id: number;
  event: string;
  filters: readonly CompiledFilter[];
}

function hookRule(writer: FieldWriter, id: number, event: number, filter: CompiledFilter): void {
  writer.nested('hookRule', (fields) => {
    fields.number('hook', id).number('event', event).number('access', filter.access);
    if (filter.path !== undefined) fields.text('path', filter.path);
    if (filter.pattern !== undefined) fields.text('pattern', filter.pattern);
    if (filter.kinds !== undefined) fields.number('kinds', filter.kinds);
    if (filter.under !== undefined) fields.number('under', filter.under);
    if (filter.ports !== undefined) fields.number('portLow', filter.ports[0]).number('portHigh', filter.ports[1]);
  });
}

/** A hook on one system call. */
export interface CallHook {
  id: number;
  call: string;
  tests: Uint8Array;
}

/** Who waits for what a sandbox says. */
export interface Listening {
  violations: boolean;
  /** The plan is wanted before the command runs. */
  plan: boolean;
  /** Calls that rules only log. */
  logged: boolean;
  /** What processes live through is told from the start. */
  life: boolean;
  /** What was used is counted by program, too. */
  byProgram: boolean;
}

/** What `start` carries. */
export function encodeHooks(
  native: Native,
  hooks: readonly HookRule[],
  unders: readonly UnderRule[],
  calls: readonly CallHook[],
  listening: Listening,
): Uint8Array {
  const writer = new FieldWriter(native.fields);
  const { violations, plan, logged, life, byProgram } = listening;
  if (violations || plan || logged || life || byProgram) {
    writer.nested('listening', (fields) =>
      fields
        .number('violations', Number(violations))
        .number('planWanted', Number(plan))
        .number('logged', Number(logged))
        .number('life', Number(life))
        .number('byProgram', Number(byProgram)),
    );
  }
  writeUnder(writer, unders);
  for (const hook of hooks) {
    const event = native.events.indexOf(hook.event);
    for (const filter of hook.filters) hookRule(writer, hook.id, event, filter);
  }
  for (const { id, call, tests } of calls) {
    callRule(writer, { call, action: callActions.hook, errno: 0, label: '', tests }, id);
  }
  return writer.finish();
}

/** A redirect that is too long for its slot, carried as a request that nothing answers. */
export function encodeVerdict(native: Native, slot: number, generation: number, data: Uint8Array): Uint8Array {
  return new FieldWriter(native.fields)
    .number('request', 0)
    .number('kind', native.requestKinds.verdict as number)
    .number('slot', slot)
    .number('generation', generation)
    .bytes('verdictData', data)
    .finish();
}
