/* app/vphone_host: the virtual phone on real sockets: UDP, TCP, RTP on the phone's own address, HTTP by libcurl. Layer 6,
 * shell, one thread, one phone. */
#ifndef APP_VPHONE_HOST_H
#define APP_VPHONE_HOST_H

#include "io/loop.h"
#include "io/tls.h"
#include "sip/msg/frame.h"
#include "vphone/vphone.h"

#include <curl/curl.h>

enum { VH_UDP = 4, VH_CONNS = 16, VH_RTP = 32, VH_EVENTS = 512, VH_BUF = 65536 };

struct vhost;

struct vh_udp {
	struct loop_fd fd; /* fd < 0: free */
	struct vhost *h;
	uint16_t port;
	bool rtp;
};
struct vh_conn {
	struct loop_fd fd;
	struct vhost *h;
	struct addr remote;
	uint32_t id;
	bool connecting, dead;
	struct tls *tls; /* NULL: plain */
	bool handshaking;
	struct sip_framer framer;
	char *in, *out;
	size_t in_n, out_n;
};
struct vh_http {
	CURL *easy;
	struct curl_slist *headers;
	uint32_t id;
	char *body, *challenge;
	size_t body_n, challenge_n;
};
struct vh_event {
	char name[32], detail[128];
};

struct vhost_opts {
	struct vphone_opts phone;
	const char *flash_dir; /* NULL: none */
	bool json, trace, insecure;
	const char *ca; /* whom to believe over TLS (PEM); NULL: anybody */
	uint16_t sip_port;
};

struct vhost {
	struct vphone_sink sink;
	struct vphone *v;
	struct loop loop;
	struct vhost_opts o;
	struct vh_udp udp[VH_UDP + VH_RTP];
	struct vh_conn conn[VH_CONNS];
	struct loop_fd listener;
	struct loop_fd input; /* script or keyboard */
	uint32_t next_conn;
	struct tls_ctx *tls; /* made with the first connection over TLS */
	CURLM *multi;
	struct vh_http http;
	int64_t start_us;
	char flash_path[512];
	/* what happened, for the script: a ring */
	struct vh_event event[VH_EVENTS];
	uint64_t n_events;
	int last_status;
	bool broken; /* cannot go on; said on stderr */
	/* recording */
	int16_t *rec;
	size_t rec_n, rec_cap;
	char rec_path[512];
};

/* 0, or -1 with what is wrong on stderr. */
int vhost_init(struct vhost *h, const struct vhost_opts *o);
void vhost_close(struct vhost *h);
/* One turn of at most max_us. */
void vhost_turn(struct vhost *h, int64_t max_us);
void vhost_do(struct vhost *h, const char *verb, const char *arg, size_t arg_n);
void vhost_boot(struct vhost *h);
/* Final report: one line of JSON, or text. */
void vhost_report(struct vhost *h, const char *result);

/* vphone_host_net.c */
int vh_net_open(struct vhost *h);
void vh_net_close(struct vhost *h);
void vh_send_sip(struct vhost *h, const struct vphone_out *o);
void vh_send_rtp(struct vhost *h, const struct vphone_out *o);
void vh_rtp_open(struct vhost *h, uint16_t port);
void vh_rtp_close(struct vhost *h, uint16_t port);
void vh_net_reap(struct vhost *h); /* connections that failed: told to the phone */
void vh_step(struct vhost *h, const struct vphone_in *in);
void vh_trace(struct vhost *h, const char *dir, const struct addr *peer, struct span bytes);

/* vphone_host_http.c */
void vh_http_start(struct vhost *h, const struct vphone_out *o);
void vh_http_poll(struct vhost *h);
void vh_http_close(struct vhost *h);

/* vphone_host_wav.c: 8 kHz, 16 bit, one channel. *pcm is malloc'd. */
int vh_wav_read(const char *path, int16_t **pcm, size_t *n);
int vh_wav_write(const char *path, const int16_t *pcm, size_t n);
void vh_record_packet(struct vhost *h, struct span packet);

/* vphone_script.c: exit code 0 or 1. file "-": standard input. */
int vhost_script(struct vhost *h, const char *file, int64_t limit_us);
/* vphone_term.c */
int vhost_terminal(struct vhost *h, int64_t limit_us);

#endif
