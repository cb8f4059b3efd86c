// Marks a function that the compiler must not copy into its callers: copies may be
// optimized in different ways, and then round differently.
#pragma once

#ifdef _MSC_VER
#define VOLTWEEN_APART __declspec(noinline)
#else
#define VOLTWEEN_APART __attribute__((noinline))
#endif
