#include "base/log.h"

#include "base/text.h"

const char *log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_DEBUG: return "debug";
	case LOG_INFO: return "info";
	case LOG_WARN: return "warn";
	case LOG_ERROR: return "error";
	}
	return "?";
}

static bool plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

void log_format(struct text *t, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	text_lit(t, "level=");
	text_z(t, log_level_name(level));
	text_lit(t, " event=");
	text_z(t, event);
	for (size_t i = 0; i < n; i++) {
		text_putc(t, ' ');
		text_z(t, f[i].key);
		text_putc(t, '=');
		if (f[i].type == LOG_F_INT)
			text_i64(t, f[i].i);
		else if (plain(f[i].text))
			text_put(t, f[i].text);
		else
			text_json(t, f[i].text);
	}
}
