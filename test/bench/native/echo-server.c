/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo-server SOCKET: the floor of a register access over a socket. A blocking server that only answers each
 * message with as many bytes as the reply to a register read has, or not at all when the message wants no
 * reply.
 */
#include "wire.h"
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void serve(int fd)
{
    static uint8_t buffer[64 * 1024];
    size_t held = 0;
    for (;;) {
        ssize_t got = recv(fd, buffer + held, sizeof buffer - held, 0);
        if (got <= 0) {
            return;
        }
        held += (size_t)got;
        size_t at = 0;
        while (held - at >= sizeof(struct header)) {
            struct access message;
            memcpy(&message, buffer + at, sizeof message.header);
            if (message.header.size < sizeof message.header || message.header.size > sizeof buffer) {
                fprintf(stderr, "echo-server: a message of %u bytes\n", message.header.size);
                return;
            }
            if (held - at < message.header.size) {
                break;
            }
            memcpy(&message, buffer + at,
                    message.header.size < sizeof message ? message.header.size : sizeof message);
            at += message.header.size;
            if (message.header.flags & FLAG_NO_REPLY) {
                continue;
            }
            message.header.size = sizeof message;
            message.header.flags = FLAG_REPLY;
            message.data = 0;
            if (send(fd, &message, sizeof message, MSG_NOSIGNAL) != sizeof message) {
                return;
            }
        }
        memmove(buffer, buffer + at, held - at);
        held -= at;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "usage: echo-server SOCKET (at most 107 bytes)\n");
        return 2;
    }
    /* The benchmark may be killed: this process must end with it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    strcpy(address.sun_path, argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
            listen(listener, 1) < 0) {
        perror("echo-server: listening");
        return 1;
    }
    puts("listening");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            perror("echo-server: accept");
            return 1;
        }
        serve(fd);
        close(fd);
    }
}
