/* The scripts of txn_test.c: what happens, and all that must leave or be told, each at its millisecond. */

/* RFC 3261 figure 5 with RFC 6026 8.4: Calling, Proceeding, Completed (D), Accepted (M) */
static const struct script figure5[] = {
	{"timers A and B", false, "0 send INVITE",
	 "0 >INVITE, 500 >INVITE, 1500 >INVITE, 3500 >INVITE, 7500 >INVITE, 15500 >INVITE, 31500 >INVITE, 32000 timeout, 32000 end"},
	{"timer B over a stream", true, "0 send INVITE", "0 >INVITE, 32000 timeout, 32000 end"},
	{"1xx stops A and B", false, "0 send INVITE; 600 got 100; 700 got 180; 90000 got 486",
	 "0 >INVITE, 500 >INVITE, 600 response 100, 700 response 180, 90000 >ACK, 90000 response 486, 122000 end"},
	{"Calling to Completed, ACK again for each copy, D", false,
	 "0 send INVITE; 100 got 404; 600 got 404; 1000 got 180; 2000 got 200; 31000 got 404",
	 "0 >INVITE, 100 >ACK, 100 response 404, 600 >ACK, 31000 >ACK, 32100 end"},
	{"Completed over a stream has no D", true, "0 send INVITE; 100 got 404; 600 got 404",
	 "0 >INVITE, 100 >ACK, 100 response 404, 100 end"},
	{"Accepted: copies are acknowledged again, M", false,
	 "0 send INVITE; 100 got 180; 200 got 200; 210 got 200; 300 ack them; 700 got 200; 800 got 180; 900 got 486",
	 "0 >INVITE, 100 response 180, 200 response 200, 300 >ACK, 700 >ACK, 32200 end"},
	{"Accepted over a stream has M too", true, "0 send INVITE; 200 got 200; 300 ack them; 700 got 200",
	 "0 >INVITE, 200 response 200, 300 >ACK, 700 >ACK, 32200 end"},
	{"forks", false, "0 send INVITE; 200 got 200 a; 210 ack a; 300 got 200 b; 310 got 200 b; 320 ack b; 400 got 200 b; 410 got 200 a",
	 "0 >INVITE, 200 response 200, 210 >ACK, 300 response 200, 320 >ACK, 400 >ACK, 410 >ACK, 32200 end"},
	{"CANCEL after a provisional", false, "0 send INVITE; 100 got 180; 200 cancel; 250 gotcancel 200; 300 got 487",
	 "0 >INVITE, 100 response 180, 200 >CANCEL, 300 >ACK, 300 response 487, 32300 end"},
	{"CANCEL waits for a provisional", false, "0 send INVITE; 100 cancel; 150 cancel; 600 got 100; 650 gotcancel 200; 700 got 487",
	 "0 >INVITE, 500 >INVITE, 600 >CANCEL, 600 response 100, 700 >ACK, 700 response 487, 32700 end"},
	{"CANCEL is repeated as a transaction of its own", true, "0 send INVITE; 100 got 180; 200 cancel",
	 "0 >INVITE, 100 response 180, 200 >CANCEL, 32200 timeout, 32200 end"},
	{"CANCEL is lost too", false, "0 send INVITE; 100 got 180; 200 cancel; 300 cancel",
	 "0 >INVITE, 100 response 180, 200 >CANCEL, 700 >CANCEL, 1700 >CANCEL, 3700 >CANCEL, 7700 >CANCEL, 11700 >CANCEL,"
	 " 15700 >CANCEL, 19700 >CANCEL, 23700 >CANCEL, 27700 >CANCEL, 31700 >CANCEL, 32200 timeout, 32200 end"},
	{"CANCEL and 200 cross", false, "0 send INVITE; 100 got 180; 200 cancel; 210 got 200; 215 ack them; 250 gotcancel 200",
	 "0 >INVITE, 100 response 180, 200 >CANCEL, 210 response 200, 215 >ACK, 32210 end"},
	{"CANCEL held and 200 first", false, "0 send INVITE; 100 cancel; 210 got 200; 215 ack them",
	 "0 >INVITE, 210 response 200, 215 >ACK, 32210 end"},
	{"no use to cancel what is over", false, "0 send INVITE; 100 got 486; 200 cancel",
	 "0 >INVITE, 100 >ACK, 100 response 486, 32100 end"},
	{"the connection breaks", true, "0 send INVITE; 100 got 180; 200 broken; 300 got 200",
	 "0 >INVITE, 100 response 180, 200 transport, 200 end"},
	{"orphan in Calling", false, "0 send INVITE; 100 orphan c; 600 got 180; 650 gotcancel 200; 700 got 487",
	 "0 >INVITE, 500 >INVITE, 600 >CANCEL, 700 >ACK, 32700 end"},
};

/* RFC 3261 figure 6: Trying, Proceeding, Completed (K) */
static const struct script figure6[] = {
	{"timers E and F", false, "0 send BYE",
	 "0 >BYE, 500 >BYE, 1500 >BYE, 3500 >BYE, 7500 >BYE, 11500 >BYE, 15500 >BYE, 19500 >BYE, 23500 >BYE, 27500 >BYE,"
	 " 31500 >BYE, 32000 timeout, 32000 end"},
	{"timer F over a stream", true, "0 send BYE", "0 >BYE, 32000 timeout, 32000 end"},
	{"Proceeding: E at T2, F runs on", false, "0 send BYE; 600 got 100",
	 "0 >BYE, 500 >BYE, 600 response 100, 1500 >BYE, 5500 >BYE, 9500 >BYE, 13500 >BYE, 17500 >BYE, 21500 >BYE, 25500 >BYE,"
	 " 29500 >BYE, 32000 timeout, 32000 end"},
	{"Trying to Completed, copies absorbed, K", false, "0 send REGISTER; 100 got 401; 200 got 401; 300 got 100",
	 "0 >REGISTER, 100 response 401, 5100 end"},
	{"Proceeding to Completed", false, "0 send INFO; 100 got 100; 200 got 200", "0 >INFO, 100 response 100, 200 response 200, 5200 end"},
	{"over a stream it ends at once", true, "0 send INFO; 100 got 100; 200 got 200; 300 got 200",
	 "0 >INFO, 100 response 100, 200 response 200, 200 end"},
	{"the connection breaks", true, "0 send INFO; 100 broken", "0 >INFO, 100 transport, 100 end"},
	{"the way breaks after the answer", false, "0 send INFO; 100 got 200; 200 broken", "0 >INFO, 100 response 200, 200 end"},
	{"orphan", false, "0 send INFO; 100 orphan c; 200 got 200", "0 >INFO, 5200 end"},
};

/* RFC 3261 figure 7 with RFC 6026 8.5: Proceeding, Completed (G, H), Confirmed (I), Accepted (L) */
static const struct script figure7[] = {
	{"100 after 200 ms, resent for a copy", false, "0 in INVITE; 100 in INVITE; 500 in INVITE; 1000 reply 486; 1100 in ACK",
	 "0 request INVITE, 200 >100, 500 >100, 1000 >486, 6100 end"},
	{"no 100 after a 180", false, "0 in INVITE; 100 reply 180; 500 in INVITE; 600 reply 183; 700 in INVITE; 800 reply 486; 900 in ACK",
	 "0 request INVITE, 100 >180, 500 >180, 600 >183, 700 >183, 800 >486, 5900 end"},
	{"timers G and H", false, "0 in INVITE; 100 reply 486; 700 in INVITE",
	 "0 request INVITE, 100 >486, 600 >486, 700 >486, 1600 >486, 3600 >486, 7600 >486, 11600 >486, 15600 >486, 19600 >486,"
	 " 23600 >486, 27600 >486, 31600 >486, 32100 end"},
	{"H over a stream", true, "0 in INVITE; 100 reply 486", "0 request INVITE, 100 >486, 32100 end"},
	{"Confirmed absorbs, I", false, "0 in INVITE; 100 reply 486; 700 in ACK; 800 in ACK; 900 in INVITE; 950 reply 200",
	 "0 request INVITE, 100 >486, 600 >486, 5700 end"},
	{"over a stream no I", true, "0 in INVITE; 100 reply 486; 700 in ACK", "0 request INVITE, 100 >486, 700 end"},
	{"Accepted: 2xx again until acknowledged, L", false, "0 in INVITE; 100 reply 200; 200 in INVITE; 1700 in ACK z9hG4bKack; 1700 acked; 2000 in INVITE",
	 "0 request INVITE, 100 >200, 600 >200, 1600 >200, 1700 acked , 32100 end"},
	{"2xx never acknowledged", false, "0 in INVITE; 100 reply 200",
	 "0 request INVITE, 100 >200, 600 >200, 1600 >200, 3600 >200, 7600 >200, 11600 >200, 15600 >200, 19600 >200, 23600 >200,"
	 " 27600 >200, 31600 >200, 32100 no-ack, 32100 end"},
	{"the same over a stream", true, "0 in INVITE; 100 reply 200",
	 "0 request INVITE, 100 >200, 600 >200, 1600 >200, 3600 >200, 7600 >200, 11600 >200, 15600 >200, 19600 >200, 23600 >200,"
	 " 27600 >200, 31600 >200, 32100 no-ack, 32100 end"},
	{"an ACK with the branch of the INVITE", false, "0 in INVITE; 100 reply 200; 150 in ACK; 150 acked",
	 "0 request INVITE, 100 >200, 150 acked , 32100 end"},
	{"ACK that fits nothing", false, "0 in ACK", "0 acked "},
	{"ACK too early", false, "0 in INVITE; 50 in ACK; 100 reply 486; 150 in ACK", "0 request INVITE, 100 >486, 5150 end"},
	{"CANCEL", false, "0 in INVITE; 50 reply 180; 100 in CANCEL; 150 in CANCEL; 200 reply 487; 250 in CANCEL; 300 in ACK",
	 "0 request INVITE, 50 >180, 100 >200, 100 cancelled CANCEL, 150 >200, 200 >487, 250 >200, 5300 end"},
	{"CANCEL too late", false, "0 in INVITE; 50 reply 200; 60 acked; 100 in CANCEL", "0 request INVITE, 50 >200, 100 >200, 32050 end"},
	{"CANCEL of nothing", false, "0 in CANCEL; 10 in CANCEL z9hG4bKzz", "0 >481, 10 >481"},
	{"final answers only once", false, "0 in INVITE; 50 reply 486; 60 reply 200; 70 reply 180; 80 in ACK",
	 "0 request INVITE, 50 >486, 5080 end"},
	{"orphan in Proceeding", false, "0 in INVITE; 50 reply 180; 100 orphan s; 120 reply 200; 150 in ACK; 160 in CANCEL",
	 "0 request INVITE, 50 >180, 100 >500, 120 gone, 160 >200, 5150 end"},
	{"orphan in Accepted", false, "0 in INVITE; 50 reply 200; 100 orphan s", "0 request INVITE, 50 >200, 32050 end"},
};

/* RFC 3261 figure 8: Trying, Proceeding, Completed (J) */
static const struct script figure8[] = {
	{"Trying absorbs", false, "0 in BYE; 100 in BYE; 200 reply 200; 300 in BYE; 400 reply 500; 31000 in BYE",
	 "0 request BYE, 200 >200, 300 >200, 31000 >200, 32200 end"},
	{"Proceeding answers", false, "0 in REFER; 100 reply 100; 200 in REFER; 300 reply 202; 400 in REFER",
	 "0 request REFER, 100 >100, 200 >100, 300 >202, 400 >202, 32300 end"},
	{"over a stream no J", true, "0 in BYE; 200 reply 200", "0 request BYE, 200 >200, 200 end"},
	{"never answered", false, "0 in INFO; 40000 reply 200", "0 request INFO, 32000 end, 40000 gone"},
	{"orphan", false, "0 in INFO; 100 orphan s; 200 in INFO", "0 request INFO, 100 >500, 200 >500, 32100 end"},
};
