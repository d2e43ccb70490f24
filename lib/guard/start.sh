#!/usr/bin/env /bin/sh
":" /*; # Read by sh up to exec, and by Node as a comment. It may have the folders of a hostile package first in PATH, so it
# starts nothing by name: Node is the package manager's own, or one that no package has brought.
set -f
# npm sets NODE_OPTIONS by `node-options` of an .npmrc, a git dependency's, too; the guard loads nothing that others name.
# What is taken away here, lib/guard/main.ts gives back to whom it starts.
for name in NODE_OPTIONS NODE_PATH NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_PRESERVE_SYMLINKS NODE_PRESERVE_SYMLINKS_MAIN; do
  eval "given=\${$name-}"
  unset "$name" "HOLDFAST_GUARD_GIVEN_$name"
  if [ -n "$given" ]; then export "HOLDFAST_GUARD_GIVEN_$name=$given"; fi
done
node=${npm_node_execpath-}
case "$node" in /*[/]node|/*[/]nodejs) ;; *) node= ;; esac
if [ -z "$node" ]; then
  IFS=:
  for folder in $PATH; do
    case "$folder" in *node_modules*|[!/]*|'') continue ;; esac
    if [ -x "$folder/node" ]; then node=$folder/node; break; fi
  done
  unset IFS
fi
if [ -z "$node" ]; then
  echo 'holdfast-guard: no Node in PATH but in folders of node_modules, where any package could have put one' >&2
  exit 125
fi
exec "$node" "$0" "$@"
*/;
// Includes commander: MIT License, Copyright (c) 2011 TJ Holowaychuk,
// picocolors: ISC License, Copyright (c) 2021-2024 Oleksii Raspopov, Kostiantyn Denysov, Anton Verinov,
// and valibot: MIT License, Copyright (c) Fabian Hiller.
