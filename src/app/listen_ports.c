#include "app/listen_ports.h"

#include "base/text.h"
#include "io/file.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const struct name {
	const char *name;
	size_t at;
	uint16_t standard, offset;
	bool udp; /* too */
} names[] = {
	{"sip", offsetof(struct daemon_ports, sip), 5060, 0, true},
	{"sips", offsetof(struct daemon_ports, sips), 5061, 1, false},
	{"service", offsetof(struct daemon_ports, sip_service), 10060, 2, true},
	{"http", offsetof(struct daemon_ports, http), 8080, 3, false},
	{"https", offsetof(struct daemon_ports, https), 8443, 4, false},
	{"metrics", offsetof(struct daemon_ports, metrics), 9090, 5, false},
	{"sips-old", offsetof(struct daemon_ports, sips_legacy), 5062, 6, false},
	{"rtp", offsetof(struct daemon_ports, rtp_first), 16384, 100, false},
};
enum { NAMES = sizeof names / sizeof names[0], RTP = NAMES - 1, FILE_MAX = 1024 };

static uint16_t *port(struct daemon_ports *p, size_t i)
{
	return (uint16_t *)(void *)((char *)p + names[i].at);
}

static uint16_t value(const struct daemon_ports *p, size_t i)
{
	return *(const uint16_t *)(const void *)((const char *)p + names[i].at);
}

void ports_standard(struct daemon_ports *p, uint16_t base)
{
	for (size_t i = 0; i < NAMES; i++)
		*port(p, i) = base ? (uint16_t)(base + names[i].offset) : names[i].standard;
	p->rtp_first = (uint16_t)(p->rtp_first + (p->rtp_first & 1)); /* RTP ports are even (RFC 3550 11) */
}

int ports_wish(struct daemon_ports *p, struct span words)
{
	uint64_t n = 0;
	struct span name = span_cut(&words, '=');
	for (size_t i = 0; i < NAMES; i++) {
		if (!span_eqz(name, names[i].name))
			continue;
		if (!words.p || span_u64(words, 65535, &n) != 0 || n == 0 || (i == RTP && n % 2))
			return -1;
		*port(p, i) = (uint16_t)n;
		return 0;
	}
	return -1;
}

void ports_apply(struct daemon_ports *p, const struct daemon_ports *wishes)
{
	for (size_t i = 0; i < NAMES; i++)
		if (value(wishes, i))
			*port(p, i) = value(wishes, i);
}

bool ports_clash(const struct daemon_ports *p, uint32_t rtp_end, char *what, size_t n)
{
	for (size_t i = 0; i < RTP; i++) {
		if (names[i].udp && value(p, i) >= p->rtp_first && value(p, i) < rtp_end) {
			snprintf(what, n, "%s=%u and the RTP ports %u-%u", names[i].name, value(p, i), p->rtp_first, (unsigned)rtp_end - 1);
			return true;
		}
		for (size_t j = i + 1; j < RTP; j++)
			if (value(p, i) == value(p, j)) {
				snprintf(what, n, "%s=%u and %s=%u", names[i].name, value(p, i), names[j].name, value(p, j));
				return true;
			}
	}
	return false;
}

bool ports_any_low(const struct daemon_ports *p)
{
	bool low = false;
	for (size_t i = 0; i < NAMES; i++)
		low |= value(p, i) < 1024;
	return low;
}

static bool path_of(char *path, size_t n, const char *site)
{
	int k = snprintf(path, n, "%s/ports", site);
	errno = k > 0 && (size_t)k < n ? 0 : ENAMETOOLONG;
	return !errno;
}

int ports_write(const struct daemon_ports *p, const char *site)
{
	char path[PATH_MAX], buf[FILE_MAX];
	struct text t = TEXT_ARRAY(buf);
	for (size_t i = 0; i < NAMES; i++)
		text_fmt(&t, "%s=%u\n", names[i].name, (unsigned)value(p, i));
	return path_of(path, sizeof path, site) ? file_write(path, text_span(&t), false) : -1;
}

int ports_read(struct daemon_ports *p, const char *site)
{
	char path[PATH_MAX], *mem = NULL;
	size_t n = 0;
	struct daemon_ports got = {0};
	bool good = true;
	if (!path_of(path, sizeof path, site) || file_read(path, FILE_MAX, &mem, &n) != 0)
		return -1;
	for (struct span rest = span_mem(mem, n); rest.n && good;)
		good = ports_wish(&got, span_cut(&rest, '\n')) == 0;
	for (size_t i = 0; i < NAMES; i++)
		good = good && value(&got, i);
	free(mem);
	if (good)
		*p = got;
	else
		errno = EINVAL;
	return good ? 0 : -1;
}
