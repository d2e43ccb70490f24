// The data of a report in the shapes that the page shows.
import type { Report, ReportAccess, ReportProcess, ReportRefusal } from '../data.ts';
import { hiddens } from './dom.ts';
import { basename } from './format.ts';

export interface Proc {
  readonly data: ReportProcess;
  readonly program: string;
  readonly title: string;
  /** Arguments behind the first, in one line. */
  readonly rest: string;
  readonly end: number;
  readonly failed: boolean;
  readonly children: Proc[];
  readonly parent: Proc | undefined;
  readonly level: number;
  readonly refusals: { readonly refusal: ReportRefusal; readonly at: number }[];
  readonly text: string;
}

export type Kind = 'read' | 'write' | 'exec' | 'other' | 'refused';
export const kinds: readonly Kind[] = ['read', 'write', 'exec', 'other', 'refused'];

export type Counts = Record<Kind, number>;
export const none = (): Counts => ({ read: 0, write: 0, exec: 0, other: 0, refused: 0 });

/** One row of what happened to a path or an address. */
export interface Deed
  extends Pick<
    ReportAccess,
    'access' | 'program' | 'count' | 'first' | 'last' | 'outcome' | 'errno' | 'rule' | 'probe'
  > {
  readonly kind: Kind;
  readonly refusal?: ReportRefusal;
}

export interface Place {
  readonly path: string;
  readonly text: string;
  readonly deeds: Deed[];
}

export interface Endpoint {
  readonly address: string;
  readonly port: number | undefined;
  readonly text: string;
  readonly deeds: Deed[];
  readonly count: number;
  readonly refused: number;
}

/** Refusals that the same line of a policy would allow; or that are refused for the same reason. */
export interface Group {
  readonly key: string;
  readonly suggestion: ReportRefusal['suggestion'];
  readonly why: string;
  readonly refusals: ReportRefusal[];
  count: number;
  probe: boolean;
  text: string;
}

export interface Model {
  readonly report: Report;
  readonly processes: Proc[];
  readonly roots: Proc[];
  /** By the number of their processes. */
  readonly programs: { readonly path: string; readonly count: number }[];
  readonly places: Place[];
  readonly endpoints: Endpoint[];
  readonly groups: Group[];
  readonly refused: number;
  /** What was let by, and would be refused otherwise. */
  readonly letBy: number;
  readonly span: number;
}

function processesOf(report: Report): Proc[] {
  const list: Proc[] = [];
  for (const data of report.processes) {
    const last = data.execs.at(-1);
    const program = last?.executable ?? data.executable;
    const parent = data.parent === null ? undefined : list[data.parent];
    const rest = last === undefined ? '' : last.argv.slice(1).join(' ');
    const process: Proc = {
      data,
      program,
      title: basename(program) || `process ${data.pid}`,
      rest: rest.length > 300 ? `${rest.slice(0, 300)}…` : rest,
      end: data.end ?? report.duration,
      failed: data.signal !== null || (data.code !== null && data.code !== 0),
      children: [],
      parent,
      level: (parent?.level ?? 0) + 1,
      refusals: [],
      text: [data.pid, program, ...data.execs.flatMap(({ executable, argv }) => [executable, ...argv])]
        .join('\n')
        .toLowerCase(),
    };
    list.push(process);
    parent?.children.push(process);
  }
  return list;
}

const kindOf = (access: string): Kind =>
  access === 'read' || access === 'write' || access === 'exec' ? access : 'other';

const deedOfAccess = (access: ReportAccess): Deed => ({
  ...access,
  kind: access.outcome === 'refused' ? 'refused' : access.outcome === 'failed' ? 'other' : kindOf(access.access),
});

const deedOfRefusal = (refusal: ReportRefusal): Deed => ({
  kind: 'refused',
  access: refusal.access ?? refusal.syscall,
  program: refusal.program,
  count: refusal.count,
  first: refusal.first,
  last: refusal.last,
  outcome: 'refused',
  probe: refusal.probe,
  refusal,
  ...(refusal.errno !== undefined && { errno: refusal.errno }),
  ...(refusal.rule !== undefined && { rule: refusal.rule }),
});

const endpointName = (address: string, port: number | undefined) =>
  port === undefined ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

function gather(report: Report): { places: Place[]; endpoints: Endpoint[] } {
  const places = new Map<string, Deed[]>();
  const endpoints = new Map<string, { address: string; port: number | undefined; deeds: Deed[] }>();
  const add = (what: { path?: string; address?: string; port?: number }, deed: Deed) => {
    if (what.path !== undefined) {
      const deeds = places.get(what.path);
      if (deeds === undefined) places.set(what.path, [deed]);
      else deeds.push(deed);
    } else if (what.address !== undefined) {
      const key = endpointName(what.address, what.port);
      const found = endpoints.get(key);
      if (found === undefined) endpoints.set(key, { address: what.address, port: what.port, deeds: [deed] });
      else found.deeds.push(deed);
    }
  };
  // What was refused is known better by the refusals themselves.
  for (const access of report.accesses ?? []) if (access.outcome !== 'refused') add(access, deedOfAccess(access));
  for (const refusal of report.refusals) add(refusal, deedOfRefusal(refusal));
  const programs = (deeds: Deed[]) => deeds.map((deed) => deed.program).join('\n');
  return {
    places: [...places].map(([path, deeds]) => ({ path, deeds, text: `${path}\n${programs(deeds)}`.toLowerCase() })),
    endpoints: [...endpoints]
      .map(([key, { address, port, deeds }]) => ({
        address,
        port,
        deeds,
        text: `${key}\n${programs(deeds)}\n${deeds.map(({ access }) => access).join('\n')}`.toLowerCase(),
        count: deeds.reduce((sum, deed) => sum + deed.count, 0),
        refused: deeds.reduce((sum, deed) => sum + (deed.outcome === 'refused' ? deed.count : 0), 0),
      }))
      .sort((a, b) => b.refused - a.refused || b.count - a.count),
  };
}

export const whyOf = ({ rule, reason, access, syscall, errno }: ReportRefusal) =>
  rule ?? reason ?? (access === undefined ? `${syscall}: ${errno ?? 'refused'}` : `nothing allows ${access}`);

function groupsOf(report: Report): Group[] {
  const groups = new Map<string, Group>();
  for (const refusal of report.refusals) {
    const { suggestion, count, probe } = refusal;
    const why = whyOf(refusal);
    const key = suggestion === undefined ? `why ${why}` : `${suggestion.field} ${suggestion.value}`;
    let group = groups.get(key);
    if (group === undefined) {
      group = { key, suggestion, why, refusals: [], count: 0, probe: true, text: `${key}\n${why}`.toLowerCase() };
      groups.set(key, group);
    }
    group.refusals.push(refusal);
    group.count += count;
    if (!probe) group.probe = false;
  }
  for (const group of groups.values())
    group.text +=
      `\n${group.refusals.map((refusal) => `${refusal.message}\n${refusal.program}`).join('\n')}`.toLowerCase();
  const order = (group: Group) => (group.probe ? 2 : group.suggestion === undefined ? 0 : 1);
  return [...groups.values()].sort((a, b) => order(a) - order(b) || b.count - a.count);
}

export function modelOf(report: Report): Model {
  const processes = processesOf(report);
  for (const refusal of report.refusals)
    for (const { id, first } of refusal.processes) processes[id]?.refusals.push({ refusal, at: first });
  const counts = new Map<string, number>();
  for (const { program } of processes) counts.set(program, (counts.get(program) ?? 0) + 1);
  return {
    report,
    processes,
    roots: processes.filter(({ parent }) => parent === undefined),
    programs: [...counts].map(([path, count]) => ({ path, count })).sort((a, b) => b.count - a.count),
    ...gather(report),
    groups: groupsOf(report),
    refused: report.refusals.reduce((sum, { count, dry }) => sum + (dry ? 0 : count), 0),
    letBy: report.refusals.reduce((sum, { count, dry }) => sum + (dry ? count : 0), 0),
    span: Math.max(report.duration, 0.001),
  };
}

export interface Folder {
  readonly name: string;
  readonly path: string;
  readonly children: Map<string, Folder>;
  place: Place | undefined;
  readonly counts: Counts;
  /** How many places lie in it, itself among them. */
  size: number;
}

const folder = (name: string, path: string): Folder => ({
  name,
  path,
  children: new Map(),
  place: undefined,
  counts: none(),
  size: 0,
});

/** What is chosen of the places, as folders: those that hold one folder only stand in one row with it. */
export function foldersOf(places: Iterable<readonly [Place, readonly Deed[]]>): Folder {
  const root = folder('', '');
  for (const [place, deeds] of places) {
    let at = root;
    const way = [root];
    let path = '';
    for (const part of place.path.split('/')) {
      if (part === '') continue;
      path += `/${part}`;
      let next = at.children.get(part);
      if (next === undefined) {
        next = folder(part, path);
        at.children.set(part, next);
      }
      at = next;
      way.push(at);
    }
    at.place = place;
    for (const one of way) {
      one.size++;
      for (const deed of deeds) one.counts[deed.kind] += deed.count;
    }
  }
  return root;
}

/** What a row of it is called: with the folders that hold nothing else. */
export function tail(of: Folder): { name: string; folder: Folder } {
  let name = of.name;
  let at = of;
  while (at.children.size === 1 && at.place === undefined) {
    const [only] = at.children.values();
    if (only === undefined || only.children.size === 0) break;
    at = only;
    name += `/${only.name}`;
  }
  return { name, folder: at };
}

/** A piece of a policy that allows what is suggested, as JSON. */
export function policyOf(suggestions: Iterable<{ field: string; value: string }>): string {
  const policy: Record<string, unknown> = {};
  for (const { field, value } of suggestions) {
    const parts = field.split('.');
    const last = parts.pop() ?? field;
    let at = policy;
    for (const part of parts) {
      if (!Object.hasOwn(at, part)) at[part] = {};
      at = at[part] as Record<string, unknown>;
    }
    if (!Object.hasOwn(at, last)) at[last] = [];
    const list = at[last] as string[];
    if (!list.includes(value)) list.push(value);
  }
  // Pasted somewhere, no name may look like another one. The ends of lines are JSON.stringify's.
  const escaped = (character: string) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join('');
  const lines = JSON.stringify(policy, undefined, 2).split('\n');
  return lines.map((line) => line.replace(hiddens, escaped)).join('\n');
}
