// Flips what a child is about to execute: race_exec MODE WHAT ROUNDS FOLDER OTHER
//   path      a letter of the program's path, FOLDER/program or OTHER/program (they differ in their last letter)
//   argument  a letter of its first argument: good or goof
// The program is this one: it exits with 10 from FOLDER and with 20 from OTHER; with 10 for `good` and with 20 for
// `goof`.
#include "race.h"

static int child(const char* self, const char* argument) {
  if (strcmp(argument, "good") != 0) return 20;
  const char* end = strrchr(self, '/');
  return end != NULL && end > self && end[-1] == 'B' ? 20 : 10;
}

int main(int argc, char** argv) {
  if (argc == 2) {
    char self[4096] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) die("/proc/self/exe");
    return child(self, argv[1]);
  }
  if (argc != 6) return 2;
  const long rounds = atol(argv[3]);
  const size_t letter = strlen(argv[4]) - 1;
  race_init();
  char *path = race_memory(4096), *argument = race_memory(4096);
  snprintf(path, 4096, "%s/program", argv[4]);
  strcpy(argument, "good");
  if (strcmp(argv[2], "path") == 0)
    race_start(argv[1], path + letter, 1, (uint8_t)argv[4][letter], (uint8_t)argv[5][letter]);
  else
    race_start(argv[1], argument + 3, 1, 'd', 'f');
  while (race_goes_on(rounds)) {
    int status;
    char *arguments[] = {"program", argument, NULL}, *environment[] = {NULL};
    race_call_begins();
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
      execve(path, arguments, environment);
      _exit(30);
    }
    if (waitpid(pid, &status, 0) != pid) die("waitpid");
    race_call_ends();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 10)
      race_approvals++;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 20)
      race_escapes++;
    else
      race_refusals++;
  }
  return race_report();
}
