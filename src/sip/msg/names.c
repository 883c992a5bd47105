/* What methods, headers and statuses are called. */
#include "sip/msg/cclass.h"
#include "sip/msg/msg.h"

static const struct span methods[] = {
	[SIP_OTHER_METHOD] = {"", 0},
	[SIP_INVITE] = {"INVITE", 6},
	[SIP_ACK] = {"ACK", 3},
	[SIP_BYE] = {"BYE", 3},
	[SIP_CANCEL] = {"CANCEL", 6},
	[SIP_REGISTER] = {"REGISTER", 8},
	[SIP_OPTIONS] = {"OPTIONS", 7},
	[SIP_INFO] = {"INFO", 4},
	[SIP_MESSAGE] = {"MESSAGE", 7},
	[SIP_SUBSCRIBE] = {"SUBSCRIBE", 9},
	[SIP_NOTIFY] = {"NOTIFY", 6},
	[SIP_PRACK] = {"PRACK", 5},
	[SIP_UPDATE] = {"UPDATE", 6},
	[SIP_REFER] = {"REFER", 5},
	[SIP_PUBLISH] = {"PUBLISH", 7},
};

enum sip_method sip_method_of(struct span name)
{
	for (size_t i = 1; i < sizeof methods / sizeof methods[0]; i++)
		if (methods[i].n == name.n && methods[i].p[0] == name.p[0] && memcmp(methods[i].p, name.p, name.n) == 0)
			return (enum sip_method)i;
	return SIP_OTHER_METHOD;
}

const char *sip_method_name(enum sip_method m)
{
	return methods[m].p;
}

static const char *const headers[SIP_H_COUNT] = {
	[SIP_H_OTHER] = "",
	[SIP_H_VIA] = "Via",
	[SIP_H_FROM] = "From",
	[SIP_H_TO] = "To",
	[SIP_H_CALL_ID] = "Call-ID",
	[SIP_H_CSEQ] = "CSeq",
	[SIP_H_CONTACT] = "Contact",
	[SIP_H_MAX_FORWARDS] = "Max-Forwards",
	[SIP_H_ROUTE] = "Route",
	[SIP_H_RECORD_ROUTE] = "Record-Route",
	[SIP_H_CONTENT_LENGTH] = "Content-Length",
	[SIP_H_CONTENT_TYPE] = "Content-Type",
	[SIP_H_EXPIRES] = "Expires",
	[SIP_H_MIN_EXPIRES] = "Min-Expires",
	[SIP_H_AUTHORIZATION] = "Authorization",
	[SIP_H_PROXY_AUTHORIZATION] = "Proxy-Authorization",
	[SIP_H_WWW_AUTHENTICATE] = "WWW-Authenticate",
	[SIP_H_PROXY_AUTHENTICATE] = "Proxy-Authenticate",
	[SIP_H_USER_AGENT] = "User-Agent",
	[SIP_H_SERVER] = "Server",
	[SIP_H_ALLOW] = "Allow",
	[SIP_H_SUPPORTED] = "Supported",
	[SIP_H_REQUIRE] = "Require",
	[SIP_H_PROXY_REQUIRE] = "Proxy-Require",
	[SIP_H_UNSUPPORTED] = "Unsupported",
	[SIP_H_ALLOW_EVENTS] = "Allow-Events",
	[SIP_H_EVENT] = "Event",
	[SIP_H_SUBSCRIPTION_STATE] = "Subscription-State",
	[SIP_H_REFER_TO] = "Refer-To",
	[SIP_H_REFERRED_BY] = "Referred-By",
	[SIP_H_REPLACES] = "Replaces",
	[SIP_H_RACK] = "RAck",
	[SIP_H_RSEQ] = "RSeq",
	[SIP_H_SESSION_EXPIRES] = "Session-Expires",
	[SIP_H_MIN_SE] = "Min-SE",
	[SIP_H_PATH] = "Path",
	[SIP_H_REASON] = "Reason",
	[SIP_H_RETRY_AFTER] = "Retry-After",
	[SIP_H_WARNING] = "Warning",
	[SIP_H_ACCEPT] = "Accept",
	[SIP_H_CONTENT_ENCODING] = "Content-Encoding",
	[SIP_H_DATE] = "Date",
	[SIP_H_TIMESTAMP] = "Timestamp",
	[SIP_H_ALERT_INFO] = "Alert-Info",
	[SIP_H_CALL_INFO] = "Call-Info",
	[SIP_H_DIVERSION] = "Diversion",
	[SIP_H_P_ASSERTED_IDENTITY] = "P-Asserted-Identity",
	[SIP_H_REMOTE_PARTY_ID] = "Remote-Party-ID",
	[SIP_H_PRIVACY] = "Privacy",
	[SIP_H_AUTHENTICATION_INFO] = "Authentication-Info",
	[SIP_H_MIME_VERSION] = "MIME-Version",
};

/* The candidates for each length of name, ended by SIP_H_OTHER; msg_test walks all names through it. */
static const uint8_t by_length[20][8] = {
	[2] = {SIP_H_TO},
	[3] = {SIP_H_VIA},
	[4] = {SIP_H_FROM, SIP_H_CSEQ, SIP_H_DATE, SIP_H_PATH, SIP_H_RACK, SIP_H_RSEQ},
	[5] = {SIP_H_ALLOW, SIP_H_EVENT, SIP_H_ROUTE},
	[6] = {SIP_H_ACCEPT, SIP_H_REASON, SIP_H_SERVER, SIP_H_MIN_SE},
	[7] = {SIP_H_CONTACT, SIP_H_CALL_ID, SIP_H_EXPIRES, SIP_H_REQUIRE, SIP_H_WARNING, SIP_H_PRIVACY},
	[8] = {SIP_H_REFER_TO, SIP_H_REPLACES},
	[9] = {SIP_H_SUPPORTED, SIP_H_TIMESTAMP, SIP_H_CALL_INFO, SIP_H_DIVERSION},
	[10] = {SIP_H_USER_AGENT, SIP_H_ALERT_INFO},
	[11] = {SIP_H_MIN_EXPIRES, SIP_H_UNSUPPORTED, SIP_H_REFERRED_BY, SIP_H_RETRY_AFTER},
	[12] = {SIP_H_MAX_FORWARDS, SIP_H_CONTENT_TYPE, SIP_H_RECORD_ROUTE, SIP_H_ALLOW_EVENTS, SIP_H_MIME_VERSION},
	[13] = {SIP_H_AUTHORIZATION, SIP_H_PROXY_REQUIRE},
	[14] = {SIP_H_CONTENT_LENGTH},
	[15] = {SIP_H_SESSION_EXPIRES, SIP_H_REMOTE_PARTY_ID},
	[16] = {SIP_H_WWW_AUTHENTICATE, SIP_H_CONTENT_ENCODING},
	[18] = {SIP_H_PROXY_AUTHENTICATE, SIP_H_SUBSCRIPTION_STATE},
	[19] = {SIP_H_PROXY_AUTHORIZATION, SIP_H_P_ASSERTED_IDENTITY, SIP_H_AUTHENTICATION_INFO},
};

/* RFC 3261 7.3.3, and the event, REFER, session timer RFCs (6665, 3515, 3892, 4028). */
static const uint8_t compact[26] = {
	['b' - 'a'] = SIP_H_REFERRED_BY,
	['c' - 'a'] = SIP_H_CONTENT_TYPE,
	['e' - 'a'] = SIP_H_CONTENT_ENCODING,
	['f' - 'a'] = SIP_H_FROM,
	['i' - 'a'] = SIP_H_CALL_ID,
	['k' - 'a'] = SIP_H_SUPPORTED,
	['l' - 'a'] = SIP_H_CONTENT_LENGTH,
	['m' - 'a'] = SIP_H_CONTACT,
	['o' - 'a'] = SIP_H_EVENT,
	['r' - 'a'] = SIP_H_REFER_TO,
	['t' - 'a'] = SIP_H_TO,
	['u' - 'a'] = SIP_H_ALLOW_EVENTS,
	['v' - 'a'] = SIP_H_VIA,
	['x' - 'a'] = SIP_H_SESSION_EXPIRES,
};

enum sip_hdr_id sip_hdr_of(struct span name)
{
	if (name.n == 1) {
		char c = ascii_lower(name.p[0]);
		return c >= 'a' && c <= 'z' ? (enum sip_hdr_id)compact[c - 'a'] : SIP_H_OTHER;
	}
	if (name.n == 0 || name.n >= sizeof by_length / sizeof by_length[0])
		return SIP_H_OTHER;
	const uint8_t *c = by_length[name.n];
	for (; *c != SIP_H_OTHER; c++) {
		const char *h = headers[*c];
		/* Mostly written as we write it: one memcmp; the second byte differs where the first does not. */
		if (memcmp(h, name.p, name.n) == 0)
			return (enum sip_hdr_id)*c;
		if (((h[0] ^ name.p[0]) & 0xdf) == 0 && span_ieq((struct span){h, name.n}, name))
			return (enum sip_hdr_id)*c;
	}
	return SIP_H_OTHER;
}

const char *sip_hdr_name(enum sip_hdr_id id)
{
	return headers[id];
}

static const struct {
	uint16_t status;
	const char *phrase;
} phrases[] = {
	{100, "Trying"}, {180, "Ringing"}, {181, "Call Is Being Forwarded"}, {182, "Queued"}, {183, "Session Progress"},
	{199, "Early Dialog Terminated"}, {200, "OK"}, {202, "Accepted"}, {204, "No Notification"}, {300, "Multiple Choices"},
	{301, "Moved Permanently"}, {302, "Moved Temporarily"}, {305, "Use Proxy"}, {380, "Alternative Service"},
	{400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"},
	{405, "Method Not Allowed"}, {406, "Not Acceptable"}, {407, "Proxy Authentication Required"}, {408, "Request Timeout"},
	{410, "Gone"}, {412, "Conditional Request Failed"}, {413, "Request Entity Too Large"}, {414, "Request-URI Too Long"},
	{415, "Unsupported Media Type"}, {416, "Unsupported URI Scheme"}, {420, "Bad Extension"}, {421, "Extension Required"},
	{422, "Session Interval Too Small"}, {423, "Interval Too Brief"}, {429, "Provide Referrer Identity"},
	{430, "Flow Failed"}, {433, "Anonymity Disallowed"}, {439, "First Hop Lacks Outbound Support"},
	{480, "Temporarily Unavailable"}, {481, "Call/Transaction Does Not Exist"}, {482, "Loop Detected"},
	{483, "Too Many Hops"}, {484, "Address Incomplete"}, {485, "Ambiguous"}, {486, "Busy Here"},
	{487, "Request Terminated"}, {488, "Not Acceptable Here"}, {489, "Bad Event"}, {491, "Request Pending"},
	{493, "Undecipherable"}, {494, "Security Agreement Required"}, {500, "Server Internal Error"},
	{501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Server Time-out"},
	{505, "Version Not Supported"}, {513, "Message Too Large"}, {580, "Precondition Failure"}, {600, "Busy Everywhere"},
	{603, "Decline"}, {604, "Does Not Exist Anywhere"}, {606, "Not Acceptable"}, {607, "Unwanted"},
};

const char *sip_reason_phrase(uint16_t status)
{
	static const char *const classes[7] = {"", "Trying", "OK", "Redirection", "Request Failure", "Server Failure", "Global Failure"};
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return status / 100 < 7 ? classes[status / 100] : "";
}
