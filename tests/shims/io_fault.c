/* io_fault: a disk that stalls or fails, for LD_PRELOAD. Files below STROWGER_FAULT_DIR are touched, by what the file
 * STROWGER_FAULT_FILE says at that moment:
 *   off         nothing (also: no such file)
 *   stall S     every write and sync waits until S seconds after the control file was written, then is done
 *   fail CODE   every write and sync fails: EIO, ENOSPC or EROFS
 * Replaced whole (rename), never written in place. */
#undef _FILE_OFFSET_BITS /* with it pwrite is another name for pwrite64, and both are to be caught */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef int sync_fn(int fd);
typedef ssize_t write_fn(int fd, const void *p, size_t n);
typedef ssize_t pwrite_fn(int fd, const void *p, size_t n, off_t at);

int fsync(int fd);
int fdatasync(int fd);
ssize_t write(int fd, const void *p, size_t n);
ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);

static int ours(int fd)
{
	const char *dir = getenv("STROWGER_FAULT_DIR");
	char link[64], path[512];
	if (!dir || fd <= 2) /* the log on standard error is not the site's */
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	return n > 0 && (size_t)n >= strlen(dir) && strncmp(path, dir, strlen(dir)) == 0;
}

static void wait_until(const struct timespec *from, double seconds)
{
	for (;;) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		double left = seconds - (double)(now.tv_sec - from->tv_sec) - (double)(now.tv_nsec - from->tv_nsec) / 1e9;
		if (left <= 0)
			return;
		struct timespec nap = {0, 10000000};
		nanosleep(&nap, NULL);
	}
}

/* 0: go on; else the errno of the failure. */
static int fault(int fd)
{
	const char *file = getenv("STROWGER_FAULT_FILE");
	char said[64] = "", code[16] = "";
	struct stat sb;
	double seconds;
	int saved = errno, control, e = 0;
	if (!file || !ours(fd) || (control = open(file, O_RDONLY | O_CLOEXEC)) < 0) {
		errno = saved;
		return 0;
	}
	ssize_t n = read(control, said, sizeof said - 1);
	if (n > 0 && fstat(control, &sb) == 0) {
		if (sscanf(said, "stall %lf", &seconds) == 1)
			wait_until(&sb.st_mtim, seconds);
		else if (sscanf(said, "fail %15s", code) == 1)
			e = !strcmp(code, "ENOSPC") ? ENOSPC : !strcmp(code, "EROFS") ? EROFS : EIO;
	}
	close(control);
	errno = e ? e : saved;
	return e;
}

/* The next one of that name; POSIX's own way around a function pointer in a void pointer. */
static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

int fsync(int fd)
{
	sync_fn *f;
	*(void **)&f = next("fsync");
	return fault(fd) ? -1 : f(fd);
}

int fdatasync(int fd)
{
	sync_fn *f;
	*(void **)&f = next("fdatasync");
	return fault(fd) ? -1 : f(fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
	write_fn *f;
	*(void **)&f = next("write");
	return fault(fd) ? -1 : f(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	pwrite_fn *f;
	*(void **)&f = next("pwrite");
	return fault(fd) ? -1 : f(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	pwrite_fn *f;
	*(void **)&f = next("pwrite64");
	return fault(fd) ? -1 : f(fd, p, n, at);
}
