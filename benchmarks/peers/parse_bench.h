/* What the programs of the parse bench share: the message, the clock of the CPU, and counted instructions. Header only,
 * so that the peers' programs link nothing of ours. */
#ifndef BENCH_PEERS_PARSE_BENCH_H
#define BENCH_PEERS_PARSE_BENCH_H

#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The second REGISTER of a VVX, with its credentials: 910 bytes. */
static const char register_910[] =
	"REGISTER sip:pbx.example.com:5060 SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.45:5060;branch=z9hG4bK2f6a8b1cDE4F7A90;rport\r\n"
	"From: \"Reception\" <sip:2104@pbx.example.com>;tag=8F3B21C4-5A9E07D1\r\n"
	"To: <sip:2104@pbx.example.com>\r\n"
	"CSeq: 2 REGISTER\r\n"
	"Call-ID: 5c2be4a0-9d173f8e-77b01c65@192.0.2.45\r\n"
	"Contact: <sip:2104@192.0.2.45:5060>;methods=\"INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, "
	"PRACK, UPDATE, REFER\"\r\n"
	"User-Agent: PolycomVVX-VVX_410-UA/5.9.6.2327\r\n"
	"Accept-Language: en\r\n"
	"Authorization: Digest username=\"2104\", realm=\"pbx.example.com\", "
	"nonce=\"6713f0a91b2c8d4e5f60718293a4b5c6\", qop=auth, cnonce=\"kJ8fQz2LrT0vYxW\", nc=00000001, "
	"opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", uri=\"sip:pbx.example.com:5060\", "
	"response=\"0a4f113b7d92c5e8361b7f20d9ac4e58\", algorithm=MD5\r\n"
	"Allow-Events: talk, hold, conference, dialog, presence\r\n"
	"Supported: replaces,path\r\n"
	"Max-Forwards: 70\r\n"
	"Expires: 3600\r\n"
	"Content-Length: 0\r\n"
	"\r\n";

enum { PARSE_LEN = sizeof register_910 - 1 };

static inline double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Counter of user instructions of this thread, or -1 where the kernel gives none. */
static inline int open_counter(void)
{
	struct perf_event_attr a;
	memset(&a, 0, sizeof a);
	a.type = PERF_TYPE_HARDWARE;
	a.size = sizeof a;
	a.config = PERF_COUNT_HW_INSTRUCTIONS;
	a.exclude_kernel = 1;
	a.exclude_hv = 1;
	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0UL);
}
static inline uint64_t read_counter(int fd)
{
	uint64_t v = 0;
	return fd >= 0 && read(fd, &v, sizeof v) == sizeof v ? v : 0;
}

/* Runs parse_once (0 = all fields read) for about the seconds given; "us instructions ops" on standard output. */
static inline int bench_loop(int (*parse_once)(void), int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2.0;
	uint64_t ops = 0;
	int fd = open_counter();
	if (!(seconds > 0 && seconds <= 30))
		seconds = 2.0;
	for (int i = 0; i < 1000; i++)
		if (parse_once() != 0) {
			fprintf(stderr, "the message was not parsed\n");
			return 1;
		}
	uint64_t i0 = read_counter(fd);
	double t0 = cpu_us(), t;
	do {
		for (int i = 0; i < 1000; i++)
			if (parse_once() != 0)
				return 1;
		ops += 1000;
		t = cpu_us() - t0;
	} while (t < seconds * 1e6);
	uint64_t ins = read_counter(fd) - i0;
	printf("%.4f %llu %llu\n", t / (double)ops, (unsigned long long)(ins / ops), (unsigned long long)ops);
	return 0;
}

#endif
