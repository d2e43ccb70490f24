// What of the package manager's environment a guarded script is given: what is on this list, and no more. A list of what must
// not be passed on would always lack the next token's name.

/** By their whole names: who and where one is, how text is shown, and what compilers and build tools are told by. */
const passed: ReadonlySet<string> = new Set([
  ...[
    'PATH',
    'HOME',
    'USER',
    'LOGNAME',
    'SHELL',
    'PWD',
    'LANG',
    'LANGUAGE',
    'TZ',
    'TERM',
    'COLORTERM',
    'COLUMNS',
    'LINES',
  ],
  ...['NO_COLOR', 'FORCE_COLOR', 'CLICOLOR', 'CLICOLOR_FORCE', 'CI', 'CONTINUOUS_INTEGRATION'],
  ...[
    'NODE',
    'NODE_ENV',
    'NODE_OPTIONS',
    'NODE_PATH',
    'INIT_CWD',
    'PNPM_SCRIPT_SRC_DIR',
    'PROJECT_CWD',
    'BERRY_BIN_FOLDER',
  ],
  ...['npm_command', 'npm_execpath', 'npm_node_execpath'],
  ...['AR', 'AS', 'CC', 'CPP', 'CXX', 'LD', 'LINK', 'NM', 'RANLIB', 'STRIP', 'RUSTC', 'RUSTFLAGS'],
  ...[
    'ARFLAGS',
    'CFLAGS',
    'CPPFLAGS',
    'CXXFLAGS',
    'LDFLAGS',
    'CPATH',
    'C_INCLUDE_PATH',
    'CPLUS_INCLUDE_PATH',
    'LIBRARY_PATH',
  ],
  ...['LD_LIBRARY_PATH', 'MAKE', 'MAKEFLAGS', 'JOBS', 'PKG_CONFIG', 'PKG_CONFIG_PATH', 'PKG_CONFIG_LIBDIR', 'PYTHON'],
  ...['GYP_DEFINES', 'CMAKE_BUILD_PARALLEL_LEVEL', 'SOURCE_DATE_EPOCH'],
]);

/** `npm_package_…` is what the package says of itself, and what the user has set for it (`npm config set name:key`). */
const families = /^(?:LC_[A-Z]+|npm_(?:package|lifecycle)_\w+|npm_config_[a-z0-9_]+)$/;

/** Names of settings that may hold a secret or say where one lies. Not `package_lock` and its like: whole words are meant. */
const secret =
  /(?:^|_)(?:auth|auths|authtoken|token|tokens|secret|secrets|password|passwd|pass|credential|credentials|otp|key|keyfile|cert|certfile|apikey|username|email|userconfig|globalconfig|proxy|https_proxy|http_proxy)(?:_|$)/i;

/** Of NODE_OPTIONS: what each Node of the script would have to load from somewhere else (debuggers do so), and could not start without. */
const loads = /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader|--env-file)\b/;

/** An address that has a name and a password in it: `https://me:secret@registry.example/`. */
const withPassword = /:\/\/[^/?#\s]*@/;

const isPassed = (name: string) =>
  passed.has(name) || (families.test(name) && !secret.test(name.replace(/^npm_(config|package|lifecycle)_/, '')));

/**
 * The environment of a guarded script.
 * @param more Names that the project's settings pass on besides.
 */
export function scriptEnvironment(
  given: NodeJS.ProcessEnv,
  more: readonly string[],
  own: Readonly<Record<string, string>>,
): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (
      more.includes(name) ||
      (isPassed(name) && !withPassword.test(value) && !(name === 'NODE_OPTIONS' && loads.test(value)))
    )
      env[name] = value;
  }
  return { ...env, ...own };
}
