/* strowger doctor (G10): is everything reachable that a phone needs, and is the host fit for it? */
#include "app/cli_doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void doctor_say(struct doctor *d, enum finding f, const char *what, const char *mend, const char *fmt, ...)
{
	static const char *const names[] = {"ok", "warn", "FAIL"};
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	d->fails += f == FIND_FAIL;
	if (d->json) {
		json_array_append_new(d->findings, json_pack("{s:s,s:s,s:s,s:s}", "result", names[f], "what", what, "found", text, "mend", f == FIND_OK ? "" : mend));
		return;
	}
	printf("%-4s  %-24s %s\n", names[f], what, text);
	if (f != FIND_OK)
		printf("      mend: %s\n", mend);
}

/* Those that the daemon of the site has; what is named goes before: a firewall may show others. */
static bool take_ports(const struct cli *c, struct daemon_ports *p)
{
	struct daemon_ports wishes = {0};
	uint64_t base = 0;
	for (int i = 0; i + 1 < c->argc; i += 2) {
		struct span v = span_z(c->argv[i + 1]);
		if (!strcmp(c->argv[i], "--port-base") && (span_u64(v, 65000, &base) != 0 || base == 0))
			return false;
		if (!strcmp(c->argv[i], "--port") && ports_wish(&wishes, v) != 0)
			return false;
	}
	if (base || ports_read(p, c->site) != 0)
		ports_standard(p, (uint16_t)base);
	ports_apply(p, &wishes);
	return true;
}

/* [--host ADDR] [--from ADDR] [--port-base P] [--port NAME=P]... */
int cli_doctor(struct cli *c)
{
	struct doctor d = {.site = c->site, .json = c->json, .findings = json_array()};
	struct daemon_ports ports;
	bool good = take_ports(c, &ports) && addr_parse(SPAN_LIT("127.0.0.1"), 0, &d.host) == 0;
	for (int i = 0; good && i < c->argc; i += 2) {
		good = i + 1 < c->argc;
		if (good && !strcmp(c->argv[i], "--host"))
			good = addr_parse(span_z(c->argv[i + 1]), 0, &d.host) == 0;
		else if (good && !strcmp(c->argv[i], "--from"))
			good = addr_parse(span_z(c->argv[i + 1]), 0, &d.from) == 0;
		else
			good = good && (!strcmp(c->argv[i], "--port-base") || !strcmp(c->argv[i], "--port"));
	}
	if (good && d.from.family && d.from.family != d.host.family) {
		fprintf(stderr, "strowger: --from and --host are not of one family: name both as IPv4 or both as IPv6\n");
		good = false;
	}
	if (!good) {
		json_decref(d.findings);
		return CLI_USAGE;
	}
	doctor_listeners(&d, &ports);
	doctor_site(&d);
	if (d.json) {
		json_dumpf(d.findings, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(d.findings);
	return d.fails ? CLI_FAILED : CLI_OK;
}
