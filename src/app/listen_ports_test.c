#include "app/listen_ports.h"
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int wish(struct daemon_ports *p, const char *words)
{
	return ports_wish(p, span_z(words));
}

static void wishes_go_before_the_base(void **state)
{
	(void)state;
	struct daemon_ports p, w = {0};
	ports_standard(&p, 0);
	assert_true(p.sip == 5060 && p.sips == 5061 && p.sip_service == 10060 && p.rtp_first == 16384);
	ports_standard(&p, 30001);
	assert_true(p.sip == 30001 && p.sips_legacy == 30007 && p.rtp_first == 30102);
	assert_int_equal(wish(&w, "http=80") | wish(&w, "https=443") | wish(&w, "rtp=20000"), 0);
	ports_apply(&p, &w);
	assert_true(p.http == 80 && p.https == 443 && p.rtp_first == 20000 && p.sip == 30001);
	assert_true(ports_any_low(&p));
	static const char *const no[] = {"http", "http=", "http=0", "http=65536", "http=-1", "http=80x", "ftp=21", "=80", "", "rtp=20001", "HTTP=80"};
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_int_equal(wish(&w, no[i]), -1);
	assert_int_equal(w.http, 80);
}

static void no_two_on_one_port(void **state)
{
	(void)state;
	struct daemon_ports p;
	char what[96];
	ports_standard(&p, 0);
	assert_false(ports_clash(&p, 17280, what, sizeof what));
	p.http = 9090;
	assert_true(ports_clash(&p, 17280, what, sizeof what));
	assert_string_equal(what, "http=9090 and metrics=9090");
	p.http = 17000; /* TCP: the voice ports do not mind */
	assert_false(ports_clash(&p, 17280, what, sizeof what));
	p.sip = 17279;
	assert_true(ports_clash(&p, 17280, what, sizeof what));
	assert_string_equal(what, "sip=17279 and the RTP ports 16384-17279");
	p.sip = 17280;
	assert_false(ports_clash(&p, 17280, what, sizeof what));
}

static void the_file_says_what_is(void **state)
{
	(void)state;
	char dir[] = "/tmp/strowger-ports-XXXXXX", path[64];
	struct daemon_ports p, got = {0};
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/ports", dir);
	assert_int_equal(ports_read(&got, dir), -1);
	ports_standard(&p, 0);
	p.https = 443;
	assert_int_equal(ports_write(&p, dir), 0);
	assert_int_equal(ports_read(&got, dir), 0);
	assert_memory_equal(&p, &got, sizeof p);
	memset(&got, 0, sizeof got);
	for (const char *const *bad = (const char *const[]){"sip=5060\n", "sip=x\n", "", NULL}; *bad; bad++) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fputs(*bad, f);
		fclose(f);
		assert_int_equal(ports_read(&got, dir), -1);
		assert_int_equal(got.sip, 0);
	}
	unlink(path);
	rmdir(dir);
}

static const struct test_case cases[] = {CASE(wishes_go_before_the_base, "G10"), CASE(no_two_on_one_port, "G10"), CASE(the_file_says_what_is, "G10")};
TEST_MAIN("listen_ports", cases)
