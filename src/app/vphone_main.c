/* vphone: a virtual Polycom phone on real sockets. */
#include "app/vphone_host.h"

#include "io/sock.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"usage: vphone --model MODEL --mac MAC --server URL [--user EXT --password PIN] [--ip ADDR] [--sip-port N]\n"
	"              [--transport udp|tcp] [--rtp-base N]   (both against the configuration, for tests)\n"
	"              [--flash DIR] [--script FILE|-] [--json] [--trace] [--insecure] [--seconds N] [--boot-ms N]\n"
	"  MODEL     VVX410, SPIP650 and the others of the guide\n"
	"  ADDR      the phone's own address; default: one of 127.0.0.0/8 made from the MAC, or this host's when the server is elsewhere\n"
	"  script    boot reboot factory-reset offhook onhook dial N, key K, softkey LABEL, line N, hold resume answer reject hangup,\n"
	"            dtmf DIGITS, play HZ|FILE.wav, record FILE.wav|stop, dump,\n"
	"            wait COND [timeout S], expect COND; COND: registered unregistered booted ringing ringback talking connected held\n"
	"            heldbypeer dialtone busytone idle, tone HZ, status NNN, event NAME, digits D, seconds S, defects N (at most),\n"
	"            lost N (at most), rtp N (packets received, at least)\n"
	"  exit      0 every wait and expect held; 1 one did not (the line is on stderr); 2 usage\n";

static int fail(const char *what)
{
	fprintf(stderr, "vphone: %s\n%s", what, usage);
	return 2;
}

/* 127.x.y.z of the MAC's last three bytes, so that several phones of one host do not meet. */
static void own_address(struct vhost_opts *o, const char *url)
{
	unsigned b[3] = {0};
	struct span host = span_z(url);
	ptrdiff_t at = span_find(host, SPAN_LIT("://"));
	if (at >= 0)
		host = span_sub(host, (size_t)at + 3, host.n);
	at = span_chr(host, '@');
	if (at >= 0)
		host = span_sub(host, (size_t)at + 1, host.n);
	if (span_starts(host, SPAN_LIT("127.")) || span_istarts(host, SPAN_LIT("localhost"))) {
		char ip[20];
		sscanf(o->phone.mac + 6, "%2x%2x%2x", &b[0], &b[1], &b[2]);
		snprintf(ip, sizeof ip, "127.%u.%u.%u", b[0] ? b[0] & 255 : 1, b[1] & 255, b[2] % 254 + 1);
		(void)!addr_parse(span_z(ip), 0, &o->phone.ip);
	} else {
		o->phone.ip = sock_primary_addr(4);
	}
}

enum { O_MODEL = 256, O_MAC, O_SERVER, O_USER, O_PASSWORD, O_IP, O_PORT, O_FLASH, O_SCRIPT, O_JSON, O_TRACE, O_INSECURE, O_SECONDS, O_BOOT, O_TRANSPORT, O_RTP, O_CA, O_HELP };

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{"model", 1, NULL, O_MODEL}, {"mac", 1, NULL, O_MAC}, {"server", 1, NULL, O_SERVER}, {"user", 1, NULL, O_USER},
		{"password", 1, NULL, O_PASSWORD}, {"ip", 1, NULL, O_IP}, {"sip-port", 1, NULL, O_PORT}, {"flash", 1, NULL, O_FLASH},
		{"script", 1, NULL, O_SCRIPT}, {"json", 0, NULL, O_JSON}, {"trace", 0, NULL, O_TRACE}, {"insecure", 0, NULL, O_INSECURE},
		{"seconds", 1, NULL, O_SECONDS}, {"boot-ms", 1, NULL, O_BOOT}, {"transport", 1, NULL, O_TRANSPORT}, {"rtp-base", 1, NULL, O_RTP}, {"ca", 1, NULL, O_CA}, {"help", 0, NULL, O_HELP}, {0}};
	struct vhost_opts o = {.phone = {.boot_ms = 200}, .sip_port = 5060};
	const char *script = NULL, *mac = NULL, *ip = NULL;
	double seconds = 0;
	for (int c; (c = getopt_long(argc, argv, "", opts, NULL)) != -1;) {
		switch (c) {
		case O_MODEL: o.phone.model = optarg; break;
		case O_MAC: mac = optarg; break;
		case O_SERVER: o.phone.server_url = optarg; break;
		case O_USER: o.phone.server_user = optarg; break;
		case O_PASSWORD: o.phone.server_password = optarg; break;
		case O_IP: ip = optarg; break;
		case O_PORT: o.sip_port = (uint16_t)atoi(optarg); break;
		case O_FLASH: o.flash_dir = optarg; break;
		case O_SCRIPT: script = optarg; break;
		case O_JSON: o.json = true; break;
		case O_TRACE: o.trace = true; break;
		case O_INSECURE: o.insecure = true; break;
		case O_SECONDS: seconds = atof(optarg); break;
		case O_BOOT: o.phone.boot_ms = atoi(optarg); break;
		case O_TRANSPORT: o.phone.force_transport = optarg[0]; break;
		case O_RTP: o.phone.force_rtp_base = (uint16_t)atoi(optarg); break;
		case O_CA: o.ca = optarg; break;
		case O_HELP: fputs(usage, stdout); return 0;
		default: return fail("unknown option");
		}
	}
	if (!o.phone.model || !mac || strlen(mac) != 12 || (!o.phone.server_url && !o.flash_dir) || optind != argc || !o.sip_port)
		return fail("--model, --mac (12 hexadecimal digits) and --server are needed");
	if (o.phone.force_transport && !strchr("ut", o.phone.force_transport))
		return fail("--transport is udp or tcp");
	memcpy(o.phone.mac, mac, 13);
	if (!ip)
		own_address(&o, o.phone.server_url ? o.phone.server_url : "127.");
	else if (addr_parse(span_z(ip), 0, &o.phone.ip) != 0)
		return fail("--ip must be an address");
	o.phone.ip.port = o.sip_port;
	static struct vhost h;
	if (vhost_init(&h, &o) != 0)
		return 2;
	int64_t limit = (int64_t)(seconds * 1e6);
	int rc = script ? vhost_script(&h, script, limit) : vhost_terminal(&h, limit);
	vhost_close(&h);
	return rc;
}
