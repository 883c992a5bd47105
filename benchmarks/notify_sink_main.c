/* The subscribers of the bench: answers every NOTIFY on an inherited UDP socket with 200. notify_sink FD COUNT: after each COUNT
 * NOTIFYs one line "first_us last_us bytes" (CLOCK_MONOTONIC) on stdout. Ends when stdin ends. */
#include "sip/msg/build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void answer(int fd, const struct sockaddr_in *to, const struct sip_msg *m)
{
	char buf[4096];
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct sip_flow f = {.remote = {.family = 4, .port = ntohs(to->sin_port)}};
	memcpy(f.remote.ip, &to->sin_addr, 4);
	sip_reply_begin(&b, m, &f, 200, NULL, SPAN_NONE);
	if (sip_finish(&b, "", SPAN_NONE))
		(void)!sendto(fd, b.t.p, b.t.n, 0, (const struct sockaddr *)to, sizeof *to);
}

int main(int argc, char **argv)
{
	static char in[65536];
	if (argc != 3)
		return 2;
	int fd = atoi(argv[1]), count = atoi(argv[2]), n = 0;
	long long first = 0, bytes = 0;
	struct pollfd p[2] = {{fd, POLLIN, 0}, {0, POLLIN, 0}};
	while (poll(p, 2, -1) > 0 && !p[1].revents) {
		struct sockaddr_in from;
		socklen_t len = sizeof from;
		ssize_t got = recvfrom(fd, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		struct sip_msg m;
		struct sip_error err = {0};
		if (got <= 0 || sip_parse(&m, (struct span){in, (size_t)got}, &err) != 0 || !m.is_request || m.method != SIP_NOTIFY)
			continue;
		first = n++ ? first : now_us();
		bytes += got;
		answer(fd, &from, &m);
		if (n < count)
			continue;
		printf("%lld %lld %lld\n", first, now_us(), bytes);
		fflush(stdout);
		n = 0;
		bytes = 0;
	}
	return 0;
}
