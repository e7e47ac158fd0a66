/*
 * What became of a session: in words on stderr, and as the tool's exit code.
 */
#ifndef WEIR_TOOLS_ENDING_H
#define WEIR_TOOLS_ENDING_H

#include "tools/session.h"

/* Says how the session ended if it was not by an ordinary exit; returns the exit code. Its VMM is still there to ask.
 */
int ending_explain(struct session *session);

/* "SIGSEGV" for 11; "signal 77" for what has no name. */
const char *signal_name(char text[static 16], int number);

#endif
