// What is run, and how its results are read. A part's `read` answers { test: result }.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const python = '/usr/bin/python3.11';
const flags = ['-B', '-m', 'test', '-v'];

/** The lines of `unittest -v`: `test_x (test.test_posix.Class.test_x) ... ok`, with output of the test between. */
function unittest({ output, code, signal }) {
  const results = {};
  const begun = /^(\w+) \(([\w.]+)\)(?:\n[^\n]*?)?? \.\.\. /gm;
  const starts = [...output.matchAll(begun)];
  starts.forEach((start, i) => {
    const text = output.slice(start.index + start[0].length, starts[i + 1]?.index);
    const name = start[2].endsWith(start[1]) ? start[2] : `${start[2]}.${start[1]}`;
    results[name] = /(?:^|\n|\b)(ok|FAIL|ERROR|expected failure|skipped)\b/.exec(text)?.[1] ?? 'no result';
  });
  // 0: all as they should be; 2: some tests failed, which their own lines say.
  results['(end)'] = signal ?? (code === 0 || code === 2 ? 'complete' : `exit code ${code}`);
  return results;
}

const cpython = (name, { ignore = [], limit = 300 } = {}) => ({
  name: `cpython/${name}`,
  waits: true, // most of its time: so both runs are made at once
  missing: () => (existsSync(`/usr/lib/python3.11/test/${name}.py`) ? undefined : 'libpython3.11-testsuite is missing'),
  parts: () => [
    {
      // Its --timeout is for the whole file, not for each of its tests.
      line: [python, ...flags, '--timeout', String(limit - 10), ...ignore.flatMap((each) => ['-i', each]), name],
      limit,
      read: unittest,
    },
  ],
});

// None that needs root, changes the machine's settings, or measures it.
const stressors = `
  access affinity alarm brk chdir chmod chown clone copy-file daemon dccp dentry dir dirdeep dirmany dnotify dup
  epoll eventfd exec fallocate fcntl fiemap fifo file-ioctl filename flock fork fpunch fsize fstat full futex get
  getdent getrandom handle hdd inotify io iomix itimer kill lease link locka lockf lockofd madvise memfd mincore
  mknod mmap mmapfixed mmapfork mprotect mq mremap msg munmap mutex nanosleep nice null open personality pipe poll
  prctl procfs pty rename resources schedpolicy select sem sem-sysv sendfile session set shm shm-sysv sigabrt
  sigchld sigfd sigfpe sigio signal sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap sock sockabuse sockdiag
  sockfd sockmany sockpair spawn splice switch symlink tee timer timerfd touch udp urandom utime vfork wait xattr
  yield zero zombie
`
  .trim()
  .split(/\s+/);

// A few operations and a bound in time: what counts is how it ends.
const bounds = ['--timeout', '2', '--verify', '--no-rand-seed', '--log-brief'];

const stress = {
  name: 'stress-ng',
  asNobody: true,
  missing: () => (existsSync('/usr/bin/stress-ng') ? undefined : 'stress-ng is missing'),
  parts: () =>
    stressors.map((name) => ({
      name,
      line: ['stress-ng', `--${name}`, '1', `--${name}-ops`, '20', ...bounds],
      limit: 30,
      read: ({ output, code, signal }) => {
        const failed = /\bfail:/.test(output) ? ', with failures' : '';
        const skipped = /skipp/.test(output) ? ', skipped' : '';
        return { [name]: `${signal ?? `exit code ${code}`}${failed}${skipped}` };
      },
    })),
};

/** Debian's source package of Node, fetched by apt with the machine's own sources; undefined where it cannot be had. */
function nodeSource() {
  const place = process.env.HOLDFAST_TEST_NODE_SOURCE ?? join(tmpdir(), 'holdfast-node-source');
  const found = () => {
    const names = existsSync(place) ? readdirSync(place) : [];
    return names.includes('test') ? join(place, 'test') : undefined;
  };
  if (found() || !existsSync('/usr/bin/apt-get') || process.getuid() !== 0) return found();
  for (const folder of ['parts', 'lists/partial']) mkdirSync(join(place, folder), { recursive: true });
  for (const path of ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources']) {
    if (!existsSync(path)) continue;
    const text = readFileSync(path, 'utf8')
      .replace(/^Types: deb$/gm, 'Types: deb-src')
      .replace(/^deb /gm, 'deb-src ');
    writeFileSync(join(place, 'parts', path.endsWith('.sources') ? 'source.sources' : 'source.list'), text);
  }
  const apt = (...args) => {
    const places = ['SourceList=/dev/null', `SourceParts=${place}/parts`].map((each) => ['-o', `Dir::Etc::${each}`]);
    return spawnSync('apt-get', [...places.flat(), '-o', `Dir::State::Lists=${place}/lists`, '-q', ...args], {
      cwd: place,
    });
  };
  apt('update');
  // apt checks what it fetches by the signed list, and needs the original only.
  apt('source', '--download-only', '--tar-only', 'nodejs');
  const original = readdirSync(place).find((name) => /^nodejs_.*\.orig\.tar\.\w+$/.test(name));
  if (original === undefined) return undefined;
  spawnSync(
    'tar',
    [
      '-xf',
      original,
      '--strip-components=1',
      '--wildcards',
      '*/test/common',
      '*/test/fixtures',
      '*/test/parallel/test-child-process-*',
    ],
    { cwd: place },
  );
  return found();
}

// Ended by a signal of its own group, or by what Node 18 did and a newer one does not: the same bare.
const node = {
  name: 'node/child_process',
  optional: true, // not every mirror has source packages
  asNobody: true,
  missing: () =>
    nodeSource() === undefined ? "Debian's source package of nodejs cannot be had (needs root and apt)" : undefined,
  parts: (folder) => {
    cpSync(nodeSource(), join(folder, 'test'), { recursive: true, dereference: false });
    spawnSync('chmod', ['-R', 'a+rwX', join(folder, 'test')]);
    return readdirSync(join(folder, 'test/parallel'))
      .filter((name) => /\.m?js$/.test(name))
      .map((name) => {
        const path = join(folder, 'test/parallel', name);
        const flags = /^\/\/ Flags: (.*)$/m.exec(readFileSync(path, 'utf8'))?.[1]?.split(' ') ?? [];
        return {
          name,
          line: [process.execPath, ...flags, path],
          limit: 60,
          env: { PATH: process.env.PATH, NODE_TEST_DIR: folder },
          read: ({ code, signal }) => ({ [name]: signal ?? `exit code ${code}` }),
        };
      });
  },
};

export const suites = [
  cpython('test_posix'),
  cpython('test_resource'),
  cpython('test_signal'),
  cpython('test_subprocess'),
  // VSOCK: the host of a virtual machine is asked, and does not always answer.
  cpython('test_socket', { ignore: ['*VSOCK*'], limit: 400 }),
  stress,
  node,
];
