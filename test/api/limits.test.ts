// The `limits` option as it is written: amounts, names, and what is said of those that are wrong.
import { HoldfastError, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { findGroupPlace } from '../../lib/limits/control-group.ts';
import { nearest } from '../../lib/limits/nearest.ts';
import { parseBytes, parseCount, parseDuration } from '../../lib/limits/units.ts';
import { startHost } from '../lifecycle/host.ts';
import { event, textOf } from '../lifecycle/tree.ts';

const value = (parsed: object) => ('value' in parsed ? parsed.value : parsed);

describe('amounts', () => {
  test.each([
    [0, 0],
    [65536, 65536],
    ['0B', 0],
    ['12B', 12],
    ['1kB', 1000],
    ['1KiB', 1024],
    ['256MiB', 256 * 2 ** 20],
    ['256 MiB', 256 * 2 ** 20],
    ['1.5GB', 1.5e9],
    ['1.1kB', 1100],
    ['0.1MB', 100_000],
    ['4.35MB', 4_350_000],
    ['1.0009KiB', 1024],
    ['2TiB', 2 ** 41],
    ['3TB', 3e12],
  ])('bytes: %s', (text, bytes) => {
    expect(value(parseBytes(text))).toBe(bytes);
  });

  test.each([
    [1, 1],
    ['1ms', 1],
    ['2s', 2000],
    ['1.5s', 1500],
    ['0.001s', 1],
    ['2min', 120_000],
    ['1h', 3_600_000],
  ])('times: %s', (text, milliseconds) => {
    expect(value(parseDuration(text))).toBe(milliseconds);
  });

  test.each([
    '',
    ' ',
    'MiB',
    '-1MiB',
    '+1MiB',
    '1e3MiB',
    '0x10MiB',
    '1,5MiB',
    '1.MiB',
    '.5MiB',
    '1MiB ',
    ' 1MiB',
    '1  MiB',
    '1\tMiB',
    '1_000B',
    '١MiB',
    'Infinity',
    'NaN',
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1n,
    true,
    null,
    {},
    [],
    ['1MiB'],
    new Date(),
    () => 1,
  ])('what is none: %s', (wrong) => {
    expect(parseBytes(wrong)).toHaveProperty('problem');
    expect(parseDuration(wrong)).toHaveProperty('problem');
    expect(parseCount(wrong)).toHaveProperty('problem');
  });

  test('text without a unit could mean anything', () => {
    expect(parseBytes('256')).toEqual({ problem: expect.stringContaining('has no unit: write 256B, or a number') });
    expect(parseDuration('2')).toEqual({ problem: expect.stringContaining('has no unit: write 2ms, or a number') });
  });

  test.each([
    ['1mib', 'MiB'],
    ['1Mib', 'MiB'],
    ['1MIB', 'MiB'],
    ['1M', 'MiB'],
    ['1g', 'GiB'],
    ['1K', 'KiB'],
    ['1KB', 'kB'],
    ['1MBi', 'MB'],
    ['1bytes', 'B'],
  ])('a unit of bytes that is not known, and the one that was meant: %s', (text, meant) => {
    expect(parseBytes(text)).toEqual({ problem: expect.stringContaining(`Did you mean '1${meant}'?`) });
  });

  test.each([
    ['1S', 's'],
    ['1sec', 's'],
    ['1hours', 'h'],
    ['1mins', 'min'],
    ['1m', 'min'],
    ['1msec', 'ms'],
  ])('a unit of time that is not known, and the one that was meant: %s', (text, meant) => {
    expect(parseDuration(text)).toEqual({ problem: expect.stringContaining(`Did you mean '1${meant}'?`) });
  });

  test('what is far from all of them is only refused', () => {
    for (const text of ['1PB', '1EiB']) {
      expect(parseBytes(text)).toEqual({ problem: expect.not.stringContaining('Did you mean') });
    }
    expect(parseBytes('1parsec')).toEqual({
      problem: 'has a unit that is not known: parsec. Units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.',
    });
    expect(nearest('xyzzy', ['memory', 'output'])).toBeUndefined();
  });

  test('what is too much, or too little', () => {
    expect(parseBytes('9999TiB')).toHaveProperty('problem');
    expect(parseDuration('1000000000h')).toHaveProperty('problem');
    expect(parseDuration(0)).toHaveProperty('problem');
    expect(parseDuration('0.4ms')).toHaveProperty('problem');
    expect(parseCount(0)).toHaveProperty('problem');
    expect(parseCount(2 ** 40)).toHaveProperty('problem');
  });
});

/** What is thrown before anything starts. */
function thrown(limits: unknown, more: object = {}): { code: string; message: string } {
  try {
    spawnSandboxed('true', [], { limits, ...more } as never).on('error', () => {});
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    return error as HoldfastError;
  }
  throw new Error('nothing was thrown');
}

const invalid = 'ERR_HOLDFAST_INVALID_OPTION';

describe('the option', () => {
  test.each([
    ['memroy', 'memory'],
    ['Memory', 'memory'],
    ['cputime', 'cpuTime'],
    ['process', 'processes'],
    ['nproc', 'processes'],
    ['pids', 'processes'],
    ['timeout', 'wallTime'],
    ['fds', 'openFiles'],
    ['maxBuffer', 'output'],
    ['extact', 'exact'],
  ])('a name that is not known, and the one that was meant: %s', (name, meant) => {
    const { code, message } = thrown({ [name]: 1 });
    expect(code).toBe(invalid);
    expect(message).toContain(`options.limits.${name}: 1 is not a limit`);
    expect(message).toMatch(new RegExp(`Did you mean ${meant}\\?$`));
  });

  test.each([
    [{ memory: '256Mib' }, "options.limits.memory: '256Mib' has a unit that is not known: Mib."],
    [{ memory: 0 }, 'options.limits.memory: 0 must be 1 or more'],
    [{ cpuTime: '2MiB' }, "options.limits.cpuTime: '2MiB' has a unit that is not known"],
    [{ wallTime: -5 }, 'options.limits.wallTime: -5 must be 1 or more'],
    [{ processes: '4' }, "options.limits.processes: '4' must be a whole number, 1 or more"],
    [{ threads: 0 }, 'options.limits.threads: 0 must be'],
    [{ openFiles: 1.5 }, 'options.limits.openFiles: 1.5 must be'],
    [{ output: '1s' }, "options.limits.output: '1s' has a unit that is not known"],
    [{ exact: 'yes' }, "options.limits.exact: 'yes' must be true or false"],
    ['256MiB', "options.limits: '256MiB' must be an object"],
    [null, 'options.limits: null must be an object'],
    [[], 'options.limits: [] must be an object'],
    [Object.create({ memory: 1 }), 'options.limits.memory: is inherited'],
  ])('names the field: %j', (limits, text) => {
    const { code, message } = thrown(limits);
    expect(code).toBe(invalid);
    expect(message).toContain(text);
  });

  test.each([
    ['inherit', 1],
    [['pipe', 'pipe', 'inherit'], 2],
    [['pipe', 1, 'pipe'], 1],
    [['pipe', process.stdout, 'pipe'], 1],
  ])('output that Node does not get cannot be held: %#', (stdio, place) => {
    const { code, message } = thrown({ output: 10 }, { stdio });
    expect(code).toBe(invalid);
    expect(message).toContain('options.limits.output: cannot be held with');
    expect(message).toContain(`as stdio[${place}]`);
  });

  test('more than this process may have itself is refused, not made less', async () => {
    const host = startHost(
      `
for (const openFiles of [500, 501]) {
  try {
    const child = spawnSandboxed('bash', ['-c', 'ulimit -Hn'], { policy, limits: { openFiles }, stdio: ['ignore', 'inherit', 'inherit'] });
    await new Promise((resolve) => child.on('close', resolve));
  } catch (error) {
    say(error.code, error.message);
  }
}`,
      [],
      {},
      ['prlimit', '--nofile=500:500'],
    );
    const lines = (await textOf(host.stdout)).trim().split('\n');
    expect(lines).toEqual([
      '500',
      expect.stringMatching(
        /^ERR_HOLDFAST_LIMIT options\.limits\.openFiles: 501 is more than this process may have itself, 500/,
      ),
    ]);
  });

  // Memory is counted exactly by a control group, where one can be made (test/lifecycle/control-group).
  const sampled = 'parent' in findGroupPlace({ memory: 1000 }) ? [] : ['memory'];
  test.each([...sampled, 'cpuTime', 'written'])('exact: true refuses %s, which cannot be', (name) => {
    const { code, message } = thrown({ [name]: 1000, exact: true });
    expect(code).toBe('ERR_HOLDFAST_LIMIT_NOT_EXACT');
    expect(message).toContain(`options.limits.${name}: cannot be held exactly here: `);
  });

  test('exact: true takes those that can be; what is undefined is no limit', async () => {
    const limits = {
      exact: true,
      processes: 5,
      threads: 9,
      wallTime: '20s',
      output: 0,
      openFiles: 64,
      fileSize: 0,
      coreSize: 0,
      addressSpace: '1GiB',
      memory: undefined,
    } as const;
    const child = spawnSandboxed('true', [], { limits });
    expect(await event(child, 'close')).toEqual([0, null]);
    expect(child.limit).toBeUndefined();
  });
});
