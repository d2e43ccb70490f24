// Which refusals are only looks at what a program does well without.

/** Calls that show that something is there, and what it is, but nothing of what is in it. */
export const lookingCalls: ReadonlySet<string> = new Set([
  'access',
  'faccessat',
  'faccessat2',
  'stat',
  'lstat',
  'newfstatat',
  'statx',
  'readlink',
  'readlinkat',
  'statfs',
  'getxattr',
  'lgetxattr',
  'listxattr',
  'llistxattr',
]);

/**
 * Files that programs read if they can, and do without if not: settings, caches, facts about the machine. An entry is the end of
 * a path; with a `/` behind it, a folder with all below it.
 */
export const optionalFiles: readonly string[] = [
  // of the system
  '/etc/gitconfig',
  '/etc/host.conf',
  '/etc/inputrc',
  '/etc/ld.so.nohwcap',
  '/etc/ld.so.preload',
  '/etc/locale.alias',
  '/etc/locale.conf',
  '/etc/localtime',
  '/etc/machine-id',
  '/etc/os-release',
  '/etc/python3/',
  '/etc/selinux/config',
  '/etc/ssl/openssl.cnf',
  '/etc/terminfo/',
  '/etc/timezone',
  '/lib/terminfo/',
  '/usr/lib/locale/',
  '/usr/lib/ssl/openssl.cnf',
  '/usr/share/locale/',
  '/usr/share/zoneinfo/',
  // of the kernel
  '/proc/cgroups',
  '/proc/cpuinfo',
  '/proc/filesystems',
  '/proc/loadavg',
  '/proc/meminfo',
  '/proc/stat',
  '/proc/sys/',
  '/proc/uptime',
  '/proc/version',
  '/sys/devices/system/',
  '/sys/fs/cgroup/',
  '/sys/kernel/mm/',
  // of the user, and of a project
  '/.config/git/config',
  '/.config/git/attributes',
  '/.config/git/ignore',
  '/.config/pip/pip.conf',
  '/.curlrc',
  '/.editorconfig',
  '/.gitattributes',
  '/.gitconfig',
  '/.gitignore',
  '/.inputrc',
  '/.nvmrc',
  '/.pip/pip.conf',
  '/.profile',
  '/.bashrc',
  '/.bash_profile',
  '/.python_history',
  '/.terminfo/',
  '/.tool-versions',
  '/.vimrc',
  '/.wgetrc',
  '/.yarnrc',
  '/.yarnrc.yml',
  '/.npmrc',
  '/pyvenv.cfg',
];

const files = new Set(optionalFiles.filter((entry) => !entry.endsWith('/')));
const folders = optionalFiles.filter((entry) => entry.endsWith('/'));

function isOptional(path: string): boolean {
  for (let at = path.lastIndexOf('/'), parts = 0; at >= 0 && parts < 4; at = path.lastIndexOf('/', at - 1), parts++) {
    if (files.has(path.slice(at))) return true;
    if (at === 0) break;
  }
  const whole = `${path}/`;
  return folders.some((folder) => whole.includes(folder));
}

/**
 * A look at what is there and not granted, that a program does without: a call that only looks, the reading of a file that
 * is optional, or one that has been told that nothing is there. What a `deny` rule or a hook has refused is none, but what
 * is hidden is.
 */
export function isProbe(of: {
  syscall: string;
  access?: string;
  path?: string;
  errno?: string;
  rule?: string;
}): boolean {
  const { syscall, access, path, errno, rule } = of;
  // What is hidden is not there.
  if (rule !== undefined && /(?:^|\.)files\.hide\[\d+\]$/.test(rule)) return access !== 'write';
  if (rule !== undefined || path === undefined) return false;
  if (access !== 'read' && access !== 'metadata' && access !== 'exec') return false;
  return lookingCalls.has(syscall) || errno === 'ENOENT' || (access === 'read' && isOptional(path));
}
