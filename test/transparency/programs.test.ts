// Programs that ask more of a kernel than coreutils do: each does the same bare and held.

import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { testWith, tool } from '../helpers/tools.ts';
import { compare } from './compare.ts';

const withoutPids = (text: string) => text.replace(/==\d+==/g, '==PID==');

testWith('dash')('dash with background jobs: files that exist are there, cd works', async () => {
  // Its handler of SIGCHLD lacks SA_RESTART, so each job that ends interrupts whatever the shell does just then.
  const script = `
wrong=0
i=0
while [ $i -lt 300 ]; do
  (exit 0) & (exit 0) &
  : > f$i || wrong=$((wrong + 1))
  [ -e f$i ] || wrong=$((wrong + 1))
  cd tmp && cd .. || wrong=$((wrong + 1))
  rm f$i || wrong=$((wrong + 1))
  i=$((i + 1))
done
wait
echo "$wrong wrong"
`;
  const { held } = await compare({ command: 'dash', args: ['-c', script] });
  expect(held.stdout).toBe('0 wrong\n');
});

testWith('bun')('Bun listens, fetches, starts programs, watches its files', { timeout: patient(120_000) }, async () => {
  const program = `
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
const server = Bun.serve({ unix: process.cwd() + '/s', fetch: (request) => new Response('served ' + new URL(request.url).pathname) });
console.log(await (await fetch('http://x/path', { unix: process.cwd() + '/s' })).text());
const tcp = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('over tcp') });
console.log(await (await fetch('http://127.0.0.1:' + tcp.port)).text());
server.stop(true); tcp.stop(true);
console.log(Bun.spawnSync(['sh', '-c', 'echo child $0; exit 3', 'zero']).stdout.toString().trim());
const child = Bun.spawn(['cat'], { stdin: 'pipe', stdout: 'pipe' }); child.stdin.write('through cat'); child.stdin.end();
console.log(await new Response(child.stdout).text(), await child.exited);
await Bun.write('a/b.txt', 'written'); mkdirSync('c'); renameSync('a/b.txt', 'c/b.txt');
console.log(await Bun.file('c/b.txt').text(), existsSync('a/b.txt'), readdirSync('c'));
process.chdir('c'); console.log(existsSync('b.txt')); process.chdir('..'); rmSync('c', { recursive: true }); rmSync('s', { force: true });
`;
  const { held } = await compare({
    command: tool('bun') ?? 'bun',
    args: ['run', 'program.ts'],
    prepare: (folder) => writeFileSync(join(folder, 'program.ts'), program),
    read: [dirname(tool('bun') ?? '/usr')],
    network: { connect: ['127.0.0.1', 'unix:/'], bind: ['127.0.0.1:0', 'unix:/'] },
    env: { BUN_INSTALL_CACHE_DIR: '/nonexistent', DO_NOT_TRACK: '1' },
  });
  expect(held.stdout).toContain('over tcp');
});

testWith('valgrind')('valgrind finds what it finds bare', { timeout: patient(120_000) }, async () => {
  const source = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  char *lost = malloc(24); strcpy(lost, "lost"); puts(lost); lost = NULL;
  FILE *f = fopen("made", "w"); fputs("by valgrind", f); fclose(f);
  int *past = malloc(4 * sizeof *past); past[4] = 1; int unset; free(past); return unset == 12345;
}
`;
  const { held } = await compare({
    script: 'gcc -g -O0 -w -o leaky leaky.c && valgrind -q --leak-check=full --error-exitcode=9 ./leaky',
    prepare: (folder) => writeFileSync(join(folder, 'leaky.c'), source),
    normalise: withoutPids,
    volatile: /^leaky$/,
    code: 9,
  });
  expect(held.stderr).toContain('definitely lost');
});

const postgres = readdirPostgres();
function readdirPostgres(): string | undefined {
  try {
    const versions = readdirSync('/usr/lib/postgresql').sort();
    return versions.length === 0 ? undefined : `/usr/lib/postgresql/${versions.at(-1)}/bin`;
  } catch {
    return undefined;
  }
}

testWith(...(postgres === undefined ? ['initdb'] : ['setpriv']))(
  'PostgreSQL: initdb, start, psql, stop',
  { timeout: patient(180_000) },
  async () => {
    const { held } = await compare({
      asNobody: true,
      script: `set -e
exec 3>&2 2> log
initdb -D data -A trust -U me --no-sync > /dev/null
pg_ctl -D data -w -l server.log -o "-k $PWD -c listen_addresses='' -c fsync=off" start > /dev/null
psql -h "$PWD" -U me -At -d postgres -c 'create table t (n int); insert into t select generate_series(1, 1000)' -c 'select sum(n) from t'
psql -h "$PWD" -U me -At -d postgres -c "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select count(*) from t a join t b using (n)"
pg_ctl -D data -w -m fast stop > /dev/null
grep -c 'database system is shut down' server.log
rm -rf data server.log log .s.*
echo finished >&3`,
      env: { PATH: `${postgres}:/usr/bin:/bin` },
    });
    expect(held.stdout).toContain('500500');
    expect(held.stderr).toContain('finished');
  },
);

testWith('fakeroot')('fakeroot makes a tarball of files that root owns', async () => {
  const { held } = await compare({
    script: `fakeroot sh -c 'id -u; touch a; chown 12:34 a; mknod device c 1 3; stat -c "%n %u:%g %F" a device; tar -cf x.tar a device'
tar -tvf x.tar | awk '{ print $1, $2, $NF }'; rm -f device x.tar`,
    asNobody: true,
  });
  expect(held.stdout).toContain('a 12:34');
});

testWith('tmux')('tmux runs a shell on a terminal of its own', { timeout: patient(60_000) }, async () => {
  const { held } = await compare({
    script: `export TERM=xterm TMUX_TMPDIR=$PWD
t() { tmux -S "$PWD/s" -f /dev/null "$@"; }
t new-session -d -x 80 -y 24 'exec sh'
t send-keys 'PS1=; echo; stty size; tty | tr -d 0-9; echo said' Enter
for i in $(seq 300); do t capture-pane -p | grep -q '^said' && break; sleep 0.1; done
t capture-pane -p | grep -x -e said -e '24 80' -e /dev/pts/
t kill-server
rm -f s; rm -rf tmux-*`,
    write: ['/dev/ptmx', '/dev/pts'],
  });
  expect(held.stdout).toContain('said');
});

const goProgram = `package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

func main() {
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil { fmt.Println(err); os.Exit(1) }
	var number, unlock uint32
	syscall.Syscall(syscall.SYS_IOCTL, ptmx.Fd(), syscall.TIOCGPTN, uintptr(unsafe.Pointer(&number)))
	syscall.Syscall(syscall.SYS_IOCTL, ptmx.Fd(), syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock)))
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil { fmt.Println(err); os.Exit(1) }
	child := exec.Command("sh", "-c", "echo to the terminal > /dev/tty; ps -o stat= -p $$ | cut -c1-2; exit 5")
	child.Stdin, child.Stdout, child.Stderr = tty, tty, tty
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := child.Start(); err != nil { fmt.Println(err); os.Exit(1) }
	tty.Close()
	lines := bufio.NewScanner(ptmx)
	for lines.Scan() { fmt.Println(lines.Text()) }
	fmt.Println(child.Wait())
	results := make(chan string)
	for i := 0; i < 8; i++ {
		go func(i int) {
			name := fmt.Sprintf("file%d", i)
			os.WriteFile(name, []byte(name), 0o644)
			text, _ := os.ReadFile(name)
			os.Remove(name)
			results <- string(text)
		}(i)
	}
	total := 0
	for i := 0; i < 8; i++ { total += len(<-results) }
	fmt.Println(total)
}
`;

testWith('go')('Go starts a program on a terminal of its own', { timeout: patient(180_000) }, async () => {
  const { held } = await compare({
    script: `export GOCACHE=$PWD/cache GOFLAGS=-buildvcs=false GO111MODULE=off
go build -o program program.go && ./program; rm -rf cache home/* program`,
    prepare: (folder) => writeFileSync(join(folder, 'program.go'), goProgram),
    write: ['/dev/ptmx', '/dev/pts'],
  });
  expect(held.stdout).toContain('to the terminal');
  expect(held.stdout).toContain('exit status 5');
});

testWith('ps', 'lsof')('ps, pgrep and lsof see the tree', { timeout: patient(60_000) }, async () => {
  const { held } = await compare({
    script: `sleep 60 3< watched & p=$!
while [ "$(ps -o comm= -p $p)" != sleep ]; do :; done
ps -o comm=,args= -p $p
ps -o comm= --ppid $$ | sort -u
pgrep -P $$ -x sleep | grep -cx $p
lsof -w -a -p $p -d 3,cwd,txt -Fftn | grep -v -e ^p | sed "s#$PWD#HERE#"
kill $p; wait $p; echo $?`,
    prepare: (folder) => writeFileSync(join(folder, 'watched'), 'text'),
    read: ['/'],
  });
  expect(held.stdout).toContain('HERE/watched');
});

testWith('python3')(
  "Python's multiprocessing: locks, pools, shared memory, managers",
  { timeout: patient(60_000) },
  async () => {
    const program = `
import multiprocessing as m
from multiprocessing import shared_memory

def add(lock, value):
    for _ in range(200):
        with lock: value.value += 1

def double(n): return 2 * n

if __name__ == '__main__':
    for method in ('fork', 'spawn', 'forkserver'):
        c = m.get_context(method)
        lock, value = c.Lock(), c.Value('i', 0, lock=False)
        all = [c.Process(target=add, args=(lock, value)) for _ in range(4)]
        [p.start() for p in all]; [p.join() for p in all]
        with c.Pool(3) as pool: print(method, value.value, pool.map(double, range(8)), flush=True)
    block = shared_memory.SharedMemory(create=True, size=64); block.buf[:3] = b'abc'
    other = shared_memory.SharedMemory(block.name); print(bytes(other.buf[:3])); other.close(); block.close(); block.unlink()
    with m.Manager() as manager:
        d = manager.dict(); p = m.Process(target=d.update, args=({'k': 1},)); p.start(); p.join(); print(dict(d))
`;
    await compare({
      command: '/usr/bin/python3',
      args: ['program.py'],
      prepare: (folder) => writeFileSync(join(folder, 'program.py'), program),
      volatile: /__pycache__/,
    });
  },
);

testWith('ld.lld')('a program that lld links, at 0x200000', async () => {
  const source = `#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static const int relocated = 1; const int *const pointer = &relocated;
int main(void) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a; int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
  int bound = bind(s, (struct sockaddr *)&a, size), listens = listen(s, 1);
  printf("bind %d listen %d\\n", bound, listens); getsockname(s, (struct sockaddr *)&a, &size);
  int connected = connect(c, (struct sockaddr *)&a, size), moved = chdir("tmp");
  printf("connect %d chdir %d\\n", connected, moved); fflush(stdout);
  return (unsigned long)main < 0x400000 ? system("echo started") : 1;
}
`;
  const { held } = await compare({
    script:
      'gcc -w -fuse-ld=lld -no-pie -o low low.c && ./low && gcc -w -fuse-ld=lld -static -no-pie -o low low.c && ./low; rm low',
    prepare: (folder) => writeFileSync(join(folder, 'low.c'), source),
    network: { connect: ['127.0.0.1'], bind: ['127.0.0.1:0'] },
  });
  expect(held.stdout.match(/bind 0 listen 0/g)).toHaveLength(2);
});
