/*
 * A library that is loaded many times, in copies of different names: it allocates in its constructor, in its calls, in
 * its threads' destructors and in its own, has thread-local storage, and handlers of fork that allocate.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/acceptance/library.h"

static _Thread_local struct {
    char *text;
    char room[24];
} mine;

static char *name;
static pthread_key_t key;
static unsigned handled;

__attribute__((visibility("default"))) char *library_text(size_t length)
{
    if (!mine.text) {
        mine.text = malloc(64);
        strcpy(mine.text, name);
        pthread_setspecific(key, &mine.text);
    }
    char *text = calloc(1, length + 1);
    if (text)
        memset(text, mine.text[0], length);
    return text;
}

__attribute__((visibility("default"))) void library_take(char *text)
{
    free(text);
}

__attribute__((visibility("default"))) unsigned library_forks(void)
{
    return handled;
}

static void forget(void *text)
{
    free(*(char **)text);
    *(char **)text = malloc(40);
    free(*(char **)text);
    *(char **)text = NULL;
}

/* Enough to leave every fast path. */
static void allocate_much(void)
{
    void *objects[300];
    for (size_t i = 0; i < 300; i++)
        objects[i] = malloc(i % 3 ? i * 40 : 50000);
    for (size_t i = 0; i < 300; i++)
        free(objects[i]);
    handled++;
}

__attribute__((constructor)) static void construct(void)
{
    name = strdup("library");
    pthread_key_create(&key, forget);
    pthread_atfork(allocate_much, allocate_much, allocate_much);
}

__attribute__((destructor)) static void destroy(void)
{
    if (mine.text)
        forget(&mine.text);
    pthread_key_delete(key);
    free(name);
}
