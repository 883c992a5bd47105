#include "rtp/rtp.h"

struct impairment {
	double ie, bpl;
};

/* G.113 (2007) Appendix I tables I.1 and I.4: equipment impairment and packet-loss robustness, random loss. */
static struct impairment impairment_of(uint8_t pt)
{
	if (pt == RTP_PT_G729)
		return (struct impairment){11, 19}; /* G.729A with VAD */
	if (pt == 4)
		return (struct impairment){15, 16.1}; /* G.723.1 at 6.3 kbit/s */
	return (struct impairment){0, 25.1};      /* G.711 with appendix I concealment */
}

double rtp_emodel_r(uint8_t pt, double loss, double delay_ms)
{
	struct impairment c = impairment_of(pt);
	double ppl = loss < 0 ? 0 : loss > 1 ? 100 : loss * 100;
	double ie_eff = c.ie + (95 - c.ie) * ppl / (ppl + c.bpl);
	double id = 0.024 * delay_ms + (delay_ms > 177.3 ? 0.11 * (delay_ms - 177.3) : 0);
	double r = 93.2 - id - ie_eff;
	return r < 0 ? 0 : r;
}

/* G.107 annex B. */
uint16_t rtp_mos_x100(double r)
{
	if (r <= 0)
		return 100;
	if (r >= 100)
		return 450;
	double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
	return (uint16_t)((mos < 1 ? 1 : mos) * 100 + 0.5);
}
