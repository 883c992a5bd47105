/* power_cut: what a power cut would leave, for LD_PRELOAD. Of the files below STROWGER_CUT_SITE the folder STROWGER_CUT_DISK (there
 * already, empty or a copy) gets what was synced: contents at fsync and fdatasync of the file, names that were changed or removed at fsync of their
 * folder. After a SIGKILL that folder is what the disk surely has; of the rest it may have any sectors (tests/live/test_power.py). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 600, STEPS = 256 };

struct step { /* a name that changed in a folder not synced yet; to "": removed, "/": a new folder */
	char from[PATH], to[PATH];
};
static struct step steps[STEPS];
static unsigned n_steps;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef int rename_fn(const char *from, const char *to);
typedef int unlink_fn(const char *path);
typedef int mkdir_fn(const char *path, mode_t mode);

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Where it is on the disk; 0: not below the site. */
static int on_disk(const char *path, char out[PATH])
{
	const char *site = getenv("STROWGER_CUT_SITE"), *disk = getenv("STROWGER_CUT_DISK");
	size_t n = site ? strlen(site) : 0;
	if (!n || !disk || strncmp(path, site, n) != 0 || (path[n] && path[n] != '/'))
		return 0;
	return snprintf(out, PATH, "%s%s", disk, path + n) < PATH;
}

static void copy(int fd, const char *to)
{
	char b[65536];
	off_t at = 0;
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (out < 0 && errno == ENOENT) /* its folder is not there for sure */
		return;
	if (out < 0)
		abort(); /* a test that would pass for nothing */
	for (ssize_t n; (n = pread(fd, b, sizeof b, at)) > 0; at += n)
		if (pwrite(out, b, (size_t)n, at) != n)
			abort();
	if (ftruncate(out, at) != 0)
		abort();
	close(out);
}

static int in_folder(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	return strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

static void sync_folder(const char *folder)
{
	rename_fn *re;
	unlink_fn *un;
	*(void **)&re = next("rename");
	*(void **)&un = next("unlink");
	mkdir_fn *mk;
	*(void **)&mk = next("mkdir");
	for (unsigned i = 0; i < n_steps;) {
		if (!in_folder(steps[i].from, folder)) {
			i++;
			continue;
		}
		if (steps[i].to[0] == '/' && !steps[i].to[1])
			(void)mk(steps[i].from, 0700);
		else if (steps[i].to[0])
			(void)re(steps[i].from, steps[i].to);
		else
			(void)un(steps[i].from);
		memmove(&steps[i], &steps[i + 1], (--n_steps - i) * sizeof steps[0]);
	}
}

static int synced(int fd)
{
	char link[64], path[PATH], disk[PATH];
	struct stat sb;
	int saved = errno;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n > 0 && fstat(fd, &sb) == 0) {
		path[n] = 0;
		pthread_mutex_lock(&lock);
		if (on_disk(path, disk)) {
			if (S_ISDIR(sb.st_mode))
				sync_folder(disk);
			else if (S_ISREG(sb.st_mode))
				copy(fd, disk);
		}
		pthread_mutex_unlock(&lock);
	}
	errno = saved;
	return n > 0 ? 0 : -1;
}

static void note(const char *from, const char *to)
{
	char a[PATH], b[PATH] = "";
	if (to && strcmp(to, "/") == 0)
		memcpy(b, to, 2);
	else if (to && !on_disk(to, b))
		return;
	if (!on_disk(from, a))
		return;
	pthread_mutex_lock(&lock);
	if (n_steps == STEPS)
		abort();
	memcpy(steps[n_steps].from, a, sizeof a);
	memcpy(steps[n_steps++].to, b, sizeof b);
	pthread_mutex_unlock(&lock);
}

int fsync(int fd)
{
	return synced(fd);
}

int fdatasync(int fd)
{
	return synced(fd);
}

int rename(const char *from, const char *to)
{
	rename_fn *f;
	*(void **)&f = next("rename");
	int rc = f(from, to);
	if (rc == 0)
		note(from, to);
	return rc;
}

int unlink(const char *path)
{
	unlink_fn *f;
	*(void **)&f = next("unlink");
	int rc = f(path);
	if (rc == 0)
		note(path, NULL);
	return rc;
}

int mkdir(const char *path, mode_t mode)
{
	mkdir_fn *f;
	*(void **)&f = next("mkdir");
	int rc = f(path, mode);
	if (rc == 0)
		note(path, "/");
	return rc;
}
