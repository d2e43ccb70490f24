// The files by which programs learn how much of the machine their control group may use: the JVM, Go, Node and .NET
// size their heaps and threads by them.

const MOUNT = '/sys/fs/cgroup';

/** cgroups(7), and Documentation/admin-guide/cgroup-v2.rst. Limits of the groups above hold, too. */
const inheritedLimits = ['cpu.max', 'memory.max', 'memory.high', 'memory.swap.max', 'pids.max'];
const ownFiles = [
  ...inheritedLimits,
  'cgroup.controllers',
  'cpu.weight',
  'cpuset.cpus',
  'cpuset.cpus.effective',
  'memory.low',
  'memory.current',
  'memory.stat',
  'memory.swap.current',
  'pids.current',
];
const firstVersion: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.shares'],
  cpuset: ['cpuset.cpus', 'cpuset.effective_cpus', 'cpuset.mems'],
  memory: [
    'memory.limit_in_bytes',
    'memory.soft_limit_in_bytes',
    'memory.memsw.limit_in_bytes',
    'memory.usage_in_bytes',
    'memory.memsw.usage_in_bytes',
    'memory.use_hierarchy',
    'memory.stat',
  ],
  pids: ['pids.max', 'pids.current'],
};

const below = (folder: string, names: readonly string[]): string[] => names.map((name) => `${folder}/${name}`);

/** The files for a process whose /proc/self/cgroup says this. A group outside of the mount (`/../x`) has none here. */
export function controlGroupFiles(text: string): string[] {
  const files: string[] = [];
  for (const line of text.split('\n')) {
    const [, hierarchy, controllers = '', group = ''] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    const parts = group.split('/').filter((part) => part !== '');
    if (hierarchy === undefined || parts.includes('..')) continue;
    if (controllers === '') {
      // Beside hierarchies of the first version it is mounted one level lower.
      for (const mount of [MOUNT, `${MOUNT}/unified`]) {
        for (let depth = 0; depth < parts.length; depth++) {
          files.push(...below([mount, ...parts.slice(0, depth)].join('/'), inheritedLimits));
        }
        files.push(...below([mount, ...parts].join('/'), ownFiles));
      }
      continue;
    }
    // In a container the group's own folder may be the mount's root, whatever its name is outside.
    for (const controller of controllers.split(',')) {
      for (const folder of new Set([controllers, controller])) {
        for (const place of new Set([`${MOUNT}/${folder}`, [MOUNT, folder, ...parts].join('/')])) {
          files.push(...below(place, firstVersion[controller] ?? []));
        }
      }
    }
  }
  return files;
}
