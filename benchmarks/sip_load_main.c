/* sip_load: bounded SIP load over UDP for ./bench. sip_load register|call --target H:P --users FILE --ops N [--window W] [--rate R]
 * [--realm R]. One JSON line: {"ops","failed","retransmits","wall_s"}. Ends by itself: no operation waits over 8 s. */
#include "base/text.h"
#include "sip/auth/auth.h"
#include "sip/msg/msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_USERS = 20000, MAX_OPS = 1024 };

enum state { IDLE, SENT_FIRST, SENT_AUTH, WAIT_ANSWER, WAIT_BYE };

struct user {
	char name[16], secret[64];
	struct digest_ha1 ha1;
	uint32_t cseq;
};

struct op {
	enum state st;
	int caller, callee;
	uint64_t id;
	int64_t sent_us, began_us;
	char last[4096];
	size_t last_n;
	char to[256];      /* caller's To after the 2xx */
	char contact[256]; /* remote target */
	int tries;
	bool bye_in, bye_out;
};

static struct user users[MAX_USERS];
static struct op ops[MAX_OPS];
static int n_users, fd, window = 64;
static struct sockaddr_in target;
static char self[64], host[96];
static long want, started, done, failed, retransmits, rate; /* rate: operations begun a second; 0: as fast as answers come */
static int64_t began_us;
static bool calls;

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put(struct span b)
{
	while (sendto(fd, b.p, b.n, 0, (struct sockaddr *)&target, sizeof target) < 0 && errno == EAGAIN)
		poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 10);
}

static void keep(struct op *o, struct text *t)
{
	memcpy(o->last, t->p, t->n);
	o->last_n = t->n;
	o->sent_us = now_us();
	put(text_span(t));
}

static const char sdp[] = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=load\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n"
			  "a=rtpmap:101 telephone-event/8000\r\n";

/* One request of an operation; leg 'a' is the caller's dialog. */
static void request(struct op *o, const char *method, const char *uri, const char *to, uint32_t cseq, struct span authorization, bool body)
{
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	const struct user *u = &users[o->caller];
	int i = (int)(o - ops);
	text_fmt(&t, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d.%llx.%s%u;rport\r\nMax-Forwards: 70\r\n", method, uri, self, i,
		 (unsigned long long)o->id, method, cseq);
	text_fmt(&t, "From: <sip:%s@%s>;tag=f%llx\r\nTo: %s\r\nCall-ID: %d.%llx.%d@load\r\nCSeq: %u %s\r\nContact: <sip:%s@%s>\r\n", u->name, host,
		 (unsigned long long)o->id, to, i, (unsigned long long)o->id, (int)getpid(), cseq, method, u->name, self);
	if (!strcmp(method, "REGISTER"))
		text_lit(&t, "Expires: 3600\r\n");
	text_put(&t, authorization);
	if (body)
		text_fmt(&t, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", sizeof sdp - 1, sdp);
	else
		text_lit(&t, "Content-Length: 0\r\n\r\n");
	if (!strcmp(method, "ACK"))
		put(text_span(&t));
	else
		keep(o, &t);
}

static void first(struct op *o)
{
	char to[160], uri[160];
	struct user *u = &users[o->caller];
	snprintf(to, sizeof to, "<sip:%s@%s>", users[calls ? o->callee : o->caller].name, host);
	if (calls)
		snprintf(uri, sizeof uri, "sip:%s@%s", users[o->callee].name, host);
	else
		snprintf(uri, sizeof uri, "sip:%s", host);
	o->st = SENT_FIRST;
	request(o, calls ? "INVITE" : "REGISTER", uri, to, ++u->cseq, SPAN_NONE, calls);
}

static void begin(int slot)
{
	static uint64_t ids;
	struct op *o = &ops[slot];
	*o = (struct op){.id = ++ids, .began_us = now_us(), .tries = 0};
	if (calls) {
		o->caller = (slot * 2) % n_users;
		o->callee = (slot * 2 + 1) % n_users;
	} else {
		o->caller = (int)(started % n_users);
	}
	started++;
	first(o);
}

static void end(struct op *o, bool ok)
{
	o->st = IDLE;
	done++;
	failed += !ok;
	if (started < want && !rate)
		begin((int)(o - ops));
}

/* Paced: begins what is due in free places. */
static void begin_due(void)
{
	long due = (long)((now_us() - began_us) * rate / 1000000) + 1;
	for (int i = 0; i < window && started < want && started < due; i++)
		if (ops[i].st == IDLE)
			begin(i);
}

static void authorize(struct op *o, const struct sip_msg *m)
{
	struct digest_challenge ch;
	struct user *u = &users[o->caller];
	char line[1024], to[320], uri[160];
	struct text t = TEXT_ARRAY(line);
	if (digest_parse_challenge(sip_hdr_value(m, SIP_H_WWW_AUTHENTICATE), &ch) != DIGEST_OK) {
		end(o, false);
		return;
	}
	if (calls) {
		snprintf(uri, sizeof uri, "sip:%s@%s", users[o->callee].name, host);
		snprintf(to, sizeof to, SPAN_FMT, SPAN_ARG(m->to.value));
		request(o, "ACK", uri, to, m->cseq, SPAN_NONE, false);
	} else {
		snprintf(uri, sizeof uri, "sip:%s", host);
	}
	snprintf(to, sizeof to, "<sip:%s@%s>", users[calls ? o->callee : o->caller].name, host);
	digest_ha1_make(&u->ha1, span_z(u->name), ch.realm, span_z(u->secret));
	text_lit(&t, "Authorization: ");
	digest_answer(&t, &ch, span_z(u->name), &u->ha1, span_z(calls ? "INVITE" : "REGISTER"), span_z(uri), 1, SPAN_LIT("0a4f113b"));
	text_lit(&t, "\r\n");
	o->st = SENT_AUTH;
	request(o, calls ? "INVITE" : "REGISTER", uri, to, ++u->cseq, text_span(&t), calls);
}

static void response(struct op *o, const struct sip_msg *m)
{
	if (o->st == IDLE || m->status < 200)
		return;
	if (m->status == 401 && o->st == SENT_FIRST) {
		authorize(o, m);
	} else if (o->st == SENT_AUTH && m->cseq_method == SIP_REGISTER) {
		end(o, m->status == 200);
	} else if (o->st == SENT_AUTH && m->cseq_method == SIP_INVITE && m->status == 200) {
		struct sip_contact_iter it = {0};
		struct sip_nameaddr c;
		if (sip_contact_next(m, SIP_H_CONTACT, &it, &c) != 1 || !span_copyz(c.uri.all, o->contact, sizeof o->contact) ||
		    !span_copyz(m->to.value, o->to, sizeof o->to)) {
			end(o, false);
			return;
		}
		request(o, "ACK", o->contact, o->to, m->cseq, SPAN_NONE, false);
		o->st = WAIT_BYE;
		request(o, "BYE", o->contact, o->to, ++users[o->caller].cseq, SPAN_NONE, false);
	} else if (o->st == WAIT_BYE && m->cseq_method == SIP_INVITE && m->status == 200) {
		request(o, "ACK", o->contact, o->to, m->cseq, SPAN_NONE, false);
	} else if (o->st == WAIT_BYE && m->cseq_method == SIP_BYE) {
		end(o, m->status == 200);
	} else if (m->status >= 300 && (o->st == SENT_AUTH || o->st == SENT_FIRST)) {
		if (getenv("LOAD_DEBUG"))
			fprintf(stderr, "%u " SPAN_FMT "\n", m->status, SPAN_ARG(m->reason));
		end(o, false);
	}
}

/* The callee's side: stateless, as the switch retransmits nothing when we always answer. */
static void answer(const struct sip_msg *m)
{
	char buf[4096];
	static const struct { uint16_t status; const char *reason; } both[2] = {{180, "Ringing"}, {200, "OK"}};
	for (int k = m->method == SIP_INVITE ? 0 : 1; k < 2; k++) {
		struct text t = TEXT_ARRAY(buf);
		text_fmt(&t, "SIP/2.0 %u %s\r\n", both[k].status, both[k].reason);
		for (const struct sip_hdr *h = sip_hdr(m, SIP_H_VIA); h; h = sip_hdr_next(m, h))
			text_fmt(&t, "Via: " SPAN_FMT "\r\n", SPAN_ARG(h->value));
		text_fmt(&t, "From: " SPAN_FMT "\r\nTo: " SPAN_FMT "%s\r\nCall-ID: " SPAN_FMT "\r\nCSeq: %u " SPAN_FMT "\r\nContact: <sip:load@%s>\r\n",
			 SPAN_ARG(m->from.value), SPAN_ARG(m->to.value), m->to.tag.n ? "" : ";tag=callee", SPAN_ARG(m->call_id), m->cseq,
			 SPAN_ARG(m->cseq_method_name), self);
		if (m->method == SIP_INVITE && both[k].status == 200)
			text_fmt(&t, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", sizeof sdp - 1, sdp);
		else
			text_lit(&t, "Content-Length: 0\r\n\r\n");
		put(text_span(&t));
	}
}

static void receive(void)
{
	static char buf[65536];
	static struct sip_msg m;
	struct sip_error err;
	ssize_t n;
	while ((n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
		if (sip_parse(&m, span_mem(buf, (size_t)n), &err) != 0)
			continue;
		if (m.is_request) {
			if (m.method != SIP_ACK)
				answer(&m);
			continue;
		}
		int slot = atoi(m.call_id.p);
		unsigned long long id = 0;
		if (slot < 0 || slot >= window || sscanf(m.call_id.p, "%*d.%llx", &id) != 1 || ops[slot].id != id)
			continue;
		response(&ops[slot], &m);
	}
}

static void repeat_late(void)
{
	int64_t now = now_us();
	for (int i = 0; i < window; i++) {
		struct op *o = &ops[i];
		if (o->st == IDLE || now - o->sent_us < 500000)
			continue;
		if (now - o->began_us > 8000000) {
			end(o, false);
			continue;
		}
		retransmits++;
		o->sent_us = now;
		put(span_mem(o->last, o->last_n));
	}
}

static int read_users(const char *path)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return -1;
	while (n_users < MAX_USERS && fscanf(f, "%15s %63s", users[n_users].name, users[n_users].secret) == 2)
		users[n_users++].cseq = 1;
	fclose(f);
	return n_users;
}

static void run(void)
{
	int64_t t = now_us();
	started = done = 0;
	began_us = t;
	for (int i = 0; i < window && started < want && !rate; i++)
		begin(i);
	for (int64_t last = t; done < want;) {
		if (rate)
			begin_due();
		poll(&(struct pollfd){fd, POLLIN, 0}, 1, rate ? 1 : 50);
		receive();
		if (now_us() - last > 100000) {
			repeat_late();
			last = now_us();
		}
	}
	printf("{\"ops\":%ld,\"failed\":%ld,\"retransmits\":%ld,\"wall_s\":%.3f}\n", done, failed, retransmits, (double)(now_us() - t) / 1e6);
}

int main(int argc, char **argv)
{
	const char *file = NULL, *to = NULL;
	char ip[64];
	int port = 5060, buf = 8 << 20;
	long paced = 0;
	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--target"))
			to = argv[i + 1];
		else if (!strcmp(argv[i], "--users"))
			file = argv[i + 1];
		else if (!strcmp(argv[i], "--ops"))
			want = atol(argv[i + 1]);
		else if (!strcmp(argv[i], "--window"))
			window = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--rate"))
			paced = atol(argv[i + 1]);
	}
	if (argc < 2 || !to || !file || want < 1 || window < 1 || window > MAX_OPS || sscanf(to, "%63[^:]:%d", ip, &port) < 1 || read_users(file) < 2) {
		fprintf(stderr, "usage: sip_load register|call --target IP:PORT --users FILE --ops N [--window 1..%d] [--rate N]\n", MAX_OPS);
		return 2;
	}
	calls = !strcmp(argv[1], "call");
	snprintf(host, sizeof host, "%s:%d", ip, port);
	target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (inet_pton(AF_INET, ip, &target.sin_addr) != 1)
		return 2;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof me;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buf, sizeof buf);
	if (bind(fd, (struct sockaddr *)&me, sizeof me) != 0 || getsockname(fd, (struct sockaddr *)&me, &len) != 0)
		return 1;
	snprintf(self, sizeof self, "127.0.0.1:%d", ntohs(me.sin_port));
	if (calls) {
		/* all users register first, from this socket: that is not part of the measured operations */
		long n = want;
		int w = window;
		calls = false;
		want = n_users;
		window = w > n_users ? n_users : w;
		run();
		fflush(stdout);
		if (failed)
			return 1;
		calls = true;
		want = n;
		window = w > n_users / 2 ? n_users / 2 : w;
	}
	puts("GO");
	fflush(stdout);
	getchar(); /* the bench reads the daemon's CPU time, then lets us go */
	retransmits = failed = 0;
	rate = paced;
	run();
	return failed ? 1 : 0;
}
