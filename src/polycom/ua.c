#include "polycom/ua.h"

static bool token_char(char c)
{
	return ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || c == '.' || c == '-';
}

static bool is_mac(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_hex(s.p[i]) < 0)
			return false;
	return s.n == 12;
}

bool polycom_ua_parse(struct span ua, struct polycom_ua *out)
{
	struct polycom_ua u = {0};
	if (ua.n > 256)
		return false;
	/* 5.4 and 5.5 put "Polycom/<version> " before: the part with "-UA/" counts */
	ptrdiff_t mark = span_find(ua, SPAN_LIT("-UA/"));
	if (mark < 0)
		mark = span_find(ua, SPAN_LIT("_UA/"));
	if (mark < 0)
		return false;
	size_t from = (size_t)mark;
	while (from > 0 && token_char(ua.p[from - 1]))
		from--;
	struct span head = span_sub(ua, from, (size_t)mark), rest = span_sub(ua, (size_t)mark + 4, ua.n);
	if (!span_starts(head, SPAN_LIT("Polycom")))
		return false;
	head = span_sub(head, 7, head.n);
	u.family = span_cut(&head, '-');
	u.model = head;
	size_t n = 0;
	while (n < rest.n && (ascii_digit(rest.p[n]) || rest.p[n] == '.'))
		n++;
	u.version = span_sub(rest, 0, n);
	rest = span_sub(rest, n, rest.n);
	if (rest.n >= 13 && rest.p[0] == '_' && is_mac(span_sub(rest, 1, 13)))
		u.serial = span_sub(rest, 1, 13);
	ptrdiff_t sn = span_find(rest, SPAN_LIT("(SN:"));
	if (sn >= 0 && is_mac(span_sub(rest, (size_t)sn + 4, (size_t)sn + 16)))
		u.serial = span_sub(rest, (size_t)sn + 4, (size_t)sn + 16);
	u.updater = span_find(rest, SPAN_LIT("Type/Updater")) >= 0;
	u.application = span_find(rest, SPAN_LIT("Type/Application")) >= 0;
	if (u.family.n == 0 || u.model.n == 0 || u.model.n > 15 || u.version.n == 0 || u.version.n > 31)
		return false;
	*out = u;
	return true;
}
