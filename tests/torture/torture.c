#include "torture.h"

#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
ProtobufCMessage *__real_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *type,
                                                   ProtobufCAllocator *allocator, size_t n, const uint8_t *data);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
ProtobufCMessage *__wrap_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *type,
                                                   ProtobufCAllocator *allocator, size_t n, const uint8_t *data);

static unsigned left;   /* until the one that fails; 0: it has */
static unsigned paused; /* how often */
static bool on;
static bool trace; /* PARLEY_TORTURE_TRACE is set: each failure is told with its place */

void __sanitizer_print_stack_trace(void) __attribute__((__weak__));

void torture_begin(void)
{
        on = true;
}

void torture_end(void)
{
        on = false;
}

void torture_pause(void)
{
        paused++;
}

void torture_resume(void)
{
        paused--;
}

bool torture_failed(void)
{
        return left == 0;
}

static bool fails_now(void)
{
        if (!on || paused || left == 0 || --left)
                return false;
        if (trace && __sanitizer_print_stack_trace)
                __sanitizer_print_stack_trace();
        return true;
}

void *__wrap_malloc(size_t n)
{
        return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
        return fails_now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
        return fails_now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
        return fails_now() ? NULL : __real_strndup(s, n);
}

static void *unpack_alloc(void *data, size_t n)
{
        (void)data;
        return fails_now() ? NULL : __real_malloc(n);
}

static void unpack_free(void *data, void *p)
{
        (void)data;
        free(p);
}

ProtobufCMessage *__wrap_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *type,
                                                   ProtobufCAllocator *allocator, size_t n, const uint8_t *data)
{
        ProtobufCAllocator ours = {.alloc = unpack_alloc, .free = unpack_free};

        return __real_protobuf_c_message_unpack(type, allocator ? allocator : &ours, n, data);
}

unsigned torture_each(void (*run)(void *arg), void *arg)
{
        trace = getenv("PARLEY_TORTURE_TRACE") != NULL;
        for (unsigned n = 1;; n++) {
                left = n;
                if (trace)
                        fprintf(stderr, "-- allocation %u\n", n);
                run(arg);
                assert_false(on);
                assert_int_equal(paused, 0);
                if (left > 0)
                        return n - 1;
                assert_in_range(n, 1, 100000);
        }
}
