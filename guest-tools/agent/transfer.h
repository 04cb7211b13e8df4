/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files pushed to the guest and fetched from it, in chunks. A pushed file is written under a temporary name
 * next to its target and renamed when complete, so that no reader sees a partial file and a running program
 * can be replaced.
 */
#ifndef GHOSTCARD_AGENT_TRANSFER_H
#define GHOSTCARD_AGENT_TRANSFER_H

#include "link.h"
#include "request.h"

enum { MAX_TRANSFERS = 16 };

/* Each replies to the host itself, also with errors. */
void transfer_push(struct link *link, const struct request *request);
void transfer_fetch(struct link *link, const struct request *request);

/* False: no transfer has this id. */
bool transfer_input(struct link *link, const struct request *request);
bool transfer_end_input(struct link *link, uint32_t id);
bool transfer_credit(struct link *link, uint32_t id, uint64_t bytes);

bool transfer_is_running(uint32_t id);

/* Sends the next chunks of the files being fetched. True while more could be sent right away. */
bool transfer_pump(struct link *link);

/* The host has disconnected: closes all transfers and removes partial files. */
void transfer_abandon_all(void);

#endif
