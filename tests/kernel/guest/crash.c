/* Goes wrong in the way that the argument names. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile int zero;

__attribute__((noinline)) static int overflow(volatile char *above)
{
    volatile char here[512];
    here[0] = above ? above[0] : 0;
    return overflow(here) + here[0];
}

static void *overflow_thread(void *argument)
{
    (void)argument;
    return (void *)(long)overflow(NULL);
}

__attribute__((noinline)) static void write_to(volatile char *p)
{
    *p = 1;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    static char data[16] = {(char)0xc3};
    printf("going to %s\n", how);
    if (strcmp(how, "null") == 0)
        write_to(NULL);
    else if (strcmp(how, "text") == 0)
        write_to((volatile char *)(void *)main);
    else if (strcmp(how, "constant") == 0)
        write_to((volatile char *)"constant");
    else if (strcmp(how, "data") == 0)
        ((void (*)(void))(void *)data)();
    else if (strcmp(how, "heap") == 0)
        ((void (*)(void))memset(malloc(16), 0xc3, 16))();
    else if (strcmp(how, "kernel") == 0)
        write_to((volatile char *)0x200000);
    else if (strcmp(how, "wild") == 0)
        write_to((volatile char *)0x123456789000);
    else if (strcmp(how, "tables") == 0)
        write_to((volatile char *)0x7f8000000000);
    else if (strcmp(how, "guard") == 0)
        write_to(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    else if (strcmp(how, "born") == 0) { /* a guard that came with its mapping, as under a thread's stack */
        char *stack = mmap(NULL, 16 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(stack + 2 * 4096, 12 * 4096, PROT_READ | PROT_WRITE);
        memset(stack + 2 * 4096, 1, 12 * 4096);
        if (argc > 2)
            write_to(stack + 14 * 4096);
        write_to(stack + 2 * 4096 - 1);
    } else if (strcmp(how, "overflow") == 0)
        return overflow(NULL);
    else if (strcmp(how, "thread") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, overflow_thread, NULL);
        pthread_join(thread, NULL);
    } else if (strcmp(how, "divide") == 0)
        return 100 / zero;
    else if (strcmp(how, "illegal") == 0)
        __asm__ volatile("ud2");
    else if (strcmp(how, "privileged") == 0)
        __asm__ volatile("hlt");
    else if (strcmp(how, "trap") == 0)
        __asm__ volatile("int3");
    else if (strcmp(how, "abort") == 0)
        abort();
    else if (strcmp(how, "raise") == 0)
        raise(SIGTERM);
    return 3;
}
