/* vphone/machine: what the parts of the virtual phone share. Private to src/vphone. Layer 2, pure, one thread per phone. */
#ifndef VPHONE_MACHINE_H
#define VPHONE_MACHINE_H

#include "base/assert.h"
#include "base/rng.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "audio/audio.h"
#include "rtp/rtp.h"
#include "sip/auth/auth.h"
#include "sip/dialog/dialog.h"
#include "sip/dialog/offer.h"
#include "sip/sdp/sdp.h"
#include "sip/txn/txn.h"
#include "vphone/vphone.h"

enum { VP_SECOND = 1000000 };

/* Timers of the phone's own in its wheel; the transaction layer has TXN_TIMER_FIRST.. */
enum vp_timer { VP_T_BOOT = 1, VP_T_REG, VP_T_CALL, VP_T_RTP, VP_T_GLARE, VP_T_REL, VP_T_DIGIT, VP_T_MWI, VP_T_REFER, VP_T_SESSION };

/* ---- models.c: section 1 ------------------------------------------------------------------------------------- */
struct vp_model {
	const char *name;    /* APPLICATION_ suffix, [PHONE_MODEL] */
	const char *family;  /* "VVX": family token of the User-Agents */
	const char *ua_model;
	const char *part;
	const char *app, *updater; /* firmware versions */
	uint8_t line_keys, max_reg;
	bool long_sip_ua;  /* 5.4, 5.5: "Polycom/<ver> " before the rest */
	bool calls_xml;    /* asks for <mac>-calls.xml at boot */
	uint8_t calls_per_key;
};
const struct vp_model *vp_model_find(struct span name); /* exact; NULL: unknown */
/* True when the dotted name ends in ".<some model>"; *base is the name without it, *own whether the model is m. */
bool vp_model_suffix(const struct vp_model *m, struct span name, struct span *base, bool *own);
void vp_ua_http(const struct vphone *v, bool application, struct text *t);
void vp_ua_sip(const struct vphone *v, struct text *t);

/* ---- params.c: the parameters this phone knows ---------------------------------------------------------------- */
enum vp_param_type { VP_P_TEXT, VP_P_INT, VP_P_WORD, VP_P_KNOWN /* real, but nothing here acts on it */ };
struct vp_param {
	const char *pattern; /* '#': a number, '*': any one part; at the end "**": any rest */
	enum vp_param_type type;
	int32_t min, max;    /* INT */
	const char *words;   /* WORD: "a|b|c", compared without case */
};
/* The row whose pattern the name fits without regard to case; *exact: the letters agree too. NULL: unknown. */
const struct vp_param *vp_param_find(struct span name, bool *exact);
bool vp_param_value_ok(const struct vp_param *p, struct span value);

/* ---- config.c -------------------------------------------------------------------------------------------------- */
/* Parameters in one block: records of name and value, later ones behind earlier ones. */
struct vp_params {
	char *p;
	size_t n, cap;
};
enum vp_level { VP_L_CONFIG = 2, VP_L_WEB = 4, VP_L_PHONE = 6 }; /* section 2.6; + 1 for a model's own suffix */
enum { VP_PARAMS_MAX = 262144, VP_FILE_MAX = 4 * 1024 * 1024 };
struct vp_param_it {
	size_t at;
	struct span name, value;
	uint8_t rank;
};
bool vp_params_next(const struct vp_params *ps, struct vp_param_it *it);
void vp_params_clear(struct vp_params *ps);
int vp_params_add(struct vp_params *ps, struct span name, struct span value, uint8_t rank) NODISCARD;
/* Adds unless the name is there with the same or a higher rank. */
int vp_params_merge(struct vp_params *ps, struct span name, struct span value, uint8_t rank) NODISCARD;
struct span vp_params_get(const struct vp_params *ps, struct span name); /* p NULL: absent */
/* All attributes of all elements of a whole, well-formed file; -1: not well-formed (*why is static text, with *line). */
int vp_xml_collect(struct vphone *v, struct span xml, struct vp_params *out, const char **why, unsigned *line) NODISCARD;
/* One file into the machine's parameters, checked and merged by level; the strictness report hears of what is wrong. */
void vp_config_file(struct vphone *v, struct span name, struct span xml, enum vp_level level);
/* Of the merged parameters; "" and "null" count as absent. */
struct span vp_cfg(const struct vphone *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t vp_cfg_u(const struct vphone *v, uint32_t dflt, uint32_t max, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- master.c: section 2.4 ------------------------------------------------------------------------------------- */
struct vp_master {
	char app_file[256];
	char config_files[2048];
	char misc_files[512];
	char log_dir[128], overrides_dir[128], contacts_dir[128], license_dir[128], calls_dir[128];
};
/* Reads a master file; parameters that stand in it too go to VP_L_CONFIG. -1: not well-formed. */
int vp_master_read(struct vphone *v, struct vp_master *m, struct span name, struct span xml) NODISCARD;
/* Copies with [PHONE_MAC_ADDRESS], [PHONE_MODEL], [PHONE_PART_NUMBER] filled in. */
bool vp_substitute(const struct vphone *v, struct span in, char *dst, size_t cap);

/* ---- flash.c --------------------------------------------------------------------------------------------------- */
struct vp_flash {
	char url[256], user[64], password[64];
	struct vp_params cached; /* what the last good boot merged */
	bool tag_serial;         /* device.prov.tagSerialNo */
};
void vp_flash_defaults(struct vp_flash *f);
void vp_flash_load(struct vp_flash *f, struct span blob);
void vp_flash_emit(struct vphone *v);

/* ---- httpauth.c ------------------------------------------------------------------------------------------------ */
/* A challenge kept for later requests. */
struct vp_challenge {
	char realm[64], nonce[128], opaque[64];
	enum digest_alg alg;
	bool qop, set, basic;
	uint32_t nc;
};
bool vp_challenge_take(struct vp_challenge *c, struct span values, bool *stale); /* values: one per line; false: none usable */
void vp_challenge_answer(struct vphone *v, struct vp_challenge *c, struct text *t, struct span user, struct span password,
			 struct span method, struct span uri);

/* ---- boot.c ---------------------------------------------------------------------------------------------------- */
struct vp_boot;
void vp_boot_start(struct vphone *v, int64_t delay_us);
void vp_boot_http(struct vphone *v, const struct vphone_in *in);
void vp_boot_timer(struct vphone *v);
void vp_boot_drop(struct vphone *v);

/* ---- settings.c: merged parameters as typed values -------------------------------------------------------------- */
enum { VP_MAX_CODECS = 4, VP_MAX_SERVERS = 2 };
struct vp_settings {
	bool advertise_port, filter_ip, reject_486, hold_2543, hold_sendonly, session_timers, call_waiting, tag_serial, remove_end, inband_off;
	uint16_t rtp_start;
	uint8_t te_pt, impossible;
	uint32_t offering_s, ringback_s, impossible_s;
	uint8_t codec[VP_MAX_CODECS]; /* static payload types in order */
	uint8_t n_codec;
};
struct vp_reg {
	struct timer timer;
	uint8_t line, server;
	bool wanted, registered, tried_auth, removing;
	uint8_t fails, challenges;
	struct sip_flow flow;
	uint32_t expires_s, overlap_s, base_s, max_s, granted_s, cseq;
	char call_id[64], tag[20];
	struct vp_challenge ch;
	txn_id txn;
};
enum vp_mwi_state { VP_MWI_NONE, VP_MWI_ACTIVE };
struct vp_mwi { /* the message lamp's subscription */
	struct timer timer;
	enum vp_mwi_state state;
	uint8_t line, challenges;
	bool tried_auth, lamp, cseq_seen;
	uint32_t expires_s, asked_s, cseq, last_cseq, fresh, old;
	char target[64], call_id[64], tag[20]; /* target "": none is wanted */
	struct dialog dlg;
	struct vp_challenge ch;
	txn_id txn;
};
struct vp_line {
	char user[64], domain[128]; /* of reg.x.address, domain from the server when it has none */
	char display[64], label[64];
	char auth_user[64], auth_password[64];
	uint16_t max_calls;
	uint8_t n_regs;
	struct vp_reg reg[VP_MAX_SERVERS];
	struct vp_mwi mwi;
};
void vp_settings_apply(struct vphone *v); /* makes v->set and v->lines from the parameters */

/* ---- register.c ------------------------------------------------------------------------------------------------- */
void vp_reg_start_all(struct vphone *v);
void vp_reg_timer(struct vphone *v, struct vp_reg *r);
void vp_reg_response(struct vphone *v, struct vp_reg *r, const struct sip_msg *resp);
void vp_reg_failed(struct vphone *v, struct vp_reg *r, uint16_t status, const char *why);
bool vp_line_registered(const struct vp_line *l);

/* ---- subscribe.c --------------------------------------------------------------------------------------------------- */
void vp_mwi_setup(struct vphone *v, struct vp_mwi *s, unsigned line);
void vp_mwi_registered(struct vphone *v, unsigned line);
void vp_mwi_timer(struct vphone *v, struct vp_mwi *s);
void vp_mwi_response(struct vphone *v, struct vp_mwi *s, const struct sip_msg *resp); /* NULL: none came */
bool vp_mwi_notify(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void vp_mwi_clear(struct vphone *v, struct vp_mwi *s);

/* ---- media.c, rtp.c ----------------------------------------------------------------------------------------------- */
enum { VP_HEARD = 1600 };
struct vp_media {
	struct timer timer;
	uint32_t call;        /* serial of its call */
	uint16_t port;        /* ours */
	struct addr remote;   /* family 0: none */
	bool have_remote, send, receive;
	uint8_t pt, te_tx, te_rx; /* payload numbers; te 0xff none */
	uint16_t seq;
	uint32_t ts, ssrc;
	int64_t next_us;
	struct tone tone;
	struct rtp_rx rx;
	uint64_t tx, foreign, wrong_pt;
	uint32_t foreign_run;    /* since the last one of ours */
	uint8_t heard[VP_HEARD]; /* linear ring of G.711 codes */
	uint16_t heard_at, heard_n;
	bool heard_alaw;
	uint64_t tone_packets;   /* count at which tone_found was worked out */
	int tone_found;
	int64_t heard_us;        /* when the last packet came */
	uint32_t te_last_ts;
	bool te_seen;
	char dtmf[33];           /* waiting to be sent */
	uint16_t dtmf_units;     /* of the event under way, RTP units; 0 none */
	uint8_t dtmf_ends, dtmf_gap;
	uint32_t dtmf_ts;
	int16_t *pcm;            /* of `play-pcm` */
	size_t pcm_n, pcm_at;
};

/* ---- calls --------------------------------------------------------------------------------------------------------- */
struct vp_call {
	uint32_t serial;
	uint8_t line;
	enum vphone_call_state state;
	bool outgoing, answered, cancelled, bye_after_ack;
	bool hold_local, hold_remote;   /* what is agreed (hold_local: what we asked for) */
	bool want_ack_answer;           /* our 2xx carried an offer: the answer is due in the ACK */
	bool offerless;                 /* server INVITE came without SDP */
	struct timer timer;             /* ringing, ringback, busy tone */
	struct timer glare;
	struct timer rel;               /* repeats a reliable 180 */
	uint8_t rel_tries;
	bool rel_open;
	struct timer session;           /* RFC 4028 */
	uint32_t session_s;             /* 0: none */
	bool session_ours;              /* we refresh */
	txn_id client;                  /* our INVITE or re-INVITE without final answer */
	txn_id server;                  /* their INVITE: until the ACK came */
	uint32_t client_cseq, server_cseq;
	uint8_t challenges;
	struct sip_flow flow;
	struct dialog dlg;
	struct offer offer;
	char call_id[80], tag[20];
	char target[192];               /* of the initial INVITE */
	char number[64], name[64];
	char refer_to[64];              /* the transfer asked for: to whom; refer_with: whose dialog it is to replace (serial, 0 blind) */
	uint32_t refer_with, consult_for; /* consult_for: the call that this one asks about */
	bool refer_due;
	uint16_t last_status;
	uint32_t sdp_id, sdp_version, rseq;
	int64_t connected_us;
	struct vp_media *media;
};

/* A REFER of ours, until its last NOTIFY. */
struct vp_refer {
	struct timer timer;
	bool used;
	char call_id[128], ltag[64], rtag[64];
	uint32_t id, last_cseq, call, consult; /* id: CSeq of the REFER; serials of the calls */
};

enum { VP_CALLS = 24, VP_DEFECTS = 24, VP_REFERS = 4 };
struct vp_defect {
	const char *rule;
	uint32_t count;
	char first[96];
};

struct vphone {
	const struct vp_model *model;
	char mac[13];
	struct addr ip;
	struct rng rng;
	uint16_t rtp_interval_ms;
	int64_t boot_us;
	bool rtp_silent;
	char force_transport;
	uint16_t force_rtp_base;

	struct vphone_sink *sink; /* of the step under way */
	int64_t now_us;
	struct wheel wheel;
	struct slab slab;
	struct txn_layer *txn;

	struct vp_flash flash;
	struct vp_params params;
	struct vp_boot *boot; /* while booting */
	bool started, booted;
	struct vp_settings set;
	struct vp_line *lines;
	uint8_t n_lines, line; /* line: selected */

	struct vp_call *calls[VP_CALLS];
	struct vp_refer refers[VP_REFERS];
	uint32_t focus; /* serial of the call that keys act on; 0 none */
	uint32_t next_serial, next_port;
	uint16_t tone_hz; /* 0: by extension */
	uint16_t last_status;

	uint32_t transferring; /* serial of the call that the key Transfer was pressed in, while its number is dialled */
	bool blind;
	bool offhook;
	char digits[33];
	char dtmf_heard[33];
	struct timer digit_timer;
	bool second_tone;

	/* of the call whose media ended last, for the report */
	struct {
		uint64_t rx, tx, lost, foreign;
		uint32_t jitter_us;
		int tone_hz;
	} ended;
	uint32_t notifies; /* of subscriptions */
	uint32_t boots, registers_sent, http_requests, http_id, rules, n_defects;
	struct vp_defect *defects; /* VP_DEFECTS when any */
	uint8_t used_defects;
};

/* ---- vphone.c ------------------------------------------------------------------------------------------------------- */
void vp_out(struct vphone *v, const struct vphone_out *o);
void vp_event(struct vphone *v, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vp_log(struct vphone *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends calls and registrations as losing power would (no goodbye) and boots again. */
void vp_reboot(struct vphone *v, int64_t delay_us);
void vp_power_off(struct vphone *v);
void vp_copyz(char *dst, size_t cap, struct span s); /* cut at cap - 1 */

/* ---- strict.c --------------------------------------------------------------------------------------------------------- */
/* Notes that a rule was evaluated; when it is broken, a defect. Returns ok. rule is static text. */
bool vp_rule(struct vphone *v, const char *rule, bool ok, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void vp_check_request(struct vphone *v, const struct sip_msg *m);
void vp_check_response(struct vphone *v, const struct sip_msg *m);
void vp_check_answer(struct vphone *v, const struct vp_call *c, const struct sdp *answer);

/* sdp_parse, with its rule. */
bool vp_parse_sdp(struct vphone *v, struct span body, struct sdp *out) NODISCARD;

/* ---- wire.c: what our messages look like (section 8) -------------------------------------------------------------------- */
enum { VP_MSG_MAX = 4096 };
extern const char vp_allow[];
void vp_new_call_id(struct vphone *v, char dst[64]);
void vp_new_tag(struct vphone *v, char dst[20]);
/* Request line, Via, From, To, CSeq, Call-ID, Contact (with params), User-Agent, Accept-Language. */
struct vp_req {
	enum sip_method method;
	const struct sip_flow *flow;
	struct span ruri, from, to, call_id, route; /* from, to: whole values */
	uint32_t cseq;
	uint8_t line;
	const char *contact_params; /* after the angle brackets; NULL: no Contact at all */
};
void vp_req_begin(struct vphone *v, struct sip_build *b, const struct vp_req *r);
/* In a dialog: takes the next CSeq unless cseq is given. */
void vp_dlg_begin(struct vphone *v, struct sip_build *b, struct vp_call *c, enum sip_method m, uint32_t cseq);
void vp_put_auth(struct vphone *v, struct sip_build *b, const struct vp_line *l, const struct sip_msg *resp, enum sip_method m,
		 struct span uri);
/* Adds Max-Forwards and the body and closes. */
bool vp_req_end(struct vphone *v, struct sip_build *b, struct span sdp);
void vp_reply_begin(struct vphone *v, struct sip_build *b, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		    const char *reason, struct span tag, int line /* -1: no Contact */);
void vp_reply_simple(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		     const char *reason, struct span tag);

/* ---- sdp.c ----------------------------------------------------------------------------------------------------------------- */
void vp_sdp_offer(struct vphone *v, struct vp_call *c, struct text *t);
/* Our answer to `offer`, chosen codec noted in the media. -1: nothing in common (488). */
int vp_sdp_answer(struct vphone *v, struct vp_call *c, const struct sdp *offer, struct text *t) NODISCARD;
int vp_sdp_take_answer(struct vphone *v, struct vp_call *c, const struct sdp *answer) NODISCARD;

/* ---- media.c ------------------------------------------------------------------------------------------------------------------ */
int vp_media_open(struct vphone *v, struct vp_call *c) NODISCARD;
void vp_media_close(struct vphone *v, struct vp_call *c);
void vp_media_update(struct vphone *v, struct vp_call *c); /* start or stop sending by the call's state */
void vp_media_timer(struct vphone *v, struct vp_media *m);
void vp_media_rtp(struct vphone *v, const struct vphone_in *in);
void vp_media_dtmf(struct vphone *v, struct vp_call *c, struct span digits);
void vp_media_tone(struct vphone *v, struct vp_media *m);
int vp_media_heard_hz(const struct vphone *v, struct vp_media *m);

/* ---- ua.c, invite.c, incoming.c, call.c ---------------------------------------------------------------------------------------- */
enum vp_owner { VP_OWN_NONE, VP_OWN_REG, VP_OWN_INVITE, VP_OWN_BYE, VP_OWN_PRACK, VP_OWN_SERVER, VP_OWN_MWI, VP_OWN_REFER };
static inline uint64_t vp_owner(enum vp_owner kind, uint32_t serial)
{
	return (uint64_t)kind << 32 | serial;
}
extern const struct txn_user vp_txn_user;
void vp_ua_bytes(struct vphone *v, const struct vphone_in *in);

struct vp_call *vp_call_new(struct vphone *v, uint8_t line);
void vp_call_free(struct vphone *v, struct vp_call *c);
struct vp_call *vp_call_by_serial(const struct vphone *v, uint32_t serial);
struct vp_call *vp_call_by_request(const struct vphone *v, const struct sip_msg *req);
void vp_call_settle(struct vphone *v, struct vp_call *c); /* state and media from what is agreed */
int vp_call_count(const struct vphone *v, int line /* -1: all */);
void vp_call_state(struct vphone *v, struct vp_call *c, enum vphone_call_state s);
void vp_call_failed(struct vphone *v, struct vp_call *c, uint16_t status, struct span reason);
void vp_call_ended(struct vphone *v, struct vp_call *c, const char *why);
void vp_call_timer(struct vphone *v, struct vp_call *c);
void vp_call_hang(struct vphone *v, struct vp_call *c);
/* session.c */
void vp_session_supported(struct vphone *v, struct sip_build *b);
void vp_session_reply(struct vphone *v, struct vp_call *c, const struct sip_msg *req, struct sip_build *b); /* into a 2xx */
void vp_session_answered(struct vphone *v, struct vp_call *c, const struct sip_msg *resp);
void vp_session_timer(struct vphone *v, struct vp_call *c);
void vp_call_bye(struct vphone *v, struct vp_call *c, const struct sip_msg *challenge);
void vp_hold_others(struct vphone *v, const struct vp_call *keep);
struct vp_call *vp_focus(const struct vphone *v);

void vp_dial(struct vphone *v, struct span number, bool digits);
void vp_invite_response(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *resp, const struct sip_flow *from);
void vp_invite_failure(struct vphone *v, struct vp_call *c, enum txn_failure why);
void vp_reinvite(struct vphone *v, struct vp_call *c, bool hold);
void vp_glare_timer(struct vphone *v, struct vp_call *c);

void vp_incoming_invite(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void vp_incoming_reinvite(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void vp_incoming_update(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void vp_incoming_ack(struct vphone *v, struct vp_call *c, const struct sip_msg *ack);
void vp_incoming_prack(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void vp_incoming_rel_timer(struct vphone *v, struct vp_call *c);
void vp_answer(struct vphone *v, struct vp_call *c);
/* Final refusal of a ringing call; the call is freed. */
void vp_refuse(struct vphone *v, struct vp_call *c, uint16_t status, const char *reason);

/* ---- transfer.c ------------------------------------------------------------------------------------------------------------------ */
void vp_transfer(struct vphone *v, struct span number);
bool vp_transfer_digits(struct vphone *v, struct span number);
void vp_transfer_blind(struct vphone *v, struct span number);
void vp_refer_poke(struct vphone *v, struct vp_call *c); /* sends the REFER that waits for the hold */
void vp_refer_response(struct vphone *v, struct vp_call *c, const struct sip_msg *resp);
bool vp_refer_notify(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void vp_refer_clear(struct vphone *v, struct vp_refer *r);
uint16_t vp_replaced(struct vphone *v, const struct sip_msg *req, struct vp_call **old);

/* ---- digitmap.c: section 4 -------------------------------------------------------------------------------------------------------- */
enum vp_dm { VP_DM_MORE, VP_DM_SEND, VP_DM_WAIT /* send after *timer pattern's time */, VP_DM_IMPOSSIBLE };
struct vp_dm_result {
	enum vp_dm verdict;
	int pattern;       /* of SEND and WAIT: index among the alternatives */
	bool second_tone;  /* a comma stands behind what was dialled so far */
	char send[40];     /* SEND, WAIT: after replacement */
};
void vp_digitmap(struct span map, struct span digits, struct vp_dm_result *out);

/* ---- keys.c -------------------------------------------------------------------------------------------------------------------------- */
void vp_user(struct vphone *v, struct span verb, struct span arg);
void vp_digit_timer(struct vphone *v);

#endif
