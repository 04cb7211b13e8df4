/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver has had to cope with: counted, and told to whoever listens. See refcard.h. */
#include "refcard.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name, *remedy;
    bool harmless;
} EVENTS[] = {
        [REF_IRQ_LOST] = {"interrupt-lost",
                "looks at the ring when the interrupt is overdue, finds the work done and goes on"},
        [REF_IRQ_LATE] = {"interrupt-late",
                "has gone on without it, and does not take it for that of the next transfer", true},
        [REF_IRQ_EARLY] = {"interrupt-early",
                "finds nothing complete, waits on, and looks again when no other interrupt comes"},
        [REF_IRQ_SURPLUS] = {"interrupt-surplus", "finds nothing new complete, and waits on", true},
        [REF_WRITE_BACK_EARLY] = {"write-back-early",
                "does not believe the write-back block before the descriptors have been handed back"},
        [REF_WRITE_BACK_LATE] = {"write-back-late",
                "goes by the descriptors when the write-back block is overdue", true},
        [REF_DOORBELL_LOST] = {"doorbell-lost",
                "finds an idle engine with descriptors to do, and rings again"},
        [REF_DOORBELL_LATE] = {"doorbell-late",
                "reads a register when completion is overdue, before which posted writes must arrive"},
        [REF_WRITE_LOST] = {"write-lost", "reads back what it has set up, and writes it again"},
        [REF_MISREAD] = {"descriptor-misread",
                "finds the descriptor right in memory, and has the engine fetch it anew"},
        [REF_SHORT] = {"transfer-short", "compares what was moved with what was to be, and starts over"},
        [REF_SLOW] = {"slow", "waits on as long as there is progress", true},
        [REF_STALLED] = {"stalled", "gives up waiting when there has been no progress, and starts over"},
        [REF_STUCK] = {"stuck", "waits no longer than 100 ms for an idle engine, and resets more each time"},
        [REF_ALL_ONES] = {"all-ones",
                "believes no register that reads all ones, and asks again for a second at most"},
        [REF_RESET] = {"reset", "finds its settings gone, sets everything up again and starts over"},
        [REF_GONE] = {"gone", "touches the card no more, says what has not been confirmed, and ends"},
        [REF_DATA_LATE] = {"data-late", "cannot know by itself; whoever compares finds other bytes, and the "
                                        "right ones a moment later"},
        [REF_DATA_WRONG] = {"data-wrong",
                "cannot know by itself; whoever compares finds other bytes, and starts over"},
        [REF_CHANNEL_RESET] = {"channel-reset", "resets its channels"},
        [REF_SOFT_RESET] = {"soft-reset", "resets the card by its own register"},
        [REF_FUNCTION_RESET] = {"function-reset", "has the kernel reset the card"},
};
_Static_assert(sizeof(EVENTS) / sizeof(EVENTS[0]) == REF_EVENT_COUNT, "an event without words");

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
