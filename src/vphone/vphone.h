/* vphone: the virtual Polycom phone, a pure machine with three hosts (simulator, real sockets, later the web). Layer 2,
 * pure. It behaves as the real firmware does (reference polycom-facts section 11, points V1 ...); it includes nothing of
 * src/polycom, src/pbx or src/service: the judge does not read the accused's tables. */
#ifndef VPHONE_VPHONE_H
#define VPHONE_VPHONE_H

#include "base/addr.h"
#include "base/text.h"
#include "base/hash.h"
#include "sip/msg/flow.h"

struct vphone;

struct vphone_opts {
	const char *model; /* "VVX410", "SPIP650": rows of the phone's own table */
	char mac[13];      /* 12 hex digits */
	struct addr ip;    /* its own address; port: SIP local port (5060) */
	struct hash_key seed;
	/* What DHCP or the Server menu gives: "http://host:port/path", user, password; empty user: factory PlcmSpIp. */
	const char *server_url, *server_user, *server_password;
	struct span flash; /* what FLASH outputs stored earlier, concatenated state; empty: factory defaults */
	uint16_t rtp_interval_ms; /* 20: every packet; 500: probe of the office day */
	int64_t boot_ms;          /* time from power to the first request, default 2000 */
	bool rtp_silent;          /* send no RTP */
	/* For tests, against what the configuration says: 0 as configured, 'u' UDP, 't' TCP; first RTP port, 0 as configured. */
	char force_transport;
	uint16_t force_rtp_base;
};

enum vphone_in_kind { VP_IN_START, VP_IN_TIMER, VP_IN_SIP, VP_IN_CONN /* TCP result */, VP_IN_HTTP, VP_IN_RTP, VP_IN_USER };
struct vphone_in {
	enum vphone_in_kind kind;
	struct sip_flow flow;     /* SIP: where from; CONN: which */
	bool conn_up;             /* CONN: connected or lost */
	struct span bytes;        /* SIP, RTP, HTTP body */
	uint16_t rtp_port;        /* RTP: our port it came to (odd: RTCP) */
	struct addr rtp_from;
	uint32_t http_id;         /* HTTP: which request */
	int http_status;          /* 0: no connection */
	struct span www_authenticate; /* HTTP 401: all values, one per line */
	/* USER: verb and arguments: offhook | onhook | dial NUMBER | key NAME | softkey LABEL | line N | hold | resume |
	 * answer | reject | hangup | blind NUMBER | transfer [NUMBER] | dtmf DIGITS | play HZ | reboot | factory-reset */
	struct span verb, arg;
};

enum vphone_out_kind {
	VP_OUT_SIP,      /* bytes to flow (conn 0 over TCP: connect or reuse) */
	VP_OUT_HTTP,     /* request; answer with VP_IN_HTTP and the same id */
	VP_OUT_RTP_OPEN, VP_OUT_RTP_CLOSE, /* local port pair */
	VP_OUT_RTP,      /* packet from rtp_port to `to` */
	VP_OUT_FLASH,    /* whole new flash content */
	VP_OUT_EVENT,    /* something a script can wait for: "registered", "ringing", "talking", "idle", "booted" ... */
	VP_OUT_DEFECT,   /* strictness report: what the server did wrong, by rule */
	VP_OUT_LOG
};
struct vphone_out {
	enum vphone_out_kind kind;
	struct sip_flow flow;
	struct span bytes; /* SIP, RTP, HTTP body, flash */
	uint32_t http_id;
	const char *http_method; /* "GET", "HEAD", "PUT" */
	struct span http_url, http_user_agent, http_authorization;
	uint16_t rtp_port;
	struct addr to;
	struct span event, detail; /* EVENT: name, free text; DEFECT: rule id ("V21"), what; LOG: text */
};
struct vphone_sink {
	void (*emit)(struct vphone_sink *s, const struct vphone_out *out);
};

struct vphone *vphone_new(const struct vphone_opts *o, int64_t now_us, const char **error /* static text */);
void vphone_free(struct vphone *v);
void vphone_step(struct vphone *v, const struct vphone_in *in, int64_t now_us, struct vphone_sink *sink);
int64_t vphone_deadline(const struct vphone *v);

/* ---- what a person sees -------------------------------------------------------------------------------------- */
enum vphone_call_state { VPC_NONE, VPC_DIALTONE, VPC_PROCEEDING, VPC_RINGBACK, VPC_RINGING, VPC_CONNECTED, VPC_HELD /* by us */, VPC_HELD_BY_PEER, VPC_BUSY_TONE, VPC_ENDING };
struct vphone_call_view {
	enum vphone_call_state state;
	struct span peer_name, peer_number;
	uint16_t last_status; /* last final SIP status of a call of ours that failed */
	uint64_t rtp_rx, rtp_tx, rtp_lost, rtp_foreign; /* packets; foreign: dropped by filterByIp */
	int tone_hz;          /* strongest tone heard in the last 200 ms of G.711; 0 none */
	int64_t talk_us;
};
enum { VP_MAX_CALLS = 8 };
struct vphone_view {
	bool booted, registered;
	char label[64], address[64], app_version[32];
	struct vphone_call_view call[VP_MAX_CALLS];
	int n_calls, focus; /* focus: index of the call that keys act on, -1 none */
	uint32_t boots, registers_sent, http_requests, defects, rules_evaluated;
	bool subscribed, lamp; /* message lamp: its subscription is up; it is lit */
	uint32_t messages_new, messages_old, notifies;
	char digits[33]; /* dialled so far, or DTMF heard */
};
void vphone_view(const struct vphone *v, struct vphone_view *out);
/* The same with tone_hz 0: finding a tone costs more than all the rest. */
void vphone_view_quick(const struct vphone *v, struct vphone_view *out);
/* The screen with soft keys and lamps as lines of text (for the terminal view). */
void vphone_screen(const struct vphone *v, struct text *t);
/* The strictness report and counters as JSON. */
void vphone_report(const struct vphone *v, struct text *t);
/* Live parts, for the simulator's invariants: dialogs, transactions, timers besides registration. */
void vphone_live(const struct vphone *v, uint32_t *dialogs, uint32_t *txns, uint32_t *rtp_ports);
/* Call-ID of the focused call's dialog, empty when none: both ends must agree on it with the switch. */
struct span vphone_call_id(const struct vphone *v, int call);

#endif
