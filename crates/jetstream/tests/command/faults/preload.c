/* A library that is loaded before all others, and stands between a program and its files: for those below
 * one folder, writing or flushing fails while an order says so. Everything else passes through.
 *
 * FAULTS_BELOW  the folder, without links in it
 * FAULTS_ORDER  the file with the order; it is read at each call, and no file or an empty one is no order
 * FAULTS_HITS   the file that gets one byte for each call that was failed or cut short
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(call) ((__typeof__(&call))dlsym(RTLD_NEXT, #call))

enum order { NONE, WRITE_ENOSPC, WRITE_EIO, WRITE_SHORT, WRITE_TORN, FLUSH_EIO, FLUSH_EIO_RARELY };

static const char *const ORDERS[] = {
    "", "write ENOSPC", "write EIO", "write short", "write torn", "flush EIO", "flush EIO rarely",
};

/* With "rarely", every so many flushes one fails: more than a recovery needs, so that some come through. */
enum { RARELY = 7 };

/* With "torn", what is shorter is written: headers, but no page. */
enum { TORN_BYTES_MIN = 512 };

static int is_below(int file) {
    const char *folder = getenv("FAULTS_BELOW");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = folder ? readlink(link, path, sizeof path - 1) : -1;
    if (length < 0)
        return 0;
    path[length] = 0;
    size_t prefix = strlen(folder);
    return strncmp(path, folder, prefix) == 0 && (path[prefix] == '/' || path[prefix] == 0);
}

static enum order read_order(void) {
    const char *path = getenv("FAULTS_ORDER");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return NONE;
    char text[64];
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length < 0 ? 0 : length] = 0;
    for (size_t order = 0; order < sizeof ORDERS / sizeof *ORDERS; order++)
        if (strcmp(text, ORDERS[order]) == 0)
            return (enum order)order;
    /* A test that misspells its order must not pass. */
    abort();
}

static enum order order_for(int file) {
    int kept = errno;
    enum order order = is_below(file) ? read_order() : NONE;
    errno = kept;
    return order;
}

static void note_hit(void) {
    int file = open(getenv("FAULTS_HITS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || REAL(write)(file, "!", 1) != 1)
        abort();
    close(file);
}

static int fail(int error) {
    note_hit();
    errno = error;
    return -1;
}

static ssize_t cut(size_t bytes) {
    int kept = errno;
    note_hit();
    errno = kept;
    return (ssize_t)(bytes / 2);
}

/* How many of the bytes are written; negative: none, and errno says why. */
static ssize_t admit(int file, size_t bytes) {
    static _Thread_local int is_torn;
    switch (order_for(file)) {
    case WRITE_ENOSPC:
        return fail(ENOSPC);
    case WRITE_EIO:
        return fail(EIO);
    case WRITE_SHORT:
        return bytes > 1 ? cut(bytes) : (ssize_t)bytes;
    case WRITE_TORN:
        if (is_torn) {
            is_torn = 0;
            return fail(ENOSPC);
        }
        if (bytes < TORN_BYTES_MIN)
            return (ssize_t)bytes;
        is_torn = 1;
        return cut(bytes);
    default:
        return (ssize_t)bytes;
    }
}

static int admit_flush(int file) {
    static atomic_uint flushes;
    switch (order_for(file)) {
    case FLUSH_EIO:
        return fail(EIO);
    case FLUSH_EIO_RARELY:
        return atomic_fetch_add(&flushes, 1) % RARELY == RARELY - 1 ? fail(EIO) : 0;
    default:
        return 0;
    }
}

ssize_t write(int file, const void *bytes, size_t count) {
    ssize_t admitted = admit(file, count);
    return admitted < 0 ? -1 : REAL(write)(file, bytes, (size_t)admitted);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    ssize_t admitted = admit(file, count);
    return admitted < 0 ? -1 : REAL(pwrite)(file, bytes, (size_t)admitted, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    ssize_t admitted = admit(file, count);
    return admitted < 0 ? -1 : REAL(pwrite64)(file, bytes, (size_t)admitted, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    size_t bytes = 0;
    for (int part = 0; part < count; part++)
        bytes += parts[part].iov_len;
    ssize_t admitted = admit(file, bytes);
    if (admitted < 0 || (size_t)admitted == bytes)
        return admitted < 0 ? -1 : REAL(writev)(file, parts, count);
    size_t first = parts[0].iov_len;
    return REAL(write)(file, parts[0].iov_base, first < (size_t)admitted ? first : (size_t)admitted);
}

int ftruncate(int file, off_t length) {
    return admit(file, 0) < 0 ? -1 : REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    return admit(file, 0) < 0 ? -1 : REAL(ftruncate64)(file, length);
}

int fsync(int file) {
    return admit_flush(file) < 0 ? -1 : REAL(fsync)(file);
}

int fdatasync(int file) {
    return admit_flush(file) < 0 ? -1 : REAL(fdatasync)(file);
}
