#include "tools/commands.h"
#include "tools/message.h"
int bench_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return fail(EXIT_TOOL, "not yet");
}
