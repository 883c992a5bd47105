/* Scripts of the live phone: one command a line, '#' begins a comment. 0 only if every wait and expect held. */
#include "app/vphone_host.h"

#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, DEFAULT_WAIT_S = 30, TONE_TOLERANCE_HZ = 6 };

struct script {
	struct vhost *h;
	int fd;
	char buf[LINE_MAX_BYTES * 4];
	size_t n;
	bool eof;
	unsigned line;
	uint64_t seen; /* events up to here have been waited for */
	int64_t end_us;
};

/* One line without its end, or -1: none before the time is over or the input ends. The phone runs on meanwhile. */
static int next_line(struct script *s, char *dst)
{
	for (;;) {
		char *nl = memchr(s->buf, '\n', s->n);
		if (nl || (s->eof && s->n)) {
			size_t len = nl ? (size_t)(nl - s->buf) : s->n, used = nl ? len + 1 : len;
			if (len >= LINE_MAX_BYTES)
				return -1;
			memcpy(dst, s->buf, len);
			dst[len] = 0;
			memmove(s->buf, s->buf + used, s->n - used);
			s->n -= used;
			s->line++;
			return 0;
		}
		if (s->eof || s->n == sizeof s->buf || mono_us() > s->end_us)
			return -1;
		struct pollfd p = {s->fd, POLLIN, 0};
		if (poll(&p, 1, 0) > 0) {
			ssize_t n = read(s->fd, s->buf + s->n, sizeof s->buf - s->n);
			if (n > 0)
				s->n += (size_t)n;
			else if (n == 0 || (errno != EAGAIN && errno != EINTR))
				s->eof = true;
		} else {
			vhost_turn(s->h, 20000);
		}
	}
}

static bool any_call(const struct vphone_view *v, enum vphone_call_state st)
{
	for (int i = 0; i < v->n_calls; i++)
		if (v->call[i].state == st)
			return true;
	return false;
}

/* An event since the last one waited for (or since the start when from is 0). */
static bool event_seen(struct script *s, uint64_t from, const char *name, const char *detail, bool consume)
{
	const struct vhost *h = s->h;
	if (h->n_events > VH_EVENTS && from < h->n_events - VH_EVENTS)
		from = h->n_events - VH_EVENTS;
	for (uint64_t i = from; i < h->n_events; i++) {
		const struct vh_event *e = &h->event[i % VH_EVENTS];
		if (strcmp(e->name, name) != 0 || (detail && strncmp(e->detail, detail, strlen(detail)) != 0))
			continue;
		if (consume)
			s->seen = i + 1;
		return true;
	}
	return false;
}

/* A state that holds now, or that came and went since the last thing waited for: ringing may last a millisecond. */
static bool state_seen(struct script *s, const struct vphone_view *v, enum vphone_call_state st, const char *event, bool expect)
{
	const struct vhost *h = s->h;
	if (!any_call(v, st))
		return !expect && event_seen(s, s->seen, event, NULL, true);
	for (uint64_t i = h->n_events; !expect && i > s->seen && i + VH_EVENTS > h->n_events; i--)
		if (strcmp(h->event[(i - 1) % VH_EVENTS].name, event) == 0) {
			s->seen = i;
			break;
		}
	return true;
}

struct cond {
	const char *name;
	const char *arg; /* "" none */
	bool expect;
};

/* 1 holds, 0 not (yet), -1 no such condition. */
static int holds(struct script *s, const struct cond *c)
{
	struct vphone_view v;
	static const struct {
		const char *name, *event;
		enum vphone_call_state st;
	} states[] = {{"ringing", "ringing", VPC_RINGING}, {"ringback", "ringback", VPC_RINGBACK}, {"talking", "talking", VPC_CONNECTED},
		      {"connected", "talking", VPC_CONNECTED}, {"held", "held", VPC_HELD}, {"heldbypeer", "heldbypeer", VPC_HELD_BY_PEER},
		      {"dialtone", "dialtone", VPC_DIALTONE}, {"busytone", "busytone", VPC_BUSY_TONE}};
	vphone_view(s->h->v, &v);
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strcmp(c->name, states[i].name) == 0)
			return state_seen(s, &v, states[i].st, states[i].event, c->expect);
	if (strcmp(c->name, "registered") == 0)
		return v.registered;
	if (strcmp(c->name, "unregistered") == 0)
		return v.booted && !v.registered;
	if (strcmp(c->name, "booted") == 0)
		return v.booted;
	if (strcmp(c->name, "idle") == 0)
		return v.n_calls == 0;
	if (strcmp(c->name, "digits") == 0)
		return strcmp(v.digits, c->arg) == 0;
	if (strcmp(c->name, "defects") == 0)
		return v.defects <= (unsigned)atoi(c->arg);
	if (strcmp(c->name, "status") == 0)
		return c->expect ? s->h->last_status == atoi(c->arg) : event_seen(s, s->seen, "status", c->arg, true);
	if (strcmp(c->name, "event") == 0)
		return event_seen(s, c->expect ? 0 : s->seen, c->arg, NULL, !c->expect);
	if (strcmp(c->name, "tone") == 0 || strcmp(c->name, "lost") == 0 || strcmp(c->name, "rtp") == 0) {
		for (int i = 0; i < v.n_calls; i++) {
			const struct vphone_call_view *k = &v.call[i];
			int want = atoi(c->arg), off = k->tone_hz - want;
			if (c->name[0] == 't' ? off >= -TONE_TOLERANCE_HZ && off <= TONE_TOLERANCE_HZ
			    : c->name[0] == 'l' ? k->rtp_lost <= (unsigned)want
						: k->rtp_rx >= (unsigned)want)
				return 1;
		}
		return 0;
	}
	return -1;
}

static bool takes_arg(const char *name)
{
	static const char *const with[] = {"tone", "status", "event", "seconds", "digits", "defects", "lost", "rtp"};
	for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
		if (strcmp(name, with[i]) == 0)
			return true;
	return false;
}

/* "wait COND [ARG] [timeout]", "expect COND [ARG]": 0 held, -1 not. */
static int wait_for(struct script *s, char *args, bool expect, const char **why)
{
	struct cond c = {strtok(args, " \t"), "", expect};
	double timeout = DEFAULT_WAIT_S;
	*why = "what for?";
	if (!c.name)
		return -1;
	if (takes_arg(c.name) && !(c.arg = strtok(NULL, " \t")))
		return -1;
	char *t = strtok(NULL, " \t");
	if (t && strcmp(t, "timeout") == 0)
		t = strtok(NULL, " \t");
	if (t)
		timeout = atof(t);
	bool sleep = strcmp(c.name, "seconds") == 0;
	if (sleep)
		timeout = atof(c.arg);
	int64_t until = mono_us() + (int64_t)(timeout * 1e6);
	*why = "time-out";
	for (;;) {
		int r = sleep ? 0 : holds(s, &c);
		if (r < 0)
			*why = "no such condition";
		if (r)
			return r < 0 ? -1 : 0;
		if (expect) {
			*why = "does not hold";
			return -1;
		}
		int64_t now = mono_us();
		if (now >= until)
			return sleep ? 0 : -1;
		if (now > s->end_us || s->h->broken)
			return -1;
		vhost_turn(s->h, until - now < 20000 ? until - now : 20000);
	}
}

static int play(struct script *s, char *arg, const char **why)
{
	int16_t *pcm;
	size_t n;
	if (!strchr(arg, '.')) {
		vhost_do(s->h, "play", arg, strlen(arg));
		return 0;
	}
	*why = "cannot read that WAV (8 kHz, 16 bit, one channel)";
	if (vh_wav_read(arg, &pcm, &n) != 0)
		return -1;
	vhost_do(s->h, "play-pcm", (const char *)pcm, n * 2);
	free(pcm);
	return 0;
}

static void dump(struct script *s)
{
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	vphone_screen(s->h->v, &t);
	if (!s->h->o.json)
		fwrite(t.p, 1, t.n, stdout);
	vhost_report(s->h, "dump");
}

static int record(struct vhost *h, const char *arg)
{
	if (h->rec_path[0] && vh_wav_write(h->rec_path, h->rec, h->rec_n) != 0)
		return -1;
	h->rec_n = 0;
	snprintf(h->rec_path, sizeof h->rec_path, "%s", strcmp(arg, "stop") == 0 ? "" : arg);
	return 0;
}

static int command(struct script *s, char *verb, char *arg, const char **why)
{
	static const char *const verbs[] = {"offhook", "onhook", "dial", "key", "softkey", "line", "hold", "resume", "answer", "reject",
					    "hangup", "dtmf", "reboot", "factory-reset", "blind", "transfer"};
	if (strcmp(verb, "wait") == 0 || strcmp(verb, "expect") == 0)
		return wait_for(s, arg, verb[0] == 'e', why);
	if (strcmp(verb, "boot") == 0)
		return vhost_boot(s->h), 0;
	if (strcmp(verb, "play") == 0)
		return play(s, arg, why);
	if (strcmp(verb, "dump") == 0)
		return dump(s), 0;
	*why = "cannot write the recording";
	if (strcmp(verb, "record") == 0)
		return record(s->h, arg);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i]) == 0)
			return vhost_do(s->h, verb, arg, strlen(arg)), 0;
	*why = "no such verb";
	return -1;
}

static char *trim(char *p)
{
	p += strspn(p, " \t\r");
	size_t n = strlen(p);
	while (n && strchr(" \t\r", p[n - 1]))
		p[--n] = 0;
	return p;
}

/* A '#' begins a comment at the line's start or after a blank and before one: "dial #17" is no comment. */
static void cut_comment(char *line)
{
	for (char *p = line; (p = strchr(p, '#')); p++)
		if (p == line + strspn(line, " \t") || ((p[-1] == ' ' || p[-1] == '\t') && (p[1] == ' ' || p[1] == 0) && strncmp(line, "key", 3) != 0)) {
			*p = 0;
			return;
		}
}

static int run(struct script *s)
{
	char line[LINE_MAX_BYTES], copy[LINE_MAX_BYTES];
	bool first = true;
	while (next_line(s, line) == 0) {
		const char *why = "";
		cut_comment(line);
		char *verb = trim(line), *arg = verb + strcspn(verb, " \t");
		snprintf(copy, sizeof copy, "%s", verb);
		if (!*verb)
			continue;
		if (*arg)
			*arg++ = 0;
		if (first && strcmp(verb, "boot") != 0)
			vhost_boot(s->h);
		first = false;
		if (command(s, verb, trim(arg), &why) != 0) {
			fprintf(stderr, "vphone: line %u: %s: %s\n", s->line, copy, why);
			return 1;
		}
		vhost_turn(s->h, 0);
	}
	if (!s->eof) {
		fprintf(stderr, "vphone: line %u: the time is over\n", s->line);
		return 1;
	}
	return 0;
}

/* Calls are not left to die by time-out at the other side. */
static void tidy(struct vhost *h)
{
	int64_t until = mono_us() + 1000000;
	struct vphone_view v;
	for (vphone_view(h->v, &v); v.n_calls && mono_us() < until; vphone_view(h->v, &v)) {
		vhost_do(h, "hangup", "", 0);
		vhost_turn(h, 20000);
	}
}

int vhost_script(struct vhost *h, const char *file, int64_t limit_us)
{
	struct script *s = calloc(1, sizeof *s);
	if (!s)
		return 1;
	*s = (struct script){.h = h, .end_us = limit_us ? mono_us() + limit_us : INT64_MAX};
	s->fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0) {
		fprintf(stderr, "vphone: cannot open %s: %s\n", file, strerror(errno));
		free(s);
		return 2;
	}
	int rc = run(s);
	tidy(h);
	vhost_report(h, rc == 0 ? "ok" : "failed");
	if (s->fd != STDIN_FILENO)
		close(s->fd);
	free(s);
	return rc;
}
