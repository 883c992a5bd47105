#include "io/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
	int fd;
	struct sockaddr_un to;
	socklen_t n;
	int64_t watchdog_us;
} manager = {.fd = -1};

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET"), *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	size_t n = path ? strlen(path) : 0;
	if (n < 2 || n >= sizeof manager.to.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	manager.to.sun_family = AF_UNIX;
	memcpy(manager.to.sun_path, path, n);
	if (path[0] == '@') /* abstract */
		manager.to.sun_path[0] = 0;
	manager.n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (us && (!pid || strtol(pid, NULL, 10) == (long)getpid()))
		manager.watchdog_us = strtoll(us, NULL, 10);
	if (manager.watchdog_us < 0)
		manager.watchdog_us = 0;
}

void notify_say(const char *text)
{
	if (manager.fd < 0)
		return;
	ssize_t sent = sendto(manager.fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager.to, manager.n);
	(void)sent;
}

int64_t notify_watchdog_us(void)
{
	return manager.fd >= 0 ? manager.watchdog_us : 0;
}
