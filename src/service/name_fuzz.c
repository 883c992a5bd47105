/* Names that phones ask for and bring: what is taken for a name of ours can not leave its folder, its MAC is twelve small
 * hexadecimal digits, and one behind another is never read as another file. */
#include "base/assert.h"
#include "service/service_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct prov_name n, again;
	struct span path = span_mem(data, size);
	if (!prov_name_parse(path, &n))
		return 0;
	INVARIANT(n.file != PROV_NONE && n.leaf.n && n.leaf.p + n.leaf.n == path.p + path.n);
	if (n.file != PROV_FIRMWARE) /* whose file is looked up by its name among those there */
		INVARIANT(span_chr(n.leaf, '/') < 0 && span_find(n.leaf, SPAN_LIT("..")) < 0 && span_chr(n.leaf, 0) < 0);
	INVARIANT(span_chr(n.leaf, '/') < 0);
	INVARIANT(strlen(n.mac) == 0 || strlen(n.mac) == 12);
	for (const char *c = n.mac; *c; c++)
		INVARIANT(ascii_hex(*c) >= 0 && !(*c >= 'A' && *c <= 'F'));
	for (size_t i = 0; i < n.number.n; i++)
		INVARIANT(ascii_digit(n.number.p[i]));
	INVARIANT((n.file == PROV_EXTENSION) == (n.number.n > 0));
	INVARIANT(prov_name_parse(path, &again) && again.file == n.file && !strcmp(again.mac, n.mac));
	return 0;
}
