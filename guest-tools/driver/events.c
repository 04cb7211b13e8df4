/* SPDX-License-Identifier: Apache-2.0 */
/* Events that the driver had to handle: counted, and reported to the listener. See refcard.h. */
#include "refcard.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name, *remedy;
    bool harmless;
} EVENTS[] = {
        [REF_IRQ_LOST] = {"interrupt-lost",
                "checks the ring when the interrupt is overdue, finds the work complete and continues"},
        [REF_IRQ_LATE] = {"interrupt-late",
                "has continued without it, and does not take it for that of the next transfer", true},
        [REF_IRQ_EARLY] = {"interrupt-early",
                "finds nothing complete, keeps waiting, and checks again when no other interrupt comes"},
        [REF_IRQ_SURPLUS] = {"interrupt-surplus", "finds nothing new complete, and keeps waiting", true},
        [REF_WRITE_BACK_EARLY] = {"write-back-early",
                "does not trust the write-back block before the descriptors are handed back"},
        [REF_WRITE_BACK_LATE] = {"write-back-late",
                "uses the descriptors when the write-back block is overdue", true},
        [REF_DOORBELL_LOST] = {"doorbell-lost",
                "finds an idle engine with descriptors to process, and rings the doorbell again"},
        [REF_DOORBELL_LATE] = {"doorbell-late",
                "reads a register when completion is overdue, which flushes posted writes"},
        [REF_WRITE_LOST] = {"write-lost", "reads back the registers it has set up, and writes them again"},
        [REF_MISREAD] = {"descriptor-misread",
                "finds the descriptor valid in memory, and makes the engine fetch it again"},
        [REF_SHORT] = {"transfer-short", "compares the moved bytes with the requested ones, and starts over"},
        [REF_SLOW] = {"slow", "keeps waiting as long as there is progress", true},
        [REF_STALLED] = {"stalled", "stops waiting when there is no progress, and starts over"},
        [REF_STUCK] = {"stuck",
                "waits at most 100 ms for the engine to become idle, and resets more each time"},
        [REF_ALL_ONES] = {"all-ones",
                "does not trust a register that reads all ones, and reads it again for at most a second"},
        [REF_RESET] = {"reset", "finds its settings lost, sets everything up again and starts over"},
        [REF_GONE] = {"gone", "stops accessing the card, reports what was not confirmed, and exits"},
        [REF_DATA_LATE] = {"data-late", "cannot notice; a comparison of the data finds wrong bytes, and the "
                                        "right ones a moment later"},
        [REF_DATA_WRONG] = {"data-wrong",
                "cannot notice; a comparison of the data finds wrong bytes, and the program starts over"},
        [REF_CHANNEL_RESET] = {"channel-reset", "resets its channels"},
        [REF_SOFT_RESET] = {"soft-reset", "resets the card by its own register"},
        [REF_FUNCTION_RESET] = {"function-reset", "makes the kernel reset the card"},
};
_Static_assert(sizeof(EVENTS) / sizeof(EVENTS[0]) == REF_EVENT_COUNT, "an event without a text");

const char *ref_event_name(enum ref_event event)
{
    return EVENTS[event].name;
}

const char *ref_event_remedy(enum ref_event event)
{
    return EVENTS[event].remedy;
}

bool ref_event_is_harmless(enum ref_event event)
{
    return EVENTS[event].harmless;
}

void ref_note(struct ref_card *card, enum ref_event event, const char *format, ...)
{
    char text[300];
    va_list arguments;
    card->events[event]++;
    if (!card->listener)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    card->listener(card->listener_context, event, text);
}
