/* What library.c gives. */
#ifndef TESTS_ACCEPTANCE_LIBRARY_H
#define TESTS_ACCEPTANCE_LIBRARY_H

#include <stddef.h>

/* A text of `length` letters of the library's name, to be freed by anyone; frees one. */
char *library_text(size_t length);
void library_take(char *text);

/* How often its handlers of fork were called in this process. */
unsigned library_forks(void);

#endif
