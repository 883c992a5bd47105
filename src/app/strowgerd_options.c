#include "app/strowgerd.h"

#include "base/log_rules.h"
#include "io/thread.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"strowgerd: the Strowger switch\n"
	"  --site DIR        state of the site; made when it is not there (default: site)\n"
	"  --port-base N     all ports at offsets from N: +0 SIP (UDP, TCP), +1 SIP over TLS, +2 SIP service (UDP, TCP),\n"
	"                    +3 HTTP, +4 HTTPS, +5 metrics (loopback), +6 SIP over old TLS (site setting), +100 up RTP and RTCP\n"
	"                    (default: 5060, 5061, 10060, 8080, 8443, 9090, 5062 and RTP from 16384)\n"
	"  --port NAME=N     one of them: sip, sips, service, http, https, metrics, sips-old, rtp; may be repeated. Phones that are told a\n"
	"                    server without a port ask 80 and 443: --port http=80 --port https=443\n"
	"  --listen ADDR     IP address to listen on; may be repeated, up to 4 (default: 0.0.0.0, all of IPv4)\n"
	"  --workers N       threads for voice (default: one for each core)\n"
	"  --rtp-pairs N     RTP/RTCP port pairs of the site; a call through the switch takes two (default: 448)\n"
	"  --record FILE     writes every input of the switch to FILE, for replay (as secret as the site itself)\n"
	"  --log-level L     debug, info, warn or error (default: info); `strowger log` changes it while it runs\n"
	"  --log-file FILE   the log goes there, not to standard error; SIGHUP opens it anew\n"
	"  --log-file-mb N   a log file longer than this is put aside as FILE.1 .. FILE.4; 0: never (default: 64)\n"
	"  --log-journal[=SOCKET]  the log goes to the journal of systemd, with fields (by itself under systemd)\n"
	"  --user NAME       started as root: be NAME from the beginning, for good; the site's folder is given to NAME when it is made\n"
	"  --no-seccomp      without the filter of system calls: for debuggers\n"
	"  --help, --version\n";

static int wrong(const char *fmt, const char *what)
{
	complain(fmt, what);
	fputs("Try --help.\n", stderr);
	return EXIT_USAGE;
}

static int number(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	return span_u64(span_z(s), max, out) == 0 && *out >= min ? 0 : -1;
}

static int take_log(struct logs_opts *o, int c, const char *arg)
{
	uint64_t n = 0;
	switch (c) {
	case 'F': o->file = arg; return -1;
	case 'J':
		o->journal = true;
		o->journal_path = arg;
		return -1;
	case 'M':
		if (number(arg, 0, 1u << 20, &n) != 0)
			return wrong("--log-file-mb wants a number of megabytes from 0 to 1048576, not '%s'.", arg);
		o->file_max_bytes = n << 20;
		return -1;
	}
	return log_level_parse(span_z(arg), &o->level) == 0 ? -1 : wrong("--log-level wants debug, info, warn or error, not '%s'.", arg);
}

static int take(struct daemon_opts *o, int c, const char *arg)
{
	uint64_t n = 0;
	switch (c) {
	case 's': o->site = arg; return -1;
	case 'R': o->record = arg; return -1;
	case 'u': o->user = arg; return -1;
	case 'S': o->no_seccomp = true; return -1;
	case 'p':
		if (number(arg, 1024, 65000, &n) != 0)
			return wrong("--port-base wants a port from 1024 to 65000, not '%s'.", arg);
		o->port_base = (uint16_t)n;
		return -1;
	case 'P':
		if (ports_wish(&o->wishes, span_z(arg)) != 0)
			return wrong("--port wants NAME=N: sip, sips, service, http, https, metrics, sips-old or rtp (even), and a port from 1 to 65535, not '%s'.", arg);
		return -1;
	case 'l':
		if (o->n_listen == MAX_LISTEN || addr_parse(span_z(arg), 0, &o->listen[o->n_listen]) != 0)
			return wrong("--listen wants an IP address (at most four times), not '%s'.", arg);
		o->n_listen++;
		return -1;
	case 'w':
		if (number(arg, 1, MAX_WORKERS_OPT, &n) != 0)
			return wrong("--workers wants a number from 1 to 64, not '%s'.", arg);
		o->workers = (unsigned)n;
		return -1;
	case 'r':
		if (number(arg, 1, MAX_PAIRS_OPT, &n) != 0)
			return wrong("--rtp-pairs wants a number from 1 to 6000, not '%s'.", arg);
		o->pairs = (unsigned)n;
		return -1;
	case 'L':
	case 'F':
	case 'J':
	case 'M': return take_log(&o->log, c, arg);
	case 'h': fputs(usage, stdout); return EXIT_CLEAN;
	case 'V': puts("strowgerd " STROWGER_VERSION); return EXIT_CLEAN;
	}
	fputs("Try --help.\n", stderr);
	return EXIT_USAGE;
}

int options_read(struct daemon_opts *o, int argc, char **argv)
{
	static const struct option known[] = {
		{"site", 1, NULL, 's'}, {"port-base", 1, NULL, 'p'}, {"port", 1, NULL, 'P'}, {"listen", 1, NULL, 'l'}, {"workers", 1, NULL, 'w'},
		{"rtp-pairs", 1, NULL, 'r'}, {"record", 1, NULL, 'R'}, {"log-level", 1, NULL, 'L'},
		{"log-file", 1, NULL, 'F'}, {"log-file-mb", 1, NULL, 'M'}, {"log-journal", 2, NULL, 'J'}, {"user", 1, NULL, 'u'},
		{"no-seccomp", 0, NULL, 'S'}, {"help", 0, NULL, 'h'},
		{"version", 0, NULL, 'V'}, {NULL, 0, NULL, 0}};
	*o = (struct daemon_opts){.site = "site", .pairs = 448, .log = {.level = LOG_INFO, .file_max_bytes = 64u << 20}};
	int c;
	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		int rc = take(o, c, optarg);
		if (rc >= 0)
			return rc;
	}
	if (optind < argc)
		return wrong("'%s' is not an option.", argv[optind]);
	if (!o->n_listen)
		o->listen[o->n_listen++] = (struct addr){.family = 4};
	if (!o->workers)
		o->workers = thread_cores() < MAX_WORKERS_OPT ? thread_cores() : MAX_WORKERS_OPT;
	if (o->workers > o->pairs)
		o->workers = o->pairs;
	struct daemon_ports p = ports_of(o);
	uint32_t rtp_end = p.rtp_first + 2u * o->pairs + 2u * o->workers;
	char what[96];
	if (rtp_end > 65536)
		return wrong("With this many --rtp-pairs the ports would go beyond 65535: take fewer, or a lower --port-base.%s", "");
	if (ports_clash(&p, rtp_end, what, sizeof what))
		return wrong("Two listeners want one port: %s. Give one of them another by --port NAME=N.", what);
	return -1;
}

struct daemon_ports ports_of(const struct daemon_opts *o)
{
	struct daemon_ports p;
	ports_standard(&p, o->port_base);
	ports_apply(&p, &o->wishes);
	return p;
}
