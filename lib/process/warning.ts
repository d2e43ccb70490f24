import type { NativeRecord } from '../native/native.ts';
import { optionalText, text } from '../native/records.ts';
import type { PolicyWarning } from '../policy/idle.ts';

/** A rule, or the command, that stands for less than it seems, as the supervisor has found. */
export function warningOf(record: NativeRecord): PolicyWarning {
  const target = optionalText(record, 'target');
  const warning = { rule: text(record, 'rule'), path: text(record, 'path'), message: text(record, 'reason') };
  return target === undefined ? warning : { ...warning, target };
}
