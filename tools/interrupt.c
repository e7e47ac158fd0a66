#include "tools/interrupt.h"

#include "tools/message.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void signals_of_interest(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
}

int interrupts_open(struct interrupts *interrupts)
{
    sigset_t set;
    signals_of_interest(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    interrupts->caught = 0;
    interrupts->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (interrupts->fd < 0)
        return fail(EXIT_TOOL, "no descriptor for signals: %s", strerror(errno));
    return 0;
}

int interrupts_check(struct interrupts *interrupts)
{
    struct signalfd_siginfo info;
    while (read(interrupts->fd, &info, sizeof info) == sizeof info)
        if (interrupts->caught == 0)
            interrupts->caught = (int)info.ssi_signo;
    return interrupts->caught;
}

void interrupts_reset(void)
{
    sigset_t set;
    signals_of_interest(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGPIPE, SIG_DFL);
}

void interrupts_close(struct interrupts *interrupts)
{
    interrupts_check(interrupts);
    close(interrupts->fd);
    interrupts_reset();
    if (interrupts->caught != 0) {
        signal(interrupts->caught, SIG_DFL);
        raise(interrupts->caught);
    }
}
