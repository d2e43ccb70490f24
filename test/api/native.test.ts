import { checkSupport, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { calls, filterKeys } from '../../lib/hooks/families/index.ts';
import { native } from '../../lib/native/native.ts';

describe('the two sides name the same things', () => {
  test('events', () => {
    expect(Object.keys(calls).sort()).toEqual([...native().events].sort());
    expect(Object.keys(filterKeys).sort()).toEqual([...native().events].sort());
  });

  test('each event has its setter', () => {
    const child = spawnSandboxed('true');
    for (const event of native().events) {
      const setter = `on${event[0]?.toUpperCase()}${event.slice(1)}`;
      const hook = () => {};
      const args = event === 'syscall' ? ['uname', hook] : [hook];
      expect((child as unknown as Record<string, (...args: unknown[]) => unknown>)[setter]?.(...args)).toBe(child);
    }
    return new Promise((resolve) => child.on('close', resolve));
  });

  test('fields have tags of their own', () => {
    const tags = Object.values(native().fields);
    expect(new Set(tags).size).toBe(tags.length);
  });
});

test('checkSupport finds this machine fit', () => {
  expect(checkSupport()).toMatchObject({ supported: true, problems: [] });
});
