/* base/log: named events with fields, handed to a sink. Layer 0, pure: what becomes of them is the shell's affair.
 * Written once, where propagation stops. There is deliberately no field kind for `struct secret`. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
	const char *key;
	enum { LOG_F_TEXT, LOG_F_INT } type;
	struct span text; /* borrowed for the call */
	int64_t i;
};

struct log_sink {
	/* event: static text "subsystem.what". Fields are borrowed for the call. */
	void (*write)(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n);
	_Atomic enum log_level min; /* may change while others write */
};

#define LOG_S(k, spanv) {(k), LOG_F_TEXT, (spanv), 0}
#define LOG_Z(k, zv)    {(k), LOG_F_TEXT, span_z(zv), 0}
#define LOG_I(k, iv)    {(k), LOG_F_INT, {NULL, 0}, (int64_t)(iv)}

/* log_event(sink, LOG_WARN, "register.refused", LOG_S("ext", ext), LOG_I("status", 403)); sink may be NULL. */
#define log_event(sink, level, event, ...)                                                                             \
	do {                                                                                                           \
		struct log_sink *log_sink_ = (sink);                                                                   \
		if (log_sink_ && (level) >= log_sink_->min) {                                                          \
			const struct log_field log_fields_[] = {__VA_ARGS__};                                          \
			log_sink_->write(log_sink_, (level), (event), log_fields_,                                     \
					 sizeof log_fields_ / sizeof log_fields_[0]);                                  \
		}                                                                                                      \
	} while (0)

const char *log_level_name(enum log_level level);

struct text;
/* One line without its newline: event=... key=value ..., values quoted when needed, control characters escaped. */
void log_format(struct text *t, enum log_level level, const char *event, const struct log_field *f, size_t n);

#endif
