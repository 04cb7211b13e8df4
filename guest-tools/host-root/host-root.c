/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghostcard-host-root mount [TAG FOLDER]... [-- PATH...]
 * Mounts the host's root file system on /host, for commands that run there by chroot: a read-only virtio-9p
 * share (mount tag hostroot) below an overlay that keeps all changes in this guest's memory. Each TAG is a
 * further share, mounted writable on FOLDER as commands see it; parent folders come first. Each PATH is
 * hidden from commands: an empty folder or file covers it, if it is there. If the files are for another
 * architecture, whose programs do not run here, it prints "foreign" to standard output, and busybox replaces
 * the two programs that others rely on.
 *
 * ghostcard-host-root modules
 * Mounts the host's folder of all modules of this kernel (mount tag modules) below /lib/modules, where the
 * lists of modules refer to it. Before mount, so that commands on the host's files see it too.
 *
 * ghostcard-host-root refresh
 * Drops the guest's cached look-ups, so that the next command sees the current state of the host's files.
 *
 * This is one process and not a script, because it runs at each start of a guest and before most commands,
 * and every process that a script starts takes an emulated CPU 10 ms.
 *
 * Source: Linux Documentation/filesystems/9p.rst, overlayfs.rst; mount(2).
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ROOT "/host"
#define STATE "/run/host-root"
/* The guest's own files, for commands in ROOT. */
#define TOOLS "/run/ghostcard"
/*
 * The largest message that virtio's ring can hold. Extended attributes are off: they would be requested for
 * each file and folder.
 */
#define SHARE "trans=virtio,version=9p2000.L,msize=512000,access=any,noxattr"

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ghostcard-host-root: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* Formats a path or an option. */
__attribute__((format(printf, 1, 2))) static const char *text(const char *format, ...)
{
    char *made;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&made, format, arguments) < 0)
        fail("out of memory");
    va_end(arguments);
    return made;
}

/* The last line of the kernel log, which often says more than errno. */
static const char *kernel_says(void)
{
    enum { READ_ALL = 3 };
    static char log[1024];
    int length = klogctl(READ_ALL, log, sizeof(log) - 1);
    while (length > 0 && log[length - 1] == '\n')
        length--;
    log[length > 0 ? length : 0] = '\0';
    const char *last = strrchr(log, '\n');
    return last ? last + 1 : log;
}

static const char *tags_present(void)
{
    glob_t found;
    const char *tags = "";
    if (glob("/sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag", 0, NULL, &found) != 0)
        return "none";
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char tag[PATH_MAX] = "";
        FILE *file = fopen(found.gl_pathv[i], "r");
        if (file && fgets(tag, sizeof(tag), file))
            tags = text("%s%s%s", tags, i ? " " : "", tag);
        if (file)
            fclose(file);
    }
    return tags;
}

/* With its parent folders. An existing folder is fine. */
static void make_folder(const char *path, mode_t mode)
{
    char *copy = strdup(path);
    for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
    free(copy);
    struct stat found;
    if (mkdir(path, 0755) != 0 && (stat(path, &found) != 0 || !S_ISDIR(found.st_mode)))
        fail("cannot create the folder %s: %s", path, strerror(errno));
    if (mode != 0755)
        chmod(path, mode);
}

static void mount_tmpfs(const char *folder, unsigned long flags, const char *options)
{
    if (mount("tmpfs", folder, "tmpfs", flags, options) != 0)
        fail("cannot mount a tmpfs on %s: %s", folder, strerror(errno));
}

static void mount_share(const char *tag, const char *folder, unsigned long flags, const char *cache)
{
    if (mount(tag, folder, "9p", flags, text(SHARE ",cache=%s", cache)) != 0)
        fail("cannot mount the share %s on %s: %s; the machine has these shares: %s; %s", tag, folder,
                strerror(errno), tags_present(), kernel_says());
}

/* Changes are kept under `name`. */
static void mount_overlay(const char *name, const char *lower, const char *folder)
{
    const char *upper = text(STATE "/changes/%s/upper", name), *work = text(STATE "/changes/%s/work", name);
    make_folder(upper, 0755);
    make_folder(work, 0755);
    const char *options = text("lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on", lower, upper, work);
    if (mount("overlay", folder, "overlay", 0, options) != 0)
        fail("cannot mount an overlay on %s: %s; %s", folder, strerror(errno), kernel_says());
}

static void show(const char *what, const char *folder, unsigned long flags)
{
    if (mount(what, folder, NULL, MS_BIND | flags, NULL) != 0)
        fail("cannot bind-mount %s on %s: %s", what, folder, strerror(errno));
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool is_link(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0 && S_ISLNK(found.st_mode);
}

/* The guest's own modules, and lists of all. */
static const char *modules_folder(void)
{
    struct utsname guest;
    uname(&guest);
    return text("/lib/modules/%s", guest.release);
}

static const char *all_modules(void)
{
    return text("%s/all", modules_folder());
}

/*
 * With cache=mmap, nothing of a file stays cached after its last use, so a new look-up shows its current
 * state. Programs of the distribution are worth caching (their code need not be translated again), so /usr
 * comes through a second device with cache=loose, which caches a file's contents while its size and the
 * second of its last change are the same.
 */
static void mount_root(void)
{
    if (is_there(STATE))
        fail("the host root is already mounted");
    make_folder(STATE "/live", 0755);
    make_folder(STATE "/kept", 0755);
    make_folder(STATE "/changes", 0755);
    mount_tmpfs(STATE "/changes", 0, "mode=0755,size=50%");
    mount_share("hostroot", STATE "/live", MS_RDONLY, "mmap");
    mount_overlay("root", STATE "/live", ROOT);
    if (is_there(ROOT "/usr") && !is_link(ROOT "/usr")) {
        mount_share("hostroot-kept", STATE "/kept", MS_RDONLY, "loose");
        mount_overlay("usr", STATE "/kept/usr", ROOT "/usr");
    }
    if (is_link(ROOT "/run"))
        unlink(ROOT "/run");
    static const char *const FOLDERS[] = {"/dev", "/proc", "/sys"};
    for (size_t i = 0; i < sizeof(FOLDERS) / sizeof(FOLDERS[0]); i++) {
        const char *folder = text(ROOT "%s", FOLDERS[i]);
        make_folder(folder, 0755);
        show(FOLDERS[i], folder, MS_REC);
    }
    make_folder(ROOT "/run", 0755);
    mount_tmpfs(ROOT "/run", MS_NOSUID | MS_NODEV, "mode=0755");
    make_folder(ROOT "/run/lock", 01777);
    make_folder(ROOT TOOLS, 0755);
    show("/", ROOT TOOLS, 0);
    show(all_modules(), text(ROOT TOOLS "%s", all_modules()), 0);
}

static void enter(const char *root)
{
    if (chroot(root) != 0 || chdir("/") != 0)
        fail("cannot enter %s: %s", root, strerror(errno));
}

/* The machine type of an ELF file. EM_NONE: there is no such file, or it is not an ELF file. */
static unsigned elf_machine(const char *path)
{
    Elf64_Ehdr head = {0}; /* at the same offset in a 32-bit file */
    FILE *file = fopen(path, "r");
    if (!file)
        return EM_NONE;
    size_t got = fread(&head, 1, sizeof(head), file);
    fclose(file);
    return got == sizeof(head) && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 ? head.e_machine : EM_NONE;
}

/* The programs that scripts and system(3) start by path. Everything else is found through PATH. */
static const char *const RELIED_ON[] = {"/bin/sh", "/usr/bin/env"};

static void stand_in_for_foreign(void)
{
    static const char BUSYBOX[] = TOOLS "/bin/busybox";
    unsigned ours = elf_machine(BUSYBOX), theirs = elf_machine(RELIED_ON[0]);
    if (theirs == EM_NONE || theirs == ours)
        return;
    puts("foreign");
    for (size_t i = 0; i < sizeof(RELIED_ON) / sizeof(RELIED_ON[0]); i++)
        if (is_there(RELIED_ON[i]))
            show(BUSYBOX, RELIED_ON[i], 0);
}

/* A command sees an empty folder, or an empty file, and cannot write there. */
static void hide(const char *path)
{
    static const char EMPTY[] = "/run/hidden-by-ghostcard";
    struct stat found;
    if (stat(path, &found) != 0)
        return;
    if (S_ISDIR(found.st_mode)) {
        mount_tmpfs(path, MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=0755,size=4k");
        return;
    }
    FILE *empty = fopen(EMPTY, "w");
    if (!empty || fclose(empty) != 0)
        fail("cannot make the empty file %s: %s", EMPTY, strerror(errno));
    show(EMPTY, path, 0);
    unlink(EMPTY);
    if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
        fail("cannot make %s read-only: %s", path, strerror(errno));
}

/* From here on, paths are as commands see them, including symbolic links. */
static void furnish_inside(char *const shares[], char *const hidden[])
{
    struct utsname guest;
    uname(&guest);
    enter(ROOT);
    const char *modules = modules_folder();
    make_folder(modules, 0755);
    show(text(TOOLS "%s", modules), modules, MS_REC);
    stand_in_for_foreign();
    make_folder("/tmp", 01777);
    make_folder("/etc", 0755);
    FILE *hosts = fopen("/etc/hosts", "a");
    if (!hosts || fprintf(hosts, "127.0.1.1 %s\n", guest.nodename) < 0 || fclose(hosts) != 0)
        fail("cannot write the guest's name to /etc/hosts: %s", strerror(errno));
    for (; shares[0]; shares += 2) {
        make_folder(shares[1], 0755);
        mount_share(shares[0], shares[1], 0, "mmap");
    }
    for (; *hidden; hidden++)
        hide(*hidden);
}

/* A remount drops every cached entry that is not in use. */
static void forget(const char *folder, unsigned long flags)
{
    if (mount(NULL, folder, NULL, MS_REMOUNT | flags, NULL) != 0)
        fail("cannot remount %s: %s", folder, strerror(errno));
}

/* The overlays first, then the file systems below them. */
static void refresh(void)
{
    if (!is_there(STATE))
        enter("/proc/1/root"); /* a command that runs this sees neither ROOT nor STATE, but process 1 does */
    forget(ROOT, 0);
    if (!is_there(STATE "/changes/usr"))
        return;
    forget(ROOT "/usr", 0);
    forget(STATE "/kept", MS_RDONLY);
}

int main(int argc, char **argv)
{
    umask(022);
    if (argc >= 2 && strcmp(argv[1], "mount") == 0) {
        char **end = argv + 2;
        while (*end && strcmp(*end, "--") != 0)
            end++;
        char **hidden = *end ? end + 1 : end;
        *end = NULL;
        if ((end - argv) % 2 != 0)
            fail("mount: %s needs a folder", end[-1]);
        mount_root();
        furnish_inside(argv + 2, hidden);
    } else if (argc == 2 && strcmp(argv[1], "modules") == 0) {
        mount_share("modules", all_modules(), MS_RDONLY, "loose");
    } else if (argc == 2 && strcmp(argv[1], "refresh") == 0) {
        refresh();
    } else {
        fail("usage: ghostcard-host-root mount [TAG FOLDER]... [-- PATH...] | ghostcard-host-root "
             "modules|refresh");
    }
    return 0;
}
