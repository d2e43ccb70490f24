// A report as large as reports get, without running anything.
import type { Report, ReportAccess, ReportProcess, ReportRefusal } from 'holdfast';

export function manyEvents(count: number): Report {
  const programs = [
    '/usr/bin/make',
    '/usr/bin/dash',
    '/usr/bin/gcc',
    '/usr/libexec/cc1',
    '/usr/bin/as',
    '/usr/bin/ld',
    '/usr/bin/node',
  ];
  const program = (i: number) => programs[i % programs.length] as string;
  const processes: ReportProcess[] = [];
  for (let id = 0; id < count; id++) {
    const parent = id === 0 ? null : Math.floor((id - 1) / 7);
    const start = id * 1.25;
    processes.push({
      id,
      pid: 1000 + id,
      parent,
      start,
      end: id === 0 ? count * 1.5 : start + 5 + (id % 97) * 3,
      executable: program(id >> 3),
      execs: [{ at: start + 0.4, executable: program(id), argv: [program(id), '-c', `file-${id}.c`], argvCut: false }],
      code: id % 50 === 49 ? 1 : 0,
      signal: null,
      usage: {
        userTime: id % 13,
        systemTime: id % 5,
        peakMemory: 4096 * (id % 400),
        bytesRead: id * 3,
        bytesWritten: id,
      },
    });
  }
  const accesses: ReportAccess[] = [];
  for (let i = 0; i < count; i++) {
    accesses.push({
      access: ['read', 'write', 'metadata', 'read', 'exec'][i % 5] as string,
      path: `/srv/project/part-${i % 41}/folder-${i % 397}/file-${i}.c`,
      program: program(i),
      count: 1 + (i % 9),
      first: i,
      last: i + 1,
      outcome: i % 11 === 0 ? 'failed' : 'allowed',
      ...(i % 11 === 0 && { errno: 'ENOENT' }),
      probe: false,
    });
  }
  const refusals: ReportRefusal[] = [];
  for (let i = 0; i < count / 10; i++) {
    const path = `/home/user/.secret-${i}`;
    refusals.push({
      syscall: 'openat',
      access: 'read',
      path,
      errno: 'EACCES',
      message: `${program(i)} (${1000 + i}): openat ${path}: EACCES, read is missing`,
      suggestion: { field: 'files.read', value: path },
      program: program(i),
      probe: i % 4 === 0,
      count: 1 + (i % 3),
      first: i * 10,
      last: i * 10 + 5,
      processes: [{ id: i, first: i * 10 }],
    });
  }
  return {
    format: 'holdfast-report',
    version: 1,
    holdfast: '0.1.0',
    command: 'make',
    argv: ['make', '-j8'],
    started: Date.UTC(2026, 10, 27, 12),
    duration: count * 1.5,
    exitCode: 0,
    signal: null,
    engine: 'notify',
    fromStart: true,
    processes,
    accesses,
    refusals,
    limits: [],
    limitsReached: [],
    warnings: [],
    hookErrors: [],
    dropped: { processes: 0, arguments: 0, refusals: 0, accesses: 0, messages: 0 },
  };
}
