/* The one door to libcurl, for src/wire/http*.c only: its header, and what every handle
 * must be told. */
#ifndef WIRE_HTTP_LIB_H
#define WIRE_HTTP_LIB_H

#include <curl/curl.h>

#include "base/err.h"

#define SET(easy, option, value) \
    ASSERT(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/* For the life of the process; again is harmless. Any thread. */
void http_lib_begin(void);

/* http and https only, TLS 1.2 and verified, no redirect, no proxy, no .netrc.
 * ca_file  NULL: the system's. */
void http_lib_secure(CURL *easy, const char *ca_file);

#endif
