/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-space driver for the ghostcard reference card, on top of lib/ghostcard.h. The registers and
 * descriptors are described in docs/reference-card.md and include/ghostcard_ref_regs.h (generated from the
 * card itself).
 *
 * A transfer is ref_submit (descriptors into the ring, doorbell), then ref_wait (interrupt, then a look at
 * the ring). The card's state is read from memory, not from registers, because a register read crosses the
 * bus.
 *
 * An interrupt is only a hint to look at the ring; the descriptors in memory say what is complete. Every wait
 * has a limit. A problem is corrected where that is possible without losing data (ref_wait), else by
 * resetting more and more of the card (ref_recover), and it is always recorded (ref_note).
 */
#ifndef GHOSTCARD_REFCARD_H
#define GHOSTCARD_REFCARD_H

#include "card.h"
#include "channel.h"

#endif
