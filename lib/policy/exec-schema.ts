// What `policy.exec` may be. Apart from its types, which are the package's: a user has no valibot.
import * as v from 'valibot';
import { record, shortOrLong } from './check.ts';
import type { Under } from './exec.ts';

const isPath = (value: unknown) => typeof value === 'string' || value instanceof URL;

export const under = v.optional(
  v.custom<Under>(
    (value) => isPath(value) || (Array.isArray(value) && value.length > 0 && value.every(isPath)),
    'must be a pattern or a list of patterns',
  ),
);

const entry = shortOrLong(
  v.custom<never>(isPath, 'must be a path, or { path, argv?, under? }'),
  record(
    {
      path: v.custom<string | URL>(isPath, 'must be a pattern: a string or a file: URL'),
      argv: v.optional(v.array(v.string('must be a pattern for an argument'), 'must be a list of patterns')),
      under,
    },
    'must be a path, or { path, argv?, under? }',
  ),
);
const entries = v.array(entry, 'must be a list of paths and { path, argv?, under? }');

/** What `policy.exec` may be. */
export const execSchema = v.optional(
  v.lazy((value) =>
    Array.isArray(value)
      ? entries
      : record(
          {
            allow: v.optional(entries),
            deny: v.optional(entries),
            written: v.optional(v.boolean('must be true or false')),
            writableMappings: v.optional(v.boolean('must be true or false')),
          },
          'must be a list of paths, or an object with allow, deny, written, writableMappings',
        ),
  ),
);

export const execFields: Readonly<Record<string, readonly string[]>> = {
  exec: ['allow', 'deny', 'written', 'writableMappings'],
  'exec.*': ['path', 'argv', 'under'],
  'exec.allow.*': ['path', 'argv', 'under'],
  'exec.deny.*': ['path', 'argv', 'under'],
};
