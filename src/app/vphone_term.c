/* A plain view of the phone on a terminal: screen, keys, lamps. */
#include "app/vphone_host.h"

#include "io/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t stop;
static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static const char help[] = "0-9 * # keys   o off hook   c on hook   Enter dial   a answer   x reject   h hold   r resume   l line   q quit";

static void draw(struct vhost *h)
{
	char buf[8192];
	struct text t = TEXT_ARRAY(buf);
	text_lit(&t, "\033[H\033[2J");
	vphone_screen(h->v, &t);
	text_lit(&t, "\n");
	for (uint64_t i = h->n_events > 6 ? h->n_events - 6 : 0; i < h->n_events; i++)
		text_fmt(&t, "  %s %s\n", h->event[i % VH_EVENTS].name, h->event[i % VH_EVENTS].detail);
	text_fmt(&t, "\n%s\n", help);
	if (!t.over)
		fwrite(t.p, 1, t.n, stdout);
	fflush(stdout);
}

/* False: quit. */
static bool key(struct vhost *h, char c, unsigned *line)
{
	char n[12];
	if ((c >= '0' && c <= '9') || c == '*' || c == '#') {
		vhost_do(h, "key", &c, 1);
		return true;
	}
	switch (c) {
	case 'q': return false;
	case 'o': vhost_do(h, "offhook", "", 0); break;
	case 'c': vhost_do(h, "hangup", "", 0); break;
	case 'a': vhost_do(h, "answer", "", 0); break;
	case 'x': vhost_do(h, "reject", "", 0); break;
	case 'h': vhost_do(h, "hold", "", 0); break;
	case 'r': vhost_do(h, "resume", "", 0); break;
	case '\r':
	case '\n': vhost_do(h, "softkey", "dial", 4); break;
	case 127: vhost_do(h, "key", "delete", 6); break;
	case 'l':
		*line = *line % 6 + 1;
		snprintf(n, sizeof n, "%u", *line);
		vhost_do(h, "line", n, strlen(n));
		break;
	default: break;
	}
	return true;
}

int vhost_terminal(struct vhost *h, int64_t limit_us)
{
	struct termios old, raw;
	bool tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !h->o.json;
	int64_t end = limit_us ? mono_us() + limit_us : INT64_MAX, drawn = 0;
	unsigned line = 1;
	bool go = true;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (tty && tcgetattr(STDIN_FILENO, &old) == 0) {
		raw = old;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
		h->input = (struct loop_fd){STDIN_FILENO, (void (*)(struct loop_fd *, uint32_t))1};
	}
	vhost_boot(h);
	while (go && !stop && !h->broken && mono_us() < end) {
		struct pollfd p = {STDIN_FILENO, POLLIN, 0};
		char c;
		vhost_turn(h, 20000);
		while (tty && go && poll(&p, 1, 0) > 0 && read(STDIN_FILENO, &c, 1) == 1)
			go = key(h, c, &line);
		if (tty && mono_us() - drawn > 250000) {
			draw(h);
			drawn = mono_us();
		}
	}
	if (tty)
		tcsetattr(STDIN_FILENO, TCSANOW, &old);
	h->input = (struct loop_fd){-1, NULL};
	vhost_do(h, "hangup", "", 0);
	for (int i = 0; i < 20; i++)
		vhost_turn(h, 10000);
	vhost_report(h, "ok");
	return 0;
}
