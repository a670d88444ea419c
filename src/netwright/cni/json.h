/* As much of JSON (RFC 8259) as a front end needs: is it an object, and what are some members? */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* A member that is looked for: `start` is NULL until it is found, else its value as it stands. */
struct json {
	const char *key;
	const char *start;
	size_t length;
};

/* Whether `text` is one JSON object in UTF-8; the last of several members of a name counts. */
bool json_members(const char *text, size_t length, struct json *wanted, size_t count);

bool json_is_string(const struct json *value);

/* The string without its escapes; false when it is none, or has no place, or holds a NUL. */
bool json_text(const struct json *value, char *text, size_t size);

/* False when it is no whole number of at most nine digits. */
bool json_integer(const struct json *value, long *number);
