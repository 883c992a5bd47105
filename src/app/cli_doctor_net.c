/* The doctor's questions over the network: OPTIONS to the SIP listeners, a handshake to TLS, GET to HTTP. */
#include "app/cli_doctor.h"

#include "base/text.h"
#include "io/sock.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_S = 2 };

static void host_text(const struct addr *a, char *buf, size_t n)
{
	struct text t = text_on(buf, n);
	addr_put_host(&t, a);
	(void)text_end(&t);
}

/* A socket from the wanted address to the port; -1: errno. */
static int reach(const struct doctor *d, int type, uint16_t port)
{
	struct sockaddr_storage ss;
	struct addr to = d->host, from = d->from;
	struct timeval limit = {ANSWER_S, 0};
	int fd = socket(to.family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	to.port = port;
	from.port = 0;
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* of connect, too */
	socklen_t n = from.family ? sock_from_addr(&from, &ss) : 0;
	int rc = n ? bind(fd, (struct sockaddr *)&ss, n) : 0;
	if (rc == 0) {
		n = sock_from_addr(&to, &ss);
		rc = connect(fd, (struct sockaddr *)&ss, n);
	}
	if (rc == 0)
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

static void options(struct doctor *d, bool tcp, uint16_t port, const char *service)
{
	char msg[1024], got[1024], what[48], host[64], own[64];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	const char *kind = tcp ? "TCP" : "UDP";
	snprintf(what, sizeof what, "%s %s %u", service, kind, port);
	int fd = reach(d, tcp ? SOCK_STREAM : SOCK_DGRAM, port);
	if (fd < 0) {
		doctor_say(d, FIND_FAIL, what, "is strowgerd running on this address? Else open the port in every firewall between", "%s", strerror(errno));
		return;
	}
	(void)getsockname(fd, (struct sockaddr *)&ss, &len);
	struct addr local = sock_to_addr(&ss);
	struct text t = TEXT_ARRAY(own);
	addr_put(&t, &local);
	(void)text_end(&t);
	host_text(&d->host, host, sizeof host);
	int n = snprintf(msg, sizeof msg,
			 "OPTIONS sip:%s:%u SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bKdoctor%d-%u;rport\r\nMax-Forwards: 70\r\n"
			 "From: <sip:doctor@%s>;tag=doctor%d\r\nTo: <sip:%s:%u>\r\nCall-ID: doctor-%d-%u-%s@%s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
			 host, port, kind, own, (int)getpid(), port, own, (int)getpid(), host, port, (int)getpid(), port, kind, own);
	ssize_t r = -1;
	for (int attempt = 0; r <= 0 && attempt < (tcp ? 1 : 2); attempt++) /* a datagram may be lost */
		r = send(fd, msg, (size_t)n, MSG_NOSIGNAL) == n ? recv(fd, got, sizeof got - 1, 0) : -1;
	int e = errno;
	close(fd);
	got[r > 0 ? r : 0] = 0;
	if (r > 12 && !strncmp(got, "SIP/2.0 ", 8))
		doctor_say(d, FIND_OK, what, "", "answered %.3s", got + 8);
	else
		doctor_say(d, FIND_FAIL, what, "open the port in every firewall between; is this address blocked? See: strowger ban list", "no answer%s%s",
			   r < 0 ? ": " : "", r < 0 ? strerror(e) : "");
}

static size_t drop(char *p, size_t size, size_t n, void *ctx)
{
	(void)p, (void)ctx;
	return size * n;
}

/* Certificates are looked at as files: here only that somebody speaks. */
static void curl_ask(struct doctor *d, const char *scheme, uint16_t port, const char *what_is, bool connect_only)
{
	char url[128], host[64], from[80] = "host!", what[48];
	long status = 0;
	CURL *h = curl_easy_init();
	if (!h)
		return;
	host_text(&d->host, host, sizeof host);
	snprintf(url, sizeof url, "%s://%s:%u/", scheme, host, port);
	snprintf(what, sizeof what, "%s %u", what_is, port);
	struct text t = text_on(from + 5, sizeof from - 5);
	addr_put_ip(&t, &d->from);
	if (d->from.family && text_end(&t))
		curl_easy_setopt(h, CURLOPT_INTERFACE, from);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_TIMEOUT, 5L);
	curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, connect_only ? 1L : 0L);
	CURLcode e = curl_easy_perform(h);
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(h);
	if (e != CURLE_OK)
		doctor_say(d, FIND_FAIL, what, "is strowgerd running on this address? Else open the port in every firewall between", "%s", curl_easy_strerror(e));
	else if (connect_only)
		doctor_say(d, FIND_OK, what, "", "handshake done");
	else
		doctor_say(d, FIND_OK, what, "", "answered %ld", status);
}

void doctor_listeners(struct doctor *d, const struct daemon_ports *p)
{
	options(d, false, p->sip, "SIP");
	options(d, true, p->sip, "SIP");
	options(d, false, p->sip_service, "SIP service");
	options(d, true, p->sip_service, "SIP service");
	curl_ask(d, "https", p->sips, "SIP TLS", true);
	curl_ask(d, "http", p->http, "HTTP", false);
	curl_ask(d, "https", p->https, "HTTPS", false);
	doctor_say(d, FIND_OK, "firewall, udp", "", "nft add rule inet filter input udp dport { %u, %u, %u-65535 } accept", p->sip, p->sip_service, p->rtp_first);
	doctor_say(d, FIND_OK, "firewall, tcp", "", "nft add rule inet filter input tcp dport { %u, %u, %u, %u, %u } accept", p->sip, p->sips, p->sip_service,
		   p->http, p->https);
}
