/* relay_load: RTP load against a relay, from outside. Each line of standard input (or FILE) is one phone: its local port and
 * the relay's address for it; lines 2k and 2k + 1 are the two phones of one call. Every phone sends a packet each 20 ms
 * (phases spread evenly) and what it receives must be what the other one sent.
 * relay_load [--seconds S] [--warmup S] [--pid PID] [--bind IP] [--pt N] [FILE]
 * Prints one JSON line. One op = one packet that went in and came out. CPU of PID: all its threads, from
 * /proc/PID/task/N/schedstat (nanoseconds on a CPU, user and kernel). Delay: sender's clock to the receiving
 * socket's kernel time stamp, as the load process may be late to read but not to stamp. */
#include "base/addr.h"
#include "base/assert.h"
#include "rtp/rtp.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 160, PTIME_US = 20000, BATCH = 8, MAX_DELAY_BUCKET = 100000 };

struct phone {
	int fd;
	uint16_t local;
	struct addr relay;
	int64_t due_us;
	uint32_t number, ts;
	uint16_t seq;
	uint64_t sent, received, foreign;
	int64_t last_delay_us;
};

static struct phone *phones;
static size_t n_phones;
static bool measuring;
static uint64_t sent, received, foreign, send_failed;
static uint32_t delays[MAX_DELAY_BUCKET + 1], jitters[MAX_DELAY_BUCKET + 1];
static const char *bind_ip = "127.0.0.1";
static uint8_t pt;

static int64_t wall_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t mono_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "relay_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static socklen_t to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof *ss);
	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	memcpy(&in6->sin6_addr, a->ip, 16);
	return sizeof *in6;
}

static void read_phones(FILE *f)
{
	char line[200], host[120];
	size_t cap = 0;
	unsigned local, port;
	while (fgets(line, sizeof line, f) && strncmp(line, "READY", 5) != 0) {
		char *colon = strrchr(line, ':');
		if (!colon || sscanf(line, "%u %119[^\n]", &local, host) != 2 || sscanf(colon + 1, "%u", &port) != 1)
			continue;
		*strrchr(host, ':') = '\0';
		if (n_phones == cap) {
			cap = cap ? cap * 2 : 256;
			phones = realloc(phones, cap * sizeof *phones);
			if (!phones)
				die("memory");
		}
		struct phone *p = &phones[n_phones];
		*p = (struct phone){.local = (uint16_t)local, .number = (uint32_t)n_phones, .last_delay_us = -1};
		if (addr_parse(span_z(host), (uint16_t)port, &p->relay) < 0) {
			fprintf(stderr, "relay_load: %s: not an address\n", host);
			exit(2);
		}
		n_phones++;
	}
}

static void open_phones(int ep)
{
	struct rlimit lim;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
	for (size_t i = 0; i < n_phones; i++) {
		struct phone *p = &phones[i];
		struct addr at;
		struct sockaddr_storage ss;
		int on = 1;
		if (addr_parse(span_z(p->relay.family == 6 && strcmp(bind_ip, "127.0.0.1") == 0 ? "::1" : bind_ip), p->local, &at) < 0)
			die("bind address");
		p->fd = socket(at.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		socklen_t n = to_sockaddr(&at, &ss);
		if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&ss, n) < 0)
			die("bind");
		if (setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0)
			die("SO_TIMESTAMPNS");
		struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)i};
		if (epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev) < 0)
			die("epoll");
	}
}

static void send_one(struct phone *p)
{
	uint8_t payload[PAYLOAD] = {0}, packet[RTP_HEADER_BYTES + PAYLOAD];
	struct sockaddr_storage ss;
	int64_t now = wall_ns();
	memcpy(payload, &now, sizeof now);
	memcpy(payload + 8, &p->number, sizeof p->number);
	payload[12] = measuring;
	struct rtp h = {.pt = pt, .marker = p->seq == 0, .seq = p->seq, .ts = p->ts, .ssrc = 0x1000 + p->number, .payload = span_mem(payload, PAYLOAD)};
	size_t n = rtp_write(&h, packet, sizeof packet);
	socklen_t sn = to_sockaddr(&p->relay, &ss);
	if (sendto(p->fd, packet, n, 0, (struct sockaddr *)&ss, sn) < 0)
		send_failed++;
	p->seq++;
	p->ts += PAYLOAD;
	p->sent++;
	sent += measuring;
}

static void count_delay(struct phone *p, int64_t stamp_ns, int64_t sent_ns)
{
	int64_t us = (stamp_ns - sent_ns) / 1000;
	us = us < 0 ? 0 : us > MAX_DELAY_BUCKET ? MAX_DELAY_BUCKET : us;
	delays[us]++;
	if (p->last_delay_us >= 0)
		jitters[us > p->last_delay_us ? us - p->last_delay_us : p->last_delay_us - us]++;
	p->last_delay_us = us;
}

static void receive_one(struct phone *p, struct span b, struct msghdr *mh)
{
	struct rtp h;
	int64_t sent_ns;
	uint32_t from;
	if (rtp_parse(b, &h) < 0 || h.payload.n != PAYLOAD) {
		foreign++;
		return;
	}
	memcpy(&sent_ns, h.payload.p, sizeof sent_ns);
	memcpy(&from, h.payload.p + 8, sizeof from);
	p->received++;
	if (from != (p->number ^ 1)) {
		foreign++;
		return;
	}
	if (!h.payload.p[12])
		return;
	received++;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		struct timespec ts;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof ts);
		count_delay(p, (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec, sent_ns);
	}
}

static void drain(struct phone *p)
{
	static uint8_t buf[BATCH][2048], control[BATCH][64];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;
	do {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){buf[i], sizeof buf[i]};
			m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
		}
		n = recvmmsg(p->fd, m, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			receive_one(p, span_mem(buf[i], m[i].msg_len), &m[i].msg_hdr);
	} while (n == BATCH);
}

static void drain_all(int ep)
{
	struct epoll_event ev[512];
	int n;
	do {
		n = epoll_wait(ep, ev, 512, 0);
		for (int i = 0; i < n; i++)
			drain(&phones[ev[i].data.u32]);
	} while (n == 512);
}

/* Phones are in the order of their phases, so the due ones are a run behind `next`. */
static void run_until(int ep, int64_t end_us)
{
	static size_t next;
	for (int64_t now; (now = mono_us()) < end_us;) {
		while (phones[next].due_us <= now) {
			phones[next].due_us += PTIME_US;
			send_one(&phones[next]);
			next = (next + 1) % n_phones;
		}
		drain_all(ep);
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 200000}, NULL);
	}
}

static uint64_t cpu_ns(int pid)
{
	char path[300];
	uint64_t total = 0;
	unsigned long long ns;
	(void)snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *d = opendir(path);
	if (!d)
		die(path);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		(void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			total += ns;
		fclose(f);
	}
	closedir(d);
	return total;
}

static unsigned quantile(const uint32_t *h, double q)
{
	uint64_t total = 0, sum = 0;
	for (unsigned i = 0; i <= MAX_DELAY_BUCKET; i++)
		total += h[i];
	for (unsigned i = 0; i <= MAX_DELAY_BUCKET; i++)
		if ((double)(sum += h[i]) >= q * (double)total && total)
			return i;
	return 0;
}

int main(int argc, char **argv)
{
	double seconds = 10, warmup = 1;
	int pid = 0;
	FILE *in = stdin;
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;
		if (more && !strcmp(argv[i], "--seconds"))
			seconds = atof(argv[++i]);
		else if (more && !strcmp(argv[i], "--warmup"))
			warmup = atof(argv[++i]);
		else if (more && !strcmp(argv[i], "--pid"))
			pid = atoi(argv[++i]);
		else if (more && !strcmp(argv[i], "--bind"))
			bind_ip = argv[++i];
		else if (more && !strcmp(argv[i], "--pt"))
			pt = (uint8_t)(atoi(argv[++i]) & 0x7f);
		else if (argv[i][0] == '-' || !(in = fopen(argv[i], "r")))
			die(argv[i]);
	}
	read_phones(in);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (n_phones < 2 || n_phones % 2) {
		fprintf(stderr, "relay_load: %zu phones: need an even number\n", n_phones);
		return 2;
	}
	open_phones(ep);
	int64_t start = mono_us() + 1000;
	for (size_t i = 0; i < n_phones; i++)
		phones[i].due_us = start + (int64_t)(i * PTIME_US / n_phones);
	run_until(ep, start + (int64_t)(warmup * 1e6));
	measuring = true;
	uint64_t cpu0 = pid ? cpu_ns(pid) : 0;
	int64_t t0 = mono_us();
	run_until(ep, t0 + (int64_t)(seconds * 1e6));
	measuring = false;
	uint64_t cpu1 = pid ? cpu_ns(pid) : 0;
	double took = (double)(mono_us() - t0) / 1e6;
	/* What is still on its way. */
	for (int i = 0; i < 100 && received < sent; i++) {
		drain_all(ep);
		usleep(2000);
	}
	printf("{\"phones\":%zu,\"seconds\":%.2f,\"sent\":%llu,\"received\":%llu,\"lost\":%lld,\"foreign\":%llu,\"send_failed\":%llu,\"pps\":%.0f",
	       n_phones, took, (unsigned long long)sent, (unsigned long long)received, (long long)(sent - received), (unsigned long long)foreign,
	       (unsigned long long)send_failed, (double)received / took);
	if (pid && received)
		printf(",\"cpu_us_per_op\":%.3f", (double)(cpu1 - cpu0) / 1000 / (double)received);
	printf(",\"delay_us\":{\"p50\":%u,\"p99\":%u,\"p999\":%u},\"jitter_us\":{\"p50\":%u,\"p99\":%u,\"p999\":%u}}\n", quantile(delays, .5),
	       quantile(delays, .99), quantile(delays, .999), quantile(jitters, .5), quantile(jitters, .99), quantile(jitters, .999));
	return received == sent ? 0 : 3;
}
