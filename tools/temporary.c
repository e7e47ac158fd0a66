#include "tools/temporary.h"

#include "tools/message.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_LIMIT 80 /* sun_path has 108 bytes, and a name is to follow */

char *temporary_create(void)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || *parent != '/' || strlen(parent) > PATH_LIMIT - sizeof "/weir-XXXXXX")
        parent = "/tmp";
    char *path = must_format("%s/weir-XXXXXX", parent);
    if (mkdtemp(path) != NULL)
        return path;
    say("no temporary directory in %s: %s; set TMPDIR", parent, strerror(errno));
    free(path);
    return NULL;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    remove(path);
    return 0;
}

void temporary_remove(char *path)
{
    if (path == NULL)
        return;
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(path);
}
