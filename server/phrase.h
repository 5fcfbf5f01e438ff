/* Reason phrases of the statuses that Pawl sends (RFC 9110 §15, RFC 6585). */
#ifndef PAWL_SERVER_PHRASE_H
#define PAWL_SERVER_PHRASE_H

/* "Not Found"; never NULL, "Status" for one that is not in the table. */
const char *phrase_of(int status);

#endif
