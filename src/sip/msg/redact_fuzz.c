/* Any bytes: lengths stay, nothing behind them is touched, and a second time changes nothing. */
#include "base/assert.h"
#include "sip/msg/redact.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *a = malloc(2 * size + 1), *b = a + size;
	struct sip_glance g;
	INVARIANT(a);
	memcpy(a, size ? (const char *)data : "", size);
	sip_redact(a, size);
	memcpy(b, a, size);
	sip_redact(b, size);
	INVARIANT(span_eq(span_mem(a, size), span_mem(b, size)));
	sip_glance(&g, span_mem(a, size));
	INVARIANT(g.first.n + g.headers.n <= size && g.call_id.n <= g.headers.n);
	free(a);
	return 0;
}
