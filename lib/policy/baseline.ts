// What a program needs to start, on the distributions that we know, and what common programs read at their start that
// holds no secrets. Paths that are not there cost nothing.
import { readFileSync } from 'node:fs';
import { controlGroupFiles } from './cgroups.ts';
import type { FileRule } from './policy.ts';

/**
 * Read (and so executed, where the policy has no `exec`). Each costs a look at the file system at the start, since the
 * second wall is told of it.
 */
const programs: readonly string[] = [
  // Programs, libraries, locales, time zones. /usr/local is in it; /opt, /snap and homes are not.
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/nix/store',
  '/run/current-system',
  '/etc/alternatives',
];

/** Read. What is executed there all the same is refused by the second wall, unless the policy names it. */
const data: readonly string[] = [
  // The dynamic loader.
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/ld.so.preload',
  // Names of users, hosts and services; the time zone.
  '/etc/passwd',
  '/etc/group',
  '/etc/nsswitch.conf',
  '/etc/hosts',
  '/etc/host.conf',
  '/etc/hostname',
  '/etc/resolv.conf',
  '/run/systemd/resolve/stub-resolv.conf',
  '/run/systemd/resolve/resolv.conf',
  '/etc/gai.conf',
  '/etc/services',
  '/etc/protocols',
  '/etc/localtime',
  '/etc/timezone',
  '/etc/os-release',
  '/etc/debian_version',
  '/etc/locale.alias',
  '/etc/locale.conf',
  '/etc/terminfo',
  '/etc/inputrc',
  '/etc/mime.types',
  '/etc/magic',
  // Public certificates, never the private keys beside them.
  '/etc/ssl/certs',
  '/etc/ssl/cert.pem',
  '/etc/ssl/openssl.cnf',
  '/etc/ca-certificates',
  '/etc/ca-certificates.conf',
  '/etc/pki/tls/certs',
  '/etc/pki/tls/openssl.cnf',
  '/etc/pki/ca-trust/extracted',
  '/etc/crypto-policies',
  // How large the machine is.
  '/proc/cpuinfo',
  '/proc/meminfo',
  '/proc/stat',
  '/proc/loadavg',
  '/proc/uptime',
  '/proc/version',
  '/proc/filesystems',
  '/proc/cgroups',
  '/proc/sys/kernel/cap_last_cap',
  '/proc/sys/kernel/hostname',
  '/proc/sys/kernel/msgmax',
  '/proc/sys/kernel/msgmnb',
  '/proc/sys/kernel/msgmni',
  '/proc/sys/kernel/ngroups_max',
  '/proc/sys/kernel/osrelease',
  '/proc/sys/kernel/ostype',
  '/proc/sys/kernel/overflowgid',
  '/proc/sys/kernel/overflowuid',
  '/proc/sys/kernel/pid_max',
  '/proc/sys/kernel/random/uuid',
  '/proc/sys/kernel/rtsig-max',
  '/proc/sys/kernel/sem',
  '/proc/sys/kernel/shmall',
  '/proc/sys/kernel/shmmax',
  '/proc/sys/kernel/shmmni',
  '/proc/sys/kernel/threads-max',
  '/proc/sys/kernel/version',
  '/proc/sys/vm/max_map_count',
  '/proc/sys/vm/overcommit_memory',
  '/proc/sys/vm/overcommit_ratio',
  '/proc/sys/fs/file-max',
  '/proc/sys/fs/nr_open',
  '/proc/sys/fs/pipe-max-size',
  '/proc/sys/crypto/fips_enabled',
  '/proc/sys/net/core/somaxconn',
  '/sys/devices/system/cpu',
  '/sys/devices/system/node',
  '/sys/kernel/mm/transparent_hugepage',
  '/sys/kernel/mm/hugepages',
  // Configuration of common programs for the whole machine. Not what may hold a password or a token, as npmrc, pip.conf,
  // wgetrc, my.cnf and environment may.
  '/etc/gitconfig',
  '/etc/gitattributes',
  '/etc/profile',
  '/etc/profile.d',
  '/etc/bash.bashrc',
  '/etc/bashrc',
  '/etc/bash_completion',
  '/etc/bash_completion.d',
  '/etc/zsh',
  '/etc/zshenv',
  '/etc/zprofile',
  '/etc/zshrc',
  '/etc/shells',
  '/etc/login.defs',
  '/etc/default/locale',
  '/etc/DIR_COLORS',
  '/etc/nanorc',
  '/etc/vimrc',
  '/etc/vim',
  '/etc/screenrc',
  '/etc/tmux.conf',
  '/etc/manpath.config',
  '/etc/papersize',
  '/etc/mailcap',
  '/etc/fonts',
  '/etc/xattr.conf',
  '/etc/libaudit.conf',
  '/etc/selinux/config',
  '/etc/ssh/ssh_config',
  '/etc/ssh/ssh_config.d',
  '/etc/krb5.conf',
  '/etc/krb5.conf.d',
  '/etc/gss/mech.d',
  '/etc/netconfig',
  '/etc/networks',
  '/etc/rpc',
  '/etc/ethertypes',
  '/etc/bindresvport.blacklist',
  '/etc/ld-musl-x86_64.path',
  '/etc/ld-musl-aarch64.path',
  '/etc/lsb-release',
  '/etc/redhat-release',
  '/etc/fedora-release',
  '/etc/centos-release',
  '/etc/system-release',
  '/etc/alpine-release',
  '/etc/arch-release',
  '/etc/SuSE-release',
  '/etc/gnutls',
  '/etc/pki/tls/cert.pem',
  '/etc/perl',
  '/etc/python3',
  ...[...Array(10).keys()].map((minor) => `/etc/python3.${minor + 6}`),
  ...[8, 11, 17, 21, 25].map((version) => `/etc/java-${version}-openjdk`),
];

/** A process's own entries, which are other files to each: only a held call can tell them from those of others. */
const ownEntries: readonly string[] = ['/proc/self', '/proc/thread-self', '/proc/mounts'];

/** Devices without contents of their own: only the devices that they claim to be, by major and minor number. */
const device = (major: number, minor: number): number => major * 256 + minor;
const READ = 1;
const WRITE = 2;
const devices: readonly (readonly [path: string, access: number, number: number])[] = [
  ['/dev/null', READ | WRITE, device(1, 3)],
  ['/dev/zero', READ | WRITE, device(1, 5)],
  ['/dev/full', READ | WRITE, device(1, 7)],
  ['/dev/random', READ, device(1, 8)],
  ['/dev/urandom', READ, device(1, 9)],
];
const terminalDevice = ['/dev/tty', READ | WRITE, device(5, 0)] as const;

const rule = (access: number, path: string): FileRule => ({ effect: 'allow', access, path, label: 'defaults' });

function make(groups: string, terminal: boolean, proc: boolean): readonly FileRule[] {
  const rules = programs.map((path) => rule(READ, path));
  for (const path of [...data, ...(proc ? ownEntries : []), ...controlGroupFiles(groups)])
    rules.push({ ...rule(READ, path), data: true });
  for (const [path, access, number] of terminal ? [...devices, terminalDevice] : devices) {
    rules.push({ ...rule(access, path), device: number, data: true });
  }
  return rules;
}

function controlGroups(): string {
  try {
    return readFileSync('/proc/self/cgroup', 'latin1');
  } catch {
    return '';
  }
}

/** By what they depend on, which hardly ever changes. */
const made = new Map<string, readonly FileRule[]>();

/**
 * What is allowed without being named. `terminal`: the command is given its terminal, so it may also open it by name.
 * `proc`: a process's own entries.
 */
export function defaultRules(terminal: boolean, proc = true): readonly FileRule[] {
  const groups = controlGroups();
  const key = `${terminal} ${proc}\n${groups}`;
  let rules = made.get(key);
  if (rules === undefined) {
    rules = make(groups, terminal, proc);
    if (made.size >= 16) made.clear();
    made.set(key, rules);
  }
  return rules;
}
