#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(int fd)
{
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

static ssize_t read_some(int fd, char *p, size_t n)
{
	ssize_t got;
	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

int file_read(const char *path, size_t max, char **out, size_t *n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail(fd);
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max) {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		return fail(fd);
	}
	size_t size = (size_t)st.st_size, have = 0;
	char *mem = malloc(size + 1);
	if (!mem)
		return fail(fd);
	while (have < size) {
		ssize_t got = read_some(fd, mem + have, size - have);
		if (got < 0) {
			free(mem);
			return fail(fd);
		}
		if (got == 0)
			break;
		have += (size_t)got;
	}
	close(fd);
	mem[have] = '\0';
	*out = mem;
	*n = have;
	return 0;
}

static int write_all(int fd, struct span b)
{
	while (b.n > 0) {
		ssize_t put = write(fd, b.p, b.n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		b = span_sub(b, (size_t)put, b.n);
	}
	return 0;
}

int file_sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fsync(fd) != 0)
		return fail(fd);
	close(fd);
	return 0;
}

int file_write(const char *path, struct span bytes, bool durable)
{
	char tmp[PATH_MAX];
	int len = snprintf(tmp, sizeof tmp, "%s.XXXXXX", path);
	if (len < 0 || (size_t)len >= sizeof tmp) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = mkostemp(tmp, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return -1;
	int rc = write_all(fd, bytes);
	if (rc == 0 && durable)
		rc = fsync(fd);
	int e = errno;
	if (close(fd) != 0 && rc == 0) {
		rc = -1;
		e = errno;
	}
	if (rc == 0 && rename(tmp, path) != 0) {
		rc = -1;
		e = errno;
	}
	if (rc != 0) {
		unlink(tmp);
		errno = e;
		return -1;
	}
	return durable ? file_sync_folder(dirname(tmp)) : 0;
}

int file_mkdir(const char *path)
{
	char copy[PATH_MAX];
	if (mkdir(path, 0700) == 0) /* what is synced in it is there after a power cut only if it is */
		return span_copyz(span_z(path), copy, sizeof copy) ? file_sync_folder(dirname(copy)) : -1;
	if (errno != EEXIST)
		return -1;
	struct stat st;
	if (stat(path, &st) != 0)
		return -1;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	return 0;
}

int file_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail(fd);
	return fd;
}
