/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-terminals; see terminal.h. Model: pty(7), ioctl_tty(2). */
#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { CONTROL_D = 4 };

/* The ptmx of a devpts opens a terminal of that devpts. */
static int open_master(const char *root)
{
    static const int FLAGS = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    char path[PATH_MAX];
    if (root && snprintf(path, sizeof(path), "%s/dev/pts/ptmx", root) < (int)sizeof(path)) {
        int master = open(path, FLAGS | O_NOFOLLOW);
        if (master >= 0)
            return master;
    }
    return open("/dev/ptmx", FLAGS);
}

/* A new terminal treats text as single bytes; set UTF-8, so that erasing removes whole characters. */
static void erase_whole_characters(int slave)
{
    struct termios mode;
    if (tcgetattr(slave, &mode) < 0)
        return;
    mode.c_iflag |= IUTF8;
    tcsetattr(slave, TCSANOW, &mode);
}

bool terminal_open(const char *root, uint32_t columns, uint32_t rows, struct terminal *terminal)
{
    terminal->slave = -1;
    terminal->master = open_master(root);
    if (terminal->master < 0)
        return false;
    if (unlockpt(terminal->master) == 0 && terminal_resize(terminal->master, columns, rows))
        terminal->slave = ioctl(terminal->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal->slave < 0) {
        int error = errno;
        close(terminal->master);
        terminal->master = -1;
        errno = error;
        return false;
    }
    erase_whole_characters(terminal->slave);
    return true;
}

bool terminal_adopt(const struct terminal *terminal)
{
    return ioctl(terminal->slave, TIOCSCTTY, 0) == 0 && dup2(terminal->slave, STDIN_FILENO) >= 0 &&
           dup2(terminal->slave, STDOUT_FILENO) >= 0 && dup2(terminal->slave, STDERR_FILENO) >= 0;
}

bool terminal_resize(int master, uint32_t columns, uint32_t rows)
{
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    if (columns > USHRT_MAX || rows > USHRT_MAX) {
        errno = ERANGE;
        return false;
    }
    return ioctl(master, TIOCSWINSZ, &size) == 0;
}

uint8_t terminal_end_character(int master)
{
    struct termios mode;
    return tcgetattr(master, &mode) == 0 && mode.c_cc[VEOF] != _POSIX_VDISABLE ? mode.c_cc[VEOF] : CONTROL_D;
}
