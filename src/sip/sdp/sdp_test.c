#include "harness/harness.h"

#include "sip/sdp/sdp.h"

#include <stdlib.h>

static struct sdp parsed;

static void parse_ok(const char *z)
{
	struct sdp_error err = {0};
	if (sdp_parse(span_z(z), &parsed, &err) < 0)
		fail_msg("%s at %zu", err.reason, err.offset);
}

static void parse_bad(const char *z, const char *reason)
{
	struct sdp_error err = {0};
	assert_int_equal(sdp_parse(span_z(z), &parsed, &err), -1);
	assert_string_equal(err.reason, reason);
	assert_true(err.offset <= strlen(z));
}

/* As a VVX offers it. */
static const char polycom[] =
	"v=0\r\no=- 1424794183 1424794183 IN IP4 192.0.2.7\r\ns=Polycom IP Phone\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
	"a=sendrecv\r\n"
	"m=audio 2222 RTP/AVP 9 102 0 8 18 127\r\na=rtpmap:9 G722/8000\r\na=rtpmap:102 G7221/16000\r\n"
	"a=fmtp:102 bitrate=32000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n"
	"a=rtpmap:127 telephone-event/8000\r\na=ptime:20\r\na=rtcp:4000\r\n"
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n"
	"m=video 2224 RTP/AVP 109\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:109 H264/90000\r\na=inactive\r\na=rtcp-mux\r\n";

static void offer_of_a_phone(void **state)
{
	(void)state;
	parse_ok(polycom);
	const struct sdp_media *a = sdp_audio(&parsed);
	assert_non_null(a);
	assert_int_equal(parsed.n_media, 2);
	assert_true(span_eqz(parsed.session_name, "Polycom IP Phone"));
	assert_int_equal(parsed.origin_id, 1424794183);
	assert_int_equal(a->port, 2222);
	assert_int_equal(a->conn.ip[3], 7);
	assert_int_equal(a->conn.port, 2222);
	assert_false(a->conn_zero);
	assert_int_equal(a->n_fmt, 6);
	assert_true(span_eqz(a->fmt[1].fmtp, "bitrate=32000"));
	assert_int_equal(a->fmt[1].clock_hz, 16000);
	assert_true(span_eqz(a->fmt[3].encoding, "PCMA")); /* no rtpmap: static */
	assert_int_equal(a->ptime_ms, 20);
	assert_int_equal(a->rtcp_port, 4000);
	assert_int_equal(a->n_crypto, 1);
	assert_true(span_starts(a->raw, SPAN_LIT("m=audio")) && span_find(a->raw, SPAN_LIT("inline:abc\r\n")) > 0);
	assert_true(span_find(a->raw, SPAN_LIT("m=video")) < 0);
	const struct sdp_media *v = &parsed.media[1];
	assert_true(v->conn_zero && v->rtcp_mux);
	assert_int_equal(v->dir, SDP_INACTIVE);
	assert_true(v->raw.p + v->raw.n == polycom + strlen(polycom));
}

static void session_level_is_inherited(void **state)
{
	(void)state;
	parse_ok("v=0\no=- 1 2 IN IP6 ::1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\na=sendonly\nm=audio 4 RTP/AVP 0\n"
		 "m=audio 6 RTP/AVP 0\na=recvonly\nm=image 8 udptl t38\nm=audio 10/2 RTP/AVP 10\n");
	assert_int_equal(parsed.media[0].dir, SDP_SENDONLY);
	assert_int_equal(parsed.media[0].conn.family, 6);
	assert_int_equal(parsed.media[1].dir, SDP_RECVONLY);
	assert_int_equal(parsed.media[2].fmt[0].pt, -1);
	assert_int_equal(parsed.media[3].port, 10);
	assert_int_equal(parsed.media[3].fmt[0].channels, 2);
}

static void malformed_is_told(void **state)
{
	(void)state;
	parse_bad("", "empty description");
	parse_bad("o=- 1 1 IN IP4 h\r\n", "v=0 must be the first line");
	parse_bad("v=1\r\n", "v=0 must be the first line");
	parse_bad("v=0\r\ns=-\r\n", "no o= line");
	parse_bad("v=0\r\no=- 1 1 IN IP4\r\n", "malformed o= line");
	parse_bad("v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 70000 RTP/AVP 0\r\n", "malformed m= line");
	parse_bad("v=0\r\no=- 1 1 IN IP4 h\r\nm=   audio 7 RTP/AVP 0", "malformed m= line"); /* raw once began too late */
	parse_bad("v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 7 RTP/AVP\r\n", "m= line without formats");
	parse_bad("v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4\r\n", "malformed c= line");
	parse_bad("v=0\r\nhello\r\n", "line is not type=value");
	parse_bad("v=0\r\no=- 1 1 IN IP4 h\r\nm=a 1 P 0\r\nm=a 1 P 0\r\nm=a 1 P 0\r\nm=a 1 P 0\r\nm=a 1 P 0\r\nm=a 1 P 0\r\n"
		  "m=a 1 P 0\r\nm=a 1 P 0\r\nm=a 1 P 0\r\n", "too many media");
}

static struct sdp_format codec(int pt, const char *name, uint32_t clock_hz)
{
	return (struct sdp_format){.pt = pt, .encoding = span_z(name), .clock_hz = clock_hz, .channels = 1};
}

static void answer_golden(void **state)
{
	(void)state;
	char buf[1024];
	struct text t = TEXT_ARRAY(buf);
	parse_ok(polycom);
	struct sdp_format mine[] = {codec(8, "pcma", 8000), codec(0, "PCMU", 8000), codec(101, "telephone-event", 8000)};
	struct sdp_local l = {.session_id = 5, .version = 6, .rtcp_port = 20003, .dir = SDP_SENDRECV, .ptime_ms = 20,
			      .answer_to = &parsed, .audio_index = 0};
	assert_int_equal(addr_parse(SPAN_LIT("192.0.2.1"), 20002, &l.rtp), 0);
	l.n_fmt = (uint8_t)sdp_intersect(&parsed.media[0], mine, 3, l.fmt, SDP_MAX_FORMATS);
	assert_int_equal(l.n_fmt, 3);
	sdp_write(&t, &l);
	assert_true(text_end(&t));
	assert_string_equal(buf,
			    "v=0\r\no=- 5 6 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
			    "m=audio 20002 RTP/AVP 0 8 127\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
			    "a=rtpmap:127 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
			    "m=video 0 RTP/AVP 109\r\n");
	parse_ok(buf);
	assert_int_equal(parsed.media[0].n_fmt, 3);
	assert_int_equal(parsed.media[1].port, 0);
}

static void digits_alone_are_no_call(void **state)
{
	(void)state;
	struct sdp_format out[4], mine[] = {codec(101, "telephone-event", 8000), codec(3, "GSM", 8000)};
	parse_ok(polycom);
	assert_int_equal(sdp_intersect(&parsed.media[0], mine, 2, out, 4), 0);
}

static void written_text_has_no_stray_lines(void **state)
{
	(void)state;
	char buf[1024];
	struct text t = TEXT_ARRAY(buf);
	struct sdp_local l = {.session_id = 1, .version = 1, .dir = SDP_INACTIVE, .n_fmt = 1};
	assert_int_equal(addr_parse(SPAN_LIT("::1"), 9, &l.rtp), 0);
	l.fmt[0] = codec(0, "PCMU", 8000);
	l.fmt[0].fmtp = SPAN_LIT("x\r\na=evil");
	sdp_write(&t, &l);
	assert_true(span_find(text_span(&t), SPAN_LIT("\na=evil")) < 0);
	assert_true(span_find(text_span(&t), SPAN_LIT("IN IP6 ::1")) > 0);
	assert_int_equal(sdp_dir_reverse(SDP_SENDONLY), SDP_RECVONLY);
	assert_int_equal(sdp_dir_reverse(SDP_RECVONLY), SDP_SENDONLY);
	assert_int_equal(sdp_dir_reverse(SDP_INACTIVE), SDP_INACTIVE);
}

/* Each prefix of an offer in a block of just that size, so that the sanitizer sees one byte too far. */
static void truncated_anywhere(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof polycom; n++) {
		struct sdp_error err;
		char *b = malloc(n ? n : 1);
		assert_non_null(b);
		memcpy(b, polycom, n);
		int rc = sdp_parse(span_mem(b, n), &parsed, &err);
		assert_true(rc == 0 || err.offset <= n);
		free(b);
	}
}

static const struct test_case cases[] = {
	CASE(offer_of_a_phone, ""),
	CASE(session_level_is_inherited, ""),
	CASE(malformed_is_told, ""),
	CASE(answer_golden, ""),
	CASE(digits_alone_are_no_call, ""),
	CASE(written_text_has_no_stray_lines, ""),
	CASE(truncated_anywhere, ""),
};
TEST_MAIN("sdp", cases)
