/* The journal without libsystemd: a datagram of "KEY\n<64-bit little-endian length><bytes>\n", so that no byte of a
 * stranger's can end a field or begin another. */
#include "io/log_out.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct journal {
	struct log_sink sink;
	int fd;
	struct sockaddr_un to;
};

static int priority(enum log_level l) /* syslog(3) */
{
	switch (l) {
	case LOG_DEBUG: return 7;
	case LOG_INFO: return 6;
	case LOG_WARN: return 4;
	case LOG_ERROR: return 3;
	}
	return 3;
}

static void put_value(struct text *t, struct span v)
{
	text_putc(t, '\n');
	for (int i = 0; i < 8; i++)
		text_putc(t, (char)((uint64_t)v.n >> (8 * i)));
	text_put(t, v);
	text_putc(t, '\n');
}

/* Capitals, digits and '_' alone are allowed, and no '_' first (those are the journal's own). */
static void put_key(struct text *t, const char *key)
{
	for (; *key; key++) {
		char c = *key;
		text_putc(t, c >= 'a' && c <= 'z' ? (char)(c - 32) : c == '.' || c == '-' ? '_' : c);
	}
}

static void put_field(struct text *t, const char *key, struct span v)
{
	put_key(t, key);
	put_value(t, v);
}

static void put_message(struct text *t, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	char line[LOG_LINE_MAX], number[24];
	struct text l = TEXT_ARRAY(line);
	log_format(&l, level, event, f, n);
	if (l.over) {
		l.n = 0, l.over = false;
		log_format(&l, level, event, NULL, 0);
	}
	put_field(t, "message", text_span(&l));
	snprintf(number, sizeof number, "%d", priority(level));
	put_field(t, "priority", span_z(number));
	put_field(t, "syslog_identifier", SPAN_LIT("strowgerd"));
	put_field(t, "strowger_event", span_z(event));
	for (size_t i = 0; i < n; i++) {
		snprintf(number, sizeof number, "%lld", (long long)f[i].i);
		put_field(t, f[i].key, f[i].type == LOG_F_INT ? span_z(number) : f[i].text);
	}
}

static void to_journal(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct journal *j = (struct journal *)s;
	char packet[3 * LOG_LINE_MAX];
	struct text t = TEXT_ARRAY(packet);
	put_message(&t, level, event, f, n);
	if (t.over) {
		t = TEXT_ARRAY(packet);
		put_message(&t, level, event, NULL, 0);
	}
	ssize_t sent = sendto(j->fd, t.p, t.n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&j->to, sizeof j->to);
	(void)sent;
}

struct log_sink *log_to_journal(const char *path)
{
	static struct journal j = {.sink = {to_journal, LOG_DEBUG}, .fd = -1, .to = {.sun_family = AF_UNIX}};
	if (!span_copyz(span_z(path ? path : "/run/systemd/journal/socket"), j.to.sun_path, sizeof j.to.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (access(j.to.sun_path, W_OK) != 0)
		return NULL;
	if (j.fd < 0)
		j.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return j.fd < 0 ? NULL : &j.sink;
}

bool log_stderr_is_journal(const char *stream)
{
	unsigned long long dev, ino;
	struct stat st;
	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}
