/* strowgerd: the switch. See README.md and `strowgerd --help`. */
#include "app/strowgerd.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* A second signal while we drain: the user means it. */
static void on_second_signal(int sig)
{
	(void)sig;
	_exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
	struct daemon_opts o;
	struct strowgerd *d = NULL;
	sigset_t wanted;
	int rc = options_read(&o, argc, argv), sig = 0;
	if (rc >= 0)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &wanted, NULL); /* also in every thread started from here on */
	rc = strowgerd_start(&d, &o);
	if (rc != EXIT_CLEAN) {
		strowgerd_free(d);
		return rc;
	}
	strowgerd_ready(d);
	while ((sig = sigwaitinfo(&wanted, NULL)) != SIGINT && sig != SIGTERM)
		if (sig == SIGHUP)
			strowgerd_reload(d);
	signal(SIGINT, on_second_signal);
	signal(SIGTERM, on_second_signal);
	pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
	strowgerd_drain(d);
	strowgerd_free(d);
	return EXIT_CLEAN;
}
