/*
 * Stands between the program and the files in one folder, by LD_PRELOAD: it records all calls that change them, and lets
 * calls fail or take long. It also stands before the clocks. recording.rs reads what is recorded, and shim.rs gives the
 * orders.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, READ, WRITE, SYNC, TRUNCATE, UNLINK, RENAME, NAME, FAILURE, SYNC_FOLDER };

/* Of the words in the file of orders, which the test writes. Behind CALLS, the shim counts the calls of each kind,
   as long as one is FAILING. */
enum { FAILING, FIRST, FOR_EVER, ERROR, FORGETFUL, SYNC_MS, LEAP, PASSED, CALLS, WORDS = 32 };

/* An open file of the folder, or the folder itself. */
struct file {
    atomic_bool is_watched;
    bool is_folder;
    bool is_wal;
    uint64_t inode;
};

enum { FILES = 4096 };
static struct file files[FILES];
static const char *folder;
static size_t folder_length;
static int record_fd = -1;
static _Atomic uint64_t *orders;

__attribute__((constructor)) static void start(void) {
    folder = getenv("DISK_FOLDER");
    folder_length = strlen(folder);
    record_fd = syscall(SYS_openat, AT_FDCWD, getenv("DISK_RECORD"), O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    int fd = syscall(SYS_openat, AT_FDCWD, getenv("DISK_ORDERS"), O_RDWR | O_CLOEXEC, 0);
    orders = mmap(NULL, WORDS * sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (record_fd < 0 || orders == MAP_FAILED) {
        abort();
    }
}

/* One call in one write, so that the records of several processes do not mix. */
static void record(uint64_t kind, uint64_t inode, uint64_t offset, const void *data, size_t length) {
    uint64_t head[] = {kind, inode, offset, length};
    struct iovec parts[] = {{head, sizeof head}, {(void *)data, length}};
    int saved = errno;
    if (syscall(SYS_writev, record_fd, parts, 2) != (ssize_t)(sizeof head + length)) {
        abort();
    }
    errno = saved;
}

static bool fails(uint64_t kind) {
    if (orders[FAILING] == 0) {
        return false;
    }
    uint64_t call = ++orders[CALLS + kind];
    if (orders[FAILING] != kind || call < orders[FIRST] || (call > orders[FIRST] && !orders[FOR_EVER])) {
        return false;
    }
    record(FAILURE, 0, kind, NULL, 0);
    errno = (int)orders[ERROR];
    return true;
}

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), end_length = strlen(end);
    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* The name within the folder, empty for the folder itself; NULL for what is not watched. The -shm file is no matter of
   the disk: it is made anew after a power cut. */
static const char *name_of(const char *path) {
    if (folder == NULL || path == NULL || strncmp(path, folder, folder_length) != 0) {
        return NULL;
    }
    const char *name = path + folder_length;
    if (*name == '/') {
        name++;
    } else if (*name != '\0') {
        return NULL;
    }
    return ends_with(name, "-shm") || ends_with(name, ".lock") ? NULL : name;
}

static struct file *watched(int fd) {
    return fd >= 0 && fd < FILES && files[fd].is_watched ? &files[fd] : NULL;
}

static int open_in(int at, const char *path, int flags, mode_t mode) {
    const char *name = name_of(path);
    if (name == NULL) {
        return syscall(SYS_openat, at, path, flags, mode);
    }
    if (fails(OPEN)) {
        return -1;
    }
    bool was_there = faccessat(AT_FDCWD, path, F_OK, 0) == 0;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd < 0) {
        return fd;
    }
    struct stat status;
    if (fd >= FILES || fstat(fd, &status) != 0) {
        abort();
    }
    files[fd].is_folder = *name == '\0';
    files[fd].is_wal = ends_with(name, "-wal");
    files[fd].inode = status.st_ino;
    files[fd].is_watched = true;
    if (!files[fd].is_folder) {
        record(OPEN, status.st_ino, !was_there, name, strlen(name));
        if (was_there && (flags & O_TRUNC)) {
            record(TRUNCATE, status.st_ino, 0, NULL, 0);
        }
    }
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_in(AT_FDCWD, path, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));

int openat(int at, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_in(at, path, flags, mode);
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

int close(int fd) {
    if (watched(fd)) {
        files[fd].is_watched = false;
    }
    return syscall(SYS_close, fd);
}

ssize_t pread(int fd, void *buffer, size_t length, off_t offset) {
    return watched(fd) && fails(READ) ? -1 : syscall(SYS_pread64, fd, buffer, length, offset);
}
ssize_t pread64(int, void *, size_t, off64_t) __attribute__((alias("pread")));

ssize_t read(int fd, void *buffer, size_t length) {
    return watched(fd) && fails(READ) ? -1 : syscall(SYS_read, fd, buffer, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    struct file *file = watched(fd);
    if (file && fails(WRITE)) {
        return -1;
    }
    ssize_t written = syscall(SYS_pwrite64, fd, data, length, offset);
    if (file && written > 0) {
        record(WRITE, file->inode, offset, data, written);
    }
    return written;
}
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));

ssize_t write(int fd, const void *data, size_t length) {
    struct file *file = watched(fd);
    if (file && fails(WRITE)) {
        return -1;
    }
    off_t offset = file ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
    ssize_t written = syscall(SYS_write, fd, data, length);
    if (file && written > 0) {
        record(WRITE, file->inode, offset, data, written);
    }
    return written;
}

int ftruncate(int fd, off_t length) {
    struct file *file = watched(fd);
    if (file && fails(TRUNCATE)) {
        return -1;
    }
    int result = syscall(SYS_ftruncate, fd, length);
    if (file && result == 0) {
        record(TRUNCATE, file->inode, length, NULL, 0);
    }
    return result;
}
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));

/* Which names are in the folder: also those that a program gave by calls that go past the C library. */
static void record_names(void) {
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_REG && name_of(path)) {
            record(NAME, entry->d_ino, 0, entry->d_name, strlen(entry->d_name));
        }
    }
    closedir(entries);
}

/* Takes as long as a sync is to take, also when that changes meanwhile. */
static void linger(void) {
    struct timespec millisecond = {0, 1000000};
    for (uint64_t lasted = 0; lasted < orders[SYNC_MS]; lasted++) {
        syscall(SYS_nanosleep, &millisecond, NULL);
    }
}

static int sync_file(long call, int fd) {
    struct file *file = watched(fd);
    if (file == NULL) {
        return syscall(call, fd);
    }
    if (file->is_wal && orders[FORGETFUL]) {
        return 0;
    }
    linger();
    if (fails(file->is_folder ? SYNC_FOLDER : SYNC)) {
        return -1;
    }
    if (file->is_folder) {
        record_names();
    }
    int result = syscall(call, fd);
    if (result == 0) {
        record(file->is_folder ? SYNC_FOLDER : SYNC, file->inode, 0, NULL, 0);
    }
    return result;
}

int fsync(int fd) {
    return sync_file(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return sync_file(SYS_fdatasync, fd);
}

int unlink(const char *path) {
    const char *name = name_of(path);
    if (name && fails(UNLINK)) {
        return -1;
    }
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (name && result == 0) {
        record(UNLINK, 0, 0, name, strlen(name));
    }
    return result;
}

int rename(const char *from, const char *to) {
    const char *name = name_of(from), *new_name = name_of(to);
    if (name && new_name && fails(RENAME)) {
        return -1;
    }
    int result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (name && new_name && result == 0) {
        char names[1024];
        int length = snprintf(names, sizeof names, "%s/%s", name, new_name);
        record(RENAME, 0, 0, names, length);
    }
    return result;
}

/* A leap is one of the time of day alone; what has passed, all clocks have seen. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && orders && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC)) {
        now->tv_sec += (time_t)(orders[PASSED] + (clock == CLOCK_REALTIME ? orders[LEAP] : 0));
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){exact.tv_sec, exact.tv_nsec / 1000};
    return result;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) {
        *now = exact.tv_sec;
    }
    return exact.tv_sec;
}
