// Patterns for the paths of calls that have happened already. They mean what those of rules and filters mean (docs/api.md, Patterns),
// which are matched by the supervisor: no more of picomatch's own words.
import picomatch from 'picomatch';

const options = { dot: true, noextglob: true, nonegate: true } as const;

/** Whether it has a wildcard. */
export const isPattern = (text: string): boolean => picomatch.scan(text, options).isGlob;

/** One of them is enough. */
export const matcherOf = (patterns: string | string[]): ((path: string) => boolean) => picomatch(patterns, options);
