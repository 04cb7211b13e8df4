/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must differ between machines that are restored from the same snapshot: the clock, the state of the
 * random number generator, and the host name.
 */
#ifndef GHOSTCARD_AGENT_RENEW_H
#define GHOSTCARD_AGENT_RENEW_H

#include "link.h"
#include "request.h"

/*
 * Replies to the host itself. Refused with EPERM unless the link is a port: without one, the agent is not in
 * a guest.
 */
void renew(struct link *link, const struct request *request);

#endif
