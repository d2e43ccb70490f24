// Hosts as they are set up: what a setting of the whole machine, or of a real systemd, leaves of it. It changes the machine, so it runs
// on one of its own: npm run test:guest.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSupport } from 'holdfast';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { asUser, doctorIn, isRoot, startIn, works } from '../helpers/places.ts';
import { until } from './tree.ts';

const isOwn = process.env.HOLDFAST_TEST_OWN_MACHINE === '1' && isRoot;
const timeout = patient(240_000);
/** Whether the engine `kernel` can be had. */
const scopes = (checkSupport().landlockAbi ?? 0) >= 6;

/** Where ptrace is refused: what can be had without. */
const withoutPtrace = scopes
  ? { supported: true, engine: 'kernel' }
  : { supported: false, problems: [{ code: 'ERR_HOLDFAST_PTRACE' }] };
const withNotify = { supported: true, engine: 'notify' };

describe.skipIf(!isOwn)('settings of the machine (root, on a machine of its own: npm run test:guest)', () => {
  const yama = '/proc/sys/kernel/yama/ptrace_scope';
  const setting = (path: string, value: string) => writeFileSync(path, value);

  describe('systemd', () => {
    let manager: ChildProcess;
    let folder: string;
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const script = fileURLToPath(new URL('../guest/service.sh', import.meta.url));
    const inService = (...options: string[]) => {
      writeFileSync(join(folder, 'options'), `${options.join('\n')}\n`);
      return ['sh', script, folder];
    };

    beforeAll(async () => {
      folder = mkdtempSync('/opt/holdfast-'); // PrivateTmp hides /tmp
      chmodSync(folder, 0o777);
      const units = join(folder, 'units');
      mkdirSync(units);
      writeFileSync(join(units, 'holdfast.target'), '[Unit]\nDefaultDependencies=no\n');
      // Process 1 of a pid namespace, as in a container: with a /run and a tree of control groups of its own.
      const group = '/sys/fs/cgroup/hosts';
      mkdirSync(group);
      const begin = `umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; mount -t tmpfs -o mode=755 run /mnt; mkdir -p /mnt/systemd; cp -r ${units} /mnt/systemd/system; mount --move /mnt /run
export container=holdfast
exec /lib/systemd/systemd --system --unit=holdfast.target --log-target=null --show-status=no`;
      const apart = 'exec unshare --pid --fork --mount --cgroup --mount-proc sh -c "$0"';
      manager = spawn('sh', ['-ec', `echo $$ > ${group}/cgroup.procs; ${apart}`, begin], { stdio: 'ignore' });
      const main = () => readFileSync(`/proc/${manager.pid}/task/${manager.pid}/children`, 'utf8').trim();
      await until(() => existsSync(`/proc/${main()}/root/run/systemd/private`), 'systemd has started', 60_000);
      writeFileSync(join(folder, 'manager'), main());
    }, timeout);

    afterAll(() => {
      manager.kill('SIGKILL'); // unshare(1), and with it, by --fork, process 1
      execFileSync('kill', ['-9', readFileSync(join(folder, 'manager'), 'utf8')]);
    });

    const hardened = [
      `BindReadOnlyPaths=${root}`, // it may lie where others of these hide it
      ...['NoNewPrivileges=yes', 'ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'PrivateDevices=yes'],
      ...['ProtectKernelTunables=yes', 'ProtectKernelModules=yes', 'ProtectKernelLogs=yes', 'ProtectControlGroups=yes'],
      ...[
        'ProtectHostname=yes',
        'ProtectClock=yes',
        'RestrictNamespaces=yes',
        'RestrictRealtime=yes',
        'LockPersonality=yes',
      ],
      ...['RestrictSUIDSGID=yes', 'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6', 'CapabilityBoundingSet='],
      ...['SystemCallArchitectures=native', 'UMask=0077', 'PrivateNetwork=yes', 'KeyringMode=private'],
    ];

    test.each<[string, string[]]>([
      ['a service as it is', []],
      ['every option that protects the host, as nobody', [...hardened, 'User=65534', 'Group=65534']],
      ['every option that protects the host, as root', hardened],
      ['a user that is made for it, in a user namespace', [...hardened, 'DynamicUser=yes', 'PrivateUsers=yes']],
      ['other processes hidden', [...hardened, 'User=65534', 'ProtectProc=invisible', 'ProcSubset=pid']],
      ['few tasks', ['TasksMax=40', 'User=65534']],
      [
        'the calls of services, and those that it needs',
        [
          ...hardened,
          'User=65534',
          'SystemCallFilter=@system-service @debug seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self',
          'SystemCallErrorNumber=EPERM',
        ],
      ],
    ])('%s', { timeout }, async (_, options) => {
      expect(doctorIn(...inService(...options))).toMatchObject(withNotify);
    });

    test('the calls of services alone, by which who makes others is killed', { timeout }, async () => {
      // V8 makes those of @pkey.
      const killed = inService(...hardened, 'User=65534', 'SystemCallFilter=@system-service @pkey');
      expect(doctorIn(...killed)).toMatchObject({
        supported: false,
        problems: [
          { code: 'ERR_HOLDFAST_SECCOMP', message: expect.stringContaining('kills whoever calls seccomp, ptrace, ') },
        ],
      });
    });

    test('those calls without ptrace', { timeout }, async () => {
      const under = inService(
        ...hardened,
        ...['User=65534', 'SystemCallErrorNumber=EPERM'],
        'SystemCallFilter=@system-service seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self',
      );
      expect(doctorIn(...under)).toMatchObject(withoutPtrace);
      const seen = await startIn({ under, env: { ...process.env, HOLDFAST_ENGINE: 'auto' } });
      expect(seen.start).toBe('ERR_HOLDFAST_PTRACE');
    });
  });

  test('no user namespaces', { timeout }, async () => {
    setting('/proc/sys/user/max_user_namespaces', '0');
    expect(doctorIn(...asUser)).toMatchObject(withNotify);
    expect(await startIn({ under: asUser })).toEqual(works);
  });

  test('Yama 0, 1, 2 and 3', { timeout }, async () => {
    for (const [scope, ofUser, ofRoot] of [
      ['0', withNotify, withNotify],
      ['1', withNotify, withNotify],
      ['2', withoutPtrace, withNotify],
      ['3', withoutPtrace, withoutPtrace],
    ] as const) {
      setting(yama, scope); // 3 is for good
      expect(doctorIn(...asUser)).toMatchObject(ofUser);
      expect(doctorIn()).toMatchObject(ofRoot);
    }
  });
});
