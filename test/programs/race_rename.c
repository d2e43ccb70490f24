// Exchanges a file and a folder while the file is renamed to a name with a rule below it: race_rename FOLDER ROUNDS
// FOLDER holds the file `file` and the folder `folder`, with `inner/secret`; `ruled/inner` may be read.
#include <stdio.h>
#include <sys/stat.h>

#include "race.h"

static void exchange(int turn) {
  (void)turn;
  renameat2(AT_FDCWD, "file", AT_FDCWD, "folder", RENAME_EXCHANGE);
}

int main(int argc, char** argv) {
  if (argc != 3 || chdir(argv[1]) != 0) return 2;
  race_init();
  race->flip = exchange;
  char none[8];
  race_start("thread", none, 8, 0, 1);
  while (race_goes_on(atol(argv[2]))) {
    struct stat status;
    race_call_begins();
    const int renamed = rename("file", "ruled") == 0;
    race_call_ends();
    if (!renamed) {
      race_refusals++;
      continue;
    }
    if (stat("ruled", &status) == 0 && S_ISDIR(status.st_mode)) race_escapes++;
    race_approvals++;
    rename("ruled", "file");
  }
  return race_report();
}
