/* A recursive descent over RFC 8259's grammar that keeps nothing but where it is. */
#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 200

struct cursor {
	const char *at, *end;
};

static bool is_at(const struct cursor *c, char wanted)
{
	return c->at < c->end && *c->at == wanted;
}

static bool take(struct cursor *c, char wanted)
{
	bool found = is_at(c, wanted);
	c->at += found;
	return found;
}

static void skip_blank(struct cursor *c)
{
	while (c->at < c->end && *c->at && strchr(" \t\r\n", *c->at))
		c->at++;
}

static int hex_value(char digit)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *found = digit ? strchr(digits, digit) : NULL;
	return found ? (int)(found - digits) % 16 : -1;
}

static bool skip_escape(struct cursor *c)
{
	if (take(c, 'u')) {
		for (int n = 0; n < 4; n++, c->at++)
			if (c->at >= c->end || hex_value(*c->at) < 0)
				return false;
		return true;
	}
	if (c->at >= c->end || !*c->at || !strchr("\"\\/bfnrt", *c->at))
		return false;
	c->at++;
	return true;
}

static bool skip_string(struct cursor *c)
{
	if (!take(c, '"'))
		return false;
	while (c->at < c->end && *c->at != '"') {
		if ((unsigned char)*c->at < 0x20)
			return false;
		if (take(c, '\\')) {
			if (!skip_escape(c))
				return false;
		} else {
			c->at++;
		}
	}
	return take(c, '"');
}

static bool skip_digits(struct cursor *c)
{
	const char *start = c->at;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > start;
}

static bool skip_number(struct cursor *c)
{
	take(c, '-');
	if (!take(c, '0') && !skip_digits(c))
		return false;
	if (take(c, '.') && !skip_digits(c))
		return false;
	if (take(c, 'e') || take(c, 'E')) {
		if (!take(c, '+'))
			take(c, '-');
		return skip_digits(c);
	}
	return true;
}

static bool skip_word(struct cursor *c, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length))
		return false;
	c->at += length;
	return true;
}

static bool skip_object(struct cursor *c, int depth, struct json *wanted, size_t count);
static bool skip_array(struct cursor *c, int depth);

static bool skip_value(struct cursor *c, int depth)
{
	if (depth > DEPTH_MAX || c->at >= c->end)
		return false;
	switch (*c->at) {
	case '{':
		return skip_object(c, depth, NULL, 0);
	case '[':
		return skip_array(c, depth);
	case '"':
		return skip_string(c);
	case 't':
		return skip_word(c, "true");
	case 'f':
		return skip_word(c, "false");
	case 'n':
		return skip_word(c, "null");
	default:
		return skip_number(c);
	}
}

static bool skip_array(struct cursor *c, int depth)
{
	take(c, '[');
	skip_blank(c);
	if (take(c, ']'))
		return true;
	do {
		skip_blank(c);
		if (!skip_value(c, depth + 1))
			return false;
		skip_blank(c);
	} while (take(c, ','));
	return take(c, ']');
}

static void note(struct json *wanted, size_t count, struct json key, const struct cursor *value,
		 const char *end)
{
	char name[32];
	for (size_t n = 0; n < count; n++)
		if (json_text(&key, name, sizeof name) && !strcmp(name, wanted[n].key)) {
			wanted[n].start = value->at;
			wanted[n].length = (size_t)(end - value->at);
		}
}

static bool skip_object(struct cursor *c, int depth, struct json *wanted, size_t count)
{
	if (!take(c, '{'))
		return false;
	skip_blank(c);
	if (take(c, '}'))
		return true;
	do {
		skip_blank(c);
		struct json key = {.start = c->at};
		if (!skip_string(c))
			return false;
		key.length = (size_t)(c->at - key.start);
		skip_blank(c);
		if (!take(c, ':'))
			return false;
		skip_blank(c);
		struct cursor value = *c;
		if (!skip_value(c, depth + 1))
			return false;
		note(wanted, count, key, &value, c->at);
		skip_blank(c);
	} while (take(c, ','));
	return take(c, '}');
}

/* The length of the character at `at` (RFC 3629); 0 when it is none. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
	size_t length = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
	if (length > left)
		return 0;
	for (size_t n = 1; n < length; n++)
		if ((at[n] & 0xc0) != 0x80)
			return 0;
	bool overlong = (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xf0 && at[1] < 0x90);
	bool beyond = (*at == 0xed && at[1] > 0x9f) || (*at == 0xf4 && at[1] > 0x8f);
	return length > 1 && (overlong || beyond) ? 0 : length;
}

static bool is_utf8(const char *text, size_t length)
{
	for (size_t at = 0, step; at < length; at += step)
		if (!(step = utf8_length((const unsigned char *)text + at, length - at)))
			return false;
	return true;
}

bool json_members(const char *text, size_t length, struct json *wanted, size_t count)
{
	struct cursor c = {text, text + length};

	if (!text || !is_utf8(text, length))
		return false;
	skip_blank(&c);
	if (!skip_object(&c, 0, wanted, count))
		return false;
	skip_blank(&c);
	return c.at == c.end;
}

bool json_is_string(const struct json *value)
{
	return value->start && *value->start == '"';
}

/* One \uXXXX of the basic plane as UTF-8; half a pair of surrogates is no text. */
static size_t put_unicode(const char *digits, char *text)
{
	uint32_t code = 0;
	for (int n = 0; n < 4; n++)
		code = code << 4 | (uint32_t)hex_value(digits[n]);
	if (code == 0 || (code >= 0xd800 && code < 0xe000))
		return 0;
	if (code < 0x80)
		return text[0] = (char)code, 1;
	if (code < 0x800)
		return text[0] = (char)(0xc0 | code >> 6), text[1] = (char)(0x80 | (code & 0x3f)), 2;
	text[0] = (char)(0xe0 | code >> 12);
	text[1] = (char)(0x80 | (code >> 6 & 0x3f));
	text[2] = (char)(0x80 | (code & 0x3f));
	return 3;
}

bool json_text(const struct json *value, char *text, size_t size)
{
	static const char escaped[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	size_t used = 0;

	if (!json_is_string(value))
		return false;
	for (const char *at = value->start + 1; at < value->start + value->length - 1; at++) {
		size_t step = 1;
		if (used + 1 >= size)
			return false;
		if (*at != '\\') {
			text[used] = *at;
		} else if (*++at == 'u') {
			char character[4];
			step = put_unicode(at + 1, character);
			if (!step || used + step >= size)
				return false;
			memcpy(text + used, character, step);
			at += 4;
		} else {
			text[used] = meant[strchr(escaped, *at) - escaped];
		}
		used += step;
	}
	text[used] = '\0';
	return true;
}

bool json_integer(const struct json *value, long *number)
{
	struct cursor c = {value->start, value->start + value->length};

	take(&c, '-');
	if (!skip_digits(&c) || c.at != c.end || value->length > 9)
		return false;
	*number = strtol(value->start, NULL, 10);
	return true;
}
