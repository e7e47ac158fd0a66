/*
 * QEMU: microvm with a balloon on virtio-mmio, or q35 with one on PCI; the serial port on stdin and stdout; QMP on a
 * socket pair that QEMU inherits, so that there is no path to agree on and no moment to wait for.
 */
#include "tools/message.h"
#include "tools/qmp.h"
#include "tools/quantity.h"
#include "tools/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct qemu {
    struct vmm vmm; /* first: the two are cast into each other */
    struct qmp qmp;
    bool verbose;
};

static struct qemu *of(struct vmm *vmm)
{
    return (struct qemu *)vmm;
}

static void greeted(void *context, json_t *version)
{
    struct qemu *qemu = context;
    int major = 0;
    int minor = 0;
    int micro = 0;
    json_unpack(version, "{s:{s:i, s:i, s:i}}", "qemu", "major", &major, "minor", &minor, "micro", &micro);
    snprintf(qemu->vmm.version, sizeof qemu->vmm.version, "%d.%d.%d", major, minor, micro);
    qemu->vmm.ready = true;
    qmp_send(&qemu->qmp, "qmp_capabilities", NULL);
}

static void guest_keeps(struct qemu *qemu, json_t *actual)
{
    const json_int_t bytes = json_integer_value(actual);
    if (json_is_integer(actual) && bytes >= 0 && (uint64_t)bytes <= qemu->vmm.memory)
        qemu->vmm.balloon = qemu->vmm.memory - (uint64_t)bytes;
}

static void answered(void *context, const char *name, json_t *value, const char *error)
{
    struct qemu *qemu = context;
    if (strcmp(name, "query-balloon") == 0)
        guest_keeps(qemu, json_object_get(value, "actual"));
    if (strcmp(name, "balloon") == 0 && error != NULL)
        say("QEMU refuses to set the balloon: %s", error);
}

static void happened(void *context, const char *name, json_t *data)
{
    struct qemu *qemu = context;
    if (strcmp(name, "BALLOON_CHANGE") == 0)
        guest_keeps(qemu, json_object_get(data, "actual"));
    /* Nobody else stops the machine: KVM gave up on the guest ("KVM internal error", and its registers on stderr). */
    if (strcmp(name, "STOP") == 0)
        qemu->vmm.broken = true;
    if (strcmp(name, "SHUTDOWN") == 0)
        qemu->vmm.reset = json_is_true(json_object_get(data, "guest"));
    if (qemu->verbose)
        say("QEMU: event %s", name);
}

/* q35's usual firmware runs in ring 0 for half a second, and for 8 s on KVM without hardware virtualization, which
 * interprets ring 0. QEMU's small one takes 0.1 s; the kernel then places the PCI function itself. */
#define SMALL_FIRMWARE "/usr/share/qemu/qboot.rom"

static void build_arguments(struct words *words, const struct machine *machine, const char *path, enum accel accel,
                            int control)
{
    const bool microvm = machine->model == MACHINE_MICROVM;
    words_add(words, path);
    words_add(words, "-M");
    words_add(words, microvm ? "microvm,acpi=on,auto-kernel-cmdline=off" : "q35");
    if (!microvm && access(SMALL_FIRMWARE, R_OK) == 0)
        words_add_split(words, "-bios " SMALL_FIRMWARE);
    words_add(words, "-accel");
    words_add(words, accel == ACCEL_KVM ? "kvm" : "tcg");
    /* With the host's own capabilities MSR QEMU gives up on KVM without hardware virtualization. */
    words_add(words, "-cpu");
    words_add(words, accel == ACCEL_KVM ? "max,-arch-capabilities" : "max");
    words_add(words, "-m");
    words_addf(words, "%lluk", (unsigned long long)(machine->memory >> 10));
    words_add(words, "-smp");
    words_addf(words, "%u", machine->cpus);
    words_add_split(words, "-nodefaults -no-user-config -display none -no-reboot");
    words_add_split(words, "-chardev stdio,id=console,signal=off -serial chardev:console");
    words_addf(words, "-chardev");
    words_addf(words, "socket,id=qmp,fd=%d", control);
    words_add_split(words, "-mon chardev=qmp,mode=control");
    words_add_split(words, "-device isa-debug-exit,iobase=0xf4,iosize=4");
    words_add_split(words, "-global virtio-mmio.force-legacy=false");
    words_add(words, "-device");
    words_addf(words, "%s,id=balloon,free-page-reporting=on,deflate-on-oom=on",
               microvm ? "virtio-balloon-device" : "virtio-balloon-pci");
    words_add(words, "-kernel");
    words_add(words, machine->image);
    words_add(words, "-append");
    words_add(words, machine->command_line);
}

static int qemu_start(struct vmm **vmm, const struct machine *machine, const char *path, enum accel accel)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(EXIT_TOOL, "no socket for QMP: %s", strerror(errno));
    struct qemu *qemu = must_alloc(sizeof *qemu);
    qemu->vmm = (struct vmm){.class = &qemu_class, .memory = machine->memory};
    qemu->qmp.fd = ends[0];
    qemu->qmp.sink = (struct qmp_sink){greeted, answered, happened, qemu};
    qemu->verbose = machine->verbose;

    struct words words = {0};
    build_arguments(&words, machine, path, accel, ends[1]);
    if (machine->verbose)
        say_words(&words);
    const int error = process_start(&qemu->vmm.process, &words, PIPE_INPUT | PIPE_OUTPUT | PIPE_ERRORS, ends[1]);
    words_free(&words);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        free(qemu);
        return fail(EXIT_CANNOT_RUN, "%s does not start: %s", path, strerror(error));
    }
    *vmm = &qemu->vmm;
    return 0;
}

static struct pollfd qemu_watch(struct vmm *vmm)
{
    return (struct pollfd){.fd = of(vmm)->qmp.fd, .events = POLLIN};
}

static int qemu_patience(struct vmm *vmm)
{
    (void)vmm;
    return -1;
}

static void qemu_attend(struct vmm *vmm)
{
    qmp_receive(&of(vmm)->qmp);
}

static void qemu_inflate(struct vmm *vmm, uint64_t bytes)
{
    /* QEMU wants the bytes that stay with the guest, and more than none: one page, and the guest stops where it must.
     */
    const uint64_t keep = bytes >= vmm->memory ? 4096 : vmm->memory - bytes;
    qmp_send(&of(vmm)->qmp, "balloon", json_pack("{s:I}", "value", (json_int_t)keep));
}

static void qemu_ask_balloon(struct vmm *vmm)
{
    qmp_send(&of(vmm)->qmp, "query-balloon", NULL);
}

static char *qemu_last_words(struct vmm *vmm)
{
    (void)vmm;
    return NULL;
}

static void qemu_release(struct vmm *vmm)
{
    process_close(&vmm->process);
    qmp_close(&of(vmm)->qmp);
    free(vmm);
}

const struct vmm_class qemu_class = {
    .name = "qemu",
    .program = "qemu-system-x86_64",
    .install = "install QEMU (Debian: apt install qemu-system-x86)",
    .command_line_limit = 4096,
    .emulates = true,
    .any_byte = true,
    .start = qemu_start,
    .watch = qemu_watch,
    .patience = qemu_patience,
    .attend = qemu_attend,
    .inflate = qemu_inflate,
    .ask_balloon = qemu_ask_balloon,
    .last_words = qemu_last_words,
    .release = qemu_release,
};
