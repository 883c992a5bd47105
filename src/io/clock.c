#include "io/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/span.h"

static int64_t read_us(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t boot_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

void boot_id(char out[BOOT_ID])
{
	char line[BOOT_ID];
	struct span id = span_z(getenv("STROWGER_BOOT_ID"));
	if (!id.n) {
		int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? read(fd, line, sizeof line) : 0;
		id = span_trim(span_mem(line, n > 0 ? (size_t)n : 0));
		if (fd >= 0)
			close(fd);
	}
	if (!span_copyz(id, out, BOOT_ID))
		out[0] = 0;
}
