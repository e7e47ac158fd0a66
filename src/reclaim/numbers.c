/*
 * Page numbers in elements.
 *
 * An element is a buffer of numbers_max page numbers inside one frame, so that it is contiguous on the bus. One frame
 * (the device's spare) is there always: a guest without free memory can still deflate. The others are taken from the
 * frame table while there is much to do: 256 KiB of numbers describe 256 MiB.
 *
 * An element ends where a 2 MiB of the bus ends, if its range goes on for another whole 2 MiB: so the 512 numbers of
 * each aligned 2 MiB come in one request (QEMU) or in adjacent ones (Firecracker), and the host can free a huge page.
 */
#include "src/base/bits.h"
#include "src/reclaim/reclaim.h"

enum {
    HUGE_FRAMES = 512, /* of a huge page of the host */
};

/* Makes the elements of frame `index` free. */
static void add_frame(struct numbers *numbers, uint32_t *frame, uint64_t bus)
{
    unsigned index = numbers->frames++;
    numbers->frame[index] = frame;
    numbers->bus[index] = bus;
    for (unsigned i = 0; i < numbers->per_frame; i++)
        numbers->free[numbers->free_count++] = (uint8_t)(index * numbers->per_frame + i);
}

void numbers_init(struct weir_reclaim *reclaim)
{
    struct numbers *numbers = &reclaim->numbers;
    numbers->per_frame = (unsigned)(WEIR_FRAME_SIZE / 4 / weir_balloon_numbers_max(reclaim->device));
    uint64_t bus;
    uint32_t *spare = weir_balloon_spare(reclaim->device, &bus);
    add_frame(numbers, spare, bus);
}

void numbers_grow(struct weir_reclaim *reclaim, size_t frames)
{
    struct numbers *numbers = &reclaim->numbers;
    size_t wanted = (frames + WEIR_FRAME_SIZE / 4 - 1) / (WEIR_FRAME_SIZE / 4);
    size_t most = WEIR_BALLOON_ELEMENTS / numbers->per_frame;
    if (most > NUMBER_FRAMES)
        most = NUMBER_FRAMES;
    if (wanted > most)
        wanted = most;
    while (numbers->frames < wanted) {
        uintptr_t frame = weir_frames_alloc(reclaim->frames, 1, 1, WEIR_FRAMES_METADATA, NULL);
        uint64_t bus;
        if (frame == 0)
            return;
        reclaim->bus_range(reclaim->bus_context, frame, WEIR_FRAME_SIZE, &bus);
        add_frame(numbers, (uint32_t *)frame, bus);
    }
}

void numbers_shrink(struct weir_reclaim *reclaim)
{
    struct numbers *numbers = &reclaim->numbers;
    if (numbers->frames == 1)
        return;
    while (numbers->frames > 1)
        weir_frames_free(reclaim->frames, (uintptr_t)numbers->frame[--numbers->frames], 1);
    numbers->free_count = numbers->per_frame;
    for (unsigned i = 0; i < numbers->per_frame; i++)
        numbers->free[i] = (uint8_t)i;
}

void numbers_returned(struct weir_reclaim *reclaim, uint32_t element)
{
    reclaim->numbers.free[reclaim->numbers.free_count++] = (uint8_t)element;
}

/* The element that is being filled. */
struct filling {
    uint32_t *at;
    unsigned element, count;
};

static bool open_element(struct numbers *numbers, struct filling *filling)
{
    if (numbers->free_count == 0)
        return false;
    filling->element = numbers->free[--numbers->free_count];
    filling->count = 0;
    unsigned within = filling->element % numbers->per_frame;
    filling->at =
        numbers->frame[filling->element / numbers->per_frame] + within * (WEIR_FRAME_SIZE / 4 / numbers->per_frame);
    return true;
}

/* Submits the element that is being filled. */
static bool close_element(struct weir_reclaim *reclaim, enum weir_balloon_queue queue, struct filling *filling)
{
    struct numbers *numbers = &reclaim->numbers;
    unsigned within = filling->element % numbers->per_frame;
    struct weir_segment segment = {
        .bus = numbers->bus[filling->element / numbers->per_frame] + within * (WEIR_FRAME_SIZE / numbers->per_frame),
        .bytes = 4 * filling->count,
    };
    filling->at = NULL;
    if (weir_balloon_submit(reclaim->device, queue, &segment, 1, filling->element))
        return true;
    numbers_returned(reclaim, filling->element);
    return false;
}

/* How many numbers of a piece [bus, bus + frames) go into an element with `room`. */
static size_t fitting(uint64_t bus, size_t frames, size_t room)
{
    size_t to_boundary = HUGE_FRAMES - (bus >> WEIR_FRAME_SHIFT) % HUGE_FRAMES;
    size_t n = frames < room ? frames : room;
    return n > to_boundary ? to_boundary : n;
}

size_t numbers_send(struct weir_reclaim *reclaim, enum weir_balloon_queue queue, const struct weir_range *ranges,
                    size_t count, unsigned *requests)
{
    const unsigned most = weir_balloon_numbers_max(reclaim->device);
    struct filling filling = {0};
    size_t sent = 0;  /* frames in submitted elements */
    size_t taken = 0; /* frames in all elements, the one that is being filled included */
    for (size_t i = 0; i < count; i++) {
        uintptr_t address = ranges[i].start;
        size_t left = ranges[i].frames;
        while (left != 0) {
            uint64_t bus;
            size_t piece =
                reclaim->bus_range(reclaim->bus_context, address, left << WEIR_FRAME_SHIFT, &bus) >> WEIR_FRAME_SHIFT;
            if (filling.at == NULL && !open_element(&reclaim->numbers, &filling))
                return sent;
            size_t n = fitting(bus, piece, most - filling.count);
            for (size_t k = 0; k < n; k++)
                filling.at[filling.count++] = (uint32_t)(bus >> WEIR_FRAME_SHIFT) + (uint32_t)k;
            address += n << WEIR_FRAME_SHIFT;
            left -= n;
            taken += n;
            bool huge_next = ((bus >> WEIR_FRAME_SHIFT) + n) % HUGE_FRAMES == 0 && piece - n >= HUGE_FRAMES;
            if (filling.count < most && !huge_next)
                continue;
            if (!close_element(reclaim, queue, &filling))
                return sent;
            sent = taken;
            ++*requests;
        }
    }
    if (filling.at != NULL && close_element(reclaim, queue, &filling)) {
        sent = taken;
        ++*requests;
    }
    return sent;
}
