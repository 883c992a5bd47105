/* base/log_rules: which events are written: a level for all, for a subsystem (the event's name before its first dot), and
 * for a peer (one phone: its address or its extension) until a time. Layer 0, pure; the caller guards it between threads. */
#ifndef BASE_LOG_RULES_H
#define BASE_LOG_RULES_H

#include "base/log.h"

enum { LOG_MAX_SUBSYSTEMS = 32, LOG_MAX_PEERS = 16 };

struct log_subsystem_rule {
	char name[16];
	enum log_level level;
};
struct log_peer_rule {
	char peer[64]; /* an IP address without port, or an extension */
	enum log_level level;
	int64_t until_us; /* INT64_MAX: for ever */
};
struct log_rules {
	enum log_level level; /* what no other rule speaks of */
	struct log_subsystem_rule subsystem[LOG_MAX_SUBSYSTEMS];
	struct log_peer_rule peer[LOG_MAX_PEERS];
	uint8_t n_subsystem, n_peer;
};

/* -1: not the name of a level. */
int log_level_parse(struct span s, enum log_level *out) __attribute__((warn_unused_result));
/* A rule for the same name is replaced. -1: no such name is possible (letters, digits, '_' and '-'), or no room. */
int log_rules_subsystem(struct log_rules *r, struct span name, enum log_level level) __attribute__((warn_unused_result));
int log_rules_peer(struct log_rules *r, struct span peer, enum log_level level, int64_t until_us) __attribute__((warn_unused_result));
/* False: there was none. */
bool log_rules_peer_gone(struct log_rules *r, struct span peer);
/* Takes out what is over; returns when the next is (INT64_MAX: never). */
int64_t log_rules_expire(struct log_rules *r, int64_t now_us);
/* The lowest level that any rule lets through: below it nobody need be asked. */
enum log_level log_rules_min(const struct log_rules *r);
/* Of a peer speaks an event with its address in a field peer, source, from or remote (with or without port and transport),
 * or its extension in a field extension, ext, user, caller or callee. The most talkative rule wins. */
bool log_rules_want(const struct log_rules *r, enum log_level level, const char *event, const struct log_field *f, size_t n);

#endif
