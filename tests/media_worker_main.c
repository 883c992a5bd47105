/* media_worker: the media workers alone, without signalling: N calls bridged at the start, for tests and bench/relay_load.
 * media_worker ADDR PORT_FIRST WORKERS CALLS PEER_PORT_FIRST
 * Side s of call c expects its phone at ADDR:PEER_PORT_FIRST + 2 * (2 c + s). Prints "LOCAL_PORT IP:PORT" for each phone (the
 * port pair that it must use and send to), then "READY", and stays until standard input ends; then prints the counters. */
#include "base/text.h"
#include "media/media.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic unsigned long latched, closed, strangers;
static _Atomic unsigned long long lost, received;

static void on_event(void *ctx, const struct media_event *e)
{
	(void)ctx;
	switch (e->kind) {
	case MEDIA_EVENT_LATCHED:
		latched++;
		break;
	case MEDIA_EVENT_STRANGER:
		strangers++;
		break;
	case MEDIA_EVENT_CLOSED:
		lost += e->stats.rx_lost;
		received += e->stats.rx_packets;
		closed++;
		break;
	}
}

static uint64_t seq[MEDIA_MAX_WORKERS];

static void command(struct media *m, struct media_cmd c)
{
	c.seq = ++seq[c.slot >> 16];
	media_command(m, &c);
}

/* Slots of call `call`, side `side`: calls go round the workers. */
static media_slot slot_of(const struct media *m, unsigned call, unsigned side, struct addr *at)
{
	media_slot first;
	uint32_t n;
	unsigned workers = media_workers(m), number = 2 * (call / workers) + side;
	media_slots(m, call % workers, &first, &n, at);
	at->port = (uint16_t)(at->port + 2 * number);
	return first + number;
}

static void open_side(struct media *m, unsigned call, unsigned side, unsigned peer_first)
{
	struct addr at, peer;
	char buf[80];
	media_slot slot = slot_of(m, call, side, &at);
	peer = at;
	peer.port = (uint16_t)(peer_first + 2 * (2 * call + side));
	command(m, (struct media_cmd){.op = MEDIA_OPEN, .slot = slot, .leg = 2 * call + side});
	command(m, (struct media_cmd){.op = MEDIA_REMOTE, .slot = slot, .remote = peer, .may_send = true, .may_recv = true, .clock_hz = 8000});
	struct text t = text_on(buf, sizeof buf);
	addr_put(&t, &at);
	printf("%u %.*s\n", peer.port, (int)t.n, buf);
}

int main(int argc, char **argv)
{
	struct media_opts o = {.on_event = on_event, .seed = 1};
	char err[200];
	if (argc != 6 || addr_parse(span_z(argv[1]), 0, &o.addr) < 0) {
		fprintf(stderr, "usage: media_worker ADDR PORT_FIRST WORKERS CALLS PEER_PORT_FIRST\n");
		return 2;
	}
	unsigned calls = (unsigned)atoi(argv[4]), peer_first = (unsigned)atoi(argv[5]);
	o.port_first = (uint16_t)atoi(argv[2]);
	o.workers = (unsigned)atoi(argv[3]);
	if (!o.workers)
		o.workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	o.pairs_per_worker = 2 * ((calls + o.workers - 1) / o.workers);
	struct media *m = media_start(&o, err, sizeof err);
	if (!m) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	for (unsigned c = 0; c < calls; c++) {
		struct addr at;
		open_side(m, c, 0, peer_first);
		open_side(m, c, 1, peer_first);
		command(m, (struct media_cmd){.op = MEDIA_BRIDGE, .slot = slot_of(m, c, 0, &at), .peer_slot = slot_of(m, c, 1, &at)});
	}
	media_flush(m);
	puts("READY");
	fflush(stdout);
	while (getchar() != EOF)
		;
	struct media_counts n;
	struct addr at;
	for (unsigned i = 0; i < 2 * calls; i++)
		command(m, (struct media_cmd){.op = MEDIA_CLOSE, .slot = slot_of(m, i / 2, i % 2, &at)});
	media_flush(m);
	for (int i = 0; i < 200 && closed < 2 * calls; i++)
		usleep(10000);
	media_counts(m, &n);
	media_stop(m);
	printf("{\"rx\":%llu,\"tx\":%llu,\"rx_syscalls\":%llu,\"tx_syscalls\":%llu,\"tx_failed\":%llu,\"wakeups\":%llu,\"waits\":%llu,"
	       "\"latched\":%lu,\"strangers\":%lu,\"closed\":%lu,\"rtp_received\":%llu,\"rtp_lost\":%llu}\n",
	       (unsigned long long)n.rx_packets, (unsigned long long)n.tx_packets, (unsigned long long)n.rx_syscalls,
	       (unsigned long long)n.tx_syscalls, (unsigned long long)n.tx_failed, (unsigned long long)n.wakeups,
	       (unsigned long long)n.waits, latched, strangers, closed, received, lost);
	return 0;
}
