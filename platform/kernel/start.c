/*
 * From the first instruction in ring 3 to the program.
 *
 * The early tables map the first GiB as it is and leave everything open; what they cannot reach and what must be sealed
 * decides the order: copy the command line and the memory map away, lay out the window, build the tables and load them;
 * then frame table, clock, interrupts, other CPUs, and the program's first thread. Devices come a little later, in the
 * scheduler: their registers are slow, and nobody needs them to begin.
 */
#include <string.h>

#include "acpi.h"
#include "command_line.h"
#include "cpu.h"
#include "exception.h"
#include "kernel.h"
#include "memory_map.h"
#include "paging.h"
#include "src/base/bits.h"
#include "thread.h"

#define START_MAGIC  0x336ec578
#define RAM          1
#define PHYSICAL_MAX ((uint64_t)512 << 30) /* what lies above does not fit into a frame table */
#define STACK_MIN    ((size_t)64 << 10)
#define STACK_MAX    ((size_t)8 << 20)
#define STACK_SHARE  32                  /* of the memory, for the first thread's stack */
#define FIRMWARE_LOW ((uint64_t)1 << 20) /* firmware works below here, */
#define FIRMWARE_TOP                                                                                                   \
    ((uint64_t)32 << 20) /* and in so much below the top of low memory: SeaBIOS moves itself to 16 MiB                 \
                            below it, and leaves its code there */
#define FOUR_GIB ((uint64_t)4 << 30)

struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, rsdp, map;
    uint32_t map_entries, reserved;
};

struct map_entry {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

extern uint64_t boot_info, boot_tsc;
extern const char weir_info_start[], weir_info_end[], weir_image_end[], trampoline[], trampoline_end[];
extern const char weir_tdata[], weir_tdata_size[], weir_tls_size[];
extern void _start(void);

static struct command_line command_line;
static struct weir_frames *frames;
static bool tool;

struct weir_frames *weir_kernel_frames(void)
{
    return frames;
}

const char *kernel_option(const char *name)
{
    return command_line_option(&command_line, name);
}

const char *kernel_info(const char *key)
{
    for (const char *p = weir_info_start; p < weir_info_end; p += strlen(p) + 1) {
        const char *value = command_word_value(p, key);
        if (value && *p)
            return value;
    }
    return NULL;
}

bool kernel_tool(void)
{
    return tool;
}

/* A number, decimal or 0x hexadecimal, with a suffix K, M or G; *text moves behind it. */
static uint64_t number(const char **text)
{
    const char *p = *text;
    unsigned base = 10;
    uint64_t value = 0;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    for (;; p++) {
        unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
                         : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a') + 10
                         : *p >= 'A' && *p <= 'F' ? (unsigned)(*p - 'A') + 10
                                                  : 16;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    unsigned shift = *p == 'K' || *p == 'k' ? 10 : *p == 'M' || *p == 'm' ? 20 : *p == 'G' || *p == 'g' ? 30 : 0;
    *text = shift ? p + 1 : p;
    return value << shift;
}

bool kernel_virtio_mmio(unsigned n, uint64_t *base, uint64_t *size, unsigned *irq)
{
    for (unsigned i = 0; i < command_line.options; i++) {
        const char *text = command_word_value(command_line.words[i], "virtio_mmio.device");
        if (!text || n-- > 0)
            continue;
        *size = number(&text);
        if (*text++ != '@')
            return false;
        *base = number(&text);
        if (*text++ != ':')
            return false;
        *irq = (unsigned)number(&text);
        return true;
    }
    return false;
}

/* --- memory --- */

static void read_map(struct memory_map *map)
{
    const struct start_info *info = (const struct start_info *)(uintptr_t)boot_info;
    if (info->magic != START_MAGIC || info->version < 1 || info->map_entries == 0)
        kernel_refuse("the machine gave no memory map (PVH start info version 1)");
    const struct map_entry *entries = (const struct map_entry *)(uintptr_t)info->map;
    for (unsigned i = 0; i < info->map_entries; i++)
        if (entries[i].type == RAM)
            memory_map_add(map, entries[i].start, entries[i].start + entries[i].bytes);
    for (unsigned i = 0; i < info->map_entries; i++)
        if (entries[i].type != RAM)
            memory_map_remove(map, entries[i].start, entries[i].start + entries[i].bytes);
    memory_map_remove(map, PHYSICAL_MAX, UINT64_MAX - 4095);
    memory_map_remove(map, 0, 4096);
    memory_map_remove(map, TRAMPOLINE, TRAMPOLINE + 4096);
    memory_map_remove(map, IMAGE_BASE, (uintptr_t)weir_image_end);
}

static void read_command_line(void)
{
    const struct start_info *info = (const struct start_info *)(uintptr_t)boot_info;
    bool there = info->magic == START_MAGIC && info->command_line;
    command_line_parse(&command_line, there ? (const char *)(uintptr_t)info->command_line : "");
    const char *option = kernel_option("weir.tool");
    tool = option && *option == '1';
    if (command_line.cut)
        kprintf("weir: the command line is too long: its end is lost\n");
}

/* The part of [*start, *end) of physical memory that nothing can have written to yet. */
static void untouched(uint64_t *start, uint64_t *end, uint64_t low_top)
{
    if (*start >= FOUR_GIB)
        return;
    uint64_t top = low_top > FIRMWARE_TOP ? low_top - FIRMWARE_TOP : 0;
    if (*start < FIRMWARE_LOW)
        *start = FIRMWARE_LOW;
    if (*end > top)
        *end = top;
    if (*end < *start)
        *end = *start;
}

/* Adds the extent's memory from `from` on; what nobody has written to as known zero. */
static void add_extent(const struct extent *e, uintptr_t from, uint64_t low_top)
{
    uint64_t first = e->physical + (from - e->virtual), last = e->physical + e->bytes;
    uint64_t clean = first, dirty = last;
    untouched(&clean, &dirty, low_top);
    if (clean >= dirty)
        clean = dirty = last;
    if (first < clean)
        weir_frames_add(frames, from, (clean - first) >> 12, 0);
    if (clean < dirty)
        weir_frames_add(frames, e->virtual + (clean - e->physical), (dirty - clean) >> 12, WEIR_REGION_ZERO);
    if (dirty < last)
        weir_frames_add(frames, e->virtual + (dirty - e->physical), (last - dirty) >> 12, 0);
}

static void start_memory(struct memory_map *map)
{
    window_layout(&window, map, WINDOW_BASE);
    if (window.n == 0)
        kernel_refuse("no memory");
    uint64_t low_top = 0;
    for (unsigned i = 0; i < map->n && map->ranges[i].start < FOUR_GIB; i++)
        low_top = map->ranges[i].end;
    uint64_t tables_end = paging_init((uintptr_t)weir_image_end);

    /* The frame table's metadata: in the largest extent, behind the tables if they are there, where nobody has written
     * if possible. */
    const struct extent *home = &window.extents[0];
    for (unsigned i = 1; i < window.n; i++)
        if (window.extents[i].bytes > home->bytes)
            home = &window.extents[i];
    size_t span = (window.end - window.start) >> 12;
    size_t record = round_up(paging_record_size(&window), 64);
    size_t metadata = round_up(weir_frames_metadata_size(window.start, span) + record, 4096);
    uint64_t first = home->physical;
    if (tables_end > first && tables_end <= first + home->bytes)
        first = tables_end;
    if (home->physical + home->bytes < first + metadata)
        kernel_refuse("too little memory");
    char *place = (char *)home->virtual + (first - home->physical);
    uint64_t clean = first, dirty = first + metadata;
    untouched(&clean, &dirty, low_top);
    if (dirty - clean < metadata)
        memset(place, 0, metadata);
    paging_record(place);
    struct weir_frames_config config = {
        .base = window.start,
        .frames = span,
        .metadata = place + record,
        .slots = MAX_CPUS,
        .platform = weir_kernel_platform(),
    };
    frames = weir_frames_init(&config);
    if (!frames)
        kernel_panic("the frame table refuses the memory");
    for (unsigned i = 0; i < window.n; i++) {
        const struct extent *e = &window.extents[i];
        uintptr_t from = e->virtual;
        if (tables_end > e->physical && tables_end <= e->physical + e->bytes)
            from = e->virtual + (tables_end - e->physical);
        if (e == home)
            from = (uintptr_t)place + metadata;
        if (from < e->virtual + e->bytes)
            add_extent(e, from, low_top);
    }
}

/* --- the program --- */

enum {
    AT_NULL_ = 0,
    AT_PHDR_ = 3,
    AT_PHENT_ = 4,
    AT_PHNUM_ = 5,
    AT_PAGESZ_ = 6,
    AT_UID_ = 11,
    AT_EUID_ = 12,
    AT_GID_ = 13,
    AT_EGID_ = 14,
    AT_HWCAP_ = 16,
    AT_SECURE_ = 23,
    AT_RANDOM_ = 25,
};

/* The one program header that musl wants to see: PT_TLS. */
static struct {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, align;
} tls_header;

/* Writes argc, argv, envp and the auxiliary vector below `top`; returns the stack pointer for _start. */
static uint64_t fill_stack(char *top)
{
    static uint64_t random[2];
    const char *name = kernel_option("weir.name");
    const struct weir_platform *platform = weir_kernel_platform();
    unsigned arguments = command_line.n - command_line.options;
    uint64_t *words = (uint64_t *)((uintptr_t)top & ~(uintptr_t)15) - ((size_t)command_line.n + 40) / 2 * 2;
    uint64_t *w = words;
    for (unsigned i = 0; i < 2; i++)
        random[i] = platform->random(platform->context);
    tls_header.type = 7;
    tls_header.flags = 4;
    tls_header.virtual = (uintptr_t)weir_tdata;
    tls_header.file_size = (uintptr_t)weir_tdata_size;
    tls_header.memory_size = (uintptr_t)weir_tls_size;
    tls_header.align = 64;
    *w++ = arguments + 1;
    *w++ = (uintptr_t)(name && *name ? name : "program");
    for (unsigned i = command_line.options; i < command_line.n; i++)
        *w++ = (uintptr_t)command_line.words[i];
    *w++ = 0;
    for (unsigned i = 0; i < command_line.options; i++)
        if (memcmp(command_line.words[i], "env.", 4) == 0)
            *w++ = (uintptr_t)command_line.words[i] + 4;
    *w++ = 0;
    const uint64_t auxiliary[][2] = {
        {AT_PHDR_, (uintptr_t)&tls_header},
        {AT_PHENT_, sizeof tls_header},
        {AT_PHNUM_, 1},
        {AT_PAGESZ_, 4096},
        {AT_RANDOM_, (uintptr_t)random},
        {AT_UID_, 0},
        {AT_EUID_, 0},
        {AT_GID_, 0},
        {AT_EGID_, 0},
        {AT_SECURE_, 0},
        {AT_HWCAP_, cpuid(1, 0).d},
        {AT_NULL_, 0},
    };
    memcpy(w, auxiliary, sizeof auxiliary);
    return (uintptr_t)words;
}

static void start_program(void)
{
    struct weir_frames_stats stats;
    weir_frames_stats(frames, &stats);
    size_t size = round_down(stats.managed * WEIR_FRAME_SIZE / STACK_SHARE, WEIR_FRAME_SIZE);
    size = size < STACK_MIN ? STACK_MIN : size > STACK_MAX ? STACK_MAX : size;
    uintptr_t stack = weir_frames_alloc(frames, size >> WEIR_FRAME_SHIFT, 0, 0, NULL);
    struct thread *thread = thread_create();
    if (!stack || !thread || !paging_protect(stack, WEIR_FRAME_SIZE, 0, true))
        kernel_refuse("too little memory for the program's stack");
    thread->rip = (uintptr_t)_start;
    thread->rsp = fill_stack((char *)stack + size);
    struct cpu *cpu = this_cpu();
    cpu->thread = thread;
    simd_load(thread);
    kernel_program_starts();
    if (tool)
        kprintf("\x1eweir main us=%lu cpus=%u timer=%d\n", kernel_now() / 1000, cpus_online, scheduler_preemptive());
    scheduler_arm_slice();
}

static void start_cpus(uint64_t rsdp)
{
    uint32_t apics[MAX_CPUS];
    unsigned limit = MAX_CPUS, n;
    const char *wanted = kernel_option("weir.cpus");
    if (wanted && *wanted) {
        limit = (unsigned)number(&wanted);
        limit = limit < 1 ? 1 : limit > MAX_CPUS ? MAX_CPUS : limit;
    }
    if (limit == 1)
        return;
    n = cpus_find(rsdp, apics, limit);
    if (n > 1)
        cpus_start(apics, n);
}

void kernel_start(void);
void kernel_start(void)
{
    cpu_init(0);
    read_command_line();
    if (!(cpuid(7, 0).b & 1))
        kernel_refuse("this CPU has no FSGSBASE");
    for (unsigned i = 1; i < MAX_CPUS; i++)
        cpu_init(i);
    struct memory_map map = {.n = 0};
    read_map(&map);
    uint64_t entered = boot_tsc, rsdp = ((const struct start_info *)(uintptr_t)boot_info)->rsdp;
    memcpy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
    start_memory(&map);
    if (kernel_map_mmio(0xfee00000, 4096) != (void *)DEVICE_BASE)
        kernel_panic("the local APIC cannot be mapped");
    simd_init();
    cpu_start_features();
    clock_init(entered);
    scheduler_detect_timer();
    const char *slice = kernel_option("weir.slice");
    if (slice && *slice)
        scheduler_slice(number(&slice) * 1000);
    start_cpus(rsdp);
    start_program();
}
