import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const program = `
import asyncio, concurrent.futures, glob, json, mmap, multiprocessing, os, pathlib, select, shutil, signal, socket, sqlite3
import subprocess, sys, tempfile, threading, time, zipfile

def say(*what): print(*what, flush=True)

# threads that all work on files
results = {}
def work(n):
    for i in range(20):
        path = f'thread-{n}-{i}'
        with open(path, 'w') as f: f.write(str(n * i))
        os.rename(path, path + '.done')
        results[n] = results.get(n, 0) + int(open(path + '.done').read())
        os.unlink(path + '.done')
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
say('threads', sorted(results.items()))

# subprocess in its forms
say(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 3'], capture_output=True, text=True))
say(subprocess.check_output('echo $0 shell | tr a-z A-Z', shell=True, text=True).strip())
p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
say(len(p.communicate(b'x' * 1000000)[0]), p.returncode)
try: subprocess.run(['sleep', '20'], timeout=0.2)
except subprocess.TimeoutExpired: say('timed out')
try: subprocess.run(['/nosuch/program'])
except FileNotFoundError as e: say(e.errno, e.filename)
p = subprocess.Popen(['sleep', '20'], start_new_session=True, cwd='/'); p.terminate(); say('terminated', p.wait())
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    say(sorted(pool.map(lambda n: int(subprocess.check_output(['expr', str(n), '+', '1'])), range(12))))

# fork, multiprocessing, pipes
pid = os.fork()
if pid == 0: os._exit(7)
say('fork', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
def square(x): return x * x
if __name__ == '__main__':
    queue = multiprocessing.get_context('fork').SimpleQueue()
    children = [multiprocessing.get_context('fork').Process(target=lambda n=n: queue.put(n * n)) for n in range(4)]
    [c.start() for c in children]; [c.join() for c in children]
    say('multiprocessing', sorted(queue.get() for _ in children))

# files
with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    (root / 'a/b').mkdir(parents=True); (root / 'a/b/c.txt').write_text('text'); (root / 'link').symlink_to('a/b')
    say(sorted(str(p.relative_to(root)) for p in root.rglob('*')), (root / 'link/c.txt').resolve().relative_to(root))
    shutil.copytree(root / 'a', root / 'copy', symlinks=True); os.chmod(root / 'copy', 0o711); os.utime(root / 'copy', (1, 2))
    status = os.stat(root / 'copy'); say(oct(status.st_mode), status.st_mtime, os.access(root / 'copy', os.W_OK), os.path.ismount('/'))
    fd = os.open(folder, os.O_DIRECTORY); say(sorted(os.listdir(fd)), os.stat('a', dir_fd=fd).st_mode); os.close(fd)
    with zipfile.ZipFile(root / 'z.zip', 'w') as z: z.write(root / 'a/b/c.txt', 'c.txt')
    say(zipfile.ZipFile(root / 'z.zip').namelist())
    with open(root / 'm', 'w+b') as f:
        f.truncate(4096); m = mmap.mmap(f.fileno(), 4096); m[:5] = b'hello'; m.flush(); say(open(root / 'm', 'rb').read(5)); m.close()
    db = sqlite3.connect(root / 'db'); db.execute('create table t (n)'); db.executemany('insert into t values (?)', [(i,) for i in range(50)])
    db.commit(); say(db.execute('select sum(n) from t').fetchone()); db.execute('pragma journal_mode=wal'); db.close()
for bad in ('nothing', '/proc/self/nothing', 'a' * 300, '', 'x/' * 3000):
    try: open(bad)
    except OSError as e: say(e.errno)

# sockets within the process, events, signals
a, b = socket.socketpair(); a.sendall(b'pair'); say(b.recv(9)); poll = select.epoll(); poll.register(b, select.EPOLLIN); a.send(b'.'); say(len(poll.poll(1)))
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append('usr1')); os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.05); signal.signal(signal.SIGALRM, lambda *_: caught.append('alarm')); signal.pause(); say(caught)
async def several():
    process = await asyncio.create_subprocess_exec('sh', '-c', 'read x; echo got $x', stdin=-1, stdout=-1)
    out = (await process.communicate(b'line\\n'))[0]
    return out, await asyncio.gather(*(asyncio.to_thread(os.getcwd) for _ in range(3)))
out, folders = asyncio.run(several()); say(out, len(set(folders)))
say(os.path.realpath('/proc/self/cwd') == os.getcwd(), os.readlink('/proc/self/fd/0') != '', sys.argv[1:], os.getpgrp() > 0)
json.dump({'done': True}, open('result.json', 'w')); sys.exit(11)
`;

test('threads, subprocess, multiprocessing, files and sockets', { timeout: patient(120_000) }, async () => {
  const { bare } = await compare({ command: 'python3', args: ['-', 'one', 'two words'], input: program, code: 11 });
  expect(bare.stdout).toContain("b'got line\\n' 1");
  expect(bare.stderr).toBe('');
});

test('modules that are compiled and cached', { timeout: patient(120_000) }, async () => {
  await compare({
    script: `
      mkdir package; echo 'from .inner import answer' > package/__init__.py; echo 'answer = 42' > package/inner.py
      python3 -c 'import package; print(package.answer)'; ls package/__pycache__; python3 -m compileall -q package; echo $?
      python3 -c 'raise SystemExit("said")'; echo $?; python3 -c 1/0 2>&1 | tail -1; python3 -m json.tool <<< '{"a":[1]}'`,
    volatile: /\.pyc$/, // they hold the time of the source
  });
});
