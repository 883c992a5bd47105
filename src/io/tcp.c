#include "io/tcp.h"

#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int set_int(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof v);
}

static int fail(int fd)
{
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

static int stream(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int tcp_listen(const struct addr *a, int backlog)
{
	struct sockaddr_storage ss;
	socklen_t n = sock_from_addr(a, &ss);
	int fd = stream(ss.ss_family);
	if (fd < 0)
		return -1;
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (a->family == 6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0)
		return fail(fd);
	if (bind(fd, (struct sockaddr *)&ss, n) != 0 || listen(fd, backlog) != 0)
		return fail(fd);
	return fd;
}

/* A router's memory of the connection stays fresh (G12), and a peer that vanished is noticed within two minutes. */
static void keep_alive(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int tcp_accept(int listener, struct addr *remote, struct addr *local)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	int fd = accept4(listener, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -1;
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	keep_alive(fd);
	*remote = sock_to_addr(&ss);
	*local = tcp_local(fd);
	return fd;
}

int tcp_connect(const struct addr *to, const struct addr *from)
{
	struct sockaddr_storage ss;
	socklen_t n;
	struct sockaddr_storage dst;
	socklen_t dst_n = sock_from_addr(to, &dst);
	int fd = stream(dst.ss_family);
	if (fd < 0)
		return -1;
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (from->family == to->family && !sock_is_any(from)) {
		struct addr any_port = *from;
		any_port.port = 0;
		n = sock_from_addr(&any_port, &ss);
		set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		if (bind(fd, (struct sockaddr *)&ss, n) != 0)
			return fail(fd);
	}
	if (connect(fd, (struct sockaddr *)&dst, dst_n) != 0 && errno != EINPROGRESS)
		return fail(fd);
	return fd;
}

int tcp_error(int fd)
{
	int e = 0;
	socklen_t n = sizeof e;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 ? e : errno;
}

struct addr tcp_local(int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	if (getsockname(fd, (struct sockaddr *)&ss, &n) != 0)
		return (struct addr){0};
	return sock_to_addr(&ss);
}

int unix_listen(const char *path, int backlog)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (!span_copyz(span_z(path), un.sun_path, sizeof un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	int fd = stream(AF_UNIX);
	if (fd < 0)
		return -1;
	/* The mode of the socket's file comes from the descriptor's mode, so that it is never wider, not even for a moment. */
	fchmod(fd, 0600);
	if (bind(fd, (struct sockaddr *)&un, sizeof un) != 0 || chmod(path, 0600) != 0 || listen(fd, backlog) != 0)
		return fail(fd);
	return fd;
}
