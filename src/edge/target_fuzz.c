/* The target of an HTTP request line: a path that begins with a slash and holds no control character, or a refusal. */
#include "base/assert.h"
#include "edge/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_target t;
	http_target_parse(&t, span_mem(data, size));
	INVARIANT(t.bad == 0 || t.bad == 400 || t.bad == 414);
	if (t.bad) {
		INVARIANT(t.path.n == 0 && t.query.n == 0);
		return 0;
	}
	INVARIANT(t.path.n && t.path.p[0] == '/' && t.path.n + t.query.n <= sizeof t.mem);
	for (size_t i = 0; i < t.path.n; i++)
		INVARIANT((unsigned char)t.path.p[i] >= 0x20 && t.path.p[i] != 0x7f);
	return 0;
}
