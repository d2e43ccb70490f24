// What presets are put together from. A path is of the command's working directory, `~/` of its user's home, and `$NODE_MODULES`
// stands for each folder that Node looks for packages in, from the working directory up to the home.
import type { FileDenial } from '../policy.ts';
import { secretsOfHome } from '../secrets.ts';

/** Keys, tokens, passwords and histories: refused wherever a policy that starts from a preset gives what lies around them. */
export const secrets: readonly string[] = [
  ...secretsOfHome,
  // Services of the user's that start by themselves.
  '.config/systemd',
].map((name) => `~/${name}`);

/** Of the project itself, wherever in it they lie. */
export const projectSecrets: readonly string[] = [
  './**/.env',
  './**/.env.*',
  './**/{.npmrc,.yarnrc.yml,.pypirc,.netrc}',
];

const unwritten = (paths: readonly string[]): FileDenial[] => paths.map((path) => ({ path, access: ['write'] }));

/** What other programs execute or obey by themselves, later and outside: Git, editors, shells, package managers, agents, CI. */
const obeyed: readonly string[] = [
  ...['.vscode', '.idea', '.zed', '.fleet', '.devcontainer', '.devcontainer.json', '.editorconfig', '.exrc', '.vimrc'],
  ...['.nvim.lua', '.envrc', '.mise.toml', 'mise.toml', '.tool-versions', '.husky', '.lefthook.yml', 'lefthook.yml'],
  ...[
    '.pre-commit-config.yaml',
    '.gitmodules',
    '.npmrc',
    '.yarnrc',
    '.yarnrc.yml',
    '.yarn',
    '.pnpmfile.cjs',
    '.bazelrc',
  ],
  ...['.github', '.gitlab-ci.yml', '.circleci', '.buildkite', '.claude', '.mcp.json', '.cursor', '.codex', '.gemini'],
];

/** Of a folder that is written otherwise. Without a HEAD Git does not take it for a repository itself, with a `config` in it. */
export const laterExecuted: readonly FileDenial[] = unwritten([...obeyed, 'HEAD']);

/** History is read by builds, and written by Git. */
export const versionControl: readonly FileDenial[] = unwritten(['.git', '.hg', '.svn', '.bzr', '.jj']);

/**
 * What of a repository makes Git execute something, or take its configuration from elsewhere: hooks, configuration and
 * `commondir`, its own, its submodules' and its work trees'.
 */
export const gitExecutes: readonly FileDenial[] = unwritten([
  ...['hooks', 'config', 'config.worktree', 'commondir', 'info/attributes'].map((name) => `.git/${name}`),
  './.git/{modules,worktrees}/**/{hooks,config,config.worktree,commondir,gitdir,info}',
]);

export const nodeInstallations: readonly string[] = [
  ...['~/.nvm/versions', '~/.volta/tools', '~/.volta/bin', '~/.local/share/fnm/node-versions', '~/.fnm/node-versions'],
  ...['~/.asdf/installs/nodejs', '~/.local/share/mise/installs/node', '/opt/hostedtoolcache/node'],
];

export const pythonInstallations: readonly string[] = [
  ...['~/.pyenv', '~/.local/share/uv/python', '~/.asdf/installs/python', '~/.local/share/mise/installs/python'],
  ...['/opt/hostedtoolcache/Python', ...Array.from({ length: 15 }, (_, i) => `~/.local/lib/python3.${i + 6}`)],
];

export const compilers: readonly string[] = ['~/.rustup', '~/.cargo/bin'];

/** Servers of the tree's own, on ports that the kernel chooses, and nothing that listens on a port of its own choice. */
const chosen = '32768-60999';
export const ownServers = {
  bind: ['127.0.0.1:0', '[::1]:0', `127.0.0.1:${chosen}`, `[::1]:${chosen}`],
  connect: [`127.0.0.1:${chosen}`, `[::1]:${chosen}`],
};
