#include "tools/ending.h"

#include "tools/message.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *signal_name(char text[static 16], int number)
{
    const char *name = sigabbrev_np(number);
    if (name != NULL)
        snprintf(text, 16, "SIG%s", name);
    else
        snprintf(text, 16, "signal %d", number);
    return text;
}

static void quote_vmm(struct session *session)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s: ", session->machine.vmm->name);
    quote_output(prefix, session->errors);
    char *words = session->vmm->class->last_words(session->vmm);
    if (words != NULL)
        quote_output(prefix, words);
    free(words);
}

static int explain_gone(struct session *session)
{
    const char *name = session->machine.vmm->name;
    const int code = process_exit_code(session->vmm_status);
    const bool reached = session->main_time > 0;
    const bool reset = session->vmm->reset || code == 0;
    quote_vmm(session);
    if (reset && !reached)
        return fail(EXIT_TOOL,
                    "the guest reset its machine before it reached main: too little --memory, or a fault at boot");
    if (reset)
        return fail(EXIT_TOOL, "the guest reset its machine (a triple fault) and said no exit code");
    if (!session->vmm->ready || !reached)
        return fail(
            EXIT_TOOL,
            "%s ended (exit %d) before the guest reached main: its words are above, its arguments behind --verbose",
            name, code);
    return fail(EXIT_TOOL, "%s ended (exit %d) before the guest said its exit code", name, code);
}

int ending_explain(struct session *session)
{
    char text[16];
    if (session->machine.verbose && session->end != END_GONE && session->end != END_STOPPED)
        quote_vmm(session);
    switch (session->end) {
    case END_EXIT:
        if (session->guest_exit > EXIT_SIGNAL && session->guest_exit < EXIT_SIGNAL + 65)
            say("the program ended with %s (exit %d)", signal_name(text, session->guest_exit - EXIT_SIGNAL),
                session->guest_exit);
        return session->guest_exit;
    case END_TIMEOUT:
        return fail(EXIT_TIMEOUT, "the guest did not end within %g s (--timeout) and was killed", session->timeout);
    case END_INTERRUPTED:
        return EXIT_SIGNAL + session->interrupts->caught;
    case END_CLOSED:
        return EXIT_SIGNAL + SIGPIPE;
    case END_STOPPED:
        quote_vmm(session);
        return fail(EXIT_TOOL, "%s stopped the guest: KVM could not go on with it; --accel=tcg emulates",
                    session->machine.vmm->name);
    case END_GONE:
        return explain_gone(session);
    case END_NO_START:
    case END_NONE:
        break;
    }
    return EXIT_TOOL;
}
