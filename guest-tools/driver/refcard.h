/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-space driver for the ghostcard reference card, on top of lib/ghostcard.h. Registers, descriptors and
 * what they mean: docs/reference-card.md and include/ghostcard_ref_regs.h (generated from the card itself).
 *
 * A transfer is: ref_submit (descriptors into the ring, doorbell), ref_wait (interrupt, then the ring is
 * looked at). The card's state is read from memory, not from registers: a register read crosses the bus.
 *
 * An interrupt is a hint to look; what is done is what the descriptors in memory say. Every wait has a limit.
 * What goes wrong is mended where that can be done without loss (ref_wait), or else by resetting more and
 * more of the card (ref_recover), and it is noted (ref_note).
 */
#ifndef GHOSTCARD_REFCARD_H
#define GHOSTCARD_REFCARD_H

#include "card.h"
#include "channel.h"

#endif
