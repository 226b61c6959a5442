// AddressSanitizer lives inside the process it watches: it needs terabytes of address space, a few
// harmless calls, and stderr for its report. The debug build grants it these and nothing else.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif
