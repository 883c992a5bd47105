/* flood: REGISTERs of users that do not exist, from one source, many a second: flood ADDR:PORT SOURCE RATE SECONDS USERS.
 * The source is an address of 127.0.0.0/8. Answers are not read. One line of JSON at the end. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 100, ONE = 512 };

static char texts[BATCH][ONE];

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t text(char *out, const char *source, int port, unsigned long n, unsigned long users)
{
	int len = snprintf(out, ONE, "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKf%lu\r\nMax-Forwards: 70\r\n"
		"From: <sip:u%lu@127.0.0.1>;tag=%lu\r\nTo: <sip:u%lu@127.0.0.1>\r\nCall-ID: flood%lu\r\nCSeq: 1 REGISTER\r\n"
		"Contact: <sip:u%lu@%s:%d>\r\nContent-Length: 0\r\n\r\n", source, port, n, n % users, n, n % users, n, n % users, source, port);
	return len > 0 && len < ONE ? (size_t)len : 0;
}

int main(int argc, char **argv)
{
	char host[64];
	int port;
	if (argc != 6 || sscanf(argv[1], "%63[0-9.]:%d", host, &port) != 2) {
		fprintf(stderr, "usage: flood ADDR:PORT SOURCE RATE SECONDS USERS\n");
		return 2;
	}
	double rate = atof(argv[3]), seconds = atof(argv[4]);
	unsigned long users = strtoul(argv[5], NULL, 10), sent = 0, made = 0;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)}, from = {.sin_family = AF_INET};
	socklen_t len = sizeof from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || rate <= 0 || users == 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 || inet_pton(AF_INET, argv[2], &from.sin_addr) != 1 ||
		(ntohl(to.sin_addr.s_addr) >> 24) != 127 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
		getsockname(fd, (struct sockaddr *)&from, &len) != 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		fprintf(stderr, "flood: cannot send from %s to %s (loopback only)\n", argv[2], argv[1]);
		return 1;
	}
	double began = now_s();
	for (double t = began; t < began + seconds; t = now_s()) {
		if ((double)made >= (t - began) * rate) {
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
			continue;
		}
		struct iovec iov[BATCH];
		struct mmsghdr m[BATCH];
		memset(m, 0, sizeof m);
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){.iov_base = texts[i], .iov_len = text(texts[i], argv[2], ntohs(from.sin_port), made++, users)};
			m[i].msg_hdr.msg_iov = &iov[i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		int n = sendmmsg(fd, m, BATCH, 0);
		sent += n > 0 ? (unsigned long)n : 0;
	}
	printf("{\"sent\":%lu,\"seconds\":%.2f,\"per_s\":%.0f,\"users\":%lu}\n", sent, now_s() - began, (double)sent / (now_s() - began), made < users ? made : users);
	close(fd);
	return 0;
}
