/* The smallest program: what it was given, and back. Runs in a guest of 8 MiB. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("hello from %s\n", argc > 0 ? argv[0] : "nowhere");
    for (int i = 1; i < argc; i++)
        printf("argument %d: %s\n", i, argv[i]);
    const char *greeting = getenv("GREETING");
    if (greeting != NULL)
        printf("GREETING is %s\n", greeting);
    return 0;
}
