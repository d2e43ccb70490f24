// What no lesson may propose, whoever reads it: keys, tokens, passwords, histories.
import { readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { secretsOfHome } from '../policy/secrets.ts';

/** Of the machine; of a folder all that lies in it. */
export const secretsOfMachine: readonly string[] = [
  '/etc/shadow',
  '/etc/shadow-',
  '/etc/gshadow',
  '/etc/gshadow-',
  '/etc/sudoers',
  '/etc/sudoers.d',
  '/etc/ssl/private',
  '/etc/NetworkManager/system-connections',
  '/etc/krb5.keytab',
  '/var/lib/docker',
  // Whoever may speak to these is root.
  '/run/docker.sock',
  '/run/containerd',
  '/run/podman',
  '/run/systemd/private',
];

/** Wherever they lie. */
export const secretNames: readonly string[] = [
  '.env',
  '.env.local',
  '.env.development',
  '.env.production',
  '.env.staging',
  '.env.test',
  '.env.*.local',
  '.netrc',
  '.pgpass',
  '.git-credentials',
  '.htpasswd',
  'id_rsa',
  'id_dsa',
  'id_ecdsa',
  'id_ed25519',
  'ssh_host_*_key',
  '*.keystore',
  '*.jks',
  '*.p12',
  '*.pfx',
  '*.kdbx',
];

/** Those in a folder that is given, as a pattern for what stands behind its path. */
export const secretsBelow = `/**/{${secretNames.join(',')}}`;

const named = new RegExp(
  `^(?:${secretNames.map((name) => name.replaceAll('.', '\\.').replaceAll('*', '[^/]*')).join('|')})$`,
);
/** A folder by its canonical name, where it is there. */
export function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Those of one folder that are links to elsewhere, as keepers of dotfiles make them. */
function linkedIn(folder: string): string[] {
  try {
    const links = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
    return links.map(({ name }) => canonical(join(folder, name)));
  } catch {
    return []; // No folder, or nothing that a tree of this user's could read.
  }
}

/** All of those that have one place, and where their links lead. */
export function secretPlaces(home = homedir()): string[] {
  const ofHome = secretsOfHome.map((path) => join(canonical(home), path));
  const linked = ofHome.flatMap((path) => [canonical(path), ...linkedIn(path)]);
  // A link to all of a folder that is no secret (the home directory, /etc) would make a secret of everything.
  const kept = linked.filter((path) => !lies(canonical(home), path) && !wholes.test(path));
  return [...new Set([...ofHome, ...kept, ...secretsOfMachine])];
}

/** What a link in a secret place may lead to without that being a secret. */
const wholes = /^\/(?:[^/]*|dev\/.*|proc\/.*|usr\/.*|etc\/(?:ssl|pki|ca-certificates)\/.*)$/;

/** At or below it. */
export const lies = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);

/** Whether a canonical path is one, or lies in one. */
export function isSecret(path: string, places: readonly string[] = secretPlaces()): boolean {
  if (places.some((place) => lies(path, place))) return true;
  return path.split('/').some((name) => named.test(name));
}
