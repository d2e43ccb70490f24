// A supervisor that decides nothing: every call that it is asked about goes on as the tree has made it. For tests of what
// holds without it; it is linked here from the objects of the real one and lies in no package.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

// By the linker's --wrap: what the engine calls instead of the functions of these names (Itanium C++ ABI).
const dispatch = '_ZN8holdfast8dispatchERNS_7SandboxERNS_4HeldE';
const decide = '_ZN8holdfast6decideERNS_7SandboxERKNS_4HeldERKNS_5FactsE';
const mayExecute = '_ZNK8holdfast11Confinement11may_executeESt17basic_string_viewIcSt11char_traitsIcEEmm';

const source = `
#include "${root}native/call/finish.h"
#include "${root}native/call/held.h"
#include "${root}native/launch/landlock.h"
#include "${root}native/policy/decide.h"
using namespace holdfast;
extern "C" Finish __real_${dispatch}(Sandbox& sandbox, Held& call);
// An exec needs its approval, to be verified by; a call that is never allowed stays so.
extern "C" Finish __wrap_${dispatch}(Sandbox& sandbox, Held& call) {
  if (call.row->way == Way::verify || call.row->way == Way::refuse) return __real_${dispatch}(sandbox, call);
  return Finish::proceed();
}
extern "C" Decision __wrap_${decide}(Sandbox&, const Held&, const Facts&) {
  Decision out;
  out.kind = Decision::Kind::allow;
  return out;
}
extern "C" bool __wrap_${mayExecute}(const Confinement*, std::string_view, dev_t, ino_t) { return true; }
`;

// Of the sources that are there now: a build folder keeps the objects of those that were moved.
function objectsIn(folder: string, sources: string): string[] {
  return readdirSync(sources, { withFileTypes: true }).flatMap(({ name }) => {
    const object = join(folder, name.replace(/\.cc$/, '.o'));
    if (!name.includes('.') && existsSync(object)) return objectsIn(object, join(sources, name));
    return name.endsWith('.cc') && existsSync(object) ? [object] : [];
  });
}

/** Links it, and says where it is. */
export function openSupervisor(): string {
  const objects = ['Release', 'Debug']
    .map((configuration) => join(root, 'build', configuration, 'obj.target/holdfast-supervisor'))
    .find((folder) => existsSync(folder));
  if (objects === undefined) throw new Error('no build of the supervisor is there: npm run build:native');
  const folder = join(root, 'build/test-programs');
  mkdirSync(folder, { recursive: true });
  const target = join(folder, 'open-supervisor');
  const partial = `${target}.${process.pid}`;
  writeFileSync(`${partial}.cc`, source);
  const flags = [
    '-std=c++20',
    '-O1',
    '-D_GNU_SOURCE',
    '-fno-exceptions',
    '-fno-rtti',
    '-fPIE',
    '-static-pie',
    '-pthread',
  ];
  const wrapped = [dispatch, decide, mayExecute].map((name) => `-Wl,--wrap=${name}`);
  execFileSync(
    'g++',
    [...flags, ...wrapped, '-o', partial, `${partial}.cc`, ...objectsIn(join(objects, 'native'), join(root, 'native'))],
    {
      stdio: 'inherit',
    },
  );
  renameSync(partial, target);
  return target;
}
