/* How documents are written that trust/ believes. Pawl reads one form of each document only. The test program tests/conformance/tuf_client.c, and
 * nothing else, is built with TRUST_RELAXED_PROFILE: it also reads what other tools write (any JSON layout, UTF-8, unreadable signatures beside good
 * ones, keys that nobody here knows). The relaxed profile is about form; signatures, thresholds, versions, hashes and expiry are checked in both. */
#ifndef PAWL_TRUST_PROFILE_H
#define PAWL_TRUST_PROFILE_H

#ifdef TRUST_RELAXED_PROFILE
enum { PROFILE_STRICT = 0 };
/* So that a program says which profile is inside. */
__attribute__((used)) static const char profile_mark[] = "pawl-trust-profile: relaxed";
#else
enum { PROFILE_STRICT = 1 };
#endif

#endif
