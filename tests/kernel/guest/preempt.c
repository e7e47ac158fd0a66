/* Threads that never enter the kernel share the CPU with others, and keep their registers. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static _Atomic(int) stop;
static _Atomic(int) broken;

/* Integer registers, SSE and flags change in ways that a lost register would show. */
static void *spin(void *argument)
{
    unsigned long id = (unsigned long)argument, a = id, b = id * 3, rounds = 0;
    double x = (double)id, y = 1.0 / (double)(id + 1);
    while (!stop) {
        for (int i = 0; i < 1000; i++) {
            a = a * 6364136223846793005ul + 1442695040888963407ul;
            b = b * 6364136223846793005ul + 1442695040888963407ul * 3;
            x += y;
            x -= y;
        }
        rounds++;
        if (b != a * 3 || x < (double)id - 0.001 || x > (double)id + 0.001)
            broken++;
    }
    return (void *)rounds;
}

int main(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, spin, (void *)(i + 1)) != 0)
            return 1;
    for (int i = 0; i < 20; i++)
        usleep(5000);
    stop = 1;
    for (int i = 0; i < 4; i++) {
        void *rounds;
        pthread_join(threads[i], &rounds);
        if (rounds == NULL) {
            printf("thread %d never ran\n", i);
            return 1;
        }
    }
    if (broken) {
        printf("registers were lost\n");
        return 1;
    }
    printf("preempt\n");
    return 0;
}
