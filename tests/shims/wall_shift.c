/* wall_shift: a wall clock that stands wrong, for LD_PRELOAD. The file STROWGER_WALL_FILE says by how many seconds at that moment;
 * no such file: it stands right. The clocks that only go forward are left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int clock_fn(clockid_t id, struct timespec *t);

static long long shift_s(void)
{
	const char *file = getenv("STROWGER_WALL_FILE");
	char said[32] = "";
	int saved = errno, fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	long long s = fd >= 0 && read(fd, said, sizeof said - 1) > 0 ? atoll(said) : 0;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return s;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	clock_fn *f;
	*(void **)&f = dlsym(RTLD_NEXT, "clock_gettime");
	int rc = f(id, t);
	if (rc == 0 && id == CLOCK_REALTIME)
		t->tv_sec += shift_s();
	return rc;
}

time_t time(time_t *out)
{
	struct timespec t = {0};
	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}
