#include <stdio.h>

int main(void) {
  int sum = 0;
  for (int i = 1; i <= 6; i++) sum += 2 * i;
  printf("%d\n", sum);
  return 0;
}
