#include "certs/clockless.h"

#include <openssl/ssl.h>

bool certs_clockless(void *tls_context, struct err *err) {
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls_context);
    return (param != NULL && X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME) == 1) ||
           err_set(err, ERR_INTERNAL, "TLS cannot be told that this device has no clock");
}
