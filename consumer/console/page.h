/* The console's page: files compiled into the binary, as they are and compressed. */
#ifndef CONSUMER_PAGE_H
#define CONSUMER_PAGE_H

#include "wire/httpd.h"

/* Answer when the path is one of its files. Returns false when it is not. */
bool page_serve(struct httpd_request *request);

#endif
