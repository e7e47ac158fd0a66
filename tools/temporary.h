/*
 * A directory of the tool's own under $TMPDIR or /tmp, for sockets and for what is built on the way.
 */
#ifndef WEIR_TOOLS_TEMPORARY_H
#define WEIR_TOOLS_TEMPORARY_H

/* Its path, for temporary_remove(); null after a line that says why not. Short enough for a socket's name. */
char *temporary_create(void);

/* Removes the directory with all that is in it, and frees the path. Null is fine. */
void temporary_remove(char *path);

#endif
