/* SPDX-License-Identifier: Apache-2.0 */
/* Marks this moment in the host's trace: `gc-mark the ring is full`. */
#include "../lib/ghostcard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char text[4096] = "";
    size_t used = 0;
    for (int i = 1; i < argc && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 1 ? " " : "", argv[i]);
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs("usage: gc-mark TEXT...\n"
              "Marks this moment in the trace of the run, after all earlier writes to cards.\n"
              "The text has at most 1024 bytes.\n"
              "Without a recording, or on a machine without ghostcard, does nothing, successfully.\n",
                argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (gc_mark("%s", text))
        return 0;
    fprintf(stderr, "gc-mark: '%.40s%s' (%zu bytes) could not be sent as a mark: %s\n", text,
            used > 40 ? "..." : "", used, strerror(errno));
    return 1;
}
