/* A log line of fields that a stranger chose: one line of printable text, however long they are. */
#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	struct span rest = span_mem(data, size), a = span_cut(&rest, '\n'), b = span_cut(&rest, '\n');
	const struct log_field f[] = {LOG_S("from", a), LOG_S("agent", b), LOG_I("status", 403), LOG_S("why", rest)};
	log_format(&t, LOG_WARN, "register.refused", f, COUNT_OF(f));
	struct span line = text_span(&t);
	for (size_t i = 0; i < line.n; i++)
		INVARIANT((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
	/* nobody forges a field: outside of quotes there are just our four keys, as many as fit */
	unsigned equals = 0;
	bool quoted = false;
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\\' && quoted)
			i++;
		else if (line.p[i] == '"')
			quoted = !quoted;
		else if (line.p[i] == '=' && !quoted)
			equals++;
	}
	INVARIANT(equals <= COUNT_OF(f) + 2); /* level= and event= */
	return 0;
}
