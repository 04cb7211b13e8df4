/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine restored from a snapshot must not have in common with the others restored from it: the time
 * of day, the state of the random number generator, the host name.
 */
#ifndef GHOSTCARD_AGENT_RENEW_H
#define GHOSTCARD_AGENT_RENEW_H

#include "link.h"
#include "request.h"

/* Answers the host itself. Refused with EPERM unless the link is a port: a machine without one is nobody's
 * guest. */
void renew(struct link *link, const struct request *request);

#endif
