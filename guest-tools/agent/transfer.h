/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files pushed to the guest and fetched from it, in chunks. A pushed file is written under a temporary name
 * beside its target and renamed when whole, so that nobody sees half of it and a running program can be
 * replaced.
 */
#ifndef GHOSTCARD_AGENT_TRANSFER_H
#define GHOSTCARD_AGENT_TRANSFER_H

#include "link.h"
#include "request.h"

enum { MAX_TRANSFERS = 16 };

/* Each answers the host itself, with an error if it must. */
void transfer_push(struct link *link, const struct request *request);
void transfer_fetch(struct link *link, const struct request *request);

/* False: no transfer has that id. */
bool transfer_input(struct link *link, const struct request *request);
bool transfer_end_input(struct link *link, uint32_t id);
bool transfer_credit(struct link *link, uint32_t id, uint64_t bytes);

bool transfer_is_running(uint32_t id);

/* Sends the next parts of what is being fetched. True while more could be sent right away. */
bool transfer_pump(struct link *link);

/* The host is gone: closes everything and removes half-written files. */
void transfer_abandon_all(void);

#endif
