import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const parts = Array.from({ length: 8 }, (_, i) => i);

const makefile = `
CC = gcc
CFLAGS = -O1 -Wall -Iinclude -Igen
OBJECTS = $(patsubst src/%.c,build/%.o,$(wildcard src/*.c)) build/table.o

all: build/program build/libparts.a build/libparts.so

build/program: $(OBJECTS)
	$(CC) -o $@ $^
build/libparts.a: $(OBJECTS)
	ar Drcs $@ $^
build/libparts.so: $(patsubst build/%.o,build/%.pic.o,$(filter-out build/main.o,$(OBJECTS)))
	$(CC) -shared -Wl,--build-id=none -o $@ $^
build/%.o: src/%.c gen/table.h | build
	$(CC) $(CFLAGS) -MMD -c -o $@ $<
build/%.pic.o: src/%.c gen/table.h | build
	$(CC) $(CFLAGS) -fPIC -c -o $@ $<
build/table.o build/table.pic.o: gen/table.c | build
	$(CC) $(CFLAGS) -fPIC -c -o $@ $<
gen/table.h gen/table.c &: generate.sh
	mkdir -p gen
	sh generate.sh gen
build:
	mkdir -p $@
check: all
	./build/program; echo "exit $$?"
broken:
	@echo 'int main(void) { return undefined_name; }' | $(CC) -x c -o build/broken -
-include $(wildcard build/*.d)
`;

function project(folder: string): void {
  for (const inner of ['src', 'include']) mkdirSync(join(folder, inner));
  writeFileSync(join(folder, 'Makefile'), makefile);
  writeFileSync(
    join(folder, 'generate.sh'),
    `{ echo '#define COUNT ${parts.length}'; echo 'extern const int squares[COUNT];'; } > $1/table.h
{ echo '#include "table.h"'; printf 'const int squares[COUNT] = {'; for i in $(seq 0 ${parts.length - 1}); do printf '%d,' $((i * i)); done; echo '};'; } > $1/table.c\n`,
  );
  writeFileSync(
    join(folder, 'include/parts.h'),
    `#include "table.h"\n${parts.map((i) => `int part${i}(int);`).join('\n')}\n`,
  );
  for (const i of parts) {
    writeFileSync(
      join(folder, `src/part${i}.c`),
      `#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include "parts.h"\nint part${i}(int x) { return x + squares[${i}] + ${i === 0 ? 'x' : `part${i - 1}(x)`}; }\n`,
    );
  }
  writeFileSync(
    join(folder, 'src/main.c'),
    `#include <stdio.h>\n#include "parts.h"\nint main(void) { printf("%d\\n", part${parts.length - 1}(1)); return 5; }\n`,
  );
}

test('make -j2 of a C project with generated sources', { timeout: patient(240_000) }, async () => {
  const { bare, opens } = await compare({
    prepare: project,
    script: `
      make -j2 -s 2>&1 && make -s check; make -j2 -s && echo "nothing to do"; ls build | wc -l
      sleep 0.02; touch src/part3.c; make -j2 2>&1 | grep -c part3; make -s broken > errors 2>&1; echo "exit $?"; grep -c undefined_name errors
      make -n clean 2>&1 | sed 's/.*No rule/No rule/'; nm build/libparts.a | grep -c ' T '; ldd build/program | wc -l; strip -s -o small build/program && ./small`,
    code: 5,
    volatile: /^errors$/, // names a temporary object file
  });
  expect(bare.stdout).toContain('exit 5');
  expect(opens).toBeGreaterThan(500);
});
