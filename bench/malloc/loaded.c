/* loaded: prints the file that malloc comes from, and fails if free comes from another. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static const char *origin(const char *name)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, name);
    return symbol && dladdr(symbol, &info) ? info.dli_fname : "nowhere";
}

int main(void)
{
    const char *const allocates = origin("malloc"), *const frees = origin("free");
    puts(allocates);
    if (allocates != frees)
        fprintf(stderr, "malloc comes from %s but free from %s\n", allocates, frees);
    return allocates != frees;
}
